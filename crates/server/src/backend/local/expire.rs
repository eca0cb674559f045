//! Carrying out lifecycle rules: what is over is found page by page, and deleted in one transaction per page.
//!
//! Pages are read beside other work; so the transaction looks again, and leaves alone what changed since: an object that
//! was overwritten, a version that became current. What object lock protects stays.

use rusqlite::{Connection, Row};
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Timestamp;

use super::commit::Effects;
use super::error::StoreError;
use super::index::{self, BucketRow, all, attributes_and_tags, one, timestamp, unreadable};
use super::lifecycle::{Lifecycle, Subject};
use super::object::UploadId;
use super::objects;
use super::request::Deletion;
use super::uploads::{self, UploadAt};
use super::version::VersionId;
use super::versions::{Found, current, named};

/// Rows that are looked at, and at most changed, in one go.
const PAGE: i64 = 500;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    /// Current versions.
    pub objects: u64,
    /// Versions that were not current.
    pub versions: u64,
    /// Delete markers.
    pub markers: u64,
    /// Uploads.
    pub uploads: u64,
}

impl Expired {
    pub(super) fn add(&mut self, more: Self) {
        self.objects += more.objects;
        self.versions += more.versions;
        self.markers += more.markers;
        self.uploads += more.uploads;
    }
}

/// Where looking goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cursor {
    Objects(Vec<u8>),
    /// The key, the place of its last version that was seen, and how many that are not current were.
    Versions(Vec<u8>, i64, u32),
    Uploads(i64),
}

impl Cursor {
    pub(super) fn start() -> Self {
        Self::Objects(Vec::new())
    }
}

/// Something that is over.
#[derive(Debug, Clone)]
pub(super) enum Over {
    Object { key: ObjectKey, seq: i64, modified: i64 },
    Version { key: ObjectKey, version: VersionId },
    Marker { key: ObjectKey, version: VersionId },
    Upload { key: ObjectKey, id: UploadId },
}

/// One page: what of it is over, and where to go on.
pub(super) fn page(
    index: &Connection,
    bucket: BucketRow,
    rules: &Lifecycle,
    from: Cursor,
    now: Timestamp,
) -> Result<(Vec<Over>, Option<Cursor>), StoreError> {
    let (objects, versions, uploads) = rules.looks_at();
    match from {
        Cursor::Objects(_) if !objects => Ok((Vec::new(), Some(Cursor::Versions(Vec::new(), i64::MAX, 0)))),
        Cursor::Objects(after) => objects_over(index, bucket, rules, &after, now),
        Cursor::Versions(..) if !versions => Ok((Vec::new(), Some(Cursor::Uploads(0)))),
        Cursor::Versions(key, seq, seen) => versions_over(index, bucket, rules, (key, seq, seen), now),
        Cursor::Uploads(_) if !uploads => Ok((Vec::new(), None)),
        Cursor::Uploads(after) => uploads_over(index, bucket, rules, after, now),
    }
}

fn key_of(row: &Row<'_>) -> Result<Vec<u8>, StoreError> {
    row.get("key").map_err(|_| unreadable("a key"))
}

fn size_of(row: &Row<'_>) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>("size")?).map_err(|_| unreadable("a size"))
}

fn objects_over(
    index: &Connection,
    bucket: BucketRow,
    rules: &Lifecycle,
    after: &[u8],
    now: Timestamp,
) -> Result<(Vec<Over>, Option<Cursor>), StoreError> {
    let sql = "SELECT key, seq, size, modified, NULL AS attributes, tags FROM object \
               WHERE bucket = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
    let mut last = None;
    let found = all(index, sql, &[&bucket.id, &after, &PAGE], |row| {
        let (key, modified) = (index::key(row)?, row.get::<_, i64>("modified")?);
        last = Some(key_of(row)?);
        let (_, tags) = attributes_and_tags(row)?;
        let subject = Subject { key: key.as_str(), object: Some((size_of(row)?, &tags)) };
        let expires = rules.expires(subject, timestamp(modified)?).is_some_and(|(at, _)| at <= now);
        let seq = row.get("seq")?;
        Ok(expires.then_some(Over::Object { key, seq, modified }))
    })?;
    let next = last.filter(|_| found.len() as i64 == PAGE).map(Cursor::Objects);
    let next = next.unwrap_or(Cursor::Versions(Vec::new(), i64::MAX, 0));
    Ok((found.into_iter().flatten().collect(), Some(next)))
}

