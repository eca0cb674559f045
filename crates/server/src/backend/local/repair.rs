//! Mending what verification found, as far as no data is at stake: counts of references and of what buckets hold,
//! files that nothing refers to, versions out of order. Bytes that are lost stay lost, and what refers to them stays as it is.

use rusqlite::Connection;
use wigeon_core::s3::ObjectKey;

use super::commit::Effects;
use super::contents::release;
use super::error::StoreError;
use super::index::{self, run};
use super::places::ContentId;
use super::usage;
use super::verify::{disordered, miscounted};
use super::versions::restore_order;

/// What was mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Counts of references.
    pub counts: usize,
    /// Contents that nothing referred to any more.
    pub contents: usize,
    /// Files that nothing referred to.
    pub files: usize,
    /// Keys whose versions were not in order.
    pub keys: usize,
    /// Buckets that held something else than they counted.
    pub buckets: usize,
}

/// Mends, within the writing transaction.
pub(super) fn repair(
    index: &Connection,
    effects: &mut Effects,
    orphans: &[ContentId],
) -> Result<Repaired, StoreError> {
    let mut repaired = Repaired::default();
    for (bucket, key) in disordered(index)? {
        let key = String::from_utf8(key).ok().and_then(|key| ObjectKey::parse(key).ok());
        let key = key.ok_or_else(|| index::unreadable("a key"))?;
        restore_order(index, index::bucket_of(index, bucket)?, &key)?;
        repaired.keys += 1;
    }
    // Giving up a composite gives up its sources: their counts have to be right before.
    let wrong = miscounted(index)?;
    for (id, _, found) in &wrong {
        run(index, "UPDATE content SET refs = ?2 WHERE id = ?1", &[id, found])?;
    }
    for (id, ..) in wrong.iter().filter(|(_, _, found)| *found == 0) {
        run(index, "UPDATE content SET refs = 1 WHERE id = ?1", &[id])?;
        release(index, effects, *id)?;
        repaired.contents += 1;
    }
    repaired.counts = wrong.len() - repaired.contents;
    for (bucket, [_, _, bytes, objects]) in usage::miscounted(index)? {
        usage::recount(index, bucket, bytes, objects)?;
        repaired.buckets += 1;
    }
    for id in orphans {
        run(index, "INSERT OR IGNORE INTO garbage (content) VALUES (?1)", &[id])?;
        effects.garbage.push(*id);
        repaired.files += 1;
    }
    Ok(repaired)
}
