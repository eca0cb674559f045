//! Changes to buckets, within the writing transaction.

use rusqlite::Connection;
use wigeon_core::s3::BucketName;
use wigeon_core::time::Timestamp;

use super::commit::Effects;
use super::error::StoreError;
use super::index::{self, milliseconds, one, run, timestamp};
use super::object::BucketInfo;
use super::uploads;
use super::version::Versioning;

/// Creates a bucket. One that locks versions keeps them.
pub(super) fn create(
    index: &Connection,
    name: &BucketName,
    locks: bool,
    now: Timestamp,
) -> Result<BucketInfo, StoreError> {
    let created = milliseconds(now);
    let sql = "INSERT INTO bucket (name, created, versioning, object_lock) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO NOTHING";
    let versioning = if locks { Versioning::Enabled } else { Versioning::Never };
    match run(index, sql, &[&name.as_str(), &created, &versioning.code(), &locks])? {
        1 => Ok(BucketInfo { name: name.clone(), created: timestamp(created)?, versioning }),
        _ => Err(StoreError::BucketAlreadyExists(name.to_string())),
    }
}

/// Deletes a bucket without objects and versions; its uploads are aborted.
pub(super) fn delete(index: &Connection, effects: &mut Effects, name: &BucketName) -> Result<(), StoreError> {
    let bucket = index::bucket(index, name)?;
    for table in ["object", "version"] {
        let sql = format!("SELECT 1 FROM {table} WHERE bucket = ?1 LIMIT 1");
        if one(index, &sql, &[&bucket.id], |_| Ok(()))?.is_some() {
            return Err(StoreError::BucketNotEmpty(name.to_string()));
        }
    }
    uploads::abort_all(index, effects, bucket)?;
    effects.settings |= run(index, "DELETE FROM setting WHERE bucket = ?1", &[&bucket.id])? > 0;
    run(index, "DELETE FROM completed WHERE bucket = ?1", &[&bucket.id])?;
    run(index, "DELETE FROM bucket WHERE id = ?1", &[&bucket.id])?;
    Ok(())
}

/// Has a bucket keep versions, or stop making new ones.
pub(super) fn set_versioning(
    index: &Connection,
    name: &BucketName,
    versioning: Versioning,
) -> Result<(), StoreError> {
    let bucket = index::bucket(index, name)?;
    if bucket.locks && versioning != Versioning::Enabled {
        return Err(StoreError::LockNeedsVersions(name.to_string()));
    }
    run(index, "UPDATE bucket SET versioning = ?2 WHERE id = ?1", &[&bucket.id, &versioning.code()])?;
    Ok(())
}
