//! What all transfers of one command share: measures, memory, progress, and the wish to stop.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::error::TransferError;
use super::journal::Journals;
use super::lists::Lists;
use super::memory::{Memory, Room};
use super::progress::Progress;
use super::rates::Rates;
use super::tuning::Tuning;

/// Moves files. Cheap to clone; clones share the memory budget.
#[derive(Clone)]
pub struct Transfers {
    pub(crate) tuning: Tuning,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) memory: Memory,
    stop: CancellationToken,
    /// What has been seen of the links to the stores.
    pub(crate) rates: Arc<Rates>,
    /// And of their buckets.
    pub(crate) lists: Arc<Lists>,
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
        Self {
            tuning,
            progress,
            memory: Memory::new(tuning.memory),
            stop,
            rates: Arc::default(),
            lists: Arc::default(),
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

    /// The right to hold so many bytes, until it is dropped.
    pub(crate) async fn room_for(&self, bytes: u64) -> Result<Room, TransferError> {
        self.unless_stopped(self.memory.room(bytes)).await?.ok_or(TransferError::Interrupted)
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
