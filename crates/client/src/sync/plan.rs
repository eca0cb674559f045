//! What is to be done, made while it is done: changes as the sides are read, and removals, which wait for the end.
//!
//! Removals are kept in a temporary file, so their number costs no memory and is known before the first is carried out.
//! Renames are told from a file that is new and one that is gone with the same content; to find them, both kinds are
//! held in memory until the sides have been read.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::{Deserialize, Serialize};

use super::compare::{Comparison, Glance, Why, is_newer};
use super::diff::{Diff, Pair, is_empty};
use super::digest::same_content;
use super::error::SyncError;
use super::found::{Found, Trouble};
use super::scan::Reading;
use super::scope::Scope;
use super::side::Side;
use crate::transfer::{BESIDE, Placer, TransferError};

/// Looks that are made at once.
const LOOKS: usize = 16;

/// What is wished.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// What makes two the same.
    pub comparison: Comparison,
    /// What only the target has is removed.
    pub delete: bool,
    /// What was written later at the target stays as it is, and is told.
    pub keep_newer: bool,
    /// A file that moved at the source moves at the target. Only together with `delete`.
    pub track_renames: bool,
}

/// One thing to do at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The source's file is copied.
    Copy {
        /// The source's.
        source: Found,
        /// What is there at the target.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        replaces: Option<Found>,
        /// Why.
        why: Why,
        /// Where it goes below the target's folder, where that is not its name.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        path: Option<String>,
    },
    /// The target's file goes to another name, under which the source has the same content.
    Move {
        /// The target's.
        target: Found,
        /// What it is to be like.
        source: Found,
        /// Where it goes below the target's folder, where that is not its name.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        path: Option<String>,
    },
    /// The target's file is removed.
    Remove {
        /// It.
        target: Found,
    },
}

/// What a plan says next.
#[derive(Debug)]
pub enum Told {
    /// Something to do.
    Change(Change),
    /// Both sides have their own, and the target's stays.
    Conflict {
        /// The source's.
        source: Found,
        /// The target's.
        target: Found,
    },
    /// Something that has no part in it.
    Trouble(Trouble),
}

/// How much of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Files that are the same on both sides.
    pub same: u64,
    /// Files to copy.
    pub copies: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files to move at the target.
    pub moves: u64,
    /// Files to remove at the target.
    pub removals: u64,
    /// What only the target has, and keeps.
    pub extra: u64,
    /// Files that stay because the target's is newer.
    pub conflicts: u64,
    /// What could not be read or compared.
    pub failed: u64,
}

/// The changes, as the sides are read. Only [`plan`] makes one.
#[derive(Debug)]
pub struct Plan {
    diff: Diff,
    source: Side,
    target: Side,
    policy: Policy,
    totals: Totals,
    removals: Spool,
    /// The files of either side that the last name begins with.
    above: Vec<String>,
    /// What is new and what is gone, where renames are looked for.
    new: Vec<(Found, Option<String>)>,
    gone: Vec<Found>,
    ended: bool,
    source_is_empty: bool,
}

/// Plans what makes the target like the source.
#[must_use]
pub fn plan(diff: Diff, source: &Side, target: &Side, policy: Policy) -> Plan {
    Plan {
        diff,
        source: source.clone(),
        target: target.clone(),
        policy,
        totals: Totals::default(),
        removals: Spool::default(),
        above: Vec::new(),
        new: Vec::new(),
        gone: Vec::new(),
        ended: false,
        source_is_empty: false,
    }
}

