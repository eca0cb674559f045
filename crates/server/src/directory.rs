//! The directory: which providers, roles, policies, users and groups exist, as one immutable snapshot in memory.
//!
//! Enters: what one of its homes keeps, and [`Change`]s. Leaves: an [`Arc`] of a [`Snapshot`], swapped whole, so
//! that a request sees one state from its beginning to its end and a changed policy acts on the next one.
//! Refused: a change that breaks a rule, or that the home does not take; the state before it stays.
//!
//! ```text
//! Change ─► apply ─► rows ─► home (one transaction) ─► compile ─► Snapshot
//! ```
//!
//! A home is a declarative file (read-only here), a SQLite file, or a PostgreSQL database that several nodes
//! share. What is answered is durable before it is seen.

mod identifier;

pub mod entry;

pub mod entries;

mod rules;

pub mod change;

mod apply;

mod model;

mod compile;

mod file;

mod stored;

mod sqlite;

mod postgres_tls;

mod postgres;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use wigeon_core::time::Timestamp;

pub use change::{Change, ChangeError, Owner, Tagged};
pub use entries::Entries;
pub use file::DirectoryError;
pub(crate) use identifier::base32;
pub use model::{BuiltIn, Conflict, Keys, Minio, Provider, Role, Snapshot, User};
pub use rules::{is_name_byte, is_path, is_tag_char};
pub use stored::StoredError;

use apply::apply;
use file::Fingerprint;
use postgres::Postgres;
use sqlite::Sqlite;
use stored::{Committed, Opened, Rows, Seen, Silence};

/// How often a change is made anew because another node was faster.
const MOST_ATTEMPTS: usize = 8;

/// The current snapshot and the home that it comes from.
#[derive(Debug)]
pub struct Directory {
    current: ArcSwap<Snapshot>,
    home: Home,
    /// One writer at a time publishes.
    writing: tokio::sync::Mutex<()>,
    silence: Silence,
    looks: Looks,
}

/// What is found of a directory that is only looked at.
#[derive(Debug)]
pub enum Inspected {
    /// There is none yet.
    Missing,
    /// It has an older form than this server's.
    Older {
        /// Its form.
        found: i64,
    },
    /// This one.
    Found(Box<Snapshot>),
}

impl Inspected {
    fn of(seen: Seen) -> Self {
        match seen {
            Seen::Missing => Self::Missing,
            Seen::Older(found) => Self::Older { found },
            Seen::Opened(opened) => Self::Found(Box::new(opened_snapshot(&opened))),
        }
    }
}

/// What came of looking for changes.
#[derive(Debug, Default)]
struct Looks {
    changes: AtomicU64,
    failures: AtomicU64,
    /// Whether the last look failed.
    failing: AtomicBool,
}

impl Looks {
    fn note<E>(&self, found: Result<bool, &E>) {
        match found {
            Ok(false) => {}
            Ok(true) => drop(self.changes.fetch_add(1, Ordering::Relaxed)),
            Err(_) => drop(self.failures.fetch_add(1, Ordering::Relaxed)),
        }
        self.failing.store(found.is_err(), Ordering::Relaxed);
    }
}

/// How a directory stands to its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How often a change was found.
    pub changes: u64,
    /// How often looking for one failed.
    pub failures: u64,
    /// Whether the state is the home's; otherwise it is the last one that could be read.
    pub current: bool,
}

#[derive(Debug)]
enum Home {
    /// Never changes by itself.
    Fixed,
    File(File),
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// What the loaded state was read from; also the lock under which one reload happens at a time.
    loaded: Mutex<Fingerprint>,
}

impl Directory {
    /// A directory that never changes by itself.
    #[must_use]
    pub fn fixed(snapshot: Snapshot) -> Self {
        Self::new(snapshot, Home::Fixed)
    }

    /// Reads a declarative file, and the files that it names, relative to its own folder.
    pub fn from_file(path: &Path) -> Result<Self, DirectoryError> {
        let (entries, fingerprint) = file::load(path)?;
        let file = File { path: path.to_owned(), loaded: Mutex::new(fingerprint) };
        Ok(Self::new(Snapshot::of(entries, 0), Home::File(file)))
    }

