//! Checking a whole store: what the index says against what is on disk, and the index against itself.
//!
//! It may run beside other work: what is committed, settled or unlinked while it looks is looked at twice
//! before it is reported.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use md5::{Digest, Md5};
use rusqlite::Connection;

use super::error::StoreError;
use super::index::{all, one};
use super::pins::Pins;
use super::places::{ContentId, Places};
use super::schema::open_reading;

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Rows, references, files and their sizes.
    Sizes,
    /// The MD5 of each content as well: reads everything.
    Digests,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Contents looked at.
    pub contents: u64,
    /// Objects looked at.
    pub objects: u64,
    /// What is wrong with them: lost or changed bytes, rows that contradict each other.
    pub damage: Vec<Damage>,
    /// Names of content files that nothing refers to: lost space, no lost data.
    pub orphans: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The index itself is broken.
    #[error("the index is broken: {0}")]
    Index(String),
    /// A content's file is not there.
    #[error("the file of content {0} is missing")]
    Missing(String),
    /// A content's file has another size.
    #[error("content {content} has {found} bytes where the index says {expected}")]
    Size {
        /// The content.
        content: String,
        /// Bytes that the index says.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// A content's bytes are others than were written.
    #[error("content {0} has other bytes than were written")]
    Bytes(String),
    /// A content has another number of references than the index counts.
    #[error("content {content} counts {counted} references and has {found}")]
    References {
        /// The content.
        content: String,
        /// As counted.
        counted: i64,
        /// As found.
        found: i64,
    },
    /// An object or part refers to a content that is not there, or has another size.
    #[error("`{0}` refers to a content that is not there or has another size")]
    Reference(String),
}

/// Looks at everything. Blocks. No snapshot of the index is held for long, so that its log can be kept short
/// beside hours of reading.
pub(super) fn verify(
    index: &Connection,
    places: &Places,
    pins: &Arc<Pins>,
    depth: Depth,
) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let check = all(index, "PRAGMA quick_check(10)", &[], |row| Ok(row.get::<_, String>(0)?))?;
    report.damage.extend(check.into_iter().filter(|line| line != "ok").map(Damage::Index));
    references(index, &mut report)?;
    let referenced = contents(index, places, pins, depth, &mut report)?;
    orphans(index, places, &referenced, &mut report)?;
    Ok(report)
}

fn references(index: &Connection, report: &mut Report) -> Result<(), StoreError> {
    let count = |row: &rusqlite::Row<'_>| Ok(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0));
    report.objects = one(index, "SELECT count(*) FROM object", &[], count)?.unwrap_or(0);
    let sql = "SELECT CAST(object.key AS TEXT) FROM object LEFT JOIN content ON content.id = object.content \
               WHERE content.size IS NOT object.size UNION ALL \
               SELECT CAST(version.key AS TEXT) FROM version LEFT JOIN content ON content.id = version.content \
               WHERE version.content IS NOT NULL AND content.size IS NOT version.size UNION ALL \
               SELECT 'part ' || part.number || ' of an upload' FROM part \
               LEFT JOIN content ON content.id = part.content WHERE content.size IS NOT part.size UNION ALL \
               SELECT printf('content %016x', segment.content) FROM segment \
               LEFT JOIN content ON content.id = segment.source \
               WHERE content.id IS NULL OR segment.start + segment.size > content.size UNION ALL \
               SELECT printf('content %016x', content.id) FROM content WHERE kind = 2 AND size IS NOT \
               (SELECT coalesce(sum(segment.size), 0) FROM segment WHERE segment.content = content.id)";
    let dangling = all(index, sql, &[], |row| Ok(Damage::Reference(row.get(0)?)))?;
    report.damage.extend(dangling);
    let sql = "SELECT content.id, content.refs, count(used.id) FROM content LEFT JOIN \
               (SELECT content AS id FROM object UNION ALL SELECT content FROM version UNION ALL SELECT content FROM part \
               UNION ALL SELECT source FROM segment) AS used ON used.id = content.id \
               GROUP BY content.id HAVING content.refs <> count(used.id)";
    let miscounted = all(index, sql, &[], |row| {
        let content = row.get::<_, ContentId>(0)?.to_string();
        Ok(Damage::References { content, counted: row.get(1)?, found: row.get(2)? })
    })?;
    report.damage.extend(miscounted);
    Ok(())
}

