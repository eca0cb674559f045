//! Contents in the index: how they are entered, shared, and given up.
//!
//! A content lives as long as it has references: from objects, from parts of uploads, and from segments of
//! composites. A composite's segments point to inline and file contents only, never to composites, so that
//! giving one up goes one level deep.

use bytes::Bytes;
use rusqlite::{Connection, Row};

use super::checksum::Checksums;
use super::commit::{Effects, StagedFile};
use super::error::StoreError;
use super::index::{all, checksums, one, run, signed, unreadable};
use super::places::ContentId;

const INLINE: i64 = 0;
const FILE: i64 = 1;
const COMPOSITE: i64 = 2;

/// Content that was written but is in no index yet.
#[derive(Debug)]
pub(super) enum Fresh {
    /// To lie in the index.
    Inline(Vec<u8>),
    /// Lies in `incoming/`, synced.
    File(StagedFile),
}

/// Consecutive bytes of an inline or file content.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) source: ContentId,
    /// Where in the source it begins.
    pub(super) start: u64,
    pub(super) size: u64,
    /// The source's bytes, of an inline one.
    pub(super) inline: Option<Bytes>,
    /// The source's whole size.
    pub(super) source_size: u64,
    /// The part of a multipart object that it belongs to, from 1; 1 in other objects.
    pub(super) part: u32,
    /// That part's checksums, on its first slice.
    pub(super) checksums: Checksums,
}

/// Enters new content with one reference.
pub(super) fn insert(
    index: &Connection,
    effects: &mut Effects,
    id: ContentId,
    size: u64,
    md5: &[u8; 16],
    fresh: Fresh,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO content (id, kind, size, refs, md5, data) VALUES (?1, ?2, ?3, 1, ?4, ?5)";
    match fresh {
        Fresh::Inline(bytes) => run(index, sql, &[&id, &INLINE, &signed(size), md5, &bytes])?,
        Fresh::File(file) => {
            effects.staged.push(file);
            run(index, sql, &[&id, &FILE, &signed(size), md5, &None::<Vec<u8>>])?
        }
    };
    Ok(())
}

/// Enters a composite of these slices with one reference. Each slice needs a reference to its source, which
/// the caller has acquired or hands over.
pub(super) fn insert_composite(
    index: &Connection,
    id: ContentId,
    slices: &[Slice],
) -> Result<(), StoreError> {
    let size = slices.iter().map(|slice| slice.size).sum();
    let sql = "INSERT INTO content (id, kind, size, refs) VALUES (?1, ?2, ?3, 1)";
    run(index, sql, &[&id, &COMPOSITE, &signed(size)])?;
    for (position, slice) in (0_i64..).zip(slices) {
        let sql = "INSERT INTO segment (content, position, part, source, start, size, checksums) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let (start, size, checksums) = (signed(slice.start), signed(slice.size), slice.checksums.to_column());
        run(index, sql, &[&id, &position, &slice.part, &slice.source, &start, &size, &checksums])?;
    }
    Ok(())
}

/// Takes one more reference; `false` if there is no such content any more.
pub(super) fn acquire(index: &Connection, id: ContentId) -> Result<bool, StoreError> {
    Ok(run(index, "UPDATE content SET refs = refs + 1 WHERE id = ?1", &[&id])? == 1)
}

/// Gives up a reference, and the content with the last one.
pub(super) fn release(index: &Connection, effects: &mut Effects, id: ContentId) -> Result<(), StoreError> {
    let last = one(index, "DELETE FROM content WHERE id = ?1 AND refs = 1 RETURNING kind", &[&id], |row| {
        Ok(row.get::<_, i64>(0)?)
    })?;
    match last {
        Some(INLINE) => {}
        Some(FILE) => {
            run(index, "INSERT INTO garbage (content) VALUES (?1)", &[&id])?;
            effects.garbage.push(id);
        }
        Some(_) => {
            let sql = "DELETE FROM segment WHERE content = ?1 RETURNING source";
            for source in all(index, sql, &[&id], |row| Ok(row.get::<_, ContentId>(0)?))? {
                release(index, effects, source)?;
            }
        }
        None => {
            if run(index, "UPDATE content SET refs = refs - 1 WHERE id = ?1", &[&id])? == 0 {
                return Err(StoreError::Corrupt(format!("content {id} is referred to but not there")));
            }
        }
    }
    Ok(())
}

/// The slices of a content, in order. An inline or file content is one slice of itself.
pub(super) fn slices(index: &Connection, id: ContentId) -> Result<Vec<Slice>, StoreError> {
    let sql = "SELECT kind, size, data FROM content WHERE id = ?1";
    let leaf = one(index, sql, &[&id], |row| {
        let (kind, size) = (row.get::<_, i64>(0)?, unsigned(row, 1)?);
        let inline = row.get::<_, Option<Vec<u8>>>(2)?.map(Bytes::from);
        let slice = Slice {
            source: id,
            start: 0,
            size,
            inline,
            source_size: size,
            part: 1,
            checksums: Checksums::default(),
        };
        Ok((kind != COMPOSITE).then_some(slice))
    })?;
    match leaf {
        Some(Some(leaf)) => Ok(vec![leaf]),
        Some(None) => segments(index, id),
        None => Err(StoreError::Corrupt(format!("content {id} is referred to but not there"))),
    }
}

/// The slices of a composite; none of another content.
pub(super) fn segments(index: &Connection, id: ContentId) -> Result<Vec<Slice>, StoreError> {
    let sql = "SELECT segment.source, segment.start, segment.size, content.data, content.size, segment.part, \
               segment.checksums FROM segment JOIN content ON content.id = segment.source \
               WHERE segment.content = ?1 ORDER BY segment.position";
    all(index, sql, &[&id], |row| {
        Ok(Slice {
            source: row.get(0)?,
            start: unsigned(row, 1)?,
            size: unsigned(row, 2)?,
            inline: row.get::<_, Option<Vec<u8>>>(3)?.map(Bytes::from),
            source_size: unsigned(row, 4)?,
            part: row.get(5)?,
            checksums: checksums(row)?,
        })
    })
}

fn unsigned(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| unreadable("a size"))
}
