//! What was found, and how bad it is.

use crate::chain::chain;

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Ok,
    /// A server starts, and something is not as it should be.
    Warning,
    /// A server would not start, or serve nothing.
    Failed,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: `directory`, `listener 127.0.0.1:9000`, …
    pub subject: String,
    /// How bad it is.
    pub state: State,
    /// What was found.
    pub text: String,
    /// What to do; empty where nothing has to be done.
    pub fix: String,
}

impl Finding {
    /// As it should be.
    #[must_use]
    pub fn ok(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: State::Ok, text: text.into(), fix: String::new() }
    }

    /// Not as it should be.
    #[must_use]
    pub fn warning(subject: impl Into<String>, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: State::Warning, text: text.into(), fix: fix.into() }
    }

    /// A server would not start.
    #[must_use]
    pub fn failed(subject: impl Into<String>, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: State::Failed, text: text.into(), fix: fix.into() }
    }

    /// A server would not start, as the error says.
    #[must_use]
    pub fn because(
        subject: impl Into<String>,
        error: &dyn std::error::Error,
        fix: impl Into<String>,
    ) -> Self {
        Self::failed(subject, chain(error), fix)
    }
}
