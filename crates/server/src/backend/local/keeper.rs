//! The thread that tidies up behind commits: settles new files, unlinks those that nothing needs any more,
//! and has the index forget them once their unlinking is on disk.
//!
//! Nothing waits for it. Whatever it has not done when the process ends, opening the store does.

use std::collections::HashSet;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::pins::Pins;
use super::places::{ContentId, Places};

/// What there is to do.
#[derive(Debug)]
pub(super) enum Chore {
    /// A transaction was committed.
    Committed {
        /// Files that an index row points to now.
        settle: Vec<ContentId>,
        /// Files that none points to any more.
        garbage: Vec<ContentId>,
    },
    /// The last reader of an awaited content is gone.
    Released(ContentId),
    /// The store is being closed; nothing is committed after this.
    Close,
}

/// So many unlinked files are forgotten in one go, or those of [`PATIENCE`].
const FORGET_AT: usize = 1024;
const PATIENCE: Duration = Duration::from_millis(500);

/// The thread's state.
pub(super) struct Keeper<F> {
    places: Places,
    pins: Arc<Pins>,
    /// Has the index forget garbage entries.
    forget: F,
    awaited: HashSet<ContentId>,
    unlinked: Vec<ContentId>,
    closing: bool,
}

impl<F: Fn(Vec<ContentId>)> Keeper<F> {
    pub(super) fn new(places: Places, pins: Arc<Pins>, forget: F) -> Self {
        Self { places, pins, forget, awaited: HashSet::new(), unlinked: Vec::new(), closing: false }
    }

    /// Works until the store is closed; returns the garbage entries that can be forgotten still.
    pub(super) fn run(mut self, chores: &Receiver<Chore>) -> Vec<ContentId> {
        while !self.closing {
            let chore = match self.unlinked.is_empty() {
                true => chores.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => chores.recv_timeout(PATIENCE),
            };
            match chore {
                Ok(chore) => self.tidy(chore, chores),
                Err(RecvTimeoutError::Timeout) => self.forget_unlinked(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.unlinked.len() >= FORGET_AT && !self.closing {
                self.forget_unlinked();
            }
        }
        self.take_unlinked()
    }

    /// Does a chore and those that wait behind it, passing the readers' gate once for all.
    fn tidy(&mut self, first: Chore, chores: &Receiver<Chore>) {
        let mut garbage = Vec::new();
        for chore in std::iter::once(first).chain(chores.try_iter().take(FORGET_AT)) {
            match chore {
                Chore::Committed { settle, garbage: more } => {
                    for id in settle {
                        report("settle", id, self.places.settle(id));
                    }
                    garbage.extend(more);
                }
                Chore::Released(id) => {
                    if self.awaited.remove(&id) {
                        garbage.push(id);
                    }
                }
                Chore::Close => self.closing = true,
            }
        }
        if garbage.is_empty() {
            return;
        }
        self.pins.pass();
        for id in garbage {
            if self.pins.await_release(id) {
                self.awaited.insert(id);
            } else if report("unlink", id, self.places.remove(id)) {
                self.unlinked.push(id);
            }
        }
    }

    fn forget_unlinked(&mut self) {
        let unlinked = self.take_unlinked();
        if !unlinked.is_empty() {
            (self.forget)(unlinked);
        }
    }

    /// The contents whose unlinking is on disk. Where that is not known, their entries stay.
    fn take_unlinked(&mut self) -> Vec<ContentId> {
        let unlinked = mem::take(&mut self.unlinked);
        match self.places.sync_shelves(&unlinked) {
            Ok(()) => unlinked,
            Err(error) => {
                tracing::warn!(%error, "could not sync the directories of unlinked contents");
                Vec::new()
            }
        }
    }
}

/// A failure is not fatal: the content stays readable where it is, or its garbage entry stays, and the next
/// opening tries again.
fn report(doing: &str, id: ContentId, result: io::Result<()>) -> bool {
    if let Err(error) = &result {
        tracing::warn!(%error, content = %id, "could not {doing} a content file");
    }
    result.is_ok()
}
