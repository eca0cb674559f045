//! Names that something happened to, and which of them have come to rest: nothing has happened to them for a while, and
//! nobody is known to have them open for writing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::scope::{Scope, has_or_above};

/// Names that are kept; beyond them it is all names.
const MOST: usize = 100_000;
/// How long a file that is open for writing is waited for, once nothing is written any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happened to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// It was written, and is not closed yet.
    Open,
    /// Something about it changed.
    Touched,
    /// It was closed after writing; or it came, or went.
    Closed,
}

/// Names on their way to rest.
#[derive(Debug)]
pub(crate) struct Settling {
    quiet: Duration,
    waiting: BTreeMap<String, Waiting>,
    /// Since when it may be any name.
    everything: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    last: Instant,
    open: bool,
}

impl Settling {
    /// Names are at rest when nothing has happened to them for so long.
    pub(crate) fn new(quiet: Duration) -> Self {
        Self { quiet, waiting: BTreeMap::new(), everything: None }
    }

    /// Something happened to a name.
    pub(crate) fn note(&mut self, name: String, notice: Notice, now: Instant) {
        let waiting = self.waiting.entry(name).or_insert(Waiting { last: now, open: false });
        waiting.last = now;
        match notice {
            Notice::Open => waiting.open = true,
            Notice::Closed => waiting.open = false,
            Notice::Touched => {}
        }
        if self.waiting.len() > MOST {
            self.waiting.retain(|_, waiting| waiting.open);
            self.note_everything(now);
        }
    }

    /// Something may have happened to any name.
    pub(crate) fn note_everything(&mut self, now: Instant) {
        self.everything = Some(now);
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.everything.is_none()
    }

    /// When the next name comes to rest, if nothing else happens.
    pub(crate) fn next(&self) -> Option<Instant> {
        let names = self.waiting.values().map(|waiting| self.rests_at(waiting));
        names.chain(self.everything.map(|since| since + self.quiet)).min()
    }

    /// What has come to rest, and what has to be done besides; without what has not.
    pub(crate) fn take(&mut self, besides: Option<Scope>, now: Instant) -> Option<Scope> {
        let moving = self.waiting.iter().filter(|(_, waiting)| self.rests_at(waiting) > now);
        let held: BTreeSet<String> = moving.map(|(name, _)| name.clone()).collect();
        // What lies in something that is not at rest waits with it.
        let due = self.waiting.keys().filter(|name| !has_or_above(&held, name));
        let due: Vec<String> = due.cloned().collect();
        let everything = self.everything.is_some_and(|since| since + self.quiet <= now);
        let settled = match (everything, due.is_empty()) {
            (true, _) => Some(Scope::default()),
            (false, true) => None,
            (false, false) => Some(Scope::of(due.iter().cloned())),
        };
        due.iter().for_each(|name| _ = self.waiting.remove(name));
        self.everything = self.everything.filter(|_| !everything);
        for (_, waiting) in self.waiting.iter_mut().filter(|(name, _)| !held.contains(*name)) {
            waiting.last = now;
        }
        let scope = match (settled, besides) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
        scope.map(|scope| scope.without(held))
    }

    fn rests_at(&self, waiting: &Waiting) -> Instant {
        waiting.last + if waiting.open { PATIENCE.max(self.quiet) } else { self.quiet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(2);

    fn admitted<'a>(scope: Option<Scope>, names: &[&'a str]) -> Vec<&'a str> {
        let Some(scope) = scope else { return vec!["nothing"] };
        names.iter().copied().filter(|name| scope.admits(name)).collect()
    }

    #[test]
    fn what_is_written_waits_until_it_is_closed_and_quiet() {
        let (mut settling, start) = (Settling::new(QUIET), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let names = ["slow", "quick", "other"];
        assert_eq!((settling.next(), settling.is_empty()), (None, true));
        settling.note("slow".to_owned(), Notice::Open, at(0));
        settling.note("quick".to_owned(), Notice::Open, at(0));
        settling.note("quick".to_owned(), Notice::Closed, at(1));
        assert_eq!(admitted(settling.take(None, at(2)), &names), ["nothing"]);
        assert_eq!(settling.next(), Some(at(3)));
        assert_eq!(admitted(settling.take(None, at(3)), &names), ["quick"]);
        // Whatever else is to be done leaves out what is still written.
        assert_eq!(admitted(settling.take(Some(Scope::default()), at(4)), &names), ["quick", "other"]);
        settling.note("slow".to_owned(), Notice::Touched, at(10));
        assert_eq!(admitted(settling.take(None, at(20)), &names), ["nothing"]);
        settling.note("slow".to_owned(), Notice::Closed, at(20));
        assert_eq!(admitted(settling.take(None, at(22)), &names), ["slow"]);
        assert!(settling.is_empty());
        // A log is never closed: once it rests for long, it goes as it is.
        settling.note("slow".to_owned(), Notice::Open, at(30));
        assert_eq!(settling.next(), Some(at(90)));
        assert_eq!(admitted(settling.take(None, at(90)), &names), ["slow"]);
    }

    #[test]
    fn a_folder_goes_without_what_is_still_written_in_it() {
        let (mut settling, start) = (Settling::new(QUIET), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let names = ["d/a", "d/b", "e"];
        settling.note("d".to_owned(), Notice::Closed, at(0));
        settling.note("d/b".to_owned(), Notice::Open, at(1));
        assert_eq!(admitted(settling.take(None, at(2)), &names), ["d/a"]);
        // What lies in a folder that moves waits with it, and does not keep anybody awake.
        settling.note("d/b".to_owned(), Notice::Closed, at(3));
        settling.note("d".to_owned(), Notice::Closed, at(4));
        assert_eq!(admitted(settling.take(None, at(5)), &names), ["nothing"]);
        assert_eq!(settling.next(), Some(at(6)));
        assert_eq!(admitted(settling.take(None, at(6)), &names), ["d/a"]);
        assert_eq!(admitted(settling.take(None, at(7)), &names), ["d/b"]);
        assert!(settling.is_empty());
    }

    #[test]
    fn too_many_names_are_all_names() {
        let (mut settling, now) = (Settling::new(QUIET), Instant::now());
        for number in 0..=MOST {
            settling.note(number.to_string(), Notice::Closed, now);
        }
        settling.note("open".to_owned(), Notice::Open, now);
        let scope = settling.take(None, now + QUIET).unwrap();
        assert!(scope.is_everything() && !scope.admits("open") && scope.admits("7"));
    }
}
