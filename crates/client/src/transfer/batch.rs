//! Many items from a plan that is still being made, beside each other within one budget.
//!
//! Items begin in the order of the plan, as many at once as make it faster (`width`); the plan is
//! asked for more only when there is room, so a plan of a million items takes no memory. One that fails does not
//! stop the others: it is told, and counted. Removals of objects that follow each other go a thousand at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::StreamExt;
use futures_util::stream::Stream;
use tokio::task::JoinSet;

use super::engine::Transfers;
use super::error::TransferError;
use super::file_slice::blocking;
use super::folder::{make_folder, make_link, remove_emptied};
use super::item::{After, Done, Item, Place, Planned, Report, Step};
use super::tuning::FIRST_FILES;
use super::width::Width;
use crate::s3::{Client, ErrorKind, Verified};

/// The longest text that is taken for the target of a link.
const LONGEST_LINK: u64 = 4096;

impl Transfers {
    /// Does everything that a plan says.
    ///
    /// # Errors
    /// Where the plan itself ends in an error (what was begun is finished), or somebody asked to stop. An item
    /// that fails is told and counted.
    pub async fn carry_out(
        &self,
        plan: impl Stream<Item = Result<Planned, TransferError>>,
    ) -> Result<Report, TransferError> {
        let mut plan = std::pin::pin!(plan);
        let mut crew = Crew {
            transfers: self,
            tasks: JoinSet::new(),
            width: Width::new(FIRST_FILES, self.tuning.files),
            report: Report::default(),
            removals: Vec::new(),
            emptied: BTreeMap::new(),
        };
        let broken = loop {
            let next = match self.unless_stopped(plan.next()).await {
                Ok(Some(Ok(next))) => next,
                Ok(None) => break None,
                Ok(Some(Err(error))) | Err(error) => break Some(error),
            };
            match next {
                Planned::Item(item) => crew.take(*item).await,
                Planned::Skipped { name, why } => {
                    crew.report.skipped += 1;
                    self.progress.skipped(&name, &why);
                }
                Planned::Failed { name, error } => crew.fail(&name, &error),
            }
        };
        crew.send_removals().await;
        while !crew.tasks.is_empty() {
            crew.wait_for_one().await;
        }
        let emptied = mem::take(&mut crew.emptied);
        if !emptied.is_empty() {
            let remove =
                move || emptied.into_iter().for_each(|(root, folders)| remove_emptied(&root, folders));
            blocking(remove).await?;
        }
        match broken {
            Some(error) => Err(error),
            None if self.is_stopped() => Err(TransferError::Interrupted),
            None => Ok(crew.report),
        }
    }

    /// Does one thing.
    ///
    /// # Errors
    /// See [`TransferError`].
    pub async fn carry_out_one(&self, item: &Item) -> Result<Done, TransferError> {
        if item.after == After::Keep {
            return self.step(item).await;
        }
        let before = stamp(&item.step).await?;
        let done = self.step(item).await?;
        remove_source(&item.step, before).await?;
        Ok(done)
    }

    async fn step(&self, item: &Item) -> Result<Done, TransferError> {
        const NOTHING: Done = Done { bytes: 0, verified: Verified::Checksum };
        match &item.step {
            Step::Upload { from, to, options } => {
                self.upload_file(&to.client, from, &to.address, options).await
            }
            Step::Write { content, to, options, .. } => {
                self.put_whole(&to.client, content.clone(), &to.address, options).await
            }
            Step::Download { from, to, within } => {
                let place = (to.as_path(), within.as_ref());
                self.download_within(&from.client, &from.address, Some(item.size), place).await
            }
            Step::Link { from, to, within } => {
                let target = self.link_target(from, item.size).await?;
                let bytes = target.len() as u64;
                make_link(within, to, target).await?;
                self.progress.moved(bytes);
                Ok(Done { bytes, ..NOTHING })
            }
            Step::MakeFolder { to, within } => make_folder(within, to).await.map(|()| NOTHING),
            Step::Copy { from, to, options } if from.client.is_same(&to.client) => {
                if item.after == After::Keep {
                    self.copy(&from.client, &from.address, Some(item.size), &to.address, options).await
                } else {
                    self.copy_to_move(&from.client, &from.address, &to.address, options).await
                }
            }
            Step::Copy { from, to, options } => {
                self.copy_across(&from.client, &from.address, &to.client, &to.address, options).await
            }
            Step::RemoveObject(place) => remove_object(place).await.map(|()| NOTHING),
            Step::RemoveFile(path) => remove_file(path).await.map(|()| NOTHING),
        }
    }

