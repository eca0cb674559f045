//! Bringing to an end what a crash interrupted, before anything else happens to a store.
//!
//! It looks at `incoming/` and at the garbage entries, nowhere else: a file in `incoming/` that a row points
//! to is settled, another one unlinked; a file of a garbage entry is unlinked, and its entry forgotten once
//! that is on disk.

use rusqlite::Connection;

use super::commit::forget;
use super::error::StoreError;
use super::index::{all, one};
use super::places::{ContentId, Places};

/// What recovery found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Recovered {
    /// Committed files that had not reached their shelf.
    pub(super) settled: usize,
    /// Files that were never committed.
    pub(super) discarded: usize,
    /// Files of contents that were given up.
    pub(super) collected: usize,
}

/// Recovers; returns also the first number that no content has.
pub(super) fn recover(index: &Connection, places: &Places) -> Result<(Recovered, ContentId), StoreError> {
    let mut recovered = Recovered::default();
    let mut highest =
        one(index, "SELECT max(id) FROM content", &[], |row| Ok(row.get::<_, Option<i64>>(0)?.unwrap_or(0)))?
            .unwrap_or(0);

    for id in places.incoming_ids().map_err(StoreError::io("list the incoming directory"))? {
        highest = highest.max(id.0);
        if one(index, "SELECT 1 FROM content WHERE id = ?1 AND kind = 1", &[&id], |_| Ok(()))?.is_some() {
            places.settle(id).map_err(StoreError::io("settle a content file"))?;
            recovered.settled += 1;
        } else {
            places.remove(id).map_err(StoreError::io("unlink a content file"))?;
            recovered.discarded += 1;
        }
    }

    let garbage = all(index, "SELECT content FROM garbage", &[], |row| Ok(row.get::<_, ContentId>(0)?))?;
    for id in &garbage {
        highest = highest.max(id.0);
        places.remove(*id).map_err(StoreError::io("unlink a content file"))?;
    }
    places.sync_shelves(&garbage).map_err(StoreError::io("sync a content directory"))?;
    let transaction = index.unchecked_transaction()?;
    forget(&transaction, &garbage)?;
    transaction.commit()?;
    recovered.collected = garbage.len();
    Ok((recovered, ContentId(highest + 1)))
}
