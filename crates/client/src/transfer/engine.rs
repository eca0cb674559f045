//! What all transfers of one command share: measures, memory, progress, and the wish to stop.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::TransferError;
use super::journal::Journals;
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
    /// Where it is kept what can go on later.
    pub(crate) journals: Option<Journals>,
    /// Whether file times go with objects, as rclone's `mtime` metadata.
    pub(crate) times: bool,
}

impl Transfers {
    /// Transfers that end in good order when `stop` is cancelled: requests that are on their way are finished, and
    /// then what was begun is given up, or kept for later where [`Transfers::resuming`] says where.
    #[must_use]
    pub fn new(tuning: Tuning, progress: Arc<dyn Progress>, stop: CancellationToken) -> Self {
        let budget = u32::try_from(tuning.memory / MIB).unwrap_or(u32::MAX).clamp(1, 1 << 20);
        Self {
            tuning,
            progress,
            memory: Arc::new(Semaphore::new(budget as usize)),
            budget,
            stop,
            journals: None,
            times: false,
        }
    }

    /// The same, where large transfers that end early are kept, and gone on with by the next that has the same
    /// source and target. The folder holds their journals; what nobody went on with for a week is forgotten.
    #[must_use]
    pub fn resuming(mut self, folder: PathBuf) -> Self {
        let journals = Journals::in_folder(folder);
        let old = journals.clone();
        std::thread::spawn(move || old.clean());
        self.journals = Some(journals);
        self
    }

    /// The same, where the time of a file's last change goes with its object (`mtime`, in seconds, as rclone has
    /// it), and back onto the file.
    #[must_use]
    pub fn keeping_times(mut self) -> Self {
        self.times = true;
        self
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
