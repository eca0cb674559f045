//! Reading rows of the index into the store's types, and the other way round.

use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Connection, Row};
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Timestamp;

use super::attributes::{Attributes, StorageClass, Tags};
use super::checksum::{ChecksumAlgorithm, ChecksumKind, Checksums};
use super::error::{DeleteMarker, StoreError};
use super::etag::ETag;
use super::object::{
    BucketInfo, ObjectInfo, ObjectSummary, PartInfo, UploadId, UploadInfo, Usage, VersionSummary,
};
use super::object_lock::Lock;
use super::places::ContentId;
use super::version::{VersionId, Versioning};

/// A bucket's row, as far as what is done in it depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BucketRow {
    pub(super) id: i64,
    pub(super) versioning: Versioning,
    /// It locks versions.
    pub(super) locks: bool,
    /// What it holds, where that is limited.
    pub(super) limited: Option<Usage>,
}

/// The row of a version that is an object.
#[derive(Debug)]
pub(super) struct ObjectRow {
    pub(super) info: ObjectInfo,
    pub(super) content: ContentId,
    pub(super) seq: i64,
    pub(super) token: Option<i64>,
}

impl ObjectRow {
    /// The version's name, also where the bucket has no versions.
    pub(super) fn version(&self) -> VersionId {
        VersionId::from_columns(self.seq, self.token)
    }
}

/// Sizes are far below 2⁶³.
pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(super) fn milliseconds(at: Timestamp) -> i64 {
    at.as_millisecond()
}

pub(super) fn timestamp(milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| unreadable("a time"))
}

pub(super) fn unreadable(what: &str) -> StoreError {
    StoreError::Corrupt(format!("the index holds {what} that cannot be read"))
}

/// A column's value.
fn column<T: FromSql>(row: &Row<'_>, name: &'static str) -> Result<T, StoreError> {
    row.get(name).map_err(|_| unreadable(name))
}

/// From `size`.
pub(super) fn size(row: &Row<'_>) -> Result<u64, StoreError> {
    u64::try_from(column::<i64>(row, "size")?).map_err(|_| unreadable("a size"))
}

fn etag(row: &Row<'_>) -> Result<ETag, StoreError> {
    Ok(ETag::from_columns(column(row, "etag")?, column(row, "parts")?))
}

pub(super) fn checksums(row: &Row<'_>) -> Result<Checksums, StoreError> {
    Checksums::from_column(column::<Option<Vec<u8>>>(row, "checksums")?.as_deref())
        .ok_or_else(|| unreadable("checksums"))
}

fn storage_class(row: &Row<'_>) -> Result<StorageClass, StoreError> {
    StorageClass::from_code(column(row, "storage_class")?).ok_or_else(|| unreadable("a storage class"))
}

fn json<T: serde::de::DeserializeOwned + Default>(
    row: &Row<'_>,
    name: &'static str,
) -> Result<T, StoreError> {
    match column::<Option<String>>(row, name)? {
        Some(text) => serde_json::from_str(&text).map_err(|_| unreadable(name)),
        None => Ok(T::default()),
    }
}

pub(super) fn attributes_and_tags(row: &Row<'_>) -> Result<(Attributes, Tags), StoreError> {
    Ok((json(row, "attributes")?, json(row, "tags")?))
}

/// What is empty is not stored.
pub(super) fn to_json<T: serde::Serialize + Default + PartialEq>(value: &T) -> Option<String> {
    (*value != T::default()).then(|| serde_json::to_string(value).unwrap_or_default())
}

pub(super) fn key(row: &Row<'_>) -> Result<ObjectKey, StoreError> {
    let text = String::from_utf8(column(row, "key")?).map_err(|_| unreadable("a key"))?;
    ObjectKey::parse(text).map_err(|_| unreadable("a key"))
}

/// The only row of a query, if there is one.
pub(super) fn one<T>(
    index: &Connection,
    sql: &str,
    parameters: &[&dyn ToSql],
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = index.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    rows.next()?.map(read).transpose()
}

