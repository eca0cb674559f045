//! When access keys and roles were last used, and for what.
//!
//! Enters: every request that a user's key, or a session of a role, signed rightly. Leaves: what `GetAccessKeyLastUsed`
//! and `GetRole` say, and batches for the directory's home. A use within [`GRAIN`] of one that is known costs a look into
//! a table; nothing is ever waited for. Uses that were not written when a process is killed are lost: at most those of
//! [`BATCH`].

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use wigeon_core::time::{SignedDuration, Timestamp};

use super::entry::key_of;

/// How exact the times are.
const GRAIN: SignedDuration = SignedDuration::from_secs(60);

/// How often uses are written.
pub(super) const BATCH: Duration = Duration::from_secs(10);

/// For how long AWS says when a role was last used: 400 days.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(400 * 24);

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used<'a> {
    /// An access key.
    Key {
        /// Its id.
        id: &'a str,
    },
    /// A role, by a session of it.
    Role {
        /// `AROA…`: a role of the same name that comes later is another one.
        id: &'a str,
        /// Its name.
        name: &'a str,
    },
}

impl<'a> Used<'a> {
    fn id(self) -> &'a str {
        match self {
            Self::Key { id } | Self::Role { id, .. } => id,
        }
    }

    /// The key of its row in a database: what stands after the last `/` is the key of the entry whose use it is, so that
    /// rows of what is gone can be found.
    pub(super) fn row(self) -> String {
        match self {
            Self::Key { id } => id.to_owned(),
            Self::Role { id, name } => format!("{id}/{}", key_of(name)),
        }
    }
}

/// The last use of an access key or a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// When, to the minute.
    pub at: Timestamp,
    /// `s3`, `sts` or `iam`.
    pub service: String,
    /// The region of the signature.
    pub region: String,
}

impl LastUse {
    /// Whether it is recent enough to be told of a role.
    #[must_use]
    pub fn is_remembered(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < REMEMBERED
    }
}

/// What this process has seen.
#[derive(Debug, Default)]
pub(super) struct LastUses(RwLock<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The row and the use, by id.
    last: HashMap<String, (String, LastUse)>,
    /// Ids.
    unwritten: HashSet<String>,
}

impl LastUses {
    /// Notes a use.
    pub(super) fn note(&self, used: Used<'_>, service: &str, region: &str, at: Timestamp) {
        let known = |seen: &Seen| {
            let last = seen.last.get(used.id());
            last.is_some_and(|(_, last)| last.service == service && at.duration_since(last.at) < GRAIN)
        };
        if known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known(&seen) {
            return;
        }
        let last = LastUse { at, service: service.to_owned(), region: region.to_owned() };
        seen.last.insert(used.id().to_owned(), (used.row(), last));
        seen.unwritten.insert(used.id().to_owned());
    }

    /// The last use that this process has seen.
    pub(super) fn of(&self, used: Used<'_>) -> Option<LastUse> {
        let seen = self.0.read().unwrap_or_else(PoisonError::into_inner);
        seen.last.get(used.id()).map(|(_, last)| last.clone())
    }

    /// What is not written yet, by row. From now on it counts as written.
    pub(super) fn take(&self) -> Vec<(String, LastUse)> {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let unwritten = std::mem::take(&mut seen.unwritten);
        unwritten.into_iter().filter_map(|id| seen.last.get(&id).cloned()).collect()
    }

    /// A batch could not be written: it is part of the next one.
    pub(super) fn put_back(&self, batch: Vec<(String, LastUse)>) {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let ids = batch.iter().filter_map(|(row, _)| row.split('/').next());
        seen.unwritten.extend(ids.map(str::to_owned));
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
        let one = Used::Key { id: "AKIA1" };
        uses.note(one, "s3", "us-east-1", at(0));
        uses.note(one, "s3", "us-east-1", at(59));
        assert_eq!(uses.of(one).unwrap().at, at(0));
        let batch = uses.take();
        assert_eq!(ids(&batch), ["AKIA1"]);
        assert!(uses.take().is_empty());
        uses.note(one, "s3", "us-east-1", at(59));
        assert!(uses.take().is_empty(), "nothing new");
        uses.note(one, "iam", "us-east-1", at(59));
        assert_eq!(uses.of(one).unwrap(), uses.take()[0].1);
        uses.note(one, "iam", "us-east-1", at(119));
        uses.put_back(batch);
        let again = uses.take();
        assert_eq!((ids(&again), again[0].1.at), (vec!["AKIA1".to_owned()], at(119)));
        assert_eq!(uses.of(Used::Key { id: "AKIA2" }), None);
    }

    #[test]
    fn a_role_is_known_by_its_id_and_its_row_by_its_name_too() {
        let uses = LastUses::default();
        let at = |day: i64| Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap();
        let role = Used::Role { id: "AROA1", name: "Reader" };
        uses.note(role, "s3", "us-east-1", at(0));
        let batch = uses.take();
        assert_eq!(batch[0].0, "AROA1/reader");
        uses.put_back(batch.clone());
        assert_eq!(uses.take(), batch, "what could not be written comes again");
        assert_eq!(uses.of(Used::Role { id: "AROA2", name: "Reader" }), None, "another role of that name");
        let last = uses.of(role).unwrap();
        assert!(last.is_remembered(at(399)) && !last.is_remembered(at(400)));
    }
}
