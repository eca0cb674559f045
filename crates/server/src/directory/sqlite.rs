//! The embedded home of a directory: one SQLite file, for one machine.
//!
//! Write-ahead log and full synchronization: a change that was answered is on the disk. Several processes may
//! have the file open; the one that comes second sees the first one's change before it makes its own.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::entry::Write;
use super::last_use::LastUse;
use super::stored::{
    Account, AccountSettings, Committed, KEPT, Opened, Rows, SCHEMA, Seen, StoredError, body, row,
    written_use,
};

/// How long a writer waits for another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// A directory's SQLite file.
#[derive(Debug, Clone)]
pub(super) struct Sqlite {
    path: String,
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    /// Opens the file, or makes it with mode 0600.
    pub(super) fn open(path: &Path, configured: &AccountSettings) -> Result<(Self, Opened), StoredError> {
        let name = path.display().to_string();
        let folder = |source| StoredError::Folder { path: name.clone(), source };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(folder)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).map_err(folder)?;

        let failed = |source| StoredError::Sqlite { path: name.clone(), source };
        let mut connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;

        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found > SCHEMA {
            return Err(StoredError::Newer { found });
        }
        migrate(&transaction, found, &configured.founded()).map_err(failed)?;
        let stored = account(&transaction).map_err(failed)?;
        let rows = read(&transaction, None, failed)?;
        transaction.commit().map_err(failed)?;
        let opened = Opened { account: configured.found(stored)?, rows };
        Ok((Self { path: name.clone(), connection: Arc::new(Mutex::new(connection)) }, opened))
    }

    /// Looks at a file, and changes nothing.
    pub(super) fn look(path: &Path, configured: &AccountSettings) -> Result<Seen, StoredError> {
        if !path.exists() {
            return Ok(Seen::Missing);
        }
        let name = path.display().to_string();
        let failed = |source| StoredError::Sqlite { path: name.clone(), source };
        let mut connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        let transaction = connection.transaction().map_err(failed)?;
        let found: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        match found {
            0 => return Ok(Seen::Missing),
            SCHEMA => {}
            ..SCHEMA => return Ok(Seen::Older(found)),
            _ => return Err(StoredError::Newer { found }),
        }
        let stored = account(&transaction).map_err(failed)?;
        let rows = read(&transaction, None, failed)?;
        Ok(Seen::Opened(Opened { account: configured.found(stored)?, rows }))
    }

    /// What changed after a revision; `None` if nothing did.
    pub(super) async fn since(&self, revision: i64) -> Result<Option<Rows>, StoredError> {
        self.run(move |connection, failed| {
            let transaction = connection.transaction().map_err(&failed)?;
            let current: i64 = transaction
                .query_row("SELECT revision FROM directory", [], |row| row.get(0))
                .map_err(&failed)?;
            if current == revision {
                return Ok(None);
            }
            read(&transaction, Some(revision), failed).map(Some)
        })
        .await
    }

    /// Writes rows in one transaction, if the revision is still this one.
    pub(super) async fn commit(&self, revision: i64, writes: Arc<[Write]>) -> Result<Committed, StoredError> {
        self.run(move |connection, failed| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
            let next = revision + 1;
            let claimed = transaction
                .execute("UPDATE directory SET revision = ?2 WHERE revision = ?1", params![revision, next])
                .map_err(&failed)?;
            if claimed == 0 {
                return Ok(Committed::Stale);
            }
            {
                let mut put = transaction
                    .prepare_cached(
                        "INSERT INTO entry (kind, key, revision, body) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (kind, key) DO UPDATE SET revision = ?3, body = ?4",
                    )
                    .map_err(&failed)?;
                for write in writes.iter() {
                    put.execute(params![write.kind.as_str(), write.key, next, body(write)?])
                        .map_err(&failed)?;
                }
            }
            if next % 1_000 == 0 {
                purge(&transaction, next - KEPT).map_err(&failed)?;
            }
            transaction.commit().map_err(&failed)?;
            Ok(Committed::At(next))
        })
        .await
    }

    /// The last use in a row, as far as it was written.
    pub(super) async fn last_use(&self, key: String) -> Result<Option<LastUse>, StoredError> {
        self.run(move |connection, failed| {
            let select = "SELECT at, service, region FROM last_use WHERE key = ?1";
            let mut statement = connection.prepare_cached(select).map_err(failed)?;
            let found = statement
                .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()
                .map_err(failed)?;
            Ok(found.and_then(|(at, service, region)| written_use(at, service, region)))
        })
        .await
    }

    /// Writes uses, where no later one is written, and forgets those of keys and roles that are gone.
    pub(super) async fn write_last_uses(&self, uses: Arc<[(String, LastUse)]>) -> Result<(), StoredError> {
        self.run(move |connection, failed| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            for (key, last) in uses.iter() {
                let put = "INSERT INTO last_use (key, at, service, region) VALUES (?1, ?2, ?3, ?4)
                           ON CONFLICT (key) DO UPDATE SET at = ?2, service = ?3, region = ?4 WHERE ?2 > at";
                transaction
                    .execute(put, params![key, last.at.as_second(), last.service, last.region])
                    .map_err(failed)?;
            }
            let forget = "DELETE FROM last_use WHERE substr(key, instr(key, '/') + 1) NOT IN
                          (SELECT key FROM entry WHERE kind IN ('access-key', 'role') AND body IS NOT NULL)";
            transaction.execute(forget, []).map_err(failed)?;
            transaction.commit().map_err(failed)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &dyn Fn(rusqlite::Error) -> StoredError) -> Result<T, StoredError>
        + Send
        + 'static,
    ) -> Result<T, StoredError> {
        let (connection, path) = (Arc::clone(&self.connection), self.path.clone());
        let task = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let failed = move |source| StoredError::Sqlite { path: path.clone(), source };
            work(&mut connection, &failed)
        });
        task.await.map_err(|_| StoredError::CutOff)?
    }
}

