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

mod sources;

mod connection;

mod built_in;

mod configured;

pub mod change;

mod apply;

mod model;

mod compile;

mod file;

mod last_use;

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

pub use built_in::{BuiltIn, BuiltInSettings};
pub use change::{Change, ChangeError, Owner, Tagged};
pub use configured::{Connected, Connections, ProviderSettings};
pub use entries::Entries;
pub(crate) use identifier::base32;
pub use last_use::{LastUse, Used};
pub use model::{Conflict, Keys, Minio, Provider, Role, Snapshot, User};
pub use rules::{is_name_byte, is_path, is_tag_char};
pub use sources::DirectoryError;
pub use stored::{AccountSettings, StoredError};

use apply::apply;
use last_use::LastUses;
use postgres::Postgres;
use sources::Fingerprint;
use sqlite::Sqlite;
use stored::{Committed, Opened, Rows, Seen, Silence};

/// How often a change is made anew because another node was faster.
const MOST_ATTEMPTS: usize = 8;

/// The current snapshot and the home that it comes from.
#[derive(Debug)]
pub struct Directory {
    current: ArcSwap<Snapshot>,
    home: Home,
    /// What the server's own configuration says of the providers of a database.
    said: Option<Said>,
    uses: LastUses,
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
struct Said {
    connections: Connections,
    loaded: Mutex<Fingerprint>,
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

    /// Opens a SQLite file, or makes it. The account is that of a new file; an old one has to have it, as far
    /// as it is given.
    pub fn from_sqlite(path: &Path, account: &AccountSettings) -> Result<Self, StoredError> {
        let (home, opened) = Sqlite::open(path, account)?;
        Ok(Self::new(opened_snapshot(&opened), Home::Sqlite(home)))
    }

    /// Connects to a PostgreSQL database, and makes the tables where they are not there. The address is a
    /// URL or `key=value` pairs; `certificates` (PEM) stand in for the system's certificate authorities. The
    /// account is that of new tables; old ones have to have it, as far as it is given.
    pub async fn from_postgres(
        address: &str,
        password: Option<&str>,
        certificates: Option<&[u8]>,
        account: &AccountSettings,
    ) -> Result<Self, StoredError> {
        let (home, opened) = Postgres::open(address, password, certificates, account).await?;
        Ok(Self::new(opened_snapshot(&opened), Home::Postgres(Box::new(home))))
    }

    /// Looks at a SQLite file, and changes nothing.
    ///
    /// # Errors
    /// [`StoredError`]
    pub fn inspect_sqlite(path: &Path, account: &AccountSettings) -> Result<Inspected, StoredError> {
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
        account: &AccountSettings,
    ) -> Result<Inspected, StoredError> {
        Postgres::look(address, password, certificates, account).await.map(Inspected::of)
    }

    fn new(snapshot: Snapshot, home: Home) -> Self {
        Self {
            current: ArcSwap::from_pointee(snapshot),
            home,
            said: None,
            uses: LastUses::default(),
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

    /// Reaches the providers of a database as the server's own configuration says.
    ///
    /// # Errors
    /// [`DirectoryError`]: a file that it names.
    pub fn reached(mut self, connections: Connections) -> Result<Self, DirectoryError> {
        let (connected, seen) = connections.load()?;
        let snapshot = self.snapshot();
        for issuer in connected.issuers().filter(|issuer| snapshot.provider(issuer).is_none()) {
            tracing::info!(issuer, "a provider is configured that the directory does not have yet");
        }
        self.replace(snapshot.reached(Arc::new(connected)));
        self.said = Some(Said { connections, loaded: Mutex::new(seen) });
        Ok(self)
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
            let mut entries = Entries::of(snapshot.account(), snapshot.is_ceph());
            rows.iter().for_each(|row| entries.write(row));
            Snapshot::connected(entries, revision, snapshot.connections())
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

    /// Reads the files again that the configuration names for providers, if they changed. Says whether there is a new
    /// state. Faulty ones are read, and complained about, once per change.
    ///
    /// # Errors
    /// [`DirectoryError`]; the old state stays.
    pub async fn reconnect_if_changed(&self) -> Result<bool, DirectoryError> {
        let Some(said) = &self.said else { return Ok(false) };
        let _writing = self.writing.lock().await;
        let connected = {
            let mut loaded = said.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = loaded.again();
            if seen == *loaded {
                return Ok(false);
            }
            *loaded = seen;
            let (connected, fingerprint) = said.connections.load()?;
            *loaded = fingerprint;
            connected
        };
        self.replace(self.snapshot().reached(Arc::new(connected)));
        Ok(true)
    }

    /// Notes that a request was signed by an access key or a session of a role. Waits for nothing.
    pub fn used(&self, used: Used<'_>, service: &str, region: &str, at: Timestamp) {
        self.uses.note(used, service, region, at);
    }

    /// When an access key or a role was last used, here or, as far as other nodes have written it, there. With the database away,
    /// and with a file as home, only what this process has seen counts.
    pub async fn last_use(&self, used: Used<'_>) -> Option<LastUse> {
        let written = match &self.home {
            Home::Fixed | Home::File(_) => Ok(None),
            Home::Sqlite(home) => home.last_use(used.row()).await,
            Home::Postgres(home) => home.last_use(&used.row()).await,
        };
        let written = written.unwrap_or_else(|error| {
            self.silence.failed(&error);
            None
        });
        last_use::later(self.uses.of(used), written)
    }

    /// Writes which access keys and roles were used since the last time.
    pub async fn write_last_uses(&self) {
        let batch: Arc<[_]> = self.uses.take().into();
        if batch.is_empty() {
            return;
        }
        let written = match &self.home {
            Home::Fixed | Home::File(_) => Ok(()),
            Home::Sqlite(home) => home.write_last_uses(Arc::clone(&batch)).await,
            Home::Postgres(home) => home.write_last_uses(&batch).await,
        };
        if let Err(error) = written {
            self.silence.failed(&error);
            self.uses.put_back(batch.to_vec());
        }
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
            () = self.keep_last_uses() => {}
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
                Home::Sqlite(_) | Home::Postgres(_) => {
                    self.look_at_database().await;
                    self.look_at_connections().await;
                }
            }
        }
    }

    async fn keep_last_uses(&self) {
        loop {
            tokio::time::sleep(last_use::BATCH).await;
            self.write_last_uses().await;
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

    async fn look_at_connections(&self) {
        match self.reconnect_if_changed().await {
            Ok(false) => {}
            Ok(true) => tracing::info!("the files that are configured for providers were read again"),
            Err(error) => tracing::error!(%error, "providers are reached as before"),
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