fn versions_over(
    index: &Connection,
    bucket: BucketRow,
    rules: &Lifecycle,
    (mut at, mut place, mut seen): (Vec<u8>, i64, u32),
    now: Timestamp,
) -> Result<(Vec<Over>, Option<Cursor>), StoreError> {
    let sql = "SELECT key, seq, token, size, modified, replaced, content IS NULL AS marker, NULL AS attributes, tags \
               FROM version WHERE bucket = ?1 AND key >= ?2 AND (key > ?2 OR seq < ?3) \
               ORDER BY key, seq DESC LIMIT ?4";
    let (from, below) = (at.clone(), place);
    let found = all(index, sql, &[&bucket.id, &from, &below, &PAGE], |row| {
        let name = key_of(row)?;
        if name != at {
            (at, seen) = (name, 0);
        }
        let (key, seq) = (index::key(row)?, row.get::<_, i64>("seq")?);
        place = seq;
        let version = VersionId::from_columns(seq, row.get("token")?);
        let marker = row.get::<_, bool>("marker")?;
        let Some(replaced) = row.get::<_, Option<i64>>("replaced")? else {
            let modified = timestamp(row.get("modified")?)?;
            let over = rules.discards_marker(key.as_str(), modified, now);
            return Ok(over.then_some(Over::Marker { key, version }));
        };
        seen += 1;
        let (_, tags) = attributes_and_tags(row)?;
        let object = if marker { None } else { Some((size_of(row)?, &tags)) };
        let over = rules.discards(Subject { key: key.as_str(), object }, timestamp(replaced)?, seen, now);
        Ok(over.then_some(Over::Version { key, version }))
    })?;
    let more = found.len() as i64 == PAGE;
    let next = if more { Cursor::Versions(at, place, seen) } else { Cursor::Uploads(0) };
    Ok((found.into_iter().flatten().collect(), Some(next)))
}

fn uploads_over(
    index: &Connection,
    bucket: BucketRow,
    rules: &Lifecycle,
    after: i64,
    now: Timestamp,
) -> Result<(Vec<Over>, Option<Cursor>), StoreError> {
    let sql =
        "SELECT id, key, token, initiated FROM upload WHERE bucket = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    let mut last = after;
    let found = all(index, sql, &[&bucket.id, &after, &PAGE], |row| {
        last = row.get("id")?;
        let key = index::key(row)?;
        let over = rules.aborts(key.as_str(), timestamp(row.get("initiated")?)?, now);
        Ok(over.then_some(Over::Upload { key, id: UploadId::new(row.get::<_, String>("token")?) }))
    })?;
    let next = (found.len() as i64 == PAGE).then_some(Cursor::Uploads(last));
    Ok((found.into_iter().flatten().collect(), next))
}

/// Deletes what is over, within the writing transaction.
pub(super) fn expire(
    index: &Connection,
    effects: &mut Effects,
    name: &BucketName,
    over: Vec<Over>,
    now: Timestamp,
) -> Result<Expired, StoreError> {
    let mut expired = Expired::default();
    let bucket = index::bucket(index, name)?;
    for over in over {
        match over {
            Over::Object { key, seq, modified } => {
                let unchanged = current(index, bucket, &key)?
                    .is_some_and(|row| row.seq == seq && row.info.modified.as_millisecond() == modified);
                if unchanged {
                    objects::delete(index, effects, bucket, &Deletion::of(key), now)?;
                    expired.objects += 1;
                }
            }
            Over::Version { key, version } => {
                let is_current = current(index, bucket, &key)?.is_some_and(|row| row.version() == version);
                if !is_current && discard(index, effects, bucket, key, version, now)? {
                    expired.versions += 1;
                }
            }
            Over::Marker { key, version } => {
                let sql = "SELECT count(*) FROM version WHERE bucket = ?1 AND key = ?2";
                let versions =
                    one(
                        index,
                        sql,
                        &[&bucket.id, &key.as_str().as_bytes()],
                        |row| Ok(row.get::<_, i64>(0)?),
                    )?;
                let alone = versions == Some(1) && current(index, bucket, &key)?.is_none();
                let is_marker = matches!(named(index, bucket, &key, version)?, Some(Found::Marker(_)));
                if alone && is_marker && discard(index, effects, bucket, key, version, now)? {
                    expired.markers += 1;
                }
            }
            Over::Upload { key, id } => match uploads::abort(index, effects, &UploadAt::new(name, &key, &id))
            {
                Ok(()) => expired.uploads += 1,
                Err(StoreError::NoSuchUpload(_)) => {}
                Err(failure) => return Err(failure),
            },
        }
    }
    Ok(expired)
}

/// Deletes a version unless it is protected.
fn discard(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
    key: ObjectKey,
    version: VersionId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let deletion = Deletion { version: Some(version), ..Deletion::of(key) };
    match objects::delete(index, effects, bucket, &deletion, now) {
        Ok(deleted) => Ok(deleted.existed),
        Err(StoreError::Locked) => Ok(false),
        Err(failure) => Err(failure),
    }
}