    async fn link_target(&self, from: &Place, size: u64) -> Result<String, TransferError> {
        let corrupt = || TransferError::Corrupt { subject: from.address.to_string(), what: "link target" };
        if size > LONGEST_LINK {
            return Err(corrupt());
        }
        let mut target = Vec::new();
        self.download_stream(&from.client, &from.address, &mut target).await?;
        String::from_utf8(target).map_err(|_| corrupt())
    }
}

/// The items on their way, and the count of those that are done.
struct Crew<'a> {
    transfers: &'a Transfers,
    tasks: JoinSet<Vec<(Item, Result<Done, TransferError>)>>,
    width: Width,
    report: Report,
    /// Removals in one bucket that wait to be a thousand.
    removals: Vec<(Item, Place)>,
    /// Folders that files were moved out of, by the folder in which they lie.
    emptied: BTreeMap<Arc<Path>, BTreeSet<PathBuf>>,
}

impl Crew<'_> {
    /// Starts on one more item, once there is room for it.
    async fn take(&mut self, item: Item) {
        if item.step.arrives() {
            self.transfers.progress.expected(1, item.size);
        }
        if let Step::RemoveObject(place) = &item.step {
            let place = place.clone();
            let together = self.removals.last().is_none_or(|(_, last)| {
                last.client.is_same(&place.client) && last.address.bucket == place.address.bucket
            });
            if !together || self.removals.len() >= Client::MOST_DELETED {
                self.send_removals().await;
            }
            return self.removals.push((item, place));
        }
        self.make_room().await;
        let transfers = self.transfers.clone();
        self.tasks.spawn(async move {
            let outcome = transfers.carry_out_one(&item).await;
            vec![(item, outcome)]
        });
    }

    async fn send_removals(&mut self) {
        let removals = mem::take(&mut self.removals);
        if removals.is_empty() || self.transfers.is_stopped() {
            return;
        }
        self.make_room().await;
        self.tasks.spawn(remove_together(removals));
    }

    async fn make_room(&mut self) {
        while self.tasks.len() >= self.width.allowed() {
            self.wait_for_one().await;
        }
    }

    async fn wait_for_one(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(outcomes)) => {
                self.width.ended(outcomes.iter().map(|(item, _)| item.size).sum());
                for (item, outcome) in outcomes {
                    self.note(&item, outcome);
                }
            }
            Some(Err(_)) => self.fail("", &TransferError::Worker),
            None => {}
        }
    }

    fn note(&mut self, item: &Item, outcome: Result<Done, TransferError>) {
        match outcome {
            Ok(done) => {
                self.note_source(item);
                match &item.step {
                    Step::RemoveObject(_) | Step::RemoveFile(_) => self.report.removed += 1,
                    step if step.arrives() => {
                        self.report.done += 1;
                        self.report.bytes += done.bytes;
                    }
                    _ => {}
                }
                self.transfers.progress.done(item, &done);
            }
            // Whoever asked to stop knows; the whole ends with that.
            Err(TransferError::Interrupted) if self.transfers.is_stopped() => {}
            Err(error) => self.fail(&item.name, &error),
        }
    }

    fn note_source(&mut self, item: &Item) {
        let (Step::Upload { from, .. } | Step::Write { from, .. }) = &item.step else { return };
        let After::RemoveSource { root: Some(root) } = &item.after else { return };
        self.emptied.entry(Arc::clone(root)).or_default().extend(from.parent().map(Path::to_owned));
    }

    fn fail(&mut self, name: &str, error: &TransferError) {
        self.report.failed += 1;
        self.transfers.progress.failed(name, error);
    }
}

