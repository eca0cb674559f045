//! A plan carried out at the target, by the transfers' engine.
//!
//! Before anything is replaced or removed its backup is there, where one is wished. A plan that was saved is held, line
//! by line, against what is there now: what changed since is left alone, and told.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use wigeon_core::time::Timestamp;

use super::digest::head;
use super::error::SyncError;
use super::found::{Found, Trouble};
use super::plan::{Change, Permitted, Told};
use super::side::Side;
use crate::s3::{ErrorKind, PutOptions};
use crate::transfer::{
    BESIDE, Item, Planned, Report, Step, TransferError, Transfers, blocking, remove_emptied,
};

/// Changes that are prepared beside each other: held against what is there, backed up.
const PREPARED: usize = 16;

/// Carries plans out.
#[derive(Debug)]
pub struct Apply {
    /// What moves the files.
    pub transfers: Transfers,
    /// What the target is made like.
    pub source: Side,
    /// What is changed.
    pub target: Side,
    /// Where what is replaced or removed goes: in the same store, or on the same machine.
    pub backup: Option<Side>,
    /// What goes with uploads.
    pub put: Arc<PutOptions>,
    /// Whether each change is first held against what is there: for plans that were saved.
    pub recheck: bool,
    /// What has to wait for the end.
    pub late: Late,
}

/// Files that come down where a folder stands: they wait until removals may have emptied it. And folders that
/// removals and moves may have emptied.
#[derive(Debug, Default)]
pub struct Late {
    files: Mutex<Vec<Change>>,
    emptied: Mutex<BTreeSet<PathBuf>>,
}

impl Late {
    fn note_parent(&self, file: &Path) {
        let mut emptied = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        emptied.extend(file.parent().map(Path::to_owned));
    }
}

/// What came of it, besides what the engine reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// The engine's report.
    pub report: Report,
    /// Files that were moved at the target.
    pub moved: u64,
}

impl Apply {
    /// Carries out copies and moves, as they come.
    ///
    /// # Errors
    /// Where the plan ends in an error (what was begun is finished), or somebody asked to stop. What fails alone is
    /// told and counted.
    pub async fn changes(
        &self,
        told: impl Stream<Item = Result<Told, SyncError>> + Send,
    ) -> Result<Applied, SyncError> {
        let moved = AtomicU64::new(0);
        let report = self.run(told, &moved).await?;
        Ok(Applied { report, moved: moved.into_inner() })
    }

    /// Carries out removals, and removes the folders that they and the moves before them have emptied.
    ///
    /// # Errors
    /// As [`Self::changes`].
    pub async fn removals(&self, permitted: Permitted) -> Result<Applied, SyncError> {
        let moved = AtomicU64::new(0);
        let told = stream::iter(permitted).map_ok(|change| {
            if let (Some(folder), Change::Remove { target }) = (self.target.folder(), &change) {
                self.late.note_parent(&folder.join(target.path()));
            }
            Told::Change(change)
        });
        let mut report = self.run(told, &moved).await?;
        if let Some(folder) = self.target.folder() {
            let emptied =
                std::mem::take(&mut *self.late.emptied.lock().unwrap_or_else(PoisonError::into_inner));
            remove_emptied(folder, emptied);
        }
        report.removed += moved.load(Ordering::Relaxed);
        Ok(Applied { report, moved: 0 })
    }

    /// Carries out, after the removals, what found a folder in its place; one that is still there makes room.
    ///
    /// # Errors
    /// As [`Self::changes`].
    pub async fn late(&self) -> Result<Applied, SyncError> {
        let late = std::mem::take(&mut *self.late.files.lock().unwrap_or_else(PoisonError::into_inner));
        let late = side_by_side(late);
        for path in late.iter().filter_map(|change| self.path_in_the_way(change)) {
            let beside = on_disk(&path, |path| std::fs::rename(path, beside(path)));
            beside.await?;
        }
        self.changes(stream::iter(late.into_iter().map(|change| Ok(Told::Change(change))))).await
    }

    /// The folder that stands where a new file is to come.
    fn path_in_the_way(&self, change: &Change) -> Option<PathBuf> {
        let Change::Copy { replaces: None, .. } = change else { return None };
        let path = self.target.folder()?.join(change.path()?);
        path.is_dir().then_some(path)
    }

