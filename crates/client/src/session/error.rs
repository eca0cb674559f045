//! Why there are no credentials.

use wigeon_core::time::{Timestamp, iso8601};

use crate::access_keys::KeysError;
use crate::aws_config::AwsConfigError;
use crate::connect::ConnectError;
use crate::exchange::ExchangeError;
use crate::identity_center::CenterError;
use crate::profile::SettingsError;
use crate::secret_store::StoreError;
use crate::sign_in::{SignInError, TokenEndpointError};
use crate::workload::WorkloadError;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A person has to sign in.
    #[error("sign-in needed for profile \"{profile}\"{}", reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    SignInNeeded {
        /// The profile.
        profile: String,
        /// Why; nothing where nobody has signed in yet.
        reason: Option<String>,
    },
    /// The profile has a value that cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It refers to a profile of AWS's files that cannot be used.
    #[error(transparent)]
    AwsConfig(#[from] AwsConfigError),
    /// No connection can be made at all.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was kept cannot be read.
    #[error(
        "what was kept of the sign-in for profile \"{profile}\" cannot be read; run: wigeon login {profile}"
    )]
    Damaged {
        /// The profile.
        profile: String,
    },
    /// Another process holds the lock and does not finish.
    #[error("another process has been renewing the session of profile \"{profile}\" for a minute")]
    Busy {
        /// The profile.
        profile: String,
    },
    /// The last renewal failed, and the next one is not due yet.
    #[error("the session of profile \"{profile}\" could not be renewed ({words}); not tried again before {}", iso8601(*until))]
    Paused {
        /// The profile.
        profile: String,
        /// What went wrong.
        words: String,
        /// When the next caller tries again.
        until: Timestamp,
    },
    /// The provider cannot renew now.
    #[error("the sign-in cannot be renewed now")]
    Renewal(#[source] TokenEndpointError),
    /// The provider's new tokens do not hold.
    #[error("the renewed sign-in cannot be trusted")]
    Untrusted(#[source] Box<SignInError>),
    /// The workload has no token.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// The source of access keys has none.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// IAM Identity Center.
    #[error(transparent)]
    Center(#[from] CenterError),
    /// The STS says no, or cannot be reached.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

impl SessionError {
    /// Whether the same again may work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Paused { .. } => true,
            Self::Renewal(error) => error.is_temporary(),
            Self::Workload(error) => error.is_temporary(),
            Self::Keys(error) => error.is_temporary(),
            Self::Center(error) => error.is_temporary(),
            Self::Exchange(error) => error.is_temporary(),
            Self::SignInNeeded { .. }
            | Self::Settings(_)
            | Self::AwsConfig(_)
            | Self::Connect(_)
            | Self::Store(_)
            | Self::Damaged { .. }
            | Self::Untrusted(_) => false,
        }
    }
}
