//! The index: its tables, its format number, and how its connections are set up.
//!
//! Keys are blobs, so that the order of the index is the order of their UTF-8 bytes: S3's. The tables that
//! are listed are `WITHOUT ROWID`: a row lies in the tree of its key, and a page of a listing is read in
//! sequence. Times are milliseconds since 1970.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;

/// The format this program reads and writes (`user_version`).
const FORMAT: i64 = 1;

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

/// Opens the connection that writes; creates the tables in a new index.
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
    match found {
        0 => {
            index.pragma_update(None, "application_id", APPLICATION_ID)?;
            index.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT"))?;
        }
        FORMAT => {}
        found => return Err(StoreError::NewerFormat { found, known: FORMAT }),
    }
    Ok(index)
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
        assert!(matches!(refused, StoreError::NewerFormat { found: 2, known: 1 }));
    }
}
