//! The index: its tables, its format number, and how its connections are set up.
//!
//! Keys are blobs, so that the order of the index is the order of their UTF-8 bytes: S3's. The tables that
//! are listed are `WITHOUT ROWID`: a row lies in the tree of its key, and a page of a listing is read in
//! sequence. Times are milliseconds since 1970.

use std::cmp::Ordering;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;

/// The steps from an empty index to the format of this program. A step is never changed: stores out there have
/// taken it. The format's number (`user_version`) is how many steps an index has taken.
const STEPS: [&str; 3] = [TABLES, VERSIONS, USAGE];

/// The format this program reads and writes.
const FORMAT: i64 = STEPS.len() as i64;

/// `Wign`, so that `file` can tell an index from other databases.
const APPLICATION_ID: i32 = 0x5769_676e;

const TABLES: &str = "
CREATE TABLE bucket (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

-- kind: 0 inline (bytes in `data`), 1 file, 2 composite (slices in `segment`).
-- refs: rows of `object`, `part` and `segment` that point here. md5: of the bytes; composites have none.
CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    size INTEGER NOT NULL,
    refs INTEGER NOT NULL,
    md5 BLOB,
    data BLOB
) STRICT;

-- part: the part of the multipart object that the slice belongs to, from 1.
-- checksums: of that part; on its first slice.
CREATE TABLE segment (
    content INTEGER NOT NULL,
    position INTEGER NOT NULL,
    part INTEGER NOT NULL,
    source INTEGER NOT NULL,
    start INTEGER NOT NULL,
    size INTEGER NOT NULL,
    checksums BLOB,
    PRIMARY KEY (content, position)
) STRICT, WITHOUT ROWID;

