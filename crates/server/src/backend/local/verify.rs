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
use super::usage;
use super::version::VersionId;

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
    /// Versions that are not current, and delete markers.
    pub versions: u64,
    /// What is wrong with them: lost or changed bytes, rows that contradict each other.
    pub damage: Vec<Damage>,
    /// Names of content files that nothing refers to: lost space, no lost data.
    pub orphans: Vec<String>,
    /// What cannot be read because of the damage.
    pub affected: Vec<Affected>,
}

impl Report {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty() && self.orphans.is_empty()
    }
}

/// An object, a version or a part whose bytes are lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Affected {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its version; of a part, the upload that it belongs to.
    pub which: String,
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
    /// The versions of a key are not in order.
    #[error("the versions of `{key}` in `{bucket}` are not in order")]
    Versions {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A bucket holds something else than it counts.
    #[error("bucket `{bucket}` counts {counted} and holds {found}")]
    Usage {
        /// The bucket.
        bucket: String,
        /// As counted.
        counted: String,
        /// As found.
        found: String,
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
    order(index, &mut report)?;
    usage(index, &mut report)?;
    let referenced = contents(index, places, pins, depth, &mut report)?;
    orphans(index, places, &referenced, &mut report)?;
    report.affected = affected(index, &report.damage)?;
    Ok(report)
}

fn references(index: &Connection, report: &mut Report) -> Result<(), StoreError> {
    let count = |row: &rusqlite::Row<'_>| Ok(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0));
    report.objects = one(index, "SELECT count(*) FROM object", &[], count)?.unwrap_or(0);
    report.versions = one(index, "SELECT count(*) FROM version", &[], count)?.unwrap_or(0);
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
    let miscounted = miscounted(index)?.into_iter().map(|(id, counted, found)| {
        let content = id.to_string();
        Damage::References { content, counted, found }
    });
    report.damage.extend(miscounted);
    Ok(())
}

/// Contents with another number of references than they count: as counted, as found.
pub(super) fn miscounted(index: &Connection) -> Result<Vec<(ContentId, i64, i64)>, StoreError> {
    let sql = "SELECT content.id, content.refs, count(used.id) FROM content LEFT JOIN \
               (SELECT content AS id FROM object UNION ALL SELECT content FROM version UNION ALL SELECT content FROM part \
               UNION ALL SELECT source FROM segment) AS used ON used.id = content.id \
               GROUP BY content.id HAVING content.refs <> count(used.id)";
    all(index, sql, &[], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// The keys whose latest version is not where it belongs: the bucket's row number and the key.
pub(super) fn disordered(index: &Connection) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let sql = "SELECT bucket, key FROM version AS latest WHERE NOT EXISTS \
               (SELECT 1 FROM version AS later WHERE later.bucket = latest.bucket AND later.key = latest.key \
               AND later.seq > latest.seq) AND CASE \
               WHEN EXISTS (SELECT 1 FROM object WHERE object.bucket = latest.bucket AND object.key = latest.key) \
               THEN EXISTS (SELECT 1 FROM object WHERE object.bucket = latest.bucket AND object.key = latest.key \
               AND object.seq <= latest.seq) OR replaced IS NULL \
               ELSE content IS NOT NULL OR replaced IS NOT NULL END";
    all(index, sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn usage(index: &Connection, report: &mut Report) -> Result<(), StoreError> {
    for (bucket, [bytes, objects, found_bytes, found_objects]) in usage::miscounted(index)? {
        let name = one(index, "SELECT name FROM bucket WHERE id = ?1", &[&bucket], |row| Ok(row.get(0)?))?;
        let text = |bytes, objects| format!("{bytes} bytes in {objects} objects");
        report.damage.push(Damage::Usage {
            bucket: name.unwrap_or_default(),
            counted: text(bytes, objects),
            found: text(found_bytes, found_objects),
        });
    }
    Ok(())
}

fn order(index: &Connection, report: &mut Report) -> Result<(), StoreError> {
    for (bucket, key) in disordered(index)? {
        let name = one(index, "SELECT name FROM bucket WHERE id = ?1", &[&bucket], |row| Ok(row.get(0)?))?;
        let key = String::from_utf8_lossy(&key).into_owned();
        report.damage.push(Damage::Versions { bucket: name.unwrap_or_default(), key });
    }
    Ok(())
}

/// So many damaged contents are looked up by name; a store with more is beyond a list.
const MOST_NAMED: usize = 1000;

/// What refers to damaged contents, by name.
fn affected(index: &Connection, damage: &[Damage]) -> Result<Vec<Affected>, StoreError> {
    let sql = "WITH hit(id) AS (SELECT ?1 UNION SELECT content FROM segment WHERE source = ?1) \
               SELECT bucket.name, object.key, seq, token, NULL FROM object \
               JOIN bucket ON bucket.id = object.bucket WHERE content IN hit UNION ALL \
               SELECT bucket.name, version.key, seq, token, NULL FROM version \
               JOIN bucket ON bucket.id = version.bucket WHERE content IN hit UNION ALL \
               SELECT bucket.name, upload.key, NULL, NULL, upload.token FROM part \
               JOIN upload ON upload.id = part.upload JOIN bucket ON bucket.id = upload.bucket WHERE content IN hit";
    let mut affected = Vec::new();
    let lost = damage.iter().filter_map(|damage| match damage {
        Damage::Missing(content) | Damage::Size { content, .. } | Damage::Bytes(content) => Some(content),
        Damage::Index(_)
        | Damage::References { .. }
        | Damage::Versions { .. }
        | Damage::Usage { .. }
        | Damage::Reference(_) => None,
    });
    for id in lost.filter_map(|content| ContentId::of_file_name(content)).take(MOST_NAMED) {
        affected.extend(all(index, sql, &[&id], |row| {
            let key = String::from_utf8_lossy(&row.get::<_, Vec<u8>>(1)?).into_owned();
            let which = match (row.get::<_, Option<i64>>(2)?, row.get::<_, Option<String>>(4)?) {
                (Some(seq), _) => VersionId::from_columns(seq, row.get(3)?).to_string(),
                (None, upload) => upload.unwrap_or_default(),
            };
            Ok(Affected { bucket: row.get(0)?, key, which })
        })?);
    }
    affected.sort();
    affected.dedup();
    Ok(affected)
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
