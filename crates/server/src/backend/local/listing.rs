//! Listings in pages, with common prefixes, at a cost in proportion to the page.
//!
//! A key that is rolled up into a common prefix is followed by a *seek* past everything that the prefix
//! rolls up: the rows in between are never read. So a page costs at most one seek per common prefix and one
//! row per key in it, however many keys the bucket holds.
//!
//! Keys are compared by their UTF-8 bytes. Source: Amazon S3 API Reference, `ListObjectsV2`.

use std::ops::ControlFlow;

use rusqlite::{Connection, Row};
use wigeon_core::s3::BucketName;

use super::error::StoreError;
use super::index::{self, BucketRow, all, one, part_info, summary, unreadable, upload_info, version_summary};
use super::object::{ObjectSummary, UploadInfo, VersionSummary};
use super::request::{
    ListQuery, ObjectPage, PAGE_LIMIT, PartPage, UploadPage, UploadQuery, VersionPage, VersionQuery,
};
use super::uploads::{UploadAt, find};
use super::version::VersionId;

/// What a listing cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cost {
    pub(crate) seeks: usize,
    pub(crate) rows: usize,
}

/// One page of a bucket's objects.
pub(super) fn objects(
    index: &Connection,
    bucket: &BucketName,
    query: &ListQuery,
) -> Result<(ObjectPage, Cost), StoreError> {
    let bucket = index::bucket(index, bucket)?;
    let rolling = Rolling { prefix: &query.prefix, delimiter: &query.delimiter };
    let start = rolling.start(&query.after);
    let mut page = Page::new(rolling, query.max_keys);
    page.fill(start, |from, upper, visit| {
        let sql = "SELECT key, size, etag, parts, modified, storage_class, checksums FROM object \
                   WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key";
        let mut statement = index.prepare_cached(sql)?;
        let mut rows = statement.query((bucket.id, from, upper))?;
        while let Some(row) = rows.next()? {
            if visit(row)?.is_break() {
                break;
            }
        }
        Ok(())
    })?;
    let next = page.next();
    let (objects, common_prefixes, cost) = (page.entries, page.common_prefixes, page.cost);
    Ok((ObjectPage { objects, common_prefixes, next }, cost))
}

/// One page of a bucket's uploads.
pub(super) fn uploads(
    index: &Connection,
    bucket: &BucketName,
    query: &UploadQuery,
) -> Result<UploadPage, StoreError> {
    let bucket = index::bucket(index, bucket)?;
    let rolling = Rolling { prefix: &query.prefix, delimiter: &query.delimiter };
    // Later uploads of the marker's own key come first, unless a common prefix rolls them up.
    let same_key = query.after_upload.as_ref().filter(|_| {
        query.after_key.starts_with(rolling.prefix) && rolling.common_prefix(&query.after_key).is_none()
    });
    let start = match same_key {
        Some(_) => query.after_key.clone().into_bytes(),
        None => rolling.start(&query.after_key),
    };
    let mut page: Page<'_, UploadInfo> = Page::new(rolling, query.max_uploads);
    page.fill(start, |from, upper, visit| upload_rows(index, bucket, query, from, upper, visit))?;
    let next = match page.next() {
        None => None,
        Some(prefix) if page.ended_in_prefix => Some((prefix, None)),
        Some(key) => Some((key, page.entries.last().map(|upload| upload.id.clone()))),
    };
    Ok(UploadPage { uploads: page.entries, common_prefixes: page.common_prefixes, next })
}