/// Up to a thousand removals in one request, or one by one where the store has no such request.
async fn remove_together(removals: Vec<(Item, Place)>) -> Vec<(Item, Result<Done, TransferError>)> {
    const REMOVED: Done = Done { bytes: 0, verified: Verified::Store };
    let Some((_, first)) = removals.first() else { return Vec::new() };
    let (client, bucket) = (first.client.clone(), first.address.bucket.clone());
    let keys: Vec<_> = removals.iter().map(|(_, place)| place.address.key.clone()).collect();
    match client.delete_objects(&bucket, &keys).await {
        Ok(kept) => {
            let outcome =
                |place: &Place| match kept.iter().find(|kept| kept.key == place.address.key.as_str()) {
                    Some(kept) => Err(TransferError::NotRemoved(kept.clone())),
                    None => Ok(REMOVED),
                };
            removals
                .into_iter()
                .map(|(item, place)| {
                    let outcome = outcome(&place);
                    (item, outcome)
                })
                .collect()
        }
        // One by one: where the store cannot do it otherwise, and so that each error finds its object.
        Err(error) if error.kind() == ErrorKind::NotSupported || removals.len() == 1 => {
            let mut outcomes = Vec::with_capacity(removals.len());
            for (item, place) in removals {
                let outcome = remove_object(&place).await.map(|()| REMOVED);
                outcomes.push((item, outcome));
            }
            outcomes
        }
        Err(error) => {
            let text = error.to_string();
            let mut first = Some(TransferError::Store(error));
            let each = removals.into_iter().map(|(item, _)| {
                let error = first.take().unwrap_or_else(|| TransferError::WithOthers(text.clone()));
                (item, Err(error))
            });
            each.collect()
        }
    }
}

async fn remove_object(place: &Place) -> Result<(), TransferError> {
    Ok(place.client.delete_object(&place.address.bucket, &place.address.key).await?)
}

async fn remove_file(path: &Path) -> Result<(), TransferError> {
    let removed = path.to_owned();
    let outcome = blocking(move || std::fs::remove_file(removed)).await?;
    outcome.map_err(|source| TransferError::File { action: "remove", path: path.to_owned(), source })
}

/// What shows that a file is still the same: its size and its time.
type Stamp = (u64, Option<SystemTime>);

async fn stamp(step: &Step) -> Result<Option<Stamp>, TransferError> {
    let (Step::Upload { from, .. } | Step::Write { from, .. }) = step else { return Ok(None) };
    let path = from.clone();
    let metadata = blocking(move || std::fs::symlink_metadata(path)).await?;
    match metadata {
        Ok(metadata) => Ok(Some((metadata.len(), metadata.modified().ok()))),
        Err(source) => Err(TransferError::File { action: "read", path: from.clone(), source }),
    }
}

/// The source of a move, once its copy is verified. A file that changed in the meantime stays.
async fn remove_source(step: &Step, before: Option<Stamp>) -> Result<(), TransferError> {
    match step {
        Step::Upload { from, .. } | Step::Write { from, .. } => {
            if stamp(step).await? != before {
                return Err(TransferError::Changed(from.display().to_string()));
            }
            remove_file(from).await
        }
        Step::Download { from, to, .. } => {
            settle(to).await?;
            remove_object(from).await
        }
        Step::Link { from, .. } | Step::Copy { from, .. } => remove_object(from).await,
        Step::MakeFolder { .. } | Step::RemoveObject(_) | Step::RemoveFile(_) => Ok(()),
    }
}

/// A file is on the disk before what it was made of goes.
async fn settle(path: &Path) -> Result<(), TransferError> {
    let file = path.to_owned();
    let settled = blocking(move || {
        std::fs::OpenOptions::new().write(true).open(&file)?.sync_all()?;
        match file.parent().filter(|folder| cfg!(unix) && !folder.as_os_str().is_empty()) {
            Some(folder) => std::fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    });
    let failed = |source| TransferError::File { action: "write", path: path.to_owned(), source };
    settled.await?.map_err(failed)
}
