//! Changes to objects, within the writing transaction.

use rusqlite::Connection;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Timestamp;

use super::attributes::{NewObject, Tags};
use super::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
use super::commit::Effects;
use super::conditions::{PutCondition, ReadOutcome};
use super::contents::{self, acquire};
use super::error::StoreError;
use super::etag::ETag;
use super::index::{self, BucketRow, milliseconds, run, signed, to_json};
use super::locks;
use super::object::ObjectInfo;
use super::places::ContentId;
use super::request::{Copied, CopyRequest, Deleted, Deletion, Source};
use super::staging::{Digests, Staged};
use super::usage;
use super::version::{VersionId, Versioning};
use super::versions::{Found, current, find, insert_marker, make_way, named, remove, replaceable, update};

/// What can be said of a write before its bytes have come: the most that they may be, where that is limited. Everything is
/// asked again when the write is made.
///
/// # Errors
/// As [`put`], so far as that is certain to refuse it now.
pub(super) fn before_put(
    index: &Connection,
    at: (&BucketName, &ObjectKey),
    condition: PutCondition,
) -> Result<Option<u64>, StoreError> {
    let bucket = index::bucket(index, at.0)?;
    if condition != PutCondition::Always {
        let before = current(index, bucket, at.1)?;
        condition.check(at.1.as_str(), before.as_ref().map(|before| &before.info.etag))?;
    }
    if bucket.limited.is_none() {
        return Ok(None);
    }
    let replaced = replaceable(index, bucket, at.1)?;
    usage::room(index, bucket, replaced.unwrap_or_default(), u64::from(replaced.is_none()))
}

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
    replace(index, effects, (bucket, at.1), info, condition, |index, effects| {
        contents::insert(index, effects, id, digests.size, digests.etag.digest(), fresh)?;
        Ok(id)
    })
}

/// What is known of a new object; its time in the precision in which it is stored.
pub(super) fn info(size: u64, etag: ETag, new: NewObject, now: Timestamp) -> Result<ObjectInfo, StoreError> {
    let NewObject { attributes, tags, storage_class, checksums, lock } = new;
    let modified = index::timestamp(milliseconds(now))?;
    Ok(ObjectInfo { version: None, size, etag, modified, storage_class, checksums, attributes, tags, lock })
}

/// Enters an object as the current version of its key; what was that before is kept or given up. `content` enters or
/// acquires the new content, after the condition was found to hold.
pub(super) fn replace(
    index: &Connection,
    effects: &mut Effects,
    (bucket, key): (BucketRow, &ObjectKey),
    info: ObjectInfo,
    condition: PutCondition,
    content: impl FnOnce(&Connection, &mut Effects) -> Result<ContentId, StoreError>,
) -> Result<ObjectInfo, StoreError> {
    let before = current(index, bucket, key)?;
    condition.check(key.as_str(), before.as_ref().map(|before| &before.info.etag))?;
    let lock = locks::of_new(index, bucket, info.lock, info.modified)?;
    let content = content(index, effects)?;
    let next = make_way(index, effects, bucket, key, before.as_ref(), info.modified)?;
    let sql = "INSERT OR REPLACE INTO object (bucket, key, seq, token, size, etag, parts, modified, storage_class, \
               checksums, content, attributes, tags, lock) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    run(
        index,
        sql,
        &[
            &bucket.id,
            &key.as_str().as_bytes(),
            &next.seq,
            &next.token,
            &signed(info.size),
            info.etag.digest(),
            &info.etag.parts(),
            &milliseconds(info.modified),
            &info.storage_class.code(),
            &info.checksums.to_column(),
            &content,
            &to_json(&info.attributes),
            &to_json(&info.tags),
            &lock.to_column(),
        ],
    )?;
    usage::came(index, bucket, info.size, 1)?;
    usage::check(index, bucket)?;
    Ok(ObjectInfo { version: next.id(bucket), lock, ..info })
}

