//! Why there are no keys.

use std::path::PathBuf;

use url::Url;

use crate::connect::BodyError;
use crate::program::ProgramError;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A variable is not there.
    #[error("the variable `{0}` is not set")]
    Variable(&'static str),
    /// The program that prints them.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A document of keys has not what it must have.
    #[error("{from} gave no usable keys: {problem}")]
    Document {
        /// Who gave it.
        from: String,
        /// What is wrong; never a value of it.
        problem: &'static str,
    },
    /// An address that must not be asked.
    #[error("`{url}` is not an address that hands out keys: it must be https, loopback, or one of AWS's own")]
    Address {
        /// The address.
        url: String,
    },
    /// A token's file cannot be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be reached.
    #[error("cannot reach `{url}`")]
    Unreachable {
        /// The address.
        url: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer breaks off.
    #[error("cannot read the answer of `{url}`")]
    Body {
        /// The address.
        url: Url,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// It says no.
    #[error("`{url}` answered with status {status}")]
    Status {
        /// The address.
        url: Url,
        /// The HTTP status.
        status: u16,
    },
    /// The machine has no role.
    #[error("this machine has no role: the instance metadata at `{0}` list none")]
    NoRole(Url),
}

impl KeysError {
    /// Whether the same again may work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Body { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Variable(_)
            | Self::Program(_)
            | Self::Document { .. }
            | Self::Address { .. }
            | Self::File { .. }
            | Self::NoRole(_) => false,
        }
    }
}