/// Bytes read at a time.
const BLOCK: usize = 1 << 20;

type Row = (ContentId, u64, Option<[u8; 16]>, Option<Vec<u8>>);

/// Checks the bytes of each inline and file content; returns the files that the index knows.
fn contents(
    index: &Connection,
    places: &Places,
    pins: &Arc<Pins>,
    depth: Depth,
    report: &mut Report,
) -> Result<HashSet<ContentId>, StoreError> {
    let mut referenced = HashSet::new();
    let mut after = ContentId(i64::MIN);
    loop {
        let sql =
            "SELECT id, size, md5, data, kind FROM content WHERE kind < 2 AND id > ?1 ORDER BY id LIMIT 256";
        let page = all(index, sql, &[&after], |row| {
            let size = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
            let content: Row = (row.get(0)?, size, row.get(2)?, row.get(3)?);
            Ok((content, row.get::<_, i64>(4)? == 1))
        })?;
        let Some(((last, ..), _)) = page.last() else { return Ok(referenced) };
        after = *last;
        for (content, is_file) in page {
            report.contents += 1;
            if is_file {
                referenced.insert(content.0);
            }
            report.damage.extend(content_damage(places, pins, depth, content)?);
        }
    }
}

fn content_damage(
    places: &Places,
    pins: &Arc<Pins>,
    depth: Depth,
    (id, expected, md5, data): Row,
) -> Result<Option<Damage>, StoreError> {
    let reading = || StoreError::io("read a content file");
    let mut file: Box<dyn Read> = Box::new(std::io::empty());
    let found = match &data {
        Some(data) => data.len() as u64,
        None => {
            // A content that was given up since it was looked up is not missing.
            let (opened, _pinned) = pins.look_up(|| Ok::<_, StoreError>((places.open(id), vec![id])))?;
            let Ok(opened) = opened else {
                return Ok(is_current(places, id)?.then(|| Damage::Missing(id.to_string())));
            };
            let length = opened.metadata().map_err(reading())?.len();
            file = Box::new(opened);
            length
        }
    };
    if found != expected {
        return Ok(Some(Damage::Size { content: id.to_string(), expected, found }));
    }
    if depth == Depth::Sizes {
        return Ok(None);
    }
    let mut hasher = Md5::new();
    hasher.update(data.unwrap_or_default());
    let mut buffer = Vec::with_capacity(BLOCK);
    while file.by_ref().take(BLOCK as u64).read_to_end(&mut buffer).map_err(reading())? > 0 {
        hasher.update(&buffer);
        buffer.clear();
    }
    let computed: [u8; 16] = hasher.finalize().into();
    Ok((md5 != Some(computed)).then(|| Damage::Bytes(id.to_string())))
}

/// Whether the index, as it is now, still needs the file.
fn is_current(places: &Places, id: ContentId) -> Result<bool, StoreError> {
    let now = open_reading(&places.index())?;
    Ok(one(&now, "SELECT 1 FROM content WHERE id = ?1", &[&id], |_| Ok(()))?.is_some())
}

/// Files on the shelves to which the index referred neither then nor now.
fn orphans(
    index: &Connection,
    places: &Places,
    referenced: &HashSet<ContentId>,
    report: &mut Report,
) -> Result<(), StoreError> {
    for shelf in 0..=u8::MAX {
        for id in places.shelf_ids(shelf).map_err(StoreError::io("list a content directory"))? {
            let sql = "SELECT 1 FROM content WHERE id = ?1 UNION SELECT 1 FROM garbage WHERE content = ?1";
            if !referenced.contains(&id) && one(index, sql, &[&id], |_| Ok(()))?.is_none() {
                report.orphans.push(id.to_string());
            }
        }
    }
    Ok(())
}