    /// Opens a SQLite file, or makes it. The account is that of a new file; an old one has to have it, if it
    /// is given.
    pub fn from_sqlite(path: &Path, account: Option<&str>) -> Result<Self, StoredError> {
        let (home, opened) = Sqlite::open(path, account)?;
        Ok(Self::new(opened_snapshot(&opened), Home::Sqlite(home)))
    }

    /// Connects to a PostgreSQL database, and makes the tables where they are not there. The address is a
    /// URL or `key=value` pairs; `certificates` (PEM) stand in for the system's certificate authorities. The
    /// account is that of new tables; old ones have to have it, if it is given.
    pub async fn from_postgres(
        address: &str,
        password: Option<&str>,
        certificates: Option<&[u8]>,
        account: Option<&str>,
    ) -> Result<Self, StoredError> {
        let (home, opened) = Postgres::open(address, password, certificates, account).await?;
        Ok(Self::new(opened_snapshot(&opened), Home::Postgres(Box::new(home))))
    }

    /// Looks at a SQLite file, and changes nothing.
    ///
    /// # Errors
    /// [`StoredError`]
    pub fn inspect_sqlite(path: &Path, account: Option<&str>) -> Result<Inspected, StoredError> {
        Sqlite::look(path, account).map(Inspected::of)
    }

    /// Looks at a PostgreSQL database, and changes nothing.
    ///
    /// # Errors
    /// [`StoredError`]
    pub async fn inspect_postgres(
        address: &str,
        password: Option<&str>,
        certificates: Option<&[u8]>,
        account: Option<&str>,
    ) -> Result<Inspected, StoredError> {
        Postgres::look(address, password, certificates, account).await.map(Inspected::of)
    }

    fn new(snapshot: Snapshot, home: Home) -> Self {
        Self {
            current: ArcSwap::from_pointee(snapshot),
            home,
            writing: tokio::sync::Mutex::new(()),
            silence: Silence::default(),
            looks: Looks::default(),
        }
    }

