//! Many items from a plan that is still being made, beside each other within one budget.
//!
//! Items begin in the order of the plan, as many at once as make it faster (`width`); the plan is
//! asked for more only when there is room, so a plan of a million items takes no memory. One that fails does not
//! stop the others: it is told, and counted. Removals of objects, the sources of moves among them, go a thousand at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::Stream;
use tokio::task::JoinSet;

use super::engine::Transfers;
use super::error::TransferError;
use super::file_slice::blocking;
use super::folder::{make_folder, make_link, remove_emptied};
use super::item::{After, Done, Item, Place, Planned, Report, Step};
use super::reader::changed;
use super::tuning::FIRST_FILES;
use super::width::Width;
use crate::s3::{Client, Doomed, ErrorKind, Governance, Verified};

/// The longest text that is taken for the target of a link.
const LONGEST_LINK: u64 = 4096;

/// How long the source of a move waits at most for others to be removed with it, while more is done.
const SOURCES_WAIT: Duration = Duration::from_secs(1);

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
            waiting_since: None,
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
        while !crew.tasks.is_empty() {
            crew.send_removals_if_due().await;
            crew.wait_for_one().await;
        }
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

    /// Does one thing. Where its source is an object that goes, that is still to be removed.
    async fn carry_out_one(&self, item: Item) -> Outcome {
        if item.after == After::Keep {
            let done = self.step(&item).await;
            return Outcome::Ended(item, done);
        }
        let moved = async {
            let before = stamp(&item.step).await?;
            let done = self.step(&item).await?;
            Ok((done, remove_source(&item.step, before).await?))
        };
        match moved.await {
            Ok((done, Some(place))) => Outcome::Arrived(Removal { item, place, done: Some(done) }),
            Ok((done, None)) => Outcome::Ended(item, Ok(done)),
            Err(error) => Outcome::Ended(item, Err(error)),
        }
    }

    async fn step(&self, item: &Item) -> Result<Done, TransferError> {
        const NOTHING: Done = Done { bytes: 0, verified: Verified::Checksum, source: None };
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
                let (target, done) = self.link_target(from, item.size).await?;
                make_link(within, to, target).await?;
                self.progress.moved(done.bytes);
                Ok(Done { verified: Verified::Checksum, ..done })
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

    async fn link_target(&self, from: &Place, size: u64) -> Result<(String, Done), TransferError> {
        let corrupt = || TransferError::Corrupt { subject: from.address.to_string(), what: "link target" };
        if size > LONGEST_LINK {
            return Err(corrupt());
        }
        let mut target = Vec::new();
        let done = self.download_stream(&from.client, &from.address, &mut target).await?;
        Ok((String::from_utf8(target).map_err(|_| corrupt())?, done))
    }
}

/// An object that is to be removed.
struct Removal {
    item: Item,
    place: Place,
    /// Of the source of a move: what has arrived.
    done: Option<Done>,
}

/// What came of an item.
enum Outcome {
    Ended(Item, Result<Done, TransferError>),
    /// It has arrived, and its source is to go.
    Arrived(Removal),
}

