//! What all transfers of one command share: measures, memory, progress, and the wish to stop.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::TransferError;
use super::progress::Progress;
use super::tuning::{MIB, Tuning};

/// Moves files. Cheap to clone; clones share the memory budget.
#[derive(Clone)]
pub struct Transfers {
    pub(crate) tuning: Tuning,
    pub(crate) progress: Arc<dyn Progress>,
    /// In MiB.
    memory: Arc<Semaphore>,
    budget: u32,
    stop: CancellationToken,
}

impl Transfers {
    /// Transfers that end in good order when `stop` is cancelled: what was begun is given up.
    #[must_use]
    pub fn new(tuning: Tuning, progress: Arc<dyn Progress>, stop: CancellationToken) -> Self {
        let budget = u32::try_from(tuning.memory / MIB).unwrap_or(u32::MAX).clamp(1, 1 << 20);
        Self { tuning, progress, memory: Arc::new(Semaphore::new(budget as usize)), budget, stop }
    }

    /// The right to hold so many bytes, until it is dropped. A piece larger than the whole budget takes it all.
    pub(crate) async fn memory_for(&self, bytes: u64) -> Result<OwnedSemaphorePermit, TransferError> {
        let wanted = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX).clamp(1, self.budget);
        let permit = self.unless_stopped(Arc::clone(&self.memory).acquire_many_owned(wanted)).await?;
        permit.map_err(|_| TransferError::Interrupted)
    }

    /// Waits for the work, or for the wish to stop.
    pub(crate) async fn unless_stopped<F: Future>(&self, work: F) -> Result<F::Output, TransferError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(TransferError::Interrupted),
            output = work => Ok(output),
        }
    }

    /// Whether somebody asked to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl fmt::Debug for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfers").field("tuning", &self.tuning).finish_non_exhaustive()
    }
}