impl Plan {
    /// How much so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The next changes, in the order of names; `None` once both sides have been read.
    ///
    /// # Errors
    /// Where a side cannot be read to its end.
    pub async fn next(&mut self) -> Result<Option<Vec<Told>>, SyncError> {
        let Some(merged) = self.diff.next().await? else {
            if self.ended {
                return Ok(None);
            }
            self.ended = true;
            let told = self.renames().await?;
            if self.totals.removals > 0 {
                self.source_is_empty = self.is_source_empty().await?;
            }
            return Ok(Some(told));
        };
        let mut told = Vec::new();
        for trouble in merged.source_troubles.into_iter().chain(merged.target_troubles) {
            self.totals.failed += u64::from(matches!(trouble, Trouble::Failed { .. }));
            told.push(Told::Trouble(trouble));
        }
        let mut looks = Vec::new();
        for pair in merged.pairs {
            match pair {
                Pair::Source(source) => {
                    let path = self.path_of(&source.name)?;
                    if self.policy.track_renames && self.policy.delete {
                        self.new.push((source, path));
                    } else {
                        looks.push((source, None, path, Glance::Differs(Why::Missing)));
                    }
                }
                Pair::Target(target) => {
                    // Until the end it stands where it stands.
                    self.note_above(&target.name);
                    self.gone(target)?;
                }
                Pair::Both(both) => {
                    let (source, target) = *both;
                    let glance = self.policy.comparison.glance(&source, &target);
                    self.note_above(&source.name);
                    if glance == Glance::Same {
                        self.totals.same += 1;
                        continue;
                    }
                    let path = self.target.folder().and(target.path.clone());
                    looks.push((source, Some(target), path, glance));
                }
            }
        }
        let (comparison, sides) = (self.policy.comparison, (&self.source, &self.target));
        let looked: Vec<_> = stream::iter(looks)
            .map(|(source, target, path, glance)| async move {
                let why = match (glance, &target) {
                    (Glance::Look, Some(target)) => {
                        comparison.look((sides.0, &source), (sides.1, target)).await
                    }
                    (Glance::Differs(why), _) => Ok(Some(why)),
                    (Glance::Same | Glance::Look, _) => Ok(None),
                };
                (source, target, path, why)
            })
            .buffered(LOOKS)
            .collect()
            .await;
        for (source, target, path, why) in looked {
            told.extend(self.judge(source, target, path, why));
        }
        Ok(Some(told))
    }

    /// What is to be removed, once [`Self::next`] has come to its end.
    ///
    /// # Errors
    /// Where the temporary file cannot be read.
    pub fn into_removals(self) -> Result<Removals, SyncError> {
        let (count, source_is_empty) = (self.removals.count, self.source_is_empty);
        Ok(Removals { count, source_is_empty, changes: self.removals.into_changes()? })
    }

    /// Files of the source that may still be written; the target's are as they were.
    #[must_use]
    pub fn left(&self) -> &[String] {
        self.diff.left()
    }

    /// Where a run is about some names, their absence does not say that nothing is left.
    async fn is_source_empty(&self) -> Result<bool, SyncError> {
        if !self.diff.source_is_empty() || self.diff.reading().scope.is_everything() {
            return Ok(self.diff.source_is_empty());
        }
        is_empty(&self.source, &Reading { scope: Scope::default(), ..self.diff.reading().clone() }).await
    }

    fn judge(
        &mut self,
        source: Found,
        target: Option<Found>,
        path: Option<String>,
        why: Result<Option<Why>, TransferError>,
    ) -> Option<Told> {
        let why = match why {
            Ok(Some(why)) => why,
            Ok(None) => {
                self.totals.same += 1;
                return None;
            }
            Err(error) => {
                self.totals.failed += 1;
                return Some(Told::Trouble(Trouble::Failed { name: source.name, error }));
            }
        };
        if let Some(target) =
            target.as_ref().filter(|target| self.policy.keep_newer && is_newer(target, &source))
        {
            self.totals.conflicts += 1;
            return Some(Told::Conflict { source, target: target.clone() });
        }
        self.totals.copies += 1;
        self.totals.bytes += source.size;
        Some(Told::Change(Change::Copy { source, replaces: target, why, path }))
    }

    fn gone(&mut self, target: Found) -> Result<(), SyncError> {
        if !self.policy.delete {
            self.totals.extra += 1;
            return Ok(());
        }
        if self.policy.track_renames {
            self.gone.push(target);
            return Ok(());
        }
        self.remove(target)
    }

    fn remove(&mut self, target: Found) -> Result<(), SyncError> {
        self.totals.removals += 1;
        self.removals.push(&Change::Remove { target })
    }

    /// Pairs what is new with what is gone, and tells of the rest.
    async fn renames(&mut self) -> Result<Vec<Told>, SyncError> {
        let (new, gone) = (std::mem::take(&mut self.new), std::mem::take(&mut self.gone));
        let mut by_size: HashMap<u64, Vec<Found>> = HashMap::new();
        for target in gone {
            by_size.entry(target.size).or_default().push(target);
        }
        let mut told = Vec::new();
        for (source, path) in new {
            let candidates = by_size.get_mut(&source.size).filter(|_| source.size > 0);
            let mut found = None;
            for (at, target) in candidates.iter().flat_map(|candidates| candidates.iter()).enumerate() {
                if let Ok(Some(true)) = same_content((&self.source, &source), (&self.target, target)).await {
                    found = Some(at);
                    break;
                }
            }
            let target = found.zip(candidates).map(|(at, candidates)| candidates.remove(at));
            match target {
                Some(target) => {
                    self.totals.moves += 1;
                    told.push(Told::Change(Change::Move { target, source, path }));
                }
                None => told.extend(self.judge(source, None, path, Ok(Some(Why::Missing)))),
            }
        }
        let mut left: Vec<Found> = by_size.into_values().flatten().collect();
        left.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for target in left {
            self.remove(target)?;
        }
        Ok(told)
    }