fn upload_rows(
    index: &Connection,
    bucket: BucketRow,
    query: &UploadQuery,
    from: &[u8],
    upper: &[u8],
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let sql = "SELECT key, token, initiated, storage_class, checksum_algorithm, checksum_composite FROM upload \
               WHERE bucket = ?1 AND key >= ?2 AND key < ?3 AND (key > ?2 OR token > ?4) ORDER BY key, token";
    let token = match &query.after_upload {
        Some(after) if from == query.after_key.as_bytes() => after.as_str(),
        _ => "",
    };
    let mut statement = index.prepare_cached(sql)?;
    let mut rows = statement.query((bucket.id, from, upper, token))?;
    while let Some(row) = rows.next()? {
        if visit(row)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// One page of a bucket's versions.
pub(super) fn versions(
    index: &Connection,
    bucket: &BucketName,
    query: &VersionQuery,
) -> Result<(VersionPage, Cost), StoreError> {
    let bucket = index::bucket(index, bucket)?;
    let rolling = Rolling { prefix: &query.prefix, delimiter: &query.delimiter };
    // Older versions of the marker's own key come first, unless a common prefix rolls them up.
    let older_than = match query.after_version {
        Some(version)
            if query.after_key.starts_with(rolling.prefix)
                && rolling.common_prefix(&query.after_key).is_none() =>
        {
            Some(place_of(index, bucket, &query.after_key, version)?)
        }
        _ => None,
    };
    let start = match older_than {
        Some(_) => query.after_key.clone().into_bytes(),
        None => rolling.start(&query.after_key),
    };
    let mut page: Page<'_, VersionSummary> = Page::new(rolling, query.max_keys);
    page.fill(start, |from, upper, visit| {
        let below = older_than.filter(|_| from == query.after_key.as_bytes()).unwrap_or(i64::MAX);
        version_rows(index, bucket, (from, below), upper, visit)
    })?;
    let next = match page.next() {
        None => None,
        Some(prefix) if page.ended_in_prefix => Some((prefix, None)),
        Some(key) => Some((key, page.entries.last().map(|entry| entry.version))),
    };
    let cost = page.cost;
    Ok((VersionPage { versions: page.entries, common_prefixes: page.common_prefixes, next }, cost))
}

/// Where a version stands among those of its key. One that is gone by now stands where it stood.
fn place_of(index: &Connection, bucket: BucketRow, key: &str, version: VersionId) -> Result<i64, StoreError> {
    match version {
        VersionId::Made { seq, .. } => Ok(seq),
        VersionId::Null => {
            let sql = "SELECT seq FROM object WHERE bucket = ?1 AND key = ?2 AND token IS NULL UNION ALL \
                       SELECT seq FROM version WHERE bucket = ?1 AND key = ?2 AND token IS NULL";
            let place = one(index, sql, &[&bucket.id, &key.as_bytes()], |row| Ok(row.get::<_, i64>(0)?))?;
            Ok(place.unwrap_or(i64::MIN))
        }
    }
}

pub(super) const VERSION_ROWS: &str = "SELECT key, seq, token, size, etag, parts, modified, storage_class, checksums, content, 1 AS latest \
     FROM object WHERE bucket = ?1 AND key >= ?2 AND key < ?3 AND (key > ?2 OR seq < ?4) \
     UNION ALL \
     SELECT key, seq, token, size, etag, parts, modified, storage_class, checksums, content, replaced IS NULL \
     FROM version WHERE bucket = ?1 AND key >= ?2 AND key < ?3 AND (key > ?2 OR seq < ?4) \
     ORDER BY key, seq DESC";

/// Versions in order, from those of a key that are below a place. Both tables are in that order, so that the rows of one
/// are merged into those of the other as they are read.
fn version_rows(
    index: &Connection,
    bucket: BucketRow,
    (from, below): (&[u8], i64),
    upper: &[u8],
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let mut statement = index.prepare_cached(VERSION_ROWS)?;
    let mut rows = statement.query((bucket.id, from, upper, below))?;
    while let Some(row) = rows.next()? {
        if visit(row)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// One page of an upload's parts.
pub(super) fn parts(
    index: &Connection,
    at: &UploadAt,
    after: u32,
    max_parts: usize,
) -> Result<PartPage, StoreError> {
    let upload = find(index, at)?;
    let limit = max_parts.min(PAGE_LIMIT);
    let sql = "SELECT number, size, etag, NULL AS parts, modified, checksums FROM part \
               WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
    let one_more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut parts = all(index, sql, &[&upload.row, &after, &one_more], part_info)?;
    let more = parts.len() > limit;
    parts.truncate(limit);
    let next = parts.last().filter(|_| more).map(|part| part.number);
    Ok(PartPage { parts, next })
}

/// How keys are rolled up.
#[derive(Clone, Copy)]
struct Rolling<'a> {
    prefix: &'a str,
    delimiter: &'a str,
}

impl Rolling<'_> {
    /// The common prefix that rolls the key up: up to and including the first delimiter after the prefix.
    fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let rest = key.strip_prefix(self.prefix)?;
        let at = rest.find(self.delimiter).filter(|_| !self.delimiter.is_empty())?;
        key.get(..self.prefix.len() + at + self.delimiter.len())
    }

    /// The first key that may follow `after`. What has the form of a common prefix stands for all that it
    /// rolls up.
    fn start(&self, after: &str) -> Vec<u8> {
        let following = match self.common_prefix(after) {
            Some(common) if common == after => past(after.as_bytes()),
            _ if after.is_empty() => Vec::new(),
            // Keys hold no NUL, so nothing lies between.
            _ => [after.as_bytes(), b"\0"].concat(),
        };
        following.max(self.prefix.as_bytes().to_vec())
    }
}

/// The first text after all that begin so. UTF-8 has no byte 0xff, so that the last one can be increased.
fn past(prefix: &[u8]) -> Vec<u8> {
    match prefix.split_last() {
        Some((last, before)) => [before, &[last.saturating_add(1)]].concat(),
        None => vec![0xff],
    }
}

type Visit<'v> = dyn FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError> + 'v;

/// Something that is listed, read from a row whose first column is its key.
trait Entry: Sized {
    fn read(row: &Row<'_>) -> Result<Self, StoreError>;
    fn key(&self) -> &str;
}

impl Entry for ObjectSummary {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        summary(row)
    }

    fn key(&self) -> &str {
        self.key.as_str()
    }
}

impl Entry for VersionSummary {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        version_summary(row)
    }

    fn key(&self) -> &str {
        self.key.as_str()
    }
}

