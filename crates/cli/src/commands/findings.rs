//! What was found, in the order of the steps: by `doctor`, and by `serve --check`.

use serde_json::{Value, json};

use crate::errors::Failure;

/// How a step came out; the last is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Ok,
    Warning,
    /// A person has to sign in.
    Missing,
    Failed,
}

impl State {
    fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warn",
            Self::Missing => "todo",
            Self::Failed => "FAIL",
        }
    }
}

struct Finding {
    step: String,
    state: State,
    text: String,
    causes: Vec<String>,
    fix: String,
}

/// The findings so far.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// A step that went well.
    pub(crate) fn ok(&mut self, step: &str, text: impl Into<String>) {
        self.add(step, State::Ok, &text.into(), &[], "");
    }

    /// A step, with why and what to do.
    pub(crate) fn add(&mut self, step: &str, state: State, text: &str, causes: &[String], fix: &str) {
        self.0.push(Finding {
            step: step.to_owned(),
            state,
            text: text.to_owned(),
            causes: causes.to_vec(),
            fix: fix.to_owned(),
        });
    }

    /// A step that failed as a command would have.
    pub(crate) fn failed(&mut self, step: &str, failure: &Failure, fix: &str) {
        let fix = if failure.hints.is_empty() { fix.to_owned() } else { failure.hints.join("; ") };
        self.add(step, State::Failed, &failure.message, &failure.causes, &fix);
    }

    /// The worst of all.
    pub(crate) fn worst(&self) -> State {
        self.0.iter().map(|finding| finding.state).max().unwrap_or(State::Ok)
    }

    /// Whether nothing failed or is missing.
    pub(crate) fn healthy(&self) -> bool {
        self.worst() <= State::Warning
    }

    /// For programs.
    pub(crate) fn documents(&self) -> Vec<Value> {
        self.0
            .iter()
            .map(|finding| {
                json!({ "step": finding.step, "state": finding.state.mark().to_lowercase(), "text": finding.text,
                    "causes": finding.causes, "fix": finding.fix })
            })
            .collect()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let width = self.0.iter().map(|finding| finding.step.len()).max().unwrap_or_default();
        let indent = " ".repeat(width + 8);
        let mut lines = Vec::new();
        for finding in &self.0 {
            lines.push(format!("{:4}  {:width$}  {}", finding.state.mark(), finding.step, finding.text));
            lines.extend(finding.causes.iter().map(|cause| format!("{indent}because: {cause}")));
            if !finding.fix.is_empty() {
                lines.push(format!("{indent}fix: {}", finding.fix));
            }
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_and_everything_is_said() {
        let mut findings = Findings::default();
        assert!(findings.healthy());
        findings.ok("discovery", "found");
        findings.add("clock", State::Warning, "90 s behind", &[], "set the clock");
        assert!(findings.healthy());
        let mut failure = Failure::error("no").hint("ask");
        failure.causes.push("why".to_owned());
        findings.failed("sts", &failure, "");
        assert_eq!(findings.worst(), State::Failed);
        assert_eq!(
            findings.text(),
            "ok    discovery  found\nwarn  clock      90 s behind\n                 fix: set the clock\n\
             FAIL  sts        no\n                 because: why\n                 fix: ask"
        );
    }
}
