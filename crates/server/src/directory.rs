//! The directory: which providers, roles and policies exist, as one immutable snapshot in memory.
//!
//! Enters: a declarative file (others may follow). Leaves: an [`Arc`] of a [`Snapshot`], swapped whole, so
//! that a request sees one state from its beginning to its end and a changed policy acts on the next one.
//! Refused: a file with any fault in it; the state before it stays.

mod identifier;

mod model;

mod file;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use file::DirectoryError;
pub(crate) use identifier::base32;
pub use model::{BuiltIn, Conflict, Keys, Minio, Provider, Role, Snapshot};

use file::Fingerprint;

/// The current snapshot and the place it comes from.
#[derive(Debug)]
pub struct Directory {
    current: ArcSwap<Snapshot>,
    file: Option<File>,
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
        Self { current: ArcSwap::from_pointee(snapshot), file: None }
    }

    /// Reads a declarative file, and the files that it names, relative to its own folder.
    pub fn from_file(path: &Path) -> Result<Self, DirectoryError> {
        let (snapshot, fingerprint) = file::load(path)?;
        let file = File { path: path.to_owned(), loaded: Mutex::new(fingerprint) };
        Ok(Self { current: ArcSwap::from_pointee(snapshot), file: Some(file) })
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

    /// Reads the file again, whether it changed or not. On an error the old state stays.
    pub fn reload(&self) -> Result<(), DirectoryError> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut loaded = file.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let (snapshot, fingerprint) = file::load(&file.path)?;
        self.current.store(Arc::new(snapshot));
        *loaded = fingerprint;
        Ok(())
    }

    /// Reads the file again if it, or a file that it names, has another size or time of change than before.
    /// Says whether there is a new state. A faulty file is read, and complained about, once per change.
    pub fn reload_if_changed(&self) -> Result<bool, DirectoryError> {
        let Some(file) = &self.file else { return Ok(false) };
        let mut loaded = file.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = loaded.again();
        if seen == *loaded {
            return Ok(false);
        }
        *loaded = seen;
        let (snapshot, fingerprint) = file::load(&file.path)?;
        self.current.store(Arc::new(snapshot));
        *loaded = fingerprint;
        Ok(true)
    }

    /// Looks for a changed file at this interval, for ever; run it as a task. Faults go to the log.
    pub async fn watch(self: Arc<Self>, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let directory = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || directory.reload_if_changed()).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::info!("the directory file changed and was read again"),
                Ok(Err(error)) => tracing::error!(%error, "the directory stays as it was"),
                Err(error) => tracing::error!(%error, "the directory could not be looked at"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