-- The current version of each key. version 0 is S3's `null` version.
CREATE TABLE object (
    bucket INTEGER NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,
    etag BLOB NOT NULL,
    parts INTEGER,
    modified INTEGER NOT NULL,
    storage_class INTEGER NOT NULL,
    checksums BLOB,
    content INTEGER NOT NULL,
    attributes TEXT,
    tags TEXT,
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE upload (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket INTEGER NOT NULL,
    key BLOB NOT NULL,
    token TEXT NOT NULL,
    initiated INTEGER NOT NULL,
    storage_class INTEGER NOT NULL,
    checksum_algorithm INTEGER,
    checksum_composite INTEGER,
    attributes TEXT,
    tags TEXT,
    UNIQUE (bucket, key, token)
) STRICT;

CREATE TABLE part (
    upload INTEGER NOT NULL,
    number INTEGER NOT NULL,
    content INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag BLOB NOT NULL,
    modified INTEGER NOT NULL,
    checksums BLOB,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;

-- Content files that nothing points to any more and that may still be there.
CREATE TABLE garbage (content INTEGER PRIMARY KEY) STRICT;
";

/// Versions, locks, settings, and the answers to completed uploads.
///
/// `seq` orders the versions of a key, the latest highest; `token` is what nobody guesses in a version's id and
/// is absent from the `null` version.
const VERSIONS: &str = "
-- versioning: 0 never enabled, 1 enabled, 2 suspended. object_lock: 1 enabled.
ALTER TABLE bucket ADD COLUMN versioning INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bucket ADD COLUMN object_lock INTEGER NOT NULL DEFAULT 0;

ALTER TABLE object RENAME COLUMN version TO seq;
ALTER TABLE object ADD COLUMN token INTEGER;
ALTER TABLE object ADD COLUMN lock TEXT;

-- Versions that are not current, and delete markers, which have no content.
-- replaced: when a later version came; the delete marker that is its key's latest version has none.
CREATE TABLE version (
    bucket INTEGER NOT NULL,
    key BLOB NOT NULL,
    seq INTEGER NOT NULL,
    token INTEGER,
    lock TEXT,
    size INTEGER NOT NULL,
    etag BLOB NOT NULL,
    parts INTEGER,
    modified INTEGER NOT NULL,
    storage_class INTEGER NOT NULL,
    checksums BLOB,
    content INTEGER,
    attributes TEXT,
    tags TEXT,
    replaced INTEGER,
    PRIMARY KEY (bucket, key, seq DESC)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX null_version ON version (bucket, key) WHERE token IS NULL;

ALTER TABLE upload ADD COLUMN lock TEXT;

-- What completing an upload was answered, for those who did not hear it.
CREATE TABLE completed (
    upload TEXT PRIMARY KEY,
    bucket INTEGER NOT NULL,
    key BLOB NOT NULL,
    at INTEGER NOT NULL,
    answer TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX completed_at ON completed (at);

CREATE TABLE setting (
    bucket INTEGER NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (bucket, name)
) STRICT, WITHOUT ROWID;
";

/// What each bucket holds, and the most that it may.
const USAGE: &str = "
ALTER TABLE bucket ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bucket ADD COLUMN objects INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bucket ADD COLUMN quota_bytes INTEGER;
ALTER TABLE bucket ADD COLUMN quota_objects INTEGER;

UPDATE bucket SET
    bytes = (SELECT coalesce(sum(size), 0) FROM object WHERE bucket = bucket.id)
        + (SELECT coalesce(sum(size), 0) FROM version WHERE bucket = bucket.id)
        + (SELECT coalesce(sum(part.size), 0) FROM part JOIN upload ON upload.id = part.upload
           WHERE upload.bucket = bucket.id),
    objects = (SELECT count(*) FROM object WHERE bucket = bucket.id)
        + (SELECT count(content) FROM version WHERE bucket = bucket.id);
";

/// Opens the connection that writes; creates the tables in a new index, and brings those of an older format
/// forward in one transaction.
pub(super) fn open_writing(path: &Path) -> Result<Connection, StoreError> {
    let index = Connection::open(path)?;
    index.busy_timeout(Duration::from_secs(10))?;
    index.pragma_update(None, "page_size", 8192)?;
    index.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    index.pragma_update(None, "synchronous", "full")?;
    index.pragma_update(None, "cache_size", -65_536)?;
    index.pragma_update_and_check(None, "wal_autocheckpoint", 4096, |_| Ok(()))?;
    index.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    index.set_prepared_statement_cache_capacity(128);
    let found: i64 = index.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps = usize::try_from(found).ok().and_then(|taken| STEPS.get(taken..));
    let Some(steps) = steps else { return Err(StoreError::NewerFormat { found, known: FORMAT }) };
    if found == 0 {
        index.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    if !steps.is_empty() {
        let steps = steps.concat();
        index.execute_batch(&format!("BEGIN; {steps} PRAGMA user_version = {FORMAT}; COMMIT"))?;
    }
    Ok(index)
}

/// Opens a connection that only reads, on a store that nobody may have brought forward.
pub(super) fn open_looking(path: &Path) -> Result<Connection, StoreError> {
    let index = open_reading(path)?;
    let found: i64 = index.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found.cmp(&FORMAT) {
        Ordering::Equal => Ok(index),
        Ordering::Less => Err(StoreError::OlderFormat { found, known: FORMAT }),
        Ordering::Greater => Err(StoreError::NewerFormat { found, known: FORMAT }),
    }
}

/// Opens a connection that only reads.
pub(super) fn open_reading(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let index = Connection::open_with_flags(path, flags)?;
    index.busy_timeout(Duration::from_secs(10))?;
    index.pragma_update(None, "cache_size", -16_384)?;
    index.set_prepared_statement_cache_capacity(64);
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_of_a_newer_format_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.sqlite");
        let index = open_writing(&path).unwrap();
        index.pragma_update(None, "user_version", FORMAT + 1).unwrap();
        drop(index);
        let refused = open_writing(&path).unwrap_err();
        assert!(matches!(refused, StoreError::NewerFormat { found, known } if found == known + 1));
    }

    #[test]
    fn an_index_of_an_older_format_takes_the_steps_it_lacks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(TABLES).unwrap();
        old.execute_batch(
            "INSERT INTO bucket VALUES (1, 'home', 5);
             INSERT INTO content VALUES (7, 0, 2, 1, zeroblob(16), x'6869');
             INSERT INTO object (bucket, key, size, etag, modified, storage_class, content)
             VALUES (1, x'6b', 2, zeroblob(16), 5, 0, 7);
             PRAGMA user_version = 1",
        )
        .unwrap();
        drop(old);
        let index = open_writing(&path).unwrap();
        let row = |sql: &str| {
            index
                .query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))
                .unwrap()
        };
        assert_eq!(row("SELECT seq, token FROM object"), (0, None));
        assert_eq!(row("SELECT versioning, object_lock FROM bucket"), (0, Some(0)));
        assert_eq!(row("SELECT bytes, objects FROM bucket"), (2, Some(1)));
        assert_eq!(row("SELECT 0, quota_bytes FROM bucket"), (0, None));
        drop(index);
        // And takes none of them twice.
        let index = open_writing(&path).unwrap();
        let tables = |index: &Connection| -> Vec<String> {
            let mut statement = index.prepare("SELECT name FROM sqlite_schema ORDER BY name").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let new = open_writing(&directory.path().join("new.sqlite")).unwrap();
        assert_eq!(tables(&index), tables(&new));
    }

    #[test]
    fn versions_and_parts_of_an_older_format_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&[TABLES, VERSIONS].concat()).unwrap();
        old.execute_batch(
            "INSERT INTO bucket VALUES (1, 'home', 5, 1, 0), (2, 'empty', 5, 0, 0);
             INSERT INTO object (bucket, key, seq, size, etag, modified, storage_class, content)
             VALUES (1, x'6b', 9, 2, zeroblob(16), 5, 0, 7);
             INSERT INTO version (bucket, key, seq, size, etag, modified, storage_class, content)
             VALUES (1, x'6b', 8, 30, zeroblob(16), 5, 0, 7), (1, x'6b6b', 8, 0, x'', 5, 0, NULL);
             INSERT INTO upload (id, bucket, key, token, initiated, storage_class) VALUES (3, 1, x'6b', 't', 5, 0);
             INSERT INTO part VALUES (3, 1, 7, 400, zeroblob(16), 5, NULL);
             PRAGMA user_version = 2",
        )
        .unwrap();
        drop(old);
        let index = open_writing(&path).unwrap();
        let usage = |bucket: i64| -> (i64, i64) {
            let sql = "SELECT bytes, objects FROM bucket WHERE id = ?1";
            index.query_row(sql, [bucket], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        assert_eq!((usage(1), usage(2)), ((432, 2), (0, 0)));
    }
}
