//! What a bucket holds, and the most that it may: counted in the very transaction that changes it.
//!
//! `bytes` are those of all versions and of the parts of uploads, whether or not they share content with others;
//! `objects` are versions, without delete markers. A write that makes either grow past the quota is refused and undone;
//! one that makes it smaller is not, however full the bucket is.

use rusqlite::Connection;
use wigeon_core::s3::BucketName;

use super::error::StoreError;
use super::index::{self, BucketRow, one, run, signed, unreadable};
use super::object::{Quota, Usage};

/// A bucket's usage and quota.
pub(super) fn of(index: &Connection, bucket: BucketRow) -> Result<(Usage, Quota), StoreError> {
    let sql = "SELECT bytes, objects, quota_bytes, quota_objects FROM bucket WHERE id = ?1";
    let size = |size: i64| u64::try_from(size).map_err(|_| unreadable("a bucket's usage"));
    let limit = |limit: Option<i64>| limit.map(size).transpose();
    one(index, sql, &[&bucket.id], |row| {
        let usage = Usage { bytes: size(row.get(0)?)?, objects: size(row.get(1)?)? };
        Ok((usage, Quota { bytes: limit(row.get(2)?)?, objects: limit(row.get(3)?)? }))
    })?
    .ok_or_else(|| unreadable("a bucket's number"))
}

/// The same of the buckets that hold most, by their names.
pub(super) fn of_fullest(
    index: &Connection,
    most: usize,
) -> Result<Vec<(BucketName, Usage, Quota)>, StoreError> {
    let sql = "SELECT id, name FROM (SELECT id, name FROM bucket ORDER BY bytes DESC LIMIT ?1) ORDER BY name";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let names = index::all(index, sql, &[&most], |row| {
        let name = BucketName::parse_existing(&row.get::<_, String>(1)?);
        Ok((row.get::<_, i64>(0)?, name.map_err(|_| unreadable("a bucket's name"))?))
    })?;
    let each = |(id, name)| {
        let (usage, quota) = of(index, index::bucket_of(index, id)?)?;
        Ok((name, usage, quota))
    };
    names.into_iter().map(each).collect()
}

/// Sets the most that a bucket may hold. What it holds already stays.
pub(super) fn set_quota(index: &Connection, name: &BucketName, quota: Quota) -> Result<(), StoreError> {
    let bucket = index::bucket(index, name)?;
    let sql = "UPDATE bucket SET quota_bytes = ?2, quota_objects = ?3 WHERE id = ?1";
    run(index, sql, &[&bucket.id, &quota.bytes.map(signed), &quota.objects.map(signed)])?;
    Ok(())
}

/// Counts what came.
pub(super) fn came(
    index: &Connection,
    bucket: BucketRow,
    bytes: u64,
    objects: i64,
) -> Result<(), StoreError> {
    change(index, bucket, signed(bytes), objects)
}

/// Counts what went.
pub(super) fn went(
    index: &Connection,
    bucket: BucketRow,
    bytes: u64,
    objects: i64,
) -> Result<(), StoreError> {
    change(index, bucket, -signed(bytes), -objects)
}

fn change(index: &Connection, bucket: BucketRow, bytes: i64, objects: i64) -> Result<(), StoreError> {
    if (bytes, objects) != (0, 0) {
        let sql = "UPDATE bucket SET bytes = bytes + ?2, objects = objects + ?3 WHERE id = ?1";
        run(index, sql, &[&bucket.id, &bytes, &objects])?;
    }
    Ok(())
}

/// Refuses what made a bucket grow past its quota. `bucket` is its row from before the change.
pub(super) fn check(index: &Connection, bucket: BucketRow) -> Result<(), StoreError> {
    let Some(before) = bucket.limited else { return Ok(()) };
    let (after, quota) = of(index, bucket)?;
    let past = |limit: Option<u64>, before: u64, after: u64| {
        limit.is_some_and(|most| after > most && after > before)
    };
    match past(quota.bytes, before.bytes, after.bytes) || past(quota.objects, before.objects, after.objects) {
        true => Err(StoreError::QuotaExceeded),
        false => Ok(()),
    }
}

/// The most bytes that a write may have which sets `freed` bytes free and adds so many objects; no number is no limit. What
/// it says is true of now: [`check`] decides, when the write is made.
///
/// # Errors
/// [`StoreError::QuotaExceeded`] where the bucket has no room for another object.
pub(super) fn room(
    index: &Connection,
    bucket: BucketRow,
    freed: u64,
    objects: u64,
) -> Result<Option<u64>, StoreError> {
    if bucket.limited.is_none() {
        return Ok(None);
    }
    let (held, quota) = of(index, bucket)?;
    if objects > 0 && quota.objects.is_some_and(|most| held.objects + objects > most) {
        return Err(StoreError::QuotaExceeded);
    }
    Ok(quota.bytes.map(|most| most.saturating_sub(held.bytes).saturating_add(freed)))
}

/// What each bucket really holds, where that is not what it counts: the row number, as counted, as found.
pub(super) fn miscounted(index: &Connection) -> Result<Vec<(i64, [i64; 4])>, StoreError> {
    let sql = "SELECT id, bytes, objects, found_bytes, found_objects FROM (SELECT bucket.id AS id, bytes, objects, \
               (SELECT coalesce(sum(size), 0) FROM object WHERE bucket = bucket.id) + \
               (SELECT coalesce(sum(size), 0) FROM version WHERE bucket = bucket.id) + \
               (SELECT coalesce(sum(part.size), 0) FROM part JOIN upload ON upload.id = part.upload \
               WHERE upload.bucket = bucket.id) AS found_bytes, \
               (SELECT count(*) FROM object WHERE bucket = bucket.id) + \
               (SELECT count(content) FROM version WHERE bucket = bucket.id) AS found_objects FROM bucket) \
               WHERE bytes <> found_bytes OR objects <> found_objects";
    index::all(index, sql, &[], |row| Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])))
}

/// Counts anew what a bucket holds.
pub(super) fn recount(index: &Connection, bucket: i64, bytes: i64, objects: i64) -> Result<(), StoreError> {
    run(index, "UPDATE bucket SET bytes = ?2, objects = ?3 WHERE id = ?1", &[&bucket, &bytes, &objects])?;
    Ok(())
}