    async fn run(
        &self,
        told: impl Stream<Item = Result<Told, SyncError>> + Send,
        moved: &AtomicU64,
    ) -> Result<Report, SyncError> {
        let broken: Arc<Mutex<Option<SyncError>>> = Arc::default();
        let noted = Arc::clone(&broken);
        let items = told
            // An error ends the stream; what was begun is finished, and then it is told.
            .scan((), move |(), told| {
                let going_on = told.map_err(|error| {
                    *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                });
                std::future::ready(going_on.ok())
            })
            .map(|told| self.prepare(told, moved))
            .buffered(PREPARED)
            .filter_map(|planned| std::future::ready(planned.map(Ok)));
        let report = self.transfers.carry_out(items).await;
        match broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(report?),
        }
    }

    /// What the engine has to do for it; `None` where that is done.
    async fn prepare(&self, told: Told, moved: &AtomicU64) -> Option<Planned> {
        let change = match told {
            Told::Change(change) => change,
            Told::Conflict { source, .. } => {
                return Some(Planned::skipped(source.name, "the target's is newer"));
            }
            Told::Trouble(Trouble::Skipped { name, why }) => return Some(Planned::skipped(name, why)),
            Told::Trouble(Trouble::Failed { name, error }) => return Some(Planned::failed(name, error)),
        };
        if self.path_in_the_way(&change).is_some() {
            self.late.files.lock().unwrap_or_else(PoisonError::into_inner).push(change);
            return None;
        }
        let name = change.name().to_owned();
        let prepared = async {
            if self.recheck {
                self.hold_against(&change).await?;
            }
            match change {
                Change::Copy { source, replaces, path, .. } => {
                    self.copy(source, replaces, path).await.map(Some)
                }
                Change::Move { target, source, path } => self.rename(&target, &source, path).await,
                Change::Remove { target } => self.remove(target).await,
            }
        };
        match prepared.await {
            Ok(Some(item)) => Some(Planned::item(item)),
            Ok(None) => {
                moved.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(error) => Some(Planned::failed(name, error)),
        }
    }

    async fn copy(
        &self,
        source: Found,
        replaces: Option<Found>,
        path: Option<String>,
    ) -> Result<Item, TransferError> {
        if let Some(replaced) = &replaces {
            self.back_up(replaced, Fate::Replaced).await?;
        }
        let below = path.as_deref().unwrap_or(&source.name);
        let step = match (&self.source, &self.target) {
            (Side::Folder(folder), _) => Step::Upload {
                from: folder.join(source.path()),
                to: place(&self.target, &source.name)?,
                options: Arc::clone(&self.put),
            },
            (Side::Store { .. }, Side::Folder(folder)) => Step::Download {
                from: place(&self.source, &source.name)?,
                to: folder.join(below),
                within: Some(Arc::from(folder.as_path())),
            },
            (Side::Store { .. }, Side::Store { .. }) => Step::Copy {
                from: place(&self.source, &source.name)?,
                to: place(&self.target, &source.name)?,
                options: Arc::clone(&self.put),
            },
        };
        Ok(Item::new(source.name, source.size, step))
    }

    async fn rename(
        &self,
        target: &Found,
        source: &Found,
        path: Option<String>,
    ) -> Result<Option<Item>, TransferError> {
        let Side::Folder(folder) = &self.target else {
            let (from, to) = (place(&self.target, &target.name)?, place(&self.target, &source.name)?);
            let item =
                Item::new(source.name.clone(), target.size, Step::Copy { from, to, options: Arc::default() });
            return Ok(Some(item.moving()));
        };
        let from = folder.join(target.path());
        self.late.note_parent(&from);
        let to = folder.join(path.as_deref().unwrap_or(&source.name));
        on_disk(&to, move |to| {
            if to.symlink_metadata().is_ok() {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            make_parent(to)?;
            std::fs::rename(&from, to)
        })
        .await?;
        Ok(None)
    }

    async fn remove(&self, target: Found) -> Result<Option<Item>, TransferError> {
        let is_away = self.back_up(&target, Fate::Removed).await?;
        if is_away {
            return Ok(None);
        }
        let step = match &self.target {
            Side::Folder(folder) => Step::RemoveFile(folder.join(target.path())),
            store @ Side::Store { .. } => Step::RemoveObject(place(store, &target.name)?),
        };
        Ok(Some(Item::new(target.name, target.size, step)))
    }

    /// Keeps what the target has, where that is wished; says whether it is gone from its place by that.
    async fn back_up(&self, target: &Found, fate: Fate) -> Result<bool, TransferError> {
        match (&self.target, &self.backup) {
            (_, None) => Ok(false),
            (Side::Folder(folder), Some(Side::Folder(backup))) => {
                let (from, to) = (folder.join(target.path()), backup.join(target.path()));
                on_disk(&to, move |to| {
                    make_parent(to)?;
                    if to.symlink_metadata().is_ok() {
                        std::fs::remove_file(to)?;
                    }
                    match fate {
                        Fate::Removed if std::fs::rename(&from, to).is_ok() => return Ok(()),
                        // The file keeps its place until its successor is there.
                        Fate::Replaced if std::fs::hard_link(&from, to).is_ok() => return Ok(()),
                        Fate::Removed | Fate::Replaced => {}
                    }
                    std::fs::copy(&from, to)?;
                    if fate == Fate::Removed { std::fs::remove_file(&from) } else { Ok(()) }
                })
                .await?;
                Ok(fate == Fate::Removed)
            }
            (store, Some(backup)) => {
                let (from, to) = (place(store, &target.name)?, place(backup, &target.name)?);
                let (as_it_is, size) = (PutOptions::default(), Some(target.size));
                self.transfers.copy(&from.client, &from.address, size, &to.address, &as_it_is).await?;
                Ok(false)
            }
        }
    }

    async fn hold_against(&self, change: &Change) -> Result<(), TransferError> {
        let outdated = |name: &str| Err(TransferError::Outdated(name.to_owned()));
        let (source, target) = match change {
            Change::Copy { source, replaces, .. } => (Some(source), replaces.as_ref()),
            Change::Move { target, source, .. } => (Some(source), Some(target)),
            Change::Remove { target } => (None, Some(target)),
        };
        for (side, before) in [(&self.source, source), (&self.target, target)] {
            if let Some(before) = before
                && !now(side, before).await?.is_some_and(|now| before.is_still(&now))
            {
                return outdated(&before.name);
            }
        }
        // What is new must still be missing at the target.
        if let Change::Copy { replaces: None, source, path, .. } | Change::Move { source, path, .. } = change
        {
            let there = Found { path: path.clone(), ..source.clone() };
            if now(&self.target, &there).await?.is_some() {
                return outdated(&source.name);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Replaced,
    Removed,
}

impl Change {
    /// What it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Copy { source, .. } | Self::Move { source, .. } => &source.name,
            Self::Remove { target } => &target.name,
        }
    }

    /// Where it makes a file, below the target's folder.
    fn path(&self) -> Option<&str> {
        match self {
            Self::Copy { source, path, .. } | Self::Move { source, path, .. } => {
                Some(path.as_deref().unwrap_or(&source.name))
            }
            Self::Remove { .. } => None,
        }
    }
}

fn place(side: &Side, name: &str) -> Result<crate::transfer::Place, TransferError> {
    side.place(name).unwrap_or_else(|| Err(TransferError::Outdated(name.to_owned())))
}

/// What a side has under a name at this moment.
async fn now(side: &Side, found: &Found) -> Result<Option<Found>, TransferError> {
    let at = Found { modified: None, etag: None, ..found.clone() };
    if let Side::Folder(folder) = side {
        let path = folder.join(found.path());
        return match tokio::fs::metadata(&path).await {
            Ok(metadata) => {
                let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
                Ok(Some(Found { size: metadata.len(), modified, ..at }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TransferError::File { action: "read", path, source }),
        };
    }
    match head(side, found).await {
        Ok(head) => {
            let etag = head.etag.as_ref().map(ToString::to_string);
            Ok(Some(Found { size: head.size, modified: head.last_modified, etag, ..at }))
        }
        Err(error) if error.kind() == Some(ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn on_disk(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
) -> Result<(), TransferError> {
    let owned = path.to_owned();
    blocking(move || work(&owned)).await?.map_err(|source| TransferError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// The name of a folder beside a file that has its name.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(BESIDE);
    PathBuf::from(name)
}

/// New files, those first that others lie below: where a folder stood when they were planned, some of them will stand,
/// and the folder beside them.
fn side_by_side(mut late: Vec<Change>) -> Vec<Change> {
    late.sort_by(|one, other| one.name().cmp(other.name()));
    let paths: BTreeSet<String> = late.iter().filter_map(Change::path).map(str::to_owned).collect();
    for change in &mut late {
        let Some(planned) = change.path() else { continue };
        let mut moved = planned.to_owned();
        for (at, _) in planned.rmatch_indices('/') {
            if planned.get(..at).is_some_and(|above| paths.contains(above)) {
                moved.insert_str(at, BESIDE);
            }
        }
        if let Change::Copy { path, .. } = change {
            *path = Some(moved);
        }
    }
    late
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}