impl Entry for UploadInfo {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        upload_info(row)
    }

    fn key(&self) -> &str {
        self.key.as_str()
    }
}

/// A page that is being filled.
struct Page<'a, E> {
    rolling: Rolling<'a>,
    limit: usize,
    entries: Vec<E>,
    common_prefixes: Vec<String>,
    ended_in_prefix: bool,
    truncated: bool,
    cost: Cost,
}

impl<'a, E: Entry> Page<'a, E> {
    fn new(rolling: Rolling<'a>, limit: usize) -> Self {
        Self {
            rolling,
            limit: limit.min(PAGE_LIMIT),
            entries: Vec::new(),
            common_prefixes: Vec::new(),
            ended_in_prefix: false,
            truncated: false,
            cost: Cost::default(),
        }
    }

    /// Fills the page from rows that `scan` shows in order, from a key (included) to another (excluded).
    fn fill(
        &mut self,
        start: Vec<u8>,
        mut scan: impl FnMut(&[u8], &[u8], &mut Visit<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.limit == 0 {
            return Ok(());
        }
        let upper = past(self.rolling.prefix.as_bytes());
        let mut from = Some(start);
        while let Some(start) = from.take().filter(|start| *start < upper) {
            self.cost.seeks += 1;
            scan(&start, &upper, &mut |row| {
                let (flow, seek) = self.visit(row)?;
                from = seek;
                Ok(flow)
            })?;
        }
        Ok(())
    }

    /// Takes a row in; says whether to go on to the next one, or where to seek.
    fn visit(&mut self, row: &Row<'_>) -> Result<(ControlFlow<()>, Option<Vec<u8>>), StoreError> {
        self.cost.rows += 1;
        if self.entries.len() + self.common_prefixes.len() == self.limit {
            self.truncated = true;
            return Ok((ControlFlow::Break(()), None));
        }
        let key = row.get_ref(0).ok().and_then(|key| std::str::from_utf8(key.as_blob().ok()?).ok());
        let common = self.rolling.common_prefix(key.ok_or_else(|| unreadable("a key"))?);
        self.ended_in_prefix = common.is_some();
        match common {
            Some(common) => {
                self.common_prefixes.push(common.to_owned());
                Ok((ControlFlow::Break(()), Some(past(common.as_bytes()))))
            }
            None => {
                self.entries.push(E::read(row)?);
                Ok((ControlFlow::Continue(()), None))
            }
        }
    }

    /// What the next page comes after, if there is one.
    fn next(&self) -> Option<String> {
        let last = match self.ended_in_prefix {
            true => self.common_prefixes.last().map(String::as_str),
            false => self.entries.last().map(E::key),
        };
        last.filter(|_| self.truncated).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_in_the_form_of_a_common_prefix_stands_for_what_it_rolls_up() {
        let rolling = Rolling { prefix: "a/", delimiter: "/" };
        assert_eq!(rolling.start(""), b"a/");
        assert_eq!(rolling.start("a/b/"), b"a/b0");
        assert_eq!(rolling.start("a/b"), b"a/b\0");
        assert_eq!(rolling.start("a/b/c/"), b"a/b/c/\0");
        assert_eq!(rolling.start("b"), b"b\0");
        assert_eq!(Rolling { prefix: "", delimiter: "" }.start("x/"), b"x/\0");
    }

    #[test]
    fn past_is_the_first_text_that_does_not_begin_so() {
        assert_eq!(past(b""), [0xff]);
        assert_eq!(past("é".as_bytes()), [0xc3, 0xaa]);
        assert!(past("\u{10ffff}".as_bytes()).as_slice() > "\u{10ffff}\u{10ffff}".as_bytes());
    }
}
