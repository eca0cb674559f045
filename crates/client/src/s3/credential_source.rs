//! Where the credentials of each attempt come from.
//!
//! The client asks before every attempt and keeps nothing: who answers (a session that renews itself, a fixed
//! key) decides what is current. A [`Session`] is such a source.

use std::error::Error;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use wigeon_core::credentials::Credentials;

use crate::session::{Session, SessionError};

/// Gives credentials that work now.
pub trait CredentialSource: Send + Sync + 'static {
    /// The current credentials. Asked for each attempt, so it must be cheap while they are good.
    fn credentials(&self) -> BoxFuture<'_, Result<Arc<Credentials>, CredentialError>>;

    /// Other credentials than these, which the store has just refused as expired; asked once per request.
    fn instead_of<'a>(
        &'a self,
        refused: &'a Credentials,
    ) -> BoxFuture<'a, Result<Arc<Credentials>, CredentialError>>;
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
#[error("no credentials for the store")]
pub struct CredentialError {
    /// What can be done about it.
    pub kind: CredentialKind,
    /// What the source says.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// What can be done about missing credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// A person has to sign in.
    SignInNeeded,
    /// The exchange was refused.
    Denied,
    /// The provider or the exchange could not be reached: later perhaps.
    Unavailable,
    /// Anything else.
    Other,
}

/// Credentials that never change: a long-lived key, or a session that ends when it ends.
#[derive(Debug, Clone)]
pub struct StaticCredentials(Arc<Credentials>);

impl StaticCredentials {
    /// These, always.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(credentials))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the credentials are fixed and have expired")]
struct FixedExpired;

impl CredentialSource for StaticCredentials {
    fn credentials(&self) -> BoxFuture<'_, Result<Arc<Credentials>, CredentialError>> {
        Box::pin(async { Ok(Arc::clone(&self.0)) })
    }

    fn instead_of<'a>(
        &'a self,
        _refused: &'a Credentials,
    ) -> BoxFuture<'a, Result<Arc<Credentials>, CredentialError>> {
        Box::pin(async {
            Err(CredentialError { kind: CredentialKind::SignInNeeded, source: Box::new(FixedExpired) })
        })
    }
}

impl CredentialSource for Session {
    fn credentials(&self) -> BoxFuture<'_, Result<Arc<Credentials>, CredentialError>> {
        Box::pin(async { Session::credentials(self).await.map_err(CredentialError::from) })
    }

    fn instead_of<'a>(
        &'a self,
        refused: &'a Credentials,
    ) -> BoxFuture<'a, Result<Arc<Credentials>, CredentialError>> {
        Box::pin(async { Session::instead_of(self, refused).await.map_err(CredentialError::from) })
    }
}

impl From<SessionError> for CredentialError {
    fn from(error: SessionError) -> Self {
        let kind = match &error {
            SessionError::SignInNeeded { .. } | SessionError::Damaged { .. } => CredentialKind::SignInNeeded,
            SessionError::Exchange(_) => CredentialKind::Denied,
            SessionError::Busy { .. } | SessionError::Paused { .. } | SessionError::Renewal(_) => {
                CredentialKind::Unavailable
            }
            SessionError::Workload(_) | SessionError::Keys(_) | SessionError::Center(_)
                if error.is_temporary() =>
            {
                CredentialKind::Unavailable
            }
            SessionError::Settings(_)
            | SessionError::AwsConfig(_)
            | SessionError::Workload(_)
            | SessionError::Keys(_)
            | SessionError::Center(_)
            | SessionError::Connect(_)
            | SessionError::Store(_)
            | SessionError::Untrusted(_) => CredentialKind::Other,
        };
        Self { kind, source: Box::new(error) }
    }
}
