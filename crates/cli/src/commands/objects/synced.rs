//! What `sync` says: each change, as it would be done, and what came of all of them.

use serde_json::{Value, json};
use wigeon_client::sync::{Applied, Change, Comparison, Totals, Why};
use wigeon_client::transfer::Report;

use super::human;
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What came of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Synced {
    pub(crate) totals: Totals,
    pub(crate) report: Report,
    moved: u64,
}

impl Synced {
    /// After the changes.
    pub(crate) fn new(totals: Totals, applied: Applied) -> Self {
        // Moves inside a store are copies to the engine.
        let Report { done, bytes, moved, moved_bytes, .. } = applied.report;
        let report = Report {
            done: done.saturating_sub(moved),
            bytes: bytes.saturating_sub(moved_bytes),
            moved: 0,
            moved_bytes: 0,
            ..applied.report
        };
        Self { totals, report, moved: applied.moved + moved }
    }

    /// After the removals.
    pub(crate) fn add(&mut self, removed: Applied) {
        self.report.removed += removed.report.removed;
        self.report.failed += removed.report.failed;
    }

    /// After what had to wait for the removals.
    pub(crate) fn add_late(&mut self, late: Applied) {
        self.report.done += late.report.done;
        self.report.bytes += late.report.bytes;
        self.report.failed += late.report.failed;
    }

    /// For people.
    pub(crate) fn sentence(&self) -> String {
        let same = human::count(self.totals.same, "file is the same", "files are the same");
        let counts = [
            (self.moved, "moved"),
            (self.report.removed, "removed"),
            (self.totals.extra, "only at the target"),
            (self.totals.conflicts, "left because the target's is newer"),
        ];
        enumerated(Some(same), &counts)
    }

    /// For people, who know already what stays the same.
    pub(crate) fn changes(&self) -> String {
        enumerated(None, &[(self.moved, "moved"), (self.report.removed, "removed")])
    }

    /// Whether anything came of it.
    pub(crate) fn did_anything(&self) -> bool {
        self.report.done + self.report.removed + self.report.failed + self.moved > 0
    }

    /// For programs, beside what the engine says.
    pub(crate) fn document(&self) -> Value {
        json!({
            "same": self.totals.same,
            "moved": self.moved,
            "removed": self.report.removed,
            "only_at_target": self.totals.extra,
            "conflicts": self.totals.conflicts,
        })
    }

    /// Conflicts are for somebody to look at.
    pub(crate) fn conflicts(&self) -> Result<(), Failure> {
        match self.totals.conflicts {
            0 => Ok(()),
            count => Err(Failure::new(
                Kind::Partial,
                format!(
                    "{} written later at the target, and left as it was there",
                    human::count(count, "file was", "files were")
                ),
            )
            .hint("without --update the source's take their place")),
        }
    }
}

/// `1 file is the same; 2 moved.`: what there is none of is not said.
fn enumerated(first: Option<String>, counts: &[(u64, &str)]) -> String {
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> =
        first.into_iter().chain(counts.map(|(count, what)| format!("{count} {what}"))).collect();
    if parts.is_empty() { String::new() } else { format!("{}.", parts.join("; ")) }
}

/// Prints a change that would be made.
pub(crate) fn show(change: &Change, context: &Context) -> Result<(), Failure> {
    context.output.item(change, |change| match change {
        Change::Copy { source, why, .. } => {
            line("would copy", &source.name, &format!("{}; {}", human::size(source.size), reason(*why)))
        }
        Change::Move { target, source, .. } => {
            human::name(&format!("would move `{}` to `{}`", target.name, source.name))
        }
        Change::Remove { target } => line("would remove", &target.name, &human::size(target.size)),
    })
}

/// `would copy `a` (12 B; it is new)`.
pub(crate) fn line(what: &str, name: &str, more: &str) -> String {
    human::name(&format!("{what} `{name}` ({more})"))
}

/// The last line of what would be done.
pub(crate) fn say(totals: Totals, comparison: Comparison, context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.item(&json!({"end": totals, "comparison": comparison}), |_| String::new());
    }
    let mut text = format!(
        "Nothing was done. It would be {}, {} to copy",
        human::count(totals.copies, "file", "files"),
        human::size(totals.bytes)
    );
    for (count, what) in [
        (totals.moves, "to move"),
        (totals.removals, "to remove"),
        (totals.extra, "only at the target"),
        (totals.conflicts, "left because the target's is newer"),
        (totals.failed, "could not be read"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    text.push_str(&format!("; {} the same. Compared by {}.", totals.same, comparison.sentence()));
    context.output.note(&text);
    Ok(())
}

/// Why something is copied, or differs.
pub(crate) fn reason(why: Why) -> &'static str {
    match why {
        Why::Missing => "it is new",
        Why::Size => "another size",
        Why::Time => "another time",
        Why::Content => "another content",
        Why::NothingToCompare => "nothing to compare it by",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it() {
        let totals = Totals { same: 1, moves: 2, conflicts: 1, ..Totals::default() };
        let report = Report { done: 5, bytes: 50, moved: 1, moved_bytes: 40, ..Report::default() };
        let mut synced = Synced::new(totals, Applied { report, moved: 1 });
        synced.add(Applied { report: Report { removed: 3, ..Report::default() }, moved: 0 });
        assert_eq!((synced.report.done, synced.report.bytes), (4, 10));
        assert_eq!(
            synced.sentence(),
            "1 file is the same; 2 moved; 3 removed; 1 left because the target's is newer."
        );
        assert_eq!(synced.conflicts().unwrap_err().kind, Kind::Partial);
    }
}
