//! The versions of a key: which one a request means, what becomes of the current one, which comes in its place.
//!
//! The current version is a row of `object`; every other one, and every delete marker, is a row of `version`. A key
//! without a row in `object` whose latest row in `version` is a delete marker was deleted; that row alone has no
//! `replaced`. Of the `null` version a key has one at most. Source: Amazon S3 User Guide, "Working with objects in a
//! versioning-enabled bucket", "… in a versioning-suspended bucket".

use aws_lc_rs::rand;
use rusqlite::Connection;
use rusqlite::types::ToSql;
use wigeon_core::s3::ObjectKey;
use wigeon_core::time::Timestamp;

use super::commit::Effects;
use super::contents::release;
use super::error::{DeleteMarker, StoreError};
use super::index::{self, BucketRow, ObjectRow, milliseconds, object_row, one, run};
use super::places::ContentId;
use super::usage;
use super::version::{VersionId, Versioning};

/// The columns that [`object_row`] reads.
macro_rules! columns {
    () => {
        "seq, token, lock, size, etag, parts, modified, storage_class, checksums, content, attributes, tags"
    };
}

/// What a version is.
pub(super) enum Found {
    Object(Box<ObjectRow>),
    Marker(DeleteMarker),
}

/// Looks up the version that is meant, the current one where none is named.
///
/// # Errors
/// [`StoreError::NoSuchKey`], [`StoreError::Deleted`], [`StoreError::NoSuchVersion`], [`StoreError::IsDeleteMarker`].
pub(super) fn find(
    index: &Connection,
    bucket: BucketRow,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<ObjectRow, StoreError> {
    match version {
        None => match current(index, bucket, key)? {
            Some(row) => Ok(row),
            None => match latest_marker(index, bucket, key)? {
                Some(marker) => Err(StoreError::Deleted(marker)),
                None => Err(StoreError::NoSuchKey(key.to_string())),
            },
        },
        Some(version) => match named(index, bucket, key, version)? {
            Some(Found::Object(row)) => Ok(*row),
            Some(Found::Marker(marker)) => Err(StoreError::IsDeleteMarker(marker)),
            None => Err(StoreError::NoSuchVersion(version.to_string())),
        },
    }
}

/// The current version, if the key has one that is an object.
pub(super) fn current(
    index: &Connection,
    bucket: BucketRow,
    key: &ObjectKey,
) -> Result<Option<ObjectRow>, StoreError> {
    let sql = concat!("SELECT ", columns!(), " FROM object WHERE bucket = ?1 AND key = ?2");
    one(index, sql, &[&bucket.id, &key.as_str().as_bytes()], |row| object_row(row, bucket.versioning))
}

/// The version of this name.
pub(super) fn named(
    index: &Connection,
    bucket: BucketRow,
    key: &ObjectKey,
    version: VersionId,
) -> Result<Option<Found>, StoreError> {
    if let Some(row) = current(index, bucket, key)?
        && row.version() == version
    {
        return Ok(Some(Found::Object(Box::new(row))));
    }
    if bucket.versioning == Versioning::Never {
        return Ok(None);
    }
    let name = key.as_str().as_bytes();
    let read = |row: &rusqlite::Row<'_>| match row.get::<_, Option<ContentId>>("content")? {
        Some(_) => Ok(Found::Object(Box::new(object_row(row, bucket.versioning)?))),
        None => Ok(Found::Marker(index::marker(row)?)),
    };
    match version {
        VersionId::Null => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM version WHERE bucket = ?1 AND key = ?2 AND token IS NULL"
            );
            one(index, sql, &[&bucket.id, &name], read)
        }
        VersionId::Made { seq, token } => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM version WHERE bucket = ?1 AND key = ?2 AND seq = ?3 AND token = ?4"
            );
            one(index, sql, &[&bucket.id, &name, &seq, &token], read)
        }
    }
}

/// The delete marker that is the latest version of a key without a current one.
fn latest_marker(
    index: &Connection,
    bucket: BucketRow,
    key: &ObjectKey,
) -> Result<Option<DeleteMarker>, StoreError> {
    if bucket.versioning == Versioning::Never {
        return Ok(None);
    }
    let sql =
        "SELECT seq, token, modified FROM version WHERE bucket = ?1 AND key = ?2 ORDER BY seq DESC LIMIT 1";
    one(index, sql, &[&bucket.id, &key.as_str().as_bytes()], index::marker)
}

