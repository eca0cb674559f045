//! Multipart uploads and their parts until they are completed, within the writing transaction.
//!
//! Source: Amazon S3 User Guide, "Uploading and copying objects using multipart upload".

use rusqlite::Connection;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Timestamp;

use super::checksum::{ChecksumKind, Checksums};
use super::commit::Effects;
use super::contents::{self, Slice, acquire, insert_composite, release};
use super::error::StoreError;
use super::etag::ETag;
use super::index::{self, BucketRow, all, milliseconds, one, run, signed, to_json};
use super::locks;
use super::object::{PartInfo, UploadId, UploadInfo};
use super::places::ContentId;
use super::request::NewUpload;
use super::staging::Staged;
use super::usage;

/// The highest part number.
pub const MAX_PART: u32 = 10_000;

/// An upload's bucket, key and name.
#[derive(Debug, Clone)]
pub(super) struct UploadAt {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) id: UploadId,
}

impl UploadAt {
    pub(super) fn new(bucket: &BucketName, key: &ObjectKey, id: &UploadId) -> Self {
        Self { bucket: bucket.clone(), key: key.clone(), id: id.clone() }
    }
}

/// An upload's row.
pub(super) struct UploadRow {
    pub(super) row: i64,
    pub(super) bucket: BucketRow,
    pub(super) info: UploadInfo,
}

/// Makes an upload's name: the time, so that names sort by it, then what nobody guesses.
pub(super) fn upload_id(now: Timestamp, random: [u8; 16]) -> UploadId {
    UploadId::new(format!("{:012x}{:032x}", milliseconds(now).max(0), u128::from_be_bytes(random)))
}

/// Begins an upload.
pub(super) fn create(
    index: &Connection,
    at: &UploadAt,
    new: &NewUpload,
    now: Timestamp,
) -> Result<UploadInfo, StoreError> {
    let bucket = index::bucket(index, &at.bucket)?;
    // What cannot be locked is refused before its bytes come, and once more when they have.
    locks::of_new(index, bucket, new.lock, now)?;
    let initiated = milliseconds(now);
    let sql = "INSERT INTO upload (bucket, key, token, initiated, storage_class, checksum_algorithm, \
               checksum_composite, attributes, tags, lock) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    run(
        index,
        sql,
        &[
            &bucket.id,
            &at.key.as_str().as_bytes(),
            &at.id.as_str(),
            &initiated,
            &new.storage_class.code(),
            &new.checksum.map(|(algorithm, _)| algorithm.code()),
            &new.checksum.map(|(_, kind)| kind == ChecksumKind::Composite),
            &to_json(&new.attributes),
            &to_json(&new.tags),
            &new.lock.to_column(),
        ],
    )?;
    Ok(UploadInfo {
        key: at.key.clone(),
        id: at.id.clone(),
        initiated: index::timestamp(initiated)?,
        storage_class: new.storage_class,
        checksum: new.checksum,
    })
}

/// Looks an upload up.
pub(super) fn find(index: &Connection, at: &UploadAt) -> Result<UploadRow, StoreError> {
    let bucket = index::bucket(index, &at.bucket)?;
    let sql = "SELECT id, key, token, initiated, storage_class, checksum_algorithm, checksum_composite \
               FROM upload WHERE bucket = ?1 AND key = ?2 AND token = ?3";
    one(index, sql, &[&bucket.id, &at.key.as_str().as_bytes(), &at.id.as_str()], |row| {
        Ok(UploadRow { row: row.get(0)?, bucket, info: index::upload_info(row)? })
    })?
    .ok_or_else(|| StoreError::NoSuchUpload(at.id.as_str().to_owned()))
}

/// Refuses numbers outside 1–10,000.
pub(super) fn check_number(number: u32) -> Result<(), StoreError> {
    match number {
        1..=MAX_PART => Ok(()),
        _ => Err(StoreError::PartNumberOutOfRange(number)),
    }
}

/// What can be said of a part before its bytes have come: the upload, and the most bytes that the part may have, where that
/// is limited.
pub(super) fn before_part(
    index: &Connection,
    at: &UploadAt,
    number: u32,
) -> Result<(UploadInfo, Option<u64>), StoreError> {
    let upload = find(index, at)?;
    if upload.bucket.limited.is_none() {
        return Ok((upload.info, None));
    }
    let sql = "SELECT size FROM part WHERE upload = ?1 AND number = ?2";
    let before = one(index, sql, &[&upload.row, &number], index::size)?;
    let room = usage::room(index, upload.bucket, before.unwrap_or_default(), 0)?;
    Ok((upload.info, room))
}