/// The items on their way, and the count of those that are done.
struct Crew<'a> {
    transfers: &'a Transfers,
    tasks: JoinSet<Vec<Outcome>>,
    width: Width,
    report: Report,
    /// They wait to be a thousand.
    removals: Vec<Removal>,
    /// The first source of a move among them: it does not wait long.
    waiting_since: Option<Instant>,
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
            self.removals.push(Removal { item, place, done: None });
            return self.send_removals_if_due().await;
        }
        self.send_removals_if_due().await;
        self.make_room().await;
        let transfers = self.transfers.clone();
        self.tasks.spawn(async move { vec![transfers.carry_out_one(item).await] });
    }

    async fn send_removals_if_due(&mut self) {
        let waited = self.waiting_since.is_some_and(|since| since.elapsed() >= SOURCES_WAIT);
        if waited || self.removals.len() >= Client::MOST_DELETED {
            self.send_removals().await;
        }
    }

    /// After the wish to stop only what a move has begun goes.
    async fn send_removals(&mut self) {
        let mut removals = mem::take(&mut self.removals);
        self.waiting_since = None;
        if self.transfers.is_stopped() {
            removals.retain(|removal| removal.done.is_some());
        }
        while let Some(first) = removals.first() {
            let place = &first.place;
            let is_there = |other: &Removal| {
                other.place.client.is_same(&place.client)
                    && other.place.address.bucket == place.address.bucket
            };
            let count =
                removals.iter().take(Client::MOST_DELETED).take_while(|other| is_there(other)).count();
            let rest = removals.split_off(count);
            self.make_room().await;
            self.tasks.spawn(remove_together(mem::replace(&mut removals, rest)));
        }
    }

    async fn make_room(&mut self) {
        while self.tasks.len() >= self.width.allowed() {
            self.wait_for_one().await;
        }
    }

    async fn wait_for_one(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(outcomes)) => {
                let item = |outcome: &Outcome| match outcome {
                    Outcome::Ended(item, _) | Outcome::Arrived(Removal { item, .. }) => item.size,
                };
                self.width.ended(outcomes.iter().map(item).sum());
                for outcome in outcomes {
                    match outcome {
                        Outcome::Ended(item, outcome) => self.note(&item, outcome),
                        Outcome::Arrived(removal) => {
                            self.waiting_since.get_or_insert_with(Instant::now);
                            self.removals.push(removal);
                        }
                    }
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
                        if item.after != After::Keep {
                            self.report.moved += 1;
                            self.report.moved_bytes += done.bytes;
                        }
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
async fn remove_together(removals: Vec<Removal>) -> Vec<Outcome> {
    let Some(first) = removals.first() else { return Vec::new() };
    let (client, bucket) = (first.place.client.clone(), first.place.address.bucket.clone());
    let doomed: Vec<_> = removals.iter().map(Removal::doomed).collect();
    if doomed.len() == 1 {
        return remove_each(removals).await;
    }
    match client.delete_versions(&bucket, &doomed, Governance::Kept).await {
        Ok(kept) => {
            let outcome =
                |place: &Place| match kept.iter().find(|kept| kept.key == place.address.key.as_str()) {
                    Some(kept) if kept.is_another() => Err(TransferError::Changed(place.address.to_string())),
                    Some(kept) => Err(TransferError::NotRemoved(kept.clone())),
                    None => Ok(()),
                };
            let each = removals.into_iter().map(|removal| {
                let outcome = outcome(&removal.place);
                removal.ended(outcome)
            });
            each.collect()
        }
        // It has no such request, or does not understand its conditions.
        Err(error) if error.kind() == ErrorKind::NotSupported || error.code() == Some("MalformedXML") => {
            remove_each(removals).await
        }
        Err(error) => {
            let text = error.to_string();
            let mut first = Some(TransferError::Store(error));
            let each = removals.into_iter().map(|removal| {
                let error = first.take().unwrap_or_else(|| TransferError::WithOthers(text.clone()));
                removal.ended(Err(error))
            });
            each.collect()
        }
    }
}

async fn remove_each(removals: Vec<Removal>) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(removals.len());
    for removal in removals {
        let Place { client, address } = &removal.place;
        let outcome = client.delete_one(&address.bucket, &removal.doomed(), Governance::Kept).await;
        let outcome = outcome.map_err(changed(address));
        outcomes.push(removal.ended(outcome));
    }
    outcomes
}

impl Removal {
    /// The source of a move only while it is what has arrived.
    fn doomed(&self) -> Doomed {
        let etag = self.done.as_ref().and_then(|done| done.source.clone());
        Doomed { etag, ..Doomed::new(self.place.address.key.clone(), None) }
    }

    fn ended(self, outcome: Result<(), TransferError>) -> Outcome {
        const REMOVED: Done = Done { bytes: 0, verified: Verified::Store, source: None };
        Outcome::Ended(self.item, outcome.map(|()| self.done.unwrap_or(REMOVED)))
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

/// The source of a move, once its copy is verified: a file goes, unless it changed in the meantime; an object that is to go
/// is told.
async fn remove_source(step: &Step, before: Option<Stamp>) -> Result<Option<Place>, TransferError> {
    match step {
        Step::Upload { from, .. } | Step::Write { from, .. } => {
            if stamp(step).await? != before {
                return Err(TransferError::Changed(from.display().to_string()));
            }
            remove_file(from).await.map(|()| None)
        }
        Step::Download { from, to, .. } => {
            settle(to).await?;
            Ok(Some(from.clone()))
        }
        Step::Link { from, .. } | Step::Copy { from, .. } => Ok(Some(from.clone())),
        Step::MakeFolder { .. } | Step::RemoveObject(_) | Step::RemoveFile(_) => Ok(None),
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
