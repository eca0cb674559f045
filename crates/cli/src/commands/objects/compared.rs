//! What `diff` and `check` share: two sides compared, and each finding shown.

use serde_json::json;
use wigeon_client::sync::{Finding, Measure, Reading, Side, State, Trouble, diff, findings};

use super::human;
use super::synced::{line, reason};
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// How many of each.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) same: u64,
    pub(crate) differs: u64,
    pub(crate) only_source: u64,
    pub(crate) only_target: u64,
    pub(crate) unknown: u64,
    pub(crate) failed: u64,
}

/// Which findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// All.
    All,
    /// Those that are not the same.
    NotTheSame,
}

/// Compares two sides and shows what is found, in rclone's marks: `=` the same, `*` differs, `+` only in the source,
/// `-` only in the target, `?` nothing tells, `!` an error.
pub(crate) async fn compare(
    (source, target): (&Side, &Side),
    reading: &Reading,
    measure: Measure,
    show: Show,
    context: &Context,
) -> Result<Counts, Failure> {
    let mut found = findings(diff(source, target, reading), source, target, measure);
    let mut counts = Counts::default();
    while let Some((findings, troubles)) = found.next().await? {
        for finding in findings {
            counts.count(finding.state);
            if show == Show::All || finding.state != State::Same {
                context.output.item(&finding, text)?;
            }
        }
        for trouble in troubles {
            match trouble {
                Trouble::Skipped { name, why } => context.output.note(&line("skipped", &name, &why)),
                Trouble::Failed { name, error } => {
                    counts.failed += 1;
                    let failure = Failure::of_transfer(&error);
                    let data = json!({"name": name, "state": "error", "message": failure.message});
                    context.output.item(&data, |_| line("!", &name, &failure.message))?;
                }
            }
        }
    }
    Ok(counts)
}

fn text(finding: &Finding) -> String {
    let mark = match finding.state {
        State::Same => "=",
        State::Differs => "*",
        State::OnlySource => "+",
        State::OnlyTarget => "-",
        State::Unknown => "?",
    };
    let name = human::name(&finding.name);
    match finding.why {
        Some(why) => format!("{mark} {name}  ({})", reason(why)),
        None => format!("{mark} {name}"),
    }
}

impl Counts {
    fn count(&mut self, state: State) {
        let count = match state {
            State::Same => &mut self.same,
            State::Differs => &mut self.differs,
            State::OnlySource => &mut self.only_source,
            State::OnlyTarget => &mut self.only_target,
            State::Unknown => &mut self.unknown,
        };
        *count += 1;
    }

    /// Says how many of each.
    pub(crate) fn say(&self, how: &str, context: &Context) {
        let mut text = human::count(self.same, "file is the same", "files are the same");
        for (count, what) in [
            (self.differs, "differ"),
            (self.only_source, "only in the source"),
            (self.only_target, "only in the target"),
            (self.unknown, "of one size, with nothing to tell them by"),
            (self.failed, "could not be read"),
        ] {
            if count > 0 {
                text.push_str(&format!("; {count} {what}"));
            }
        }
        context.output.note(&format!("{text}. Compared by {how}."));
    }

    /// An error where something is not the same; what could not be compared is not known to be.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let not = self.differs + self.only_source + self.only_target + self.unknown;
        match (not, self.failed) {
            (0, 0) => Ok(()),
            (0, failed) => Err(Failure::new(
                Kind::Partial,
                format!("{} could not be compared", human::count(failed, "file", "files")),
            )),
            (not, _) => Err(Failure::error(format!(
                "{} not the same on both sides",
                human::count(not, "file is", "files are")
            ))),
        }
    }
}
