//! What is counted of an upstream: its answers, how long they took, its connections.

use http::StatusCode;

use crate::meter::{TIME_CELLS, Table, Times};

/// What came of a request that was sent.
const OUTCOMES: [&str; 4] = ["ok", "refused", "failed", "unanswered"];

const OPENED: usize = OUTCOMES.len();
const UNOPENED: usize = OPENED + 1;
const TIMES: usize = UNOPENED + 1;

/// The counts.
#[derive(Debug)]
pub(super) struct Figures(Table);

/// An upstream from outside.
#[derive(Debug, Clone)]
pub struct OfUpstream {
    /// Its name.
    pub name: String,
    /// Why connections do not come about; `None` while they do.
    pub trouble: Option<String>,
    /// Requests by what came of them: `ok`, `refused` (400 to 499), `failed` (500 to 599), `unanswered`.
    pub outcomes: [(&'static str, u64); OUTCOMES.len()],
    /// Times until the heads of its answers.
    pub times: Times,
    /// Connections that came about.
    pub opened: u64,
    /// Those that did not.
    pub unopened: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self(Table::new(TIMES + TIME_CELLS))
    }
}

impl Figures {
    /// A request was answered, or not.
    pub(super) fn sent(&self, status: Option<StatusCode>, micros: u64) {
        let outcome = match status {
            Some(status) if status.is_server_error() => 2,
            Some(status) if status.is_client_error() => 1,
            Some(_) => 0,
            None => 3,
        };
        self.0.add(outcome, 1);
        if status.is_some() {
            self.0.time(TIMES, micros);
        }
    }

    /// A connection came about, or not.
    pub(super) fn connected(&self, opened: bool) {
        self.0.add(if opened { OPENED } else { UNOPENED }, 1);
    }

    /// As things stand.
    pub(super) fn of(&self, name: &str, trouble: Option<String>) -> OfUpstream {
        let mut outcomes = OUTCOMES.map(|outcome| (outcome, 0));
        for (cell, (_, count)) in outcomes.iter_mut().enumerate() {
            *count = self.0.sum(cell);
        }
        OfUpstream {
            name: name.to_owned(),
            trouble,
            outcomes,
            times: self.0.times(TIMES),
            opened: self.0.sum(OPENED),
            unopened: self.0.sum(UNOPENED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_by_their_kind() {
        let figures = Figures::default();
        for status in [200, 206, 304, 404, 503] {
            figures.sent(StatusCode::from_u16(status).ok(), 10);
        }
        figures.sent(None, 10);
        figures.connected(true);
        figures.connected(false);
        let of = figures.of("ceph", None);
        assert_eq!(of.outcomes, [("ok", 3), ("refused", 1), ("failed", 1), ("unanswered", 1)]);
        assert_eq!((of.times.count(), of.opened, of.unopened), (5, 1, 1));
    }
}
