//! Two sides merged by name: what only one has, and what both have.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher as _};

use super::error::SyncError;
use super::found::{Found, Trouble};
use super::scan::{Reading, Role, Scan, scan};
use super::side::Side;

/// A name, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    /// Only the source.
    Source(Found),
    /// Only the target.
    Target(Found),
    /// Both.
    Both(Box<(Found, Found)>),
}

/// Two sides on their way, merged. Only [`diff`] makes one.
#[derive(Debug)]
pub struct Diff {
    source: Ordered,
    target: Ordered,
    reading: Reading,
    left: Vec<String>,
}

/// One side, with what has been read of it.
#[derive(Debug)]
struct Ordered {
    scan: Scan,
    side: String,
    waiting: VecDeque<Found>,
    last: Option<String>,
    ended: bool,
    any: bool,
}

/// A piece of what is merged.
#[derive(Debug, Default)]
pub struct Merged {
    /// In the order of names.
    pub pairs: Vec<Pair>,
    /// What has no part in it, of the source.
    pub source_troubles: Vec<Trouble>,
    /// And of the target.
    pub target_troubles: Vec<Trouble>,
}

/// Begins to read and merge two sides.
#[must_use]
pub fn diff(source: &Side, target: &Side, reading: &Reading) -> Diff {
    let ordered = |side: &Side, role| Ordered {
        scan: scan(side, role, reading),
        side: side.to_string(),
        waiting: VecDeque::new(),
        last: None,
        ended: false,
        any: false,
    };
    Diff {
        source: ordered(source, Role::Source),
        target: ordered(target, Role::Target),
        reading: reading.clone(),
        left: Vec::new(),
    }
}

/// What stands for all that a side's list tells: while it is the same, nothing has changed there.
///
/// # Errors
/// Where the side cannot be read to its end.
pub(crate) async fn fingerprint(side: &Side, reading: &Reading) -> Result<u64, SyncError> {
    let (mut scan, mut seen) = (scan(side, Role::Source, reading), DefaultHasher::new());
    while let Some(batch) = scan.next().await? {
        batch.found.iter().for_each(|found| found.hash_into(&mut seen));
    }
    Ok(seen.finish())
}

/// Whether a side has anything at all.
///
/// # Errors
/// Where it cannot be read.
pub(crate) async fn is_empty(side: &Side, reading: &Reading) -> Result<bool, SyncError> {
    let mut scan = scan(side, Role::Source, reading);
    while let Some(batch) = scan.next().await? {
        if !batch.found.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Diff {
    /// The next piece; `None` at the end of both sides.
    ///
    /// # Errors
    /// Where a side cannot be read to its end, or is not in order.
    pub async fn next(&mut self) -> Result<Option<Merged>, SyncError> {
        let mut merged = Merged::default();
        let (source, target) = tokio::join!(
            self.source.fill(&mut merged.source_troubles),
            self.target.fill(&mut merged.target_troubles)
        );
        source?;
        target?;
        loop {
            let pair = match (self.source.waiting.front(), self.target.waiting.front()) {
                (None, None) if self.source.ended && self.target.ended => break,
                (None, _) if !self.source.ended => break,
                (_, None) if !self.target.ended => break,
                (Some(one), Some(other)) if one.name == other.name => {
                    let both = self.source.waiting.pop_front().zip(self.target.waiting.pop_front());
                    both.map(|both| Pair::Both(Box::new(both)))
                }
                (Some(one), Some(other)) if one.name < other.name => {
                    self.source.waiting.pop_front().map(Pair::Source)
                }
                (Some(_), None) => self.source.waiting.pop_front().map(Pair::Source),
                (None, Some(_)) | (Some(_), Some(_)) => self.target.waiting.pop_front().map(Pair::Target),
                (None, None) => None,
            };
            let Some(pair) = pair else { break };
            if self.is_meant(&pair) {
                merged.pairs.push(pair);
            }
        }
        let nothing =
            merged.pairs.is_empty() && merged.source_troubles.is_empty() && merged.target_troubles.is_empty();
        let ended = self.source.is_done() && self.target.is_done();
        Ok(if nothing && ended { None } else { Some(merged) })
    }

    /// Whether the source has had anything so far.
    pub(crate) fn source_is_empty(&self) -> bool {
        !self.source.any
    }

    /// How the sides are read.
    pub(crate) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Files of the source that may still be written.
    pub(crate) fn left(&self) -> &[String] {
        &self.left
    }

    /// A file that the bounds of size and age leave out is left as it is, on both sides; so is one that may still be
    /// written.
    fn is_meant(&mut self, pair: &Pair) -> bool {
        let source = match pair {
            Pair::Source(source) => Some(source),
            Pair::Both(both) => Some(&both.0),
            Pair::Target(_) => None,
        };
        if let (Some(unsettled), Some(source)) = (&self.reading.unsettled, source)
            && source.modified.is_some_and(|modified| unsettled.contains(&modified))
        {
            self.left.push(source.name.clone());
            return false;
        }
        let admits = |found: &Found| self.reading.filter.admits_measures(found.size, found.modified);
        match pair {
            Pair::Target(_) if self.reading.source_only => false,
            Pair::Source(found) | Pair::Target(found) => admits(found),
            Pair::Both(both) => admits(&both.0),
        }
    }
}

impl Ordered {
    /// Waits for more, where nothing waits.
    async fn fill(&mut self, troubles: &mut Vec<Trouble>) -> Result<(), SyncError> {
        while self.waiting.is_empty() && !self.ended {
            let Some(batch) = self.scan.next().await? else {
                self.ended = true;
                return Ok(());
            };
            troubles.extend(batch.troubles);
            for found in &batch.found {
                if let Some(last) = self.last.as_ref().filter(|last| **last >= found.name) {
                    let (before, after) = (last.clone(), found.name.clone());
                    return Err(SyncError::Order { side: self.side.clone(), before, after });
                }
                match &mut self.last {
                    Some(last) => last.clone_from(&found.name),
                    None => self.last = Some(found.name.clone()),
                }
            }
            self.any |= !batch.found.is_empty();
            self.waiting.extend(batch.found);
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.ended && self.waiting.is_empty()
    }
}