/// Makes staged content a part.
pub(super) fn put_part(
    index: &Connection,
    effects: &mut Effects,
    at: &UploadAt,
    number: u32,
    staged: Staged,
    checksums: Checksums,
    now: Timestamp,
) -> Result<PartInfo, StoreError> {
    let upload = find(index, at)?;
    let (digests, id, fresh) = staged.into_parts();
    contents::insert(index, effects, id, digests.size, digests.etag.digest(), fresh)?;
    replace_part(index, effects, &upload, number, (id, digests.size, digests.etag), checksums, now)
}

/// Makes slices of other contents a part; `None` if one of them is not there any more.
pub(super) fn share_part(
    index: &Connection,
    effects: &mut Effects,
    at: &UploadAt,
    number: u32,
    shared: &Shared,
    now: Timestamp,
) -> Result<Option<PartInfo>, StoreError> {
    let upload = find(index, at)?;
    for slice in &shared.slices {
        let sql = "SELECT 1 FROM content WHERE id = ?1";
        if one(index, sql, &[&slice.source], |_| Ok(()))?.is_none() {
            return Ok(None);
        }
    }
    for slice in &shared.slices {
        acquire(index, slice.source)?;
    }
    insert_composite(index, shared.id, &shared.slices)?;
    let part = (shared.id, shared.size, shared.etag);
    replace_part(index, effects, &upload, number, part, shared.checksums.clone(), now).map(Some)
}

/// A part that shares others' content.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) id: ContentId,
    pub(super) slices: Vec<Slice>,
    pub(super) size: u64,
    pub(super) etag: ETag,
    pub(super) checksums: Checksums,
}

fn replace_part(
    index: &Connection,
    effects: &mut Effects,
    upload: &UploadRow,
    number: u32,
    (content, size, etag): (ContentId, u64, ETag),
    checksums: Checksums,
    now: Timestamp,
) -> Result<PartInfo, StoreError> {
    let sql = "SELECT content, size FROM part WHERE upload = ?1 AND number = ?2";
    let before =
        one(index, sql, &[&upload.row, &number], |row| Ok((row.get::<_, ContentId>(0)?, index::size(row)?)))?;
    let modified = milliseconds(now);
    let sql = "INSERT OR REPLACE INTO part (upload, number, content, size, etag, modified, checksums) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let column = checksums.to_column();
    run(index, sql, &[&upload.row, &number, &content, &signed(size), etag.digest(), &modified, &column])?;
    if let Some((before, size)) = before {
        usage::went(index, upload.bucket, size, 0)?;
        release(index, effects, before)?;
    }
    usage::came(index, upload.bucket, size, 0)?;
    usage::check(index, upload.bucket)?;
    Ok(PartInfo { number, size, etag, modified: index::timestamp(modified)?, checksums })
}

/// Aborts an upload.
pub(super) fn abort(index: &Connection, effects: &mut Effects, at: &UploadAt) -> Result<(), StoreError> {
    let upload = find(index, at)?;
    remove(index, effects, upload.bucket, upload.row)
}

/// Aborts every upload of a bucket.
pub(super) fn abort_all(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
) -> Result<(), StoreError> {
    let sql = "SELECT id FROM upload WHERE bucket = ?1";
    for upload in all(index, sql, &[&bucket.id], |row| Ok(row.get::<_, i64>(0)?))? {
        remove(index, effects, bucket, upload)?;
    }
    Ok(())
}

/// Deletes an upload's rows and gives up the contents of the parts that are still there.
pub(super) fn remove(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
    upload: i64,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM part WHERE upload = ?1 RETURNING content, size";
    let gone = all(index, sql, &[&upload], |row| Ok((row.get::<_, ContentId>(0)?, index::size(row)?)))?;
    for (content, size) in gone {
        usage::went(index, bucket, size, 0)?;
        release(index, effects, content)?;
    }
    run(index, "DELETE FROM upload WHERE id = ?1", &[&upload])?;
    Ok(())
}
