//! Changes to what protects versions, within the writing transaction.

use rusqlite::Connection;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Timestamp;

use super::error::StoreError;
use super::index::{self, BucketRow, run};
use super::object::BucketLock;
use super::object_lock::{DefaultRetention, Lock, Retention};
use super::settings::{self, Setting};
use super::version::{VersionId, Versioning};
use super::versions::{find, update};

/// Has a bucket lock its versions, for ever; sets what new ones are retained for.
pub(super) fn enable(
    index: &Connection,
    name: &BucketName,
    default: Option<DefaultRetention>,
) -> Result<(), StoreError> {
    let bucket = index::bucket(index, name)?;
    if bucket.versioning != Versioning::Enabled {
        return Err(StoreError::LockNeedsVersions(name.to_string()));
    }
    run(index, "UPDATE bucket SET object_lock = 1 WHERE id = ?1", &[&bucket.id])?;
    let document = default.map(|default| serde_json::to_string(&default).unwrap_or_default());
    settings::set(index, name, Setting::ObjectLock, document.as_deref())
}

/// What protects a new version: what its writer says, and the bucket's default where that says nothing of retention.
pub(super) fn of_new(
    index: &Connection,
    bucket: BucketRow,
    said: Lock,
    now: Timestamp,
) -> Result<Lock, StoreError> {
    if !bucket.locks {
        return match said == Lock::default() {
            true => Ok(said),
            false => Err(StoreError::NoBucketLock),
        };
    }
    let default = match said.retention {
        Some(_) => None,
        None => settings::read_one(index, bucket, Setting::ObjectLock)?,
    };
    match default {
        None => Ok(said),
        Some(document) => {
            let retention = DefaultRetention::parse(&document)?.from(now)?;
            Ok(Lock { retention: Some(retention), ..said })
        }
    }
}

/// Changes what protects a version; tells which one it was.
pub(super) fn change(
    index: &Connection,
    (bucket, key): (&BucketName, &ObjectKey),
    version: Option<VersionId>,
    change: impl FnOnce(Lock) -> Result<Lock, StoreError>,
) -> Result<Option<VersionId>, StoreError> {
    let bucket = index::bucket(index, bucket)?;
    let row = find(index, bucket, key, version)?;
    if !bucket.locks {
        return Err(StoreError::NoBucketLock);
    }
    let lock = change(row.info.lock)?;
    update(index, bucket, key, row.seq, "lock", &lock.to_column())?;
    Ok(row.info.version)
}

/// Refuses a retention that is over already.
pub(super) fn check_until(retention: Option<Retention>, now: Timestamp) -> Result<(), StoreError> {
    match retention.is_some_and(|retention| retention.until <= now) {
        true => Err(StoreError::RetentionInThePast),
        false => Ok(()),
    }
}

/// A bucket's lock, if it has one.
pub(super) fn of_bucket(index: &Connection, name: &BucketName) -> Result<Option<BucketLock>, StoreError> {
    let bucket = index::bucket(index, name)?;
    if !bucket.locks {
        return Ok(None);
    }
    let document = settings::read_one(index, bucket, Setting::ObjectLock)?;
    let default = document.map(|document| DefaultRetention::parse(&document)).transpose()?;
    Ok(Some(BucketLock { default }))
}
