//! Reading rows of the index into the store's types, and the other way round.

use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Connection, OptionalExtension, Row};
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Timestamp;

use super::attributes::{Attributes, StorageClass, Tags};
use super::checksum::{ChecksumAlgorithm, ChecksumKind, Checksums};
use super::error::StoreError;
use super::etag::ETag;
use super::object::{BucketInfo, ObjectInfo, ObjectSummary, PartInfo, UploadId, UploadInfo};
use super::places::ContentId;

/// The row number of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BucketRow(pub(super) i64);

/// An object's row.
#[derive(Debug)]
pub(super) struct ObjectRow {
    pub(super) info: ObjectInfo,
    pub(super) content: ContentId,
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

fn size(row: &Row<'_>) -> Result<u64, StoreError> {
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

/// A bucket's row number.
///
/// # Errors
/// [`StoreError::NoSuchBucket`].
pub(super) fn bucket(index: &Connection, name: &BucketName) -> Result<BucketRow, StoreError> {
    index
        .prepare_cached("SELECT id FROM bucket WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0).map(BucketRow))
        .optional()?
        .ok_or_else(|| StoreError::NoSuchBucket(name.to_string()))
}

/// From `name`, `created`.
pub(super) fn bucket_info(row: &Row<'_>) -> Result<BucketInfo, StoreError> {
    let name = BucketName::parse_existing(&column::<String>(row, "name")?)
        .map_err(|_| unreadable("a bucket's name"))?;
    Ok(BucketInfo { name, created: timestamp(column(row, "created")?)? })
}

/// An object.
pub(super) fn object(
    index: &Connection,
    bucket: BucketRow,
    key: &ObjectKey,
) -> Result<Option<ObjectRow>, StoreError> {
    let sql = "SELECT size, etag, parts, modified, storage_class, checksums, content, attributes, tags \
               FROM object WHERE bucket = ?1 AND key = ?2";
    one(index, sql, &[&bucket.0, &key.as_str().as_bytes()], |row| {
        let (attributes, tags) = attributes_and_tags(row)?;
        let info = ObjectInfo {
            size: size(row)?,
            etag: etag(row)?,
            modified: timestamp(column(row, "modified")?)?,
            storage_class: storage_class(row)?,
            checksums: checksums(row)?,
            attributes,
            tags,
        };
        Ok(ObjectRow { info, content: column(row, "content")? })
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
