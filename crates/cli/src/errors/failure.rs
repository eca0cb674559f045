//! A failure: its kind, its sentence, its causes, its hints.

use std::error::Error;
use std::process::ExitCode;

/// What the caller of the program can do about a failure; one exit code each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something failed, and the same again would fail again.
    Error,
    /// The command line is not one we understand.
    Usage,
    /// A part was done, a part was not.
    Partial,
    /// A person has to sign in first.
    SignInNeeded,
    /// The service understood and said no.
    Denied,
    /// The same again may work: a time-out, a service that is busy or down.
    Retry,
}

impl Kind {
    /// The exit code, as documented for scripts.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Error => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::SignInNeeded => 4,
            Self::Denied => 5,
            Self::Retry => 6,
        }
    }

    /// The name in `--json` output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Usage => "usage",
            Self::Partial => "partial",
            Self::SignInNeeded => "sign-in-needed",
            Self::Denied => "denied",
            Self::Retry => "retry",
        }
    }
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        Self::from(kind.exit_code())
    }
}

/// A failure on its way to the terminal. Texts never hold a secret.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// What happened, to what: lower-case, no full stop.
    pub(crate) message: String,
    /// Why, from the nearest cause to the farthest.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hints: Vec<String>,
    /// The sentence says what to do: causes and hints are for those who ask for more (`-v`), and for programs.
    pub(crate) one_line: bool,
}

impl Failure {
    /// A failure without a cause beneath it.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new(), one_line: false }
    }

    /// An ordinary error, exit code 1.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::new(Kind::Error, message)
    }

    /// A command line that cannot be followed, exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// An error of a layer below, with its chain of sources.
    pub(crate) fn because(kind: Kind, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(kind, error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some libraries repeat their source in their own text; a person needs it once.
            if failure.causes.last().unwrap_or(&failure.message) != &text {
                failure.causes.push(text);
            }
            source = cause.source();
        }
        let caused_by = |word: &str| failure.causes.iter().any(|cause| cause.contains(word));
        if caused_by("UnknownIssuer") {
            return failure
                .hint("if the server has a certificate of your own CA, name it with --ca-file FILE");
        }
        if caused_by("InvalidContentType") {
            return failure
                .hint("what answers there speaks no TLS: another port, or http in place of https?");
        }
        failure
    }

    /// Adds what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// The sentence that says which command to run first, and nothing else: why it is so helps nobody to do it.
pub(crate) fn sign_in_needed(profile: &str) -> Failure {
    let message = format!("sign-in needed for profile \"{profile}\". Run: wigeon login {profile}");
    Failure { one_line: true, ..Failure::new(Kind::SignInNeeded, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_chain_becomes_causes() {
        let failure =
            Failure::because(Kind::Retry, &Outer(std::io::Error::other("the inner"))).hint("try again");
        assert_eq!(failure.message, "the outer");
        assert_eq!(failure.causes, ["the inner"]);
        assert_eq!(failure.hints, ["try again"]);
        assert_eq!(failure.kind.exit_code(), 6);
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let kinds = [Kind::Error, Kind::Usage, Kind::Partial, Kind::SignInNeeded, Kind::Denied, Kind::Retry];
        assert_eq!(kinds.map(Kind::exit_code), [1, 2, 3, 4, 5, 6]);
    }
}
