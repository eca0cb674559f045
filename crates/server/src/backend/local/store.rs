//! An open store: the threads and connections behind what its callers ask of it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wigeon_core::time::Clock;

use super::checksum::ChecksumAlgorithm;
use super::commit::{Committer, Effects, forget};
use super::error::StoreError;
use super::figures::{self, Figures};
use super::keeper::{Chore, Keeper};
use super::pins::Pins;
use super::places::{ContentId, Places};
use super::recovery::{Recovered, recover};
use super::repair::{Repaired, repair};
use super::schema;
use super::settings::Settings;
use super::staging::{Staging, Writer};
use super::verify::{Depth, Report, verify};

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Tells when objects are written.
    pub clock: Arc<dyn Clock>,
    /// Contents of at most so many bytes lie in the index.
    pub inline_limit: usize,
    /// The smallest part that need not be the last, in bytes.
    pub min_part_size: u64,
    /// How many operations read the index at once.
    pub readers: usize,
}

impl Options {
    /// 16 KiB inline, S3's 5 MiB for parts, eight readers.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inline_limit: 16 << 10, min_part_size: 5 << 20, readers: 8 }
    }
}

/// An open store. Cheap to clone; closed when the last clone and the last operation in flight are gone. Its
/// directory can be opened again once its writers and readers are dropped as well.
#[derive(Clone)]
pub struct Store {
    pub(super) shared: Arc<Open>,
}

/// What the clones of a store share.
pub(super) struct Open {
    pub(super) options: Options,
    pub(super) staging: Arc<Staging>,
    pub(super) pins: Arc<Pins>,
    pub(super) settings: Arc<Settings>,
    idle_readers: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    /// `None` once it is being closed.
    committer: Option<Committer>,
    chores: mpsc::Sender<Chore>,
    threads: Option<(JoinHandle<Connection>, JoinHandle<Vec<ContentId>>)>,
    recovered: Recovered,
}

/// Ends the threads: the writing one once it has done what is queued, then the one that tidies up. The last
/// connection brings the write-ahead log to its end.
impl Drop for Open {
    fn drop(&mut self) {
        self.committer = None;
        self.idle_readers.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        let Some((writing, keeping)) = self.threads.take() else { return };
        let index = writing.join();
        drop(self.chores.send(Chore::Close));
        if let (Ok(index), Ok(unlinked)) = (index, keeping.join())
            && let Err(error) = forget(&index, &unlinked)
        {
            tracing::warn!(%error, "could not forget unlinked contents");
        }
    }
}

impl Store {
    /// Opens the store in a directory, creating it if need be, and brings to an end what a crash
    /// interrupted. Blocks.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NewerFormat`], [`StoreError::Io`], …
    pub fn open(directory: &Path, options: Options) -> Result<Self, StoreError> {
        let places = Places::prepare(directory)?;
        let index = schema::open_writing(&places.index())?;
        let (recovered, next_id) = recover(&index, &places)?;
        if recovered != Recovered::default() {
            tracing::info!(?recovered, "finished what an earlier run had begun");
        }

        let (chores, inbox) = mpsc::channel();
        let released = Mutex::new(chores.clone());
        let pins = Arc::new(Pins::new(Box::new(move |id| {
            let chores = released.lock().unwrap_or_else(PoisonError::into_inner);
            drop(chores.send(Chore::Released(id)));
        })));
        let settings = Arc::new(Settings::load(&index)?);
        let (committer, write) = Committer::new(index, places.clone(), chores.clone(), Arc::clone(&settings));
        let later = committer.downgrade();
        let keeper = Keeper::new(places.clone(), Arc::clone(&pins), move |garbage| later.forget(garbage));
        let started = StoreError::io("start a thread");
        let writing = Builder::new().name("store-writer".to_owned()).spawn(write).map_err(started)?;
        let started = StoreError::io("start a thread");
        let keeping = Builder::new()
            .name("store-keeper".to_owned())
            .spawn(move || keeper.run(&inbox))
            .map_err(started)?;

        let shared = Open {
            staging: Arc::new(Staging::new(places, options.inline_limit, next_id)),
            pins,
            settings,
            idle_readers: Mutex::default(),
            permits: Arc::new(Semaphore::new(options.readers.max(1))),
            committer: Some(committer),
            chores,
            threads: Some((writing, keeping)),
            recovered,
            options,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Begins a content. MD5 is always computed, for the entity tag; `checksums` beside it.
    #[must_use]
    pub fn writer(&self, checksums: &[ChecksumAlgorithm]) -> Writer {
        Writer::new(Arc::clone(&self.shared.staging), checksums)
    }

    /// What can be told of it without reading it.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let commits = self.shared.committer.as_ref().map(Committer::commits);
        figures::of(&self.shared.staging.places, commits)
    }

    /// Checks the whole store, beside other work.
    ///
    /// # Errors
    /// Failures to look; what is found wrong is in the report.
    pub async fn verify(&self, depth: Depth) -> Result<Report, StoreError> {
        self.read(move |open, index| verify(index, &open.staging.places, &open.pins, depth)).await
    }

    /// Mends what a report says, as far as no data is at stake. Files that nothing refers to are unlinked by the time that
    /// the store is closed.
    ///
    /// # Errors
    /// Failures of the store only.
    pub async fn repair(&self, report: &Report) -> Result<Repaired, StoreError> {
        let orphans: Vec<_> =
            report.orphans.iter().filter_map(|name| ContentId::of_file_name(name)).collect();
        self.write(move |index, effects, _| repair(index, effects, &orphans)).await
    }

    /// Applies a change in the writing thread.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Effects, &dyn Clock) -> Result<T, StoreError> + Send + 'static,
    {
        let clock = Arc::clone(&self.shared.options.clock);
        match &self.shared.committer {
            Some(committer) => committer.apply(move |index, effects| work(index, effects, &*clock)).await,
            None => Err(StoreError::Stopped),
        }
    }

    /// Reads the index on a blocking thread, with one of the reading connections.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Open, &Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit =
            Arc::clone(&self.shared.permits).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        let open = Arc::clone(&self.shared);
        let work = move || {
            let idle = open.idle_readers().pop();
            let index = match idle {
                Some(index) => index,
                None => schema::open_reading(&open.staging.places.index())?,
            };
            let result = work(&open, &index);
            open.idle_readers().push(index);
            drop(permit);
            result
        };
        spawn_blocking(work).await.unwrap_or(Err(StoreError::Stopped))
    }
}

impl Open {
    fn idle_readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("recovered", &self.shared.recovered).finish_non_exhaustive()
    }
}