/// All rows of a query.
pub(super) fn all<T>(
    index: &Connection,
    sql: &str,
    parameters: &[&dyn ToSql],
    mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = index.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Runs a statement that returns nothing; tells how many rows it changed.
pub(super) fn run(index: &Connection, sql: &str, parameters: &[&dyn ToSql]) -> Result<usize, StoreError> {
    Ok(index.prepare_cached(sql)?.execute(parameters)?)
}

/// A bucket's row.
///
/// # Errors
/// [`StoreError::NoSuchBucket`].
pub(super) fn bucket(index: &Connection, name: &BucketName) -> Result<BucketRow, StoreError> {
    let sql = "SELECT id, versioning, object_lock, bytes, objects, \
               quota_bytes IS NOT NULL OR quota_objects IS NOT NULL AS limited FROM bucket WHERE name = ?1";
    one(index, sql, &[&name.as_str()], bucket_row)?.ok_or_else(|| StoreError::NoSuchBucket(name.to_string()))
}

/// A bucket's row by its number.
pub(super) fn bucket_of(index: &Connection, id: i64) -> Result<BucketRow, StoreError> {
    let sql = "SELECT id, versioning, object_lock, bytes, objects, \
               quota_bytes IS NOT NULL OR quota_objects IS NOT NULL AS limited FROM bucket WHERE id = ?1";
    one(index, sql, &[&id], bucket_row)?.ok_or_else(|| unreadable("a bucket's number"))
}

fn bucket_row(row: &Row<'_>) -> Result<BucketRow, StoreError> {
    let size = |name| u64::try_from(column::<i64>(row, name)?).map_err(|_| unreadable("a bucket's usage"));
    let usage = Usage { bytes: size("bytes")?, objects: size("objects")? };
    Ok(BucketRow {
        id: column(row, "id")?,
        versioning: versioning(row)?,
        locks: column(row, "object_lock")?,
        limited: column::<bool>(row, "limited")?.then_some(usage),
    })
}

fn versioning(row: &Row<'_>) -> Result<Versioning, StoreError> {
    Versioning::from_code(column(row, "versioning")?).ok_or_else(|| unreadable("a bucket's versioning"))
}

/// From `name`, `created`, `versioning`.
pub(super) fn bucket_info(row: &Row<'_>) -> Result<BucketInfo, StoreError> {
    let name = BucketName::parse_existing(&column::<String>(row, "name")?)
        .map_err(|_| unreadable("a bucket's name"))?;
    Ok(BucketInfo { name, created: timestamp(column(row, "created")?)?, versioning: versioning(row)? })
}

/// A version that is an object, from its row in `object` or `version`.
pub(super) fn object_row(row: &Row<'_>, versioning: Versioning) -> Result<ObjectRow, StoreError> {
    let (attributes, tags) = attributes_and_tags(row)?;
    let (seq, token) = (column(row, "seq")?, column(row, "token")?);
    let info = ObjectInfo {
        version: (versioning != Versioning::Never).then(|| VersionId::from_columns(seq, token)),
        size: size(row)?,
        etag: etag(row)?,
        modified: timestamp(column(row, "modified")?)?,
        storage_class: storage_class(row)?,
        checksums: checksums(row)?,
        attributes,
        tags,
        lock: lock(row)?,
    };
    Ok(ObjectRow { info, content: column(row, "content")?, seq, token })
}

/// From `lock`.
pub(super) fn lock(row: &Row<'_>) -> Result<Lock, StoreError> {
    Lock::from_column(column::<Option<String>>(row, "lock")?.as_deref()).ok_or_else(|| unreadable("a lock"))
}

/// From `seq`, `token`, `modified`.
pub(super) fn marker(row: &Row<'_>) -> Result<DeleteMarker, StoreError> {
    let seq = column(row, "seq")?;
    let version = VersionId::from_columns(seq, column(row, "token")?);
    Ok(DeleteMarker { version, modified: timestamp(column(row, "modified")?)?, seq })
}

/// A row of `object` or `version`; from the columns of a summary, `seq`, `token`, `latest`, and `content`.
pub(super) fn version_summary(row: &Row<'_>) -> Result<VersionSummary, StoreError> {
    Ok(VersionSummary {
        key: key(row)?,
        version: VersionId::from_columns(column(row, "seq")?, column(row, "token")?),
        is_latest: column(row, "latest")?,
        modified: timestamp(column(row, "modified")?)?,
        object: match column::<Option<ContentId>>(row, "content")? {
            Some(_) => Some(summary(row)?),
            None => None,
        },
    })
}

/// From `key`, `size`, `etag`, `parts`, `modified`, `storage_class`, `checksums`.
pub(super) fn summary(row: &Row<'_>) -> Result<ObjectSummary, StoreError> {
    Ok(ObjectSummary {
        key: key(row)?,
        size: size(row)?,
        etag: etag(row)?,
        modified: timestamp(column(row, "modified")?)?,
        storage_class: storage_class(row)?,
        checksums: checksums(row)?,
    })
}

/// From `key`, `token`, `initiated`, `storage_class`, `checksum_algorithm`, `checksum_composite`.
pub(super) fn upload_info(row: &Row<'_>) -> Result<UploadInfo, StoreError> {
    let algorithm = match column::<Option<u8>>(row, "checksum_algorithm")? {
        Some(code) => {
            Some(ChecksumAlgorithm::from_code(code).ok_or_else(|| unreadable("a checksum algorithm"))?)
        }
        None => None,
    };
    let kind = match column::<Option<bool>>(row, "checksum_composite")? {
        Some(true) => ChecksumKind::Composite,
        Some(false) | None => ChecksumKind::FullObject,
    };
    Ok(UploadInfo {
        key: key(row)?,
        id: UploadId::new(column::<String>(row, "token")?),
        initiated: timestamp(column(row, "initiated")?)?,
        storage_class: storage_class(row)?,
        checksum: algorithm.map(|algorithm| (algorithm, kind)),
    })
}

/// From `number`, `size`, `etag`, `modified`, `checksums`, and a `parts` that is null.
pub(super) fn part_info(row: &Row<'_>) -> Result<PartInfo, StoreError> {
    Ok(PartInfo {
        number: column(row, "number")?,
        size: size(row)?,
        etag: etag(row)?,
        modified: timestamp(column(row, "modified")?)?,
        checksums: checksums(row)?,
    })
}