/// Deletes what is named: without a version, the object of a key, which leaves a delete marker where the bucket keeps
/// versions; otherwise that very version.
pub(super) fn delete(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
    deletion: &Deletion,
    now: Timestamp,
) -> Result<Deleted, StoreError> {
    let Deletion { key, version, condition, bypass_governance } = deletion;
    // A condition is one on the current version, whichever version is deleted.
    if *condition != PutCondition::Always {
        let before = current(index, bucket, key)?;
        condition.check(key.as_str(), before.as_ref().map(|before| &before.info.etag))?;
    }
    let version = match (*version, bucket.versioning) {
        (Some(version), _) => version,
        (None, Versioning::Never) => VersionId::Null,
        (None, Versioning::Enabled | Versioning::Suspended) => {
            let made = insert_marker(index, effects, bucket, key, now)?;
            return Ok(Deleted { existed: true, version: Some(made), marker: true });
        }
    };
    let found = named(index, bucket, key, version)?;
    if let Some(Found::Object(row)) = &found
        && row.info.lock.forbids_deletion(now, *bypass_governance)
    {
        return Err(StoreError::Locked);
    }
    if let Some(found) = &found {
        remove(index, effects, bucket, key, found)?;
    }
    Ok(Deleted {
        existed: found.is_some(),
        version: deletion.version.filter(|_| bucket.versioning != Versioning::Never),
        marker: matches!(found, Some(Found::Marker(_))),
    })
}

/// What was computed over the source of a copy beforehand.
pub(super) struct Computed {
    pub(super) of: ContentId,
    pub(super) digests: Digests,
}

/// What has to be computed over the source of a copy: the tag of one that was uploaded in parts, since the copy is in
/// one piece; and the checksum that the copy shall have, if the source has none of the whole object.
pub(super) fn to_compute(
    source: &ObjectInfo,
    wanted: Option<ChecksumAlgorithm>,
) -> Option<Vec<ChecksumAlgorithm>> {
    let kept = match wanted {
        Some(wanted) => source.checksums.of(wanted),
        None => source.checksums.iter().next(),
    };
    let checksum = match (wanted, kept) {
        (Some(_), Some(kept)) if is_whole(kept) => None,
        (Some(wanted), _) => Some(wanted),
        (None, Some(kept)) if !is_whole(kept) => Some(kept.algorithm()),
        (None, _) => None,
    };
    (checksum.is_some() || source.etag.parts().is_some()).then(|| checksum.into_iter().collect())
}

fn is_whole(checksum: &Checksum) -> bool {
    checksum.kind() == ChecksumKind::FullObject
}

/// Makes the target share the source's content. `None` if the source is another one than was computed over.
pub(super) fn copy(
    index: &Connection,
    effects: &mut Effects,
    request: CopyRequest,
    computed: Option<Computed>,
    now: Timestamp,
) -> Result<Option<Copied>, StoreError> {
    let Source { bucket, key, version } = &request.source;
    let source = find(index, index::bucket(index, bucket)?, key, *version)?;
    if request.source_conditions.evaluate(&source.info) != ReadOutcome::Proceed {
        return Err(StoreError::PreconditionFailed);
    }
    let (etag, checksums) = match (to_compute(&source.info, request.checksum), computed) {
        (None, _) => (source.info.etag, source.info.checksums),
        (Some(algorithms), Some(Computed { of, digests })) if of == source.content => {
            let checksums = if algorithms.is_empty() { source.info.checksums } else { digests.checksums };
            (digests.etag, checksums)
        }
        (Some(_), _) => return Ok(None),
    };
    let new = NewObject {
        attributes: request.attributes.unwrap_or(source.info.attributes),
        tags: request.tags.unwrap_or(source.info.tags),
        storage_class: request.storage_class,
        checksums,
        lock: request.lock,
    };
    let target = (index::bucket(index, &request.target.0)?, &request.target.1);
    let info = info(source.info.size, etag, new, now)?;
    let object = replace(index, effects, target, info, request.condition, |index, _| {
        match acquire(index, source.content)? {
            true => Ok(source.content),
            false => Err(StoreError::Corrupt(format!("content {} is not there", source.content))),
        }
    })?;
    Ok(Some(Copied { object, source_version: source.info.version }))
}

/// Replaces the tags of a version; tells which one it was.
pub(super) fn set_tags(
    index: &Connection,
    (bucket, key): (&BucketName, &ObjectKey),
    version: Option<VersionId>,
    tags: &Tags,
) -> Result<Option<VersionId>, StoreError> {
    let bucket = index::bucket(index, bucket)?;
    let row = find(index, bucket, key, version)?;
    update(index, bucket, key, row.seq, "tags", &to_json(tags))?;
    Ok(row.info.version)
}
