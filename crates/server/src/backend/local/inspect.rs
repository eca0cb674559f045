//! Looking at a store from outside, without changing anything: also beside a server that has it open.
//!
//! Whoever only reads is safe beside the one that writes: rows are read in snapshots, and what is missing is looked up
//! again before it is reported. What a crash left in flight is not damage; the next opening finishes it.

use std::path::Path;
use std::sync::Arc;

use super::error::StoreError;
use super::index::one;
use super::pins::Pins;
use super::places::Places;
use super::schema::open_looking;
use super::verify::{Depth, Report, verify};

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Another process has the store open.
    pub in_use: bool,
    /// Files that are being written, or that an interrupted process left: the next opening sees to them.
    pub in_flight: usize,
    /// Files that wait to be unlinked.
    pub to_unlink: u64,
    /// What is wrong.
    pub report: Report,
}

/// Looks at the store in a directory. Blocks.
///
/// # Errors
/// [`StoreError::NoStore`], [`StoreError::OlderFormat`], [`StoreError::NewerFormat`], and failures to look.
pub fn inspect(directory: &Path, depth: Depth) -> Result<Inspection, StoreError> {
    let (places, in_use) = Places::look(directory)?;
    let index = open_looking(&places.index())?;
    let in_flight = places.incoming_ids().map_err(StoreError::io("list the incoming directory"))?.len();
    let count = |row: &rusqlite::Row<'_>| Ok(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0));
    let to_unlink = one(&index, "SELECT count(*) FROM garbage", &[], count)?.unwrap_or(0);
    // Nobody waits for these pins: a process that unlinks knows only its own.
    let pins = Arc::new(Pins::new(Box::new(|_| {})));
    let report = verify(&index, &places, &pins, depth)?;
    Ok(Inspection { in_use, in_flight, to_unlink, report })
}
