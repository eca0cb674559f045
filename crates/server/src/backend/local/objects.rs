//! Changes to objects, within the writing transaction.

use rusqlite::Connection;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Timestamp;

use super::attributes::{NewObject, Tags};
use super::checksum::Checksums;
use super::commit::Effects;
use super::conditions::{PutCondition, ReadOutcome};
use super::contents::{self, acquire, release};
use super::error::StoreError;
use super::etag::ETag;
use super::index::{self, BucketRow, milliseconds, object, run, signed, to_json, unreadable};
use super::object::ObjectInfo;
use super::places::ContentId;
use super::request::CopyRequest;
use super::staging::Staged;

/// Makes staged content an object.
pub(super) fn put(
    index: &Connection,
    effects: &mut Effects,
    at: (&BucketName, &ObjectKey),
    staged: Staged,
    new: NewObject,
    condition: PutCondition,
    now: Timestamp,
) -> Result<ObjectInfo, StoreError> {
    let bucket = index::bucket(index, at.0)?;
    let (digests, id, fresh) = staged.into_parts();
    let info = info(digests.size, digests.etag, new, now)?;
    replace(index, effects, (bucket, at.1), &info, condition, |index, effects| {
        contents::insert(index, effects, id, digests.size, digests.etag.digest(), fresh)?;
        Ok(id)
    })?;
    Ok(info)
}

/// What is known of a new object; its time in the precision in which it is stored.
pub(super) fn info(size: u64, etag: ETag, new: NewObject, now: Timestamp) -> Result<ObjectInfo, StoreError> {
    let NewObject { attributes, tags, storage_class, checksums } = new;
    let modified = index::timestamp(milliseconds(now))?;
    Ok(ObjectInfo { size, etag, modified, storage_class, checksums, attributes, tags })
}

/// Enters an object's row, in place of another one, whose content it gives up. `content` enters or acquires
/// the new content, after the condition was found to hold.
pub(super) fn replace(
    index: &Connection,
    effects: &mut Effects,
    (bucket, key): (BucketRow, &ObjectKey),
    info: &ObjectInfo,
    condition: PutCondition,
    content: impl FnOnce(&Connection, &mut Effects) -> Result<ContentId, StoreError>,
) -> Result<(), StoreError> {
    let before = present(index, bucket, key)?;
    condition.check(key.as_str(), before.as_ref().map(|(etag, _)| etag))?;
    let content = content(index, effects)?;
    let sql = "INSERT OR REPLACE INTO object (bucket, key, size, etag, parts, modified, storage_class, \
               checksums, content, attributes, tags) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    run(
        index,
        sql,
        &[
            &bucket.0,
            &key.as_str().as_bytes(),
            &signed(info.size),
            info.etag.digest(),
            &info.etag.parts(),
            &milliseconds(info.modified),
            &info.storage_class.code(),
            &info.checksums.to_column(),
            &content,
            &to_json(&info.attributes),
            &to_json(&info.tags),
        ],
    )?;
    match before {
        Some((_, content)) => release(index, effects, content),
        None => Ok(()),
    }
}

/// The tag and content of the object that a key has.
fn present(
    index: &Connection,
    bucket: BucketRow,
    key: &ObjectKey,
) -> Result<Option<(ETag, ContentId)>, StoreError> {
    let sql = "SELECT etag, parts, content FROM object WHERE bucket = ?1 AND key = ?2";
    index::one(index, sql, &[&bucket.0, &key.as_str().as_bytes()], |row| {
        let digest = row.get(0).map_err(|_| unreadable("an entity tag"))?;
        Ok((ETag::from_columns(digest, row.get(1)?), row.get(2)?))
    })
}

/// Deletes an object; whether there was one.
pub(super) fn delete(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
    key: &ObjectKey,
    condition: PutCondition,
) -> Result<bool, StoreError> {
    let before = present(index, bucket, key)?;
    condition.check(key.as_str(), before.as_ref().map(|(etag, _)| etag))?;
    let Some((_, content)) = before else { return Ok(false) };
    let sql = "DELETE FROM object WHERE bucket = ?1 AND key = ?2";
    run(index, sql, &[&bucket.0, &key.as_str().as_bytes()])?;
    release(index, effects, content)?;
    Ok(true)
}

/// A checksum that was computed over the source of a copy beforehand.
pub(super) struct Computed {
    pub(super) of: ContentId,
    pub(super) checksums: Checksums,
}

/// Makes the target share the source's content. `None` if the source is another one than the checksums were
/// computed over.
pub(super) fn copy(
    index: &Connection,
    effects: &mut Effects,
    request: CopyRequest,
    computed: Option<Computed>,
    now: Timestamp,
) -> Result<Option<ObjectInfo>, StoreError> {
    let source_bucket = index::bucket(index, &request.source.0)?;
    let source = object(index, source_bucket, &request.source.1)?
        .ok_or_else(|| StoreError::NoSuchKey(request.source.1.to_string()))?;
    if request.source_conditions.evaluate(&source.info) != ReadOutcome::Proceed {
        return Err(StoreError::PreconditionFailed);
    }
    let checksums = match (request.checksum, computed) {
        (None, _) => source.info.checksums,
        (Some(algorithm), _) if source.info.checksums.of(algorithm).is_some() => source.info.checksums,
        (Some(_), Some(computed)) if computed.of == source.content => computed.checksums,
        (Some(_), _) => return Ok(None),
    };
    let new = NewObject {
        attributes: request.attributes.unwrap_or(source.info.attributes),
        tags: request.tags.unwrap_or(source.info.tags),
        storage_class: request.storage_class,
        checksums,
    };
    let target = (index::bucket(index, &request.target.0)?, &request.target.1);
    let info = info(source.info.size, source.info.etag, new, now)?;
    replace(index, effects, target, &info, request.condition, |index, _| {
        match acquire(index, source.content)? {
            true => Ok(source.content),
            false => Err(StoreError::Corrupt(format!("content {} is not there", source.content))),
        }
    })?;
    Ok(Some(info))
}

/// Replaces an object's tags.
pub(super) fn set_tags(
    index: &Connection,
    (bucket, key): (&BucketName, &ObjectKey),
    tags: &Tags,
) -> Result<(), StoreError> {
    let bucket = index::bucket(index, bucket)?;
    let sql = "UPDATE object SET tags = ?3 WHERE bucket = ?1 AND key = ?2";
    match run(index, sql, &[&bucket.0, &key.as_str().as_bytes(), &to_json(tags)])? {
        0 => Err(StoreError::NoSuchKey(key.to_string())),
        _ => Ok(()),
    }
}