/// Brings the tables up to the version of this server, step by step.
fn migrate(transaction: &Transaction<'_>, found: i64, account: &Account) -> rusqlite::Result<()> {
    if found < 1 {
        transaction.execute_batch(
            "CREATE TABLE directory (
                 account TEXT NOT NULL, revision INTEGER NOT NULL, purged INTEGER NOT NULL
             ) STRICT;
             CREATE TABLE entry (
                 kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT,
                 PRIMARY KEY (kind, key)
             ) STRICT, WITHOUT ROWID;
             CREATE INDEX entry_by_revision ON entry (revision);",
        )?;
        let insert = "INSERT INTO directory (account, revision, purged) VALUES (?1, 0, 0)";
        transaction.execute(insert, [&account.number])?;
    }
    if found < 2 {
        transaction.execute_batch(
            "CREATE TABLE last_use (
                 key TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, service TEXT NOT NULL, region TEXT NOT NULL
             ) STRICT, WITHOUT ROWID;",
        )?;
    }
    if found < 3 {
        transaction.execute_batch("ALTER TABLE directory ADD COLUMN ceph INTEGER NOT NULL DEFAULT 0")?;
    }
    if found < 1 {
        transaction.execute("UPDATE directory SET ceph = ?1", [account.ceph])?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA)
}

/// The account that stands in the tables.
fn account(transaction: &Transaction<'_>) -> rusqlite::Result<Account> {
    let select = "SELECT account, ceph FROM directory";
    transaction.query_row(select, [], |row| Ok(Account { number: row.get(0)?, ceph: row.get(1)? }))
}

fn read(
    transaction: &Transaction<'_>,
    after: Option<i64>,
    failed: impl Fn(rusqlite::Error) -> StoredError,
) -> Result<Rows, StoredError> {
    let (revision, purged): (i64, i64) = transaction
        .query_row("SELECT revision, purged FROM directory", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(&failed)?;
    // A revision from the future means that the file was replaced by an older one.
    let after = after.filter(|after| (purged..=revision).contains(after));
    let mut statement = transaction
        .prepare_cached("SELECT kind, key, body FROM entry WHERE revision > ?1")
        .map_err(&failed)?;
    let mut found = statement.query([after.unwrap_or(-1)]).map_err(&failed)?;
    let mut rows = Vec::new();
    while let Some(next) = found.next().map_err(&failed)? {
        let kind: String = next.get(0).map_err(&failed)?;
        let key: String = next.get(1).map_err(&failed)?;
        let text: Option<String> = next.get(2).map_err(&failed)?;
        rows.push(row(&kind, key, text.as_deref())?);
    }
    Ok(Rows { revision, whole: after.is_none(), rows })
}

fn purge(transaction: &Transaction<'_>, until: i64) -> rusqlite::Result<()> {
    let newest: Option<i64> = transaction
        .query_row("SELECT max(revision) FROM entry WHERE body IS NULL AND revision <= ?1", [until], |row| {
            row.get(0)
        })
        .optional()?
        .flatten();
    if let Some(newest) = newest {
        transaction.execute("DELETE FROM entry WHERE body IS NULL AND revision <= ?1", [newest])?;
        transaction.execute("UPDATE directory SET purged = ?1", [newest])?;
    }
    Ok(())
}
