//! What a transfer tells while it runs. Whoever shows it (a bar, a log) is elsewhere.

use super::error::TransferError;
use super::item::{Done, Item};

/// Is told what happens. Called from several tasks at once, and often: it must not block.
pub trait Progress: Send + Sync + 'static {
    /// More is known that will be done.
    fn expected(&self, _files: u64, _bytes: u64) {}

    /// More bytes have arrived.
    fn moved(&self, _bytes: u64) {}

    /// Bytes that an earlier run moved are there, and verified.
    fn resumed(&self, bytes: u64) {
        self.moved(bytes);
    }

    /// An item is done, and verified.
    fn done(&self, _item: &Item, _done: &Done) {}

    /// An item of several was not done; the others go on.
    fn failed(&self, _name: &str, _error: &TransferError) {}

    /// Something was left out on purpose.
    fn skipped(&self, _name: &str, _why: &str) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {}
