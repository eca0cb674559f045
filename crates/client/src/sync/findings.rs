//! What differs, for reading: each name with what is found of it. Nothing is changed.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Serialize;

use super::compare::{Comparison, Glance, Why};
use super::diff::{Diff, Pair};
use super::digest::same_bytes;
use super::error::SyncError;
use super::found::{Found, Trouble};
use super::side::Side;
use crate::transfer::{TransferError, Transfers};

/// Comparisons that are made at once.
const AT_ONCE: usize = 16;

/// What is held against each other.
#[derive(Debug, Clone)]
pub enum Measure {
    /// What lists and heads tell, and digests of files.
    Told(Comparison),
    /// All bytes of both, read for it.
    Bytes(Transfers),
}

/// What is found of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Both have it, and it is the same.
    Same,
    /// Both have it, and it is not the same.
    Differs,
    /// Only the source has it.
    OnlySource,
    /// Only the target has it.
    OnlyTarget,
    /// Both have it, of one size, and nothing tells whether it is the same.
    Unknown,
}

/// A name, and what is found of it.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Below the root of both sides.
    pub name: String,
    /// What is found.
    pub state: State,
    /// In what they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// The source's size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u64>,
    /// The target's size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_size: Option<u64>,
}

/// Findings as the sides are read. Only [`findings`] makes them.
#[derive(Debug)]
pub struct Findings {
    diff: Diff,
    source: Side,
    target: Side,
    measure: Measure,
}

/// Begins to compare.
#[must_use]
pub fn findings(diff: Diff, source: &Side, target: &Side, measure: Measure) -> Findings {
    Findings { diff, source: source.clone(), target: target.clone(), measure }
}

impl Findings {
    /// The next ones, in the order of names, and what could not be compared; `None` at the end.
    ///
    /// # Errors
    /// Where a side cannot be read to its end.
    pub async fn next(&mut self) -> Result<Option<(Vec<Finding>, Vec<Trouble>)>, SyncError> {
        let Some(merged) = self.diff.next().await? else { return Ok(None) };
        let mut troubles = merged.source_troubles;
        troubles.extend(merged.target_troubles);
        let this = &*self;
        let judged: Vec<_> =
            stream::iter(merged.pairs).map(|pair| this.judge(pair)).buffered(AT_ONCE).collect().await;
        let mut found = Vec::with_capacity(judged.len());
        for judged in judged {
            match judged {
                Ok(finding) => found.push(finding),
                Err(trouble) => troubles.push(trouble),
            }
        }
        Ok(Some((found, troubles)))
    }

    async fn judge(&self, pair: Pair) -> Result<Finding, Trouble> {
        let alone = |found: Found, state| {
            let (source, target) = match state {
                State::OnlySource => (Some(found.size), None),
                _ => (None, Some(found.size)),
            };
            Finding { name: found.name, state, why: None, source_size: source, target_size: target }
        };
        let (source, target) = match pair {
            Pair::Source(found) => return Ok(alone(found, State::OnlySource)),
            Pair::Target(found) => return Ok(alone(found, State::OnlyTarget)),
            Pair::Both(both) => *both,
        };
        let why = self.compare(&source, &target).await;
        let why = why.map_err(|error| Trouble::Failed { name: source.name.clone(), error })?;
        let state = match why {
            None => State::Same,
            Some(Why::NothingToCompare) => State::Unknown,
            Some(Why::Missing | Why::Size | Why::Time | Why::Content) => State::Differs,
        };
        let (source_size, target_size) = (Some(source.size), Some(target.size));
        Ok(Finding { name: source.name, state, why, source_size, target_size })
    }

    async fn compare(&self, source: &Found, target: &Found) -> Result<Option<Why>, TransferError> {
        let (one, other) = ((&self.source, source), (&self.target, target));
        match &self.measure {
            Measure::Told(comparison) => match comparison.glance(source, target) {
                Glance::Same => Ok(None),
                Glance::Differs(why) => Ok(Some(why)),
                Glance::Look => comparison.look(one, other).await,
            },
            Measure::Bytes(_) if source.size != target.size => Ok(Some(Why::Size)),
            Measure::Bytes(transfers) => {
                Ok(if same_bytes(transfers, one, other).await? { None } else { Some(Why::Content) })
            }
        }
    }
}
