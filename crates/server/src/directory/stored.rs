//! What the two databases have in common: rows, revisions, and what can go wrong.
//!
//! Every change of the directory has a number, its revision. A writer says which revision its change was made
//! for; if there is a newer one, nothing is written, and the change is made anew. A row keeps the revision that
//! wrote it, and a deleted one stays as a row without an entry, so a reader that knows a revision asks for what
//! came after. Deleted rows go when they are [`KEPT`] changes old; who is further behind reads everything.

use wigeon_core::time::Timestamp;

use super::entries::Entries;
use super::entry::{Entry, EntryKind, Write};
use super::last_use::LastUse;

/// The version of the tables. Older ones are brought up to it; newer ones are left alone.
pub(super) const SCHEMA: i64 = 3;

/// For how many changes a deleted row stays.
pub(super) const KEPT: i64 = 10_000;

/// The account of a new directory for which none is configured.
const DEFAULT_ACCOUNT: &str = "000000000000";

/// What is said of the account of a database: settled when its tables are made, and the same ever after. What is not
/// said is as it stands there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// Twelve digits.
    pub number: Option<String>,
    /// Whether Ceph RGW's ways apply.
    pub ceph: Option<bool>,
}

/// The account of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) number: String,
    pub(super) ceph: bool,
}

impl AccountSettings {
    /// The account of new tables.
    pub(super) fn founded(&self) -> Account {
        let number = self.number.as_deref().unwrap_or(DEFAULT_ACCOUNT).to_owned();
        Account { number, ceph: self.ceph.unwrap_or(false) }
    }

    /// The account that the tables have, if it is the one that is meant.
    pub(super) fn found(&self, stored: Account) -> Result<Account, StoredError> {
        if let Some(configured) = self.number.as_ref().filter(|number| **number != stored.number) {
            return Err(StoredError::Account { stored: stored.number, configured: configured.clone() });
        }
        match self.ceph {
            Some(configured) if configured != stored.ceph => Err(StoredError::Ways { stored: stored.ceph }),
            _ => Ok(stored),
        }
    }
}

/// Why a database cannot be used as a directory.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// SQLite.
    #[error("the directory `{path}` cannot be used")]
    Sqlite {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The folder of the SQLite file.
    #[error("the folder of the directory `{path}` cannot be made")]
    Folder {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// PostgreSQL.
    #[error("the directory in PostgreSQL cannot be used")]
    Postgres(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The tables are of a newer server.
    #[error("the directory has the form {found} and this server knows {SCHEMA}; use the newer server")]
    Newer {
        /// The version of the tables.
        found: i64,
    },
    /// It is the directory of another account.
    #[error("the directory is that of the account {stored}, and {configured} is configured")]
    Account {
        /// In the database.
        stored: String,
        /// In the configuration.
        configured: String,
    },
    /// Its ARNs are not of the form that is configured.
    #[error(
        "the directory was made with `ceph = {stored}`, and what is in it has ARNs of that form; configure the same, or \
         make a new directory"
    )]
    Ways {
        /// As it was made.
        stored: bool,
    },
    /// A row is not what it should be.
    #[error("the {kind} `{key}` of the directory cannot be read; a newer server may have written it")]
    Row {
        /// Its kind.
        kind: String,
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The database's task ended.
    #[error("the directory's work was cut off")]
    CutOff,
}

/// What a reader gets: rows up to a revision.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) revision: i64,
    /// Whether these are all rows, not only those after the revision that was asked for.
    pub(super) whole: bool,
    pub(super) rows: Vec<Write>,
}

/// What came of a write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Committed {
    /// It is the change of this number.
    At(i64),
    /// There is a newer revision than the one that it was made for.
    Stale,
}

/// What is found of a database that is only looked at.
#[derive(Debug)]
pub(super) enum Seen {
    /// There are no tables.
    Missing,
    /// They have an older form than this server's.
    Older(i64),
    /// They are these.
    Opened(Opened),
}

/// What a database starts with.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) account: Account,
    pub(super) rows: Rows,
}

impl Opened {
    pub(super) fn entries(&self) -> Entries {
        let mut entries = Entries::of(&self.account.number, self.account.ceph);
        self.rows.rows.iter().for_each(|row| entries.write(row));
        entries
    }
}

/// A row as it stands in the database.
pub(super) fn row(kind: &str, key: String, body: Option<&str>) -> Result<Write, StoredError> {
    let unreadable = |source| StoredError::Row { kind: kind.to_owned(), key: key.clone(), source };
    let known = EntryKind::from_name(kind).ok_or_else(|| unreadable(None))?;
    let entry = body.map(|body| Entry::from_json(known, body)).transpose();
    let entry = entry.map_err(|source| unreadable(Some(source)))?;
    Ok(Write { kind: known, key, entry })
}

/// The text of a row's entry.
pub(super) fn body(write: &Write) -> Result<Option<String>, StoredError> {
    let text = write.entry.as_ref().map(Entry::to_json).transpose();
    text.map_err(|source| StoredError::Row {
        kind: write.kind.as_str().to_owned(),
        key: write.key.clone(),
        source: Some(source),
    })
}

/// A last use as it stands in the database; none where its time cannot be one.
pub(super) fn written_use(at: i64, service: String, region: String) -> Option<LastUse> {
    Timestamp::from_second(at).ok().map(|at| LastUse { at, service, region })
}

/// Whether a database can be read, so that each silence is complained about once.
#[derive(Debug, Default)]
pub(super) struct Silence(std::sync::atomic::AtomicBool);

impl Silence {
    /// Notes a failure.
    pub(super) fn failed(&self, error: &StoredError) {
        if !self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
            let source = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%error, source, "the directory cannot be read; the last state is used");
        }
    }

    /// Notes that things go well.
    pub(super) fn ended(&self) {
        if self.0.swap(false, std::sync::atomic::Ordering::Relaxed) {
            tracing::info!("the directory can be read again");
        }
    }
}