    /// Keeps the files that other names begin with, so that `a/b` finds a place beside `a`.
    fn note_above(&mut self, name: &str) {
        if self.target.folder().is_some() {
            self.above.retain(|above| name.starts_with(above.as_str()));
            self.above.push(name.to_owned());
        }
    }

    /// Where a new file goes below the target's folder, if not under its name.
    fn path_of(&mut self, name: &str) -> Result<Option<String>, SyncError> {
        let Some(folder) = self.target.folder() else { return Ok(None) };
        self.above.retain(|above| name.starts_with(above.as_str()));
        let mut placer = Placer::new(folder);
        for above in &self.above {
            placer.place(above).map_err(TransferError::from)?;
        }
        let placed = placer.place(name).map_err(TransferError::from)?;
        let placed = with_its_like(folder, placed.strip_prefix(folder).unwrap_or(&placed));
        let below = placed.to_string_lossy().into_owned();
        self.above.push(name.to_owned());
        Ok((below != name).then_some(below))
    }
}

/// Whatever joins a folder goes where that is: under its own name, or under the one that it got beside a file.
fn with_its_like(root: &Path, below: &Path) -> PathBuf {
    let mut names: Vec<_> = below.iter().collect();
    let Some(file) = names.pop() else { return below.to_owned() };
    let mut path = PathBuf::new();
    for name in names {
        let text = name.to_string_lossy();
        let plain = text.strip_suffix(BESIDE).unwrap_or(&text);
        let there = [path.join(plain), path.join(format!("{plain}{BESIDE}"))];
        let there = there.into_iter().find(|place| root.join(place).is_dir());
        path = there.unwrap_or_else(|| path.join(name));
    }
    path.join(file)
}

/// Removals that wait for their turn.
#[derive(Debug, Default)]
struct Spool {
    count: u64,
    writer: Option<BufWriter<File>>,
}

impl Spool {
    fn push(&mut self, change: &Change) -> Result<(), SyncError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(BufWriter::new(tempfile::tempfile().map_err(SyncError::Spool)?)),
        };
        serde_json::to_writer(&mut *writer, change).map_err(|error| SyncError::Spool(error.into()))?;
        writer.write_all(b"\n").map_err(SyncError::Spool)?;
        self.count += 1;
        Ok(())
    }

    fn into_changes(self) -> Result<Changes, SyncError> {
        let Some(writer) = self.writer else { return Ok(Box::new(std::iter::empty())) };
        let mut file = writer.into_inner().map_err(|error| SyncError::Spool(error.into_error()))?;
        file.rewind().map_err(SyncError::Spool)?;
        let lines = BufReader::new(file).lines();
        Ok(Box::new(lines.map(|line| {
            let line = line.map_err(SyncError::Spool)?;
            serde_json::from_str(&line).map_err(|error| SyncError::Spool(error.into()))
        })))
    }
}

pub(crate) type Changes = Box<dyn Iterator<Item = Result<Change, SyncError>> + Send>;

/// What is to be removed. Made by [`Plan::into_removals`], and by a plan that was saved.
pub struct Removals {
    pub(crate) count: u64,
    pub(crate) source_is_empty: bool,
    pub(crate) changes: Changes,
}

/// Under which conditions removals are carried out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guard {
    /// More than these are none at all.
    pub most: Option<u64>,
    /// An empty source empties the target.
    pub allow_empty_source: bool,
}

/// Removals that may be carried out. Only [`Removals::permit`] makes them.
pub struct Permitted(Changes);

impl Removals {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether they may be carried out, after so many files that could not be read or copied.
    ///
    /// # Errors
    /// [`SyncError::EmptySource`], [`SyncError::TooMany`], [`SyncError::NotRemoved`].
    pub fn permit(self, guard: Guard, failed: u64) -> Result<Permitted, SyncError> {
        let removals = self.count;
        if removals > 0 {
            if self.source_is_empty && !guard.allow_empty_source {
                return Err(SyncError::EmptySource { removals });
            }
            if let Some(most) = guard.most.filter(|most| removals > *most) {
                return Err(SyncError::TooMany { removals, most });
            }
            if failed > 0 {
                return Err(SyncError::NotRemoved { failed, removals });
            }
        }
        Ok(Permitted(self.changes))
    }
}

impl fmt::Debug for Removals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removals").field("count", &self.count).finish_non_exhaustive()
    }
}

impl fmt::Debug for Permitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permitted").finish_non_exhaustive()
    }
}

impl Iterator for Permitted {
    type Item = Result<Change, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