/// The size of the version that a new one takes the place of, for good: the null version, or any in a bucket without
/// versions.
pub(super) fn replaceable(
    index: &Connection,
    bucket: BucketRow,
    key: &ObjectKey,
) -> Result<Option<u64>, StoreError> {
    let replaced = match bucket.versioning {
        Versioning::Enabled => None,
        Versioning::Never | Versioning::Suspended => named(index, bucket, key, VersionId::Null)?,
    };
    Ok(match replaced {
        Some(Found::Object(row)) => Some(row.info.size),
        Some(Found::Marker(_)) | None => None,
    })
}

/// A version that is about to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) seq: i64,
    pub(super) token: Option<i64>,
}

impl Next {
    /// Its name, where the bucket has versions at all.
    pub(super) fn id(self, bucket: BucketRow) -> Option<VersionId> {
        (bucket.versioning != Versioning::Never).then(|| VersionId::from_columns(self.seq, self.token))
    }
}

/// Makes way for a new version: keeps or gives up the current one, as the bucket's versioning has it. Of a key with a
/// current version, its row in `object` is left to whoever replaces or deletes it.
pub(super) fn make_way(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
    key: &ObjectKey,
    before: Option<&ObjectRow>,
    now: Timestamp,
) -> Result<Next, StoreError> {
    if bucket.versioning == Versioning::Never {
        before.map_or(Ok(()), |before| give_up(index, effects, bucket, before.content, before.info.size))?;
        return Ok(Next { seq: 0, token: None });
    }
    let name = key.as_str().as_bytes();
    let latest = match before {
        Some(before) => Some(before.seq),
        None => {
            let sql = "SELECT seq FROM version WHERE bucket = ?1 AND key = ?2 ORDER BY seq DESC LIMIT 1";
            one(index, sql, &[&bucket.id, &name], |row| Ok(row.get::<_, i64>(0)?))?
        }
    };
    let replaced = milliseconds(now);
    match (before, latest) {
        (Some(before), _) if bucket.versioning == Versioning::Suspended && before.token.is_none() => {
            give_up(index, effects, bucket, before.content, before.info.size)?;
        }
        (Some(_), _) => {
            let sql = concat!(
                "INSERT INTO version (bucket, key, replaced, ",
                columns!(),
                ") SELECT bucket, key, ?3, ",
                columns!(),
                " FROM object WHERE bucket = ?1 AND key = ?2"
            );
            run(index, sql, &[&bucket.id, &name, &replaced])?;
        }
        (None, Some(marker)) => {
            let sql = "UPDATE version SET replaced = ?4 WHERE bucket = ?1 AND key = ?2 AND seq = ?3";
            run(index, sql, &[&bucket.id, &name, &marker, &replaced])?;
        }
        (None, None) => {}
    }
    let token = match bucket.versioning {
        Versioning::Enabled => Some(random_token()?),
        Versioning::Suspended | Versioning::Never => None,
    };
    if token.is_none() {
        forget_null(index, effects, bucket, key)?;
    }
    // Time, so that ids are in its order; and one more than the latest, whatever the clock says.
    let seq = now.as_microsecond().max(latest.unwrap_or(0).saturating_add(1));
    Ok(Next { seq, token })
}

fn random_token() -> Result<i64, StoreError> {
    let mut random = [0; 8];
    rand::fill(&mut random).map_err(|_| StoreError::Stopped)?;
    Ok(i64::from_be_bytes(random))
}

/// Gives up the content of a version that goes.
fn give_up(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
    content: ContentId,
    size: u64,
) -> Result<(), StoreError> {
    usage::went(index, bucket, size, 1)?;
    release(index, effects, content)
}

/// Deletes the `null` version, where it is not the current one.
fn forget_null(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
    key: &ObjectKey,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM version WHERE bucket = ?1 AND key = ?2 AND token IS NULL RETURNING content, size";
    let found = one(index, sql, &[&bucket.id, &key.as_str().as_bytes()], |row| {
        Ok((row.get::<_, Option<ContentId>>(0)?, index::size(row)?))
    })?;
    match found {
        Some((Some(content), size)) => give_up(index, effects, bucket, content, size),
        Some((None, _)) | None => Ok(()),
    }
}

/// Deletes a version that was found, and lets the one before it take its place.
pub(super) fn remove(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
    key: &ObjectKey,
    found: &Found,
) -> Result<(), StoreError> {
    let name = key.as_str().as_bytes();
    let (seq, content) = match found {
        Found::Object(row) => (row.seq, Some((row.content, row.info.size))),
        Found::Marker(marker) => (marker.seq, None),
    };
    let in_object = "DELETE FROM object WHERE bucket = ?1 AND key = ?2 AND seq = ?3";
    if run(index, in_object, &[&bucket.id, &name, &seq])? == 0 {
        let in_version = "DELETE FROM version WHERE bucket = ?1 AND key = ?2 AND seq = ?3";
        run(index, in_version, &[&bucket.id, &name, &seq])?;
    }
    if let Some((content, size)) = content {
        give_up(index, effects, bucket, content, size)?;
    }
    match bucket.versioning {
        Versioning::Never => Ok(()),
        Versioning::Enabled | Versioning::Suspended => promote(index, bucket, key),
    }
}

