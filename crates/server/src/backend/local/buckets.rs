//! Changes to buckets, within the writing transaction.

use rusqlite::Connection;
use wigeon_core::s3::BucketName;
use wigeon_core::time::Timestamp;

use super::commit::Effects;
use super::error::StoreError;
use super::index::{self, milliseconds, one, run, timestamp};
use super::object::BucketInfo;
use super::uploads;

/// Creates a bucket.
pub(super) fn create(
    index: &Connection,
    name: &BucketName,
    now: Timestamp,
) -> Result<BucketInfo, StoreError> {
    let created = milliseconds(now);
    let sql = "INSERT INTO bucket (name, created) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    match run(index, sql, &[&name.as_str(), &created])? {
        1 => Ok(BucketInfo { name: name.clone(), created: timestamp(created)? }),
        _ => Err(StoreError::BucketAlreadyExists(name.to_string())),
    }
}

/// Deletes a bucket without objects; its uploads are aborted.
pub(super) fn delete(index: &Connection, effects: &mut Effects, name: &BucketName) -> Result<(), StoreError> {
    let bucket = index::bucket(index, name)?;
    if one(index, "SELECT 1 FROM object WHERE bucket = ?1 LIMIT 1", &[&bucket.0], |_| Ok(()))?.is_some() {
        return Err(StoreError::BucketNotEmpty(name.to_string()));
    }
    uploads::abort_all(index, effects, bucket)?;
    effects.settings |= run(index, "DELETE FROM setting WHERE bucket = ?1", &[&bucket.0])? > 0;
    run(index, "DELETE FROM bucket WHERE id = ?1", &[&bucket.0])?;
    Ok(())
}
