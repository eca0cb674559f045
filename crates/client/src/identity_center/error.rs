//! What goes wrong at IAM Identity Center.

use std::path::PathBuf;

use url::Url;

use crate::connect::BodyError;

/// Why there is no sign-in, or no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CenterError {
    /// A person has to sign in; why.
    #[error("the sign-in at IAM Identity Center is over: {0}")]
    SignInNeeded(String),
    /// Nobody has entered the code in time.
    #[error("the code has expired: nobody has signed in with it in time")]
    CodeExpired,
    /// The region makes no address.
    #[error("`{0}` is not a region")]
    Region(String),
    /// The service says no.
    #[error("IAM Identity Center at `{host}` refuses: {code} ({message})")]
    Refused {
        /// The service's host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// Its code.
        code: String,
        /// Its words.
        message: String,
    },
    /// It cannot be reached.
    #[error("cannot reach IAM Identity Center at `{host}`")]
    Unreachable {
        /// Its host.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer breaks off.
    #[error("cannot read the answer of `{host}`")]
    Body {
        /// Its host.
        host: String,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// It answers with something else.
    #[error("`{url}` answered with status {status} and nothing that IAM Identity Center says")]
    Unreadable {
        /// The address.
        url: Url,
        /// The HTTP status.
        status: u16,
    },
    /// The cache of AWS's tools cannot be written.
    #[error("cannot write `{}`", path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl CenterError {
    /// Whether the same again may work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Body { .. } => true,
            Self::Refused { status, .. } | Self::Unreadable { status, .. } => {
                *status >= 500 || *status == 429
            }
            Self::SignInNeeded(_) | Self::CodeExpired | Self::Region(_) | Self::Cache { .. } => false,
        }
    }
}