/// Makes the latest version of a key without a current one its current one; a delete marker becomes the latest.
fn promote(index: &Connection, bucket: BucketRow, key: &ObjectKey) -> Result<(), StoreError> {
    let name = key.as_str().as_bytes();
    let sql = "SELECT 1 FROM object WHERE bucket = ?1 AND key = ?2";
    if one(index, sql, &[&bucket.id, &name], |_| Ok(()))?.is_some() {
        return Ok(());
    }
    let sql = "SELECT seq, content IS NULL, replaced IS NULL FROM version \
               WHERE bucket = ?1 AND key = ?2 ORDER BY seq DESC LIMIT 1";
    let latest = one(index, sql, &[&bucket.id, &name], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?, row.get::<_, bool>(2)?))
    })?;
    match latest {
        None | Some((_, true, true)) => {}
        Some((seq, true, false)) => {
            let sql = "UPDATE version SET replaced = NULL WHERE bucket = ?1 AND key = ?2 AND seq = ?3";
            run(index, sql, &[&bucket.id, &name, &seq])?;
        }
        Some((seq, false, _)) => {
            let sql = concat!(
                "INSERT INTO object (bucket, key, ",
                columns!(),
                ") SELECT bucket, key, ",
                columns!(),
                " FROM version WHERE bucket = ?1 AND key = ?2 AND seq = ?3"
            );
            run(index, sql, &[&bucket.id, &name, &seq])?;
            let sql = "DELETE FROM version WHERE bucket = ?1 AND key = ?2 AND seq = ?3";
            run(index, sql, &[&bucket.id, &name, &seq])?;
        }
    }
    Ok(())
}

/// Changes one column of a version, wherever it is.
pub(super) fn update(
    index: &Connection,
    bucket: BucketRow,
    key: &ObjectKey,
    seq: i64,
    column: &str,
    value: &dyn ToSql,
) -> Result<(), StoreError> {
    for table in ["object", "version"] {
        let sql = format!("UPDATE {table} SET {column} = ?4 WHERE bucket = ?1 AND key = ?2 AND seq = ?3");
        if run(index, &sql, &[&bucket.id, &key.as_str().as_bytes(), &seq, value])? == 1 {
            break;
        }
    }
    Ok(())
}

/// Puts the versions of a key in order: the latest becomes the current one, whatever was.
pub(super) fn restore_order(
    index: &Connection,
    bucket: BucketRow,
    key: &ObjectKey,
) -> Result<(), StoreError> {
    let name = key.as_str().as_bytes();
    let parameters: &[&dyn ToSql] = &[&bucket.id, &name];
    let sql = concat!(
        "INSERT OR IGNORE INTO version (bucket, key, replaced, ",
        columns!(),
        ") SELECT bucket, key, modified, ",
        columns!(),
        " FROM object WHERE bucket = ?1 AND key = ?2"
    );
    run(index, sql, parameters)?;
    run(index, "DELETE FROM object WHERE bucket = ?1 AND key = ?2", parameters)?;
    let sql = "UPDATE version SET replaced = modified WHERE bucket = ?1 AND key = ?2 AND replaced IS NULL";
    run(index, sql, parameters)?;
    promote(index, bucket, key)
}

/// Enters a delete marker as the latest version of a key.
pub(super) fn insert_marker(
    index: &Connection,
    effects: &mut Effects,
    bucket: BucketRow,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<VersionId, StoreError> {
    let before = current(index, bucket, key)?;
    let next = make_way(index, effects, bucket, key, before.as_ref(), now)?;
    let name = key.as_str().as_bytes();
    run(index, "DELETE FROM object WHERE bucket = ?1 AND key = ?2", &[&bucket.id, &name])?;
    let sql = "INSERT INTO version (bucket, key, seq, token, size, etag, modified, storage_class) \
               VALUES (?1, ?2, ?3, ?4, 0, x'', ?5, 0)";
    run(index, sql, &[&bucket.id, &name, &next.seq, &next.token, &milliseconds(now)])?;
    Ok(VersionId::from_columns(next.seq, next.token))
}