    /// How it stands to its home.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let current = !self.looks.failing.load(Ordering::Relaxed);
        Standing { changes: count(&self.looks.changes), failures: count(&self.looks.failures), current }
    }

    /// The state as of now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts another state in place.
    pub fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }

    /// Makes a change: checked against the current state, written to the home, then seen. The answer is the
    /// state with it.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing has changed then, except that of [`ChangeError::Unavailable`] it may turn out
    /// that the database took it.
    pub async fn change(&self, change: &Change, at: Timestamp) -> Result<Arc<Snapshot>, ChangeError> {
        let unavailable = |error: StoredError| ChangeError::Unavailable(Box::new(error));
        let _writing = self.writing.lock().await;
        for _ in 0..MOST_ATTEMPTS {
            let snapshot = self.snapshot();
            let writable = !matches!(self.home, Home::Fixed | Home::File(_));
            if !writable {
                return Err(ChangeError::ReadOnly);
            }
            let writes: Arc<[_]> = apply(snapshot.entries(), change, at)?.into();
            if writes.is_empty() {
                return Ok(snapshot);
            }
            let revision = snapshot.revision();
            match self.commit(revision, Arc::clone(&writes)).await.map_err(unavailable)? {
                Committed::At(revision) => {
                    let next = Arc::new(snapshot.after(&writes, revision));
                    self.current.store(Arc::clone(&next));
                    return Ok(next);
                }
                Committed::Stale => self.catch_up().await.map_err(unavailable).map(drop)?,
            }
        }
        Err(ChangeError::Unavailable("other nodes change the directory all the time".into()))
    }

    async fn commit(&self, revision: i64, writes: Arc<[entry::Write]>) -> Result<Committed, StoredError> {
        match &self.home {
            Home::Fixed | Home::File(_) => Ok(Committed::Stale),
            Home::Sqlite(home) => home.commit(revision, writes).await,
            Home::Postgres(home) => home.commit(revision, writes).await,
        }
    }

    /// Reads what other processes changed. Says whether there is a new state.
    ///
    /// # Errors
    /// Where the database cannot be read; the old state stays.
    pub async fn refresh(&self) -> Result<bool, StoredError> {
        let _writing = self.writing.lock().await;
        self.catch_up().await
    }

    /// To be called by who holds the lock.
    async fn catch_up(&self) -> Result<bool, StoredError> {
        let snapshot = self.snapshot();
        let rows = match &self.home {
            Home::Fixed | Home::File(_) => None,
            Home::Sqlite(home) => home.since(snapshot.revision()).await?,
            Home::Postgres(home) => home.since(snapshot.revision()).await?,
        };
        let Some(Rows { revision, whole, rows }) = rows else { return Ok(false) };
        let next = if whole {
            let mut entries = Entries::new(snapshot.account());
            rows.iter().for_each(|row| entries.write(row));
            Snapshot::of(entries, revision)
        } else {
            snapshot.after(&rows, revision)
        };
        self.current.store(Arc::new(next));
        Ok(true)
    }

    /// Reads the file again, whether it changed or not. On an error the old state stays.
    pub fn reload(&self) -> Result<(), DirectoryError> {
        let Home::File(file) = &self.home else { return Ok(()) };
        let mut loaded = file.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file::load(&file.path);
        self.looks.note(read.as_ref().map(|_| true));
        let (entries, fingerprint) = read?;
        self.current.store(Arc::new(Snapshot::of(entries, 0)));
        *loaded = fingerprint;
        Ok(())
    }

    /// Reads the file again if it, or a file that it names, has another size or time of change than before.
    /// Says whether there is a new state. A faulty file is read, and complained about, once per change.
    pub fn reload_if_changed(&self) -> Result<bool, DirectoryError> {
        let Home::File(file) = &self.home else { return Ok(false) };
        let mut loaded = file.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = loaded.again();
        if seen == *loaded {
            return Ok(false);
        }
        *loaded = seen;
        let (entries, fingerprint) = file::load(&file.path)?;
        self.current.store(Arc::new(Snapshot::of(entries, 0)));
        *loaded = fingerprint;
        Ok(true)
    }

    /// Looks for changes that were made elsewhere at this interval, for ever; run it as a task. A PostgreSQL
    /// database says by itself when there are any, and is asked as well. Faults go to the log.
    pub async fn watch(self: Arc<Self>, interval: Duration) {
        let changed = Notify::new();
        let listening = async {
            match &self.home {
                Home::Postgres(home) => home.listen(&changed).await,
                Home::Fixed | Home::File(_) | Home::Sqlite(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = listening => {}
            () = self.look(interval, &changed) => {}
        }
    }

    async fn look(self: &Arc<Self>, interval: Duration, changed: &Notify) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = changed.notified() => {}
            }
            match &self.home {
                Home::Fixed => {}
                Home::File(_) => self.look_at_file().await,
                Home::Sqlite(_) | Home::Postgres(_) => self.look_at_database().await,
            }
        }
    }

    async fn look_at_file(self: &Arc<Self>) {
        let directory = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || directory.reload_if_changed()).await;
        if let Ok(found) = &looked {
            // A faulty file is read once: until it changes again, the state is not the home's.
            if !matches!(found, Ok(false)) {
                self.looks.note(found.as_ref().copied());
            }
        }
        match looked {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => tracing::info!("the directory file changed and was read again"),
            Ok(Err(error)) => tracing::error!(%error, "the directory stays as it was"),
            Err(error) => tracing::error!(%error, "the directory could not be looked at"),
        }
    }

    async fn look_at_database(&self) {
        let looked = self.refresh().await;
        self.looks.note(looked.as_ref().copied());
        match looked {
            Ok(_) => self.silence.ended(),
            Err(error) => self.silence.failed(&error),
        }
    }
}

fn opened_snapshot(opened: &Opened) -> Snapshot {
    Snapshot::of(opened.entries(), opened.rows.revision)
}

#[cfg(test)]
mod tests;
