//! Two sides merged by name: what only one has, and what both have.

use std::collections::VecDeque;
use std::sync::Arc;

use super::error::SyncError;
use super::found::{Found, Trouble};
use super::scan::{Reading, Role, Scan, scan};
use super::side::Side;
use crate::filter::Filter;

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
    filter: Arc<Filter>,
    source_only: bool,
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
        filter: Arc::clone(&reading.filter),
        source_only: reading.source_only,
    }
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

    /// A file that the bounds of size and age leave out is left as it is, on both sides.
    fn is_meant(&self, pair: &Pair) -> bool {
        let admits = |found: &Found| self.filter.admits_measures(found.size, found.modified);
        match pair {
            Pair::Target(_) if self.source_only => false,
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
