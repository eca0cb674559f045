//! When access keys were last used, and for what.
//!
//! Enters: every request that a user's key signed rightly. Leaves: what `GetAccessKeyLastUsed` says, and batches for
//! the directory's home. A use within [`GRAIN`] of one that is known costs a look into a table; nothing is ever waited
//! for. Uses that were not written when a process is killed are lost: at most those of [`BATCH`].

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use wigeon_core::time::{SignedDuration, Timestamp};

/// How exact the times are.
const GRAIN: SignedDuration = SignedDuration::from_secs(60);

/// How often uses are written.
pub(super) const BATCH: Duration = Duration::from_secs(10);

/// The last use of an access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// When, to the minute.
    pub at: Timestamp,
    /// `s3`, `sts` or `iam`.
    pub service: String,
    /// The region of the signature.
    pub region: String,
}

/// What this process has seen.
#[derive(Debug, Default)]
pub(super) struct LastUses(RwLock<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// By access key id.
    last: HashMap<String, LastUse>,
    unwritten: HashSet<String>,
}

impl LastUses {
    /// Notes a use.
    pub(super) fn note(&self, access_key_id: &str, service: &str, region: &str, at: Timestamp) {
        let known = |seen: &Seen| {
            let last = seen.last.get(access_key_id);
            last.is_some_and(|last| last.service == service && at.duration_since(last.at) < GRAIN)
        };
        if known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known(&seen) {
            return;
        }
        let last = LastUse { at, service: service.to_owned(), region: region.to_owned() };
        seen.last.insert(access_key_id.to_owned(), last);
        seen.unwritten.insert(access_key_id.to_owned());
    }

    /// The last use of a key that this process has seen.
    pub(super) fn of(&self, access_key_id: &str) -> Option<LastUse> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).last.get(access_key_id).cloned()
    }

    /// What is not written yet. From now on it counts as written.
    pub(super) fn take(&self) -> Vec<(String, LastUse)> {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let unwritten = std::mem::take(&mut seen.unwritten);
        unwritten.into_iter().filter_map(|id| seen.last.get(&id).cloned().map(|last| (id, last))).collect()
    }

    /// A batch could not be written: it is part of the next one.
    pub(super) fn put_back(&self, batch: Vec<(String, LastUse)>) {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        seen.unwritten.extend(batch.into_iter().map(|(id, _)| id));
    }
}

/// The later of two.
pub(super) fn later(one: Option<LastUse>, other: Option<LastUse>) -> Option<LastUse> {
    [one, other].into_iter().flatten().max_by_key(|last| last.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_noted_by_the_minute_and_written_once() {
        let uses = LastUses::default();
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let ids = |batch: &[(String, LastUse)]| batch.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        uses.note("AKIA1", "s3", "us-east-1", at(0));
        uses.note("AKIA1", "s3", "us-east-1", at(59));
        assert_eq!(uses.of("AKIA1").unwrap().at, at(0));
        let batch = uses.take();
        assert_eq!(ids(&batch), ["AKIA1"]);
        assert!(uses.take().is_empty());
        uses.note("AKIA1", "s3", "us-east-1", at(59));
        assert!(uses.take().is_empty(), "nothing new");
        uses.note("AKIA1", "iam", "us-east-1", at(59));
        assert_eq!(uses.of("AKIA1").unwrap(), uses.take()[0].1);
        uses.note("AKIA1", "iam", "us-east-1", at(119));
        uses.put_back(batch);
        let again = uses.take();
        assert_eq!((ids(&again), again[0].1.at), (vec!["AKIA1".to_owned()], at(119)));
        assert_eq!(uses.of("AKIA2"), None);
    }
}
