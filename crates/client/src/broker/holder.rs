//! Who has the sessions.
//!
//! Enters: the name of a profile. Leaves: credentials that are valid for a while ([`Session::credentials`] renews
//! ahead), or [`NotIssued`] with a sentence for the person at the other end. A profile that was changed gets a new
//! session; one that was signed out of is forgotten.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::{Clock, Timestamp};

use crate::profile::Settings;
use crate::secret_store::MemoryStore;
use crate::session::Session;

/// What the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// There is no such profile.
    UnknownProfile,
    /// A person has to sign in.
    SignInNeeded,
    /// The provider or the STS said no.
    Denied,
    /// The same again may work.
    Retry,
    /// Anything else.
    Failed,
}

/// Why there are no credentials, in words that may leave this process: nothing in them is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct NotIssued {
    /// What the caller can do about it.
    pub reason: Reason,
    /// For the person.
    pub message: String,
}

/// Gives credentials for profiles.
pub trait Holder: Send + Sync + 'static {
    /// Credentials that are valid now, and for a while.
    fn credentials(&self, profile: &str) -> impl Future<Output = Result<Arc<Credentials>, NotIssued>> + Send;
}

/// Where profiles and sessions come from.
pub trait Source: Send + Sync + 'static {
    /// What a profile says now.
    ///
    /// # Errors
    /// One that is not there, or cannot be read.
    fn settings(&self, profile: &str) -> Result<Settings, NotIssued>;

    /// A session of these settings.
    ///
    /// # Errors
    /// Settings that cannot be used.
    fn open(&self, settings: &Settings) -> Result<Arc<Session>, NotIssued>;

    /// The sign-ins that are kept in this process's memory.
    fn memory(&self) -> &MemoryStore;

    /// Takes the passphrase of sealed files.
    fn unlock(&self, passphrase: Secret);

    /// Credentials of the session.
    fn credentials(
        &self,
        session: &Session,
    ) -> impl Future<Output = Result<Arc<Credentials>, NotIssued>> + Send;
}

/// The sessions of one person, opened when they are first asked for.
pub struct Sessions<S> {
    source: S,
    clock: Arc<dyn Clock>,
    held: Mutex<BTreeMap<String, Held>>,
}

struct Held {
    settings: Settings,
    session: Arc<Session>,
    asked_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl<S: Source> Sessions<S> {
    /// Holds nothing yet.
    #[must_use]
    pub fn new(source: S, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, held: Mutex::new(BTreeMap::new()) }
    }

    /// Where they come from.
    pub(super) fn source(&self) -> &S {
        &self.source
    }

    /// Drops a profile's session, or all: the next caller gets what the store has then.
    pub fn forget(&self, profile: Option<&str>) {
        match profile {
            Some(profile) => drop(self.held().remove(profile)),
            None => self.held().clear(),
        }
    }

    /// What is held: profile, when it was last asked for, and the end of what was last given.
    #[must_use]
    pub fn standing(&self) -> Vec<(String, Timestamp, Option<Timestamp>)> {
        self.held().iter().map(|(name, held)| (name.clone(), held.asked_at, held.expires_at)).collect()
    }

    /// Renews ahead what was asked for since `since`, so that nobody waits for it.
    pub async fn refresh(&self, since: Timestamp) {
        let sessions: Vec<_> = self
            .held()
            .iter()
            .filter(|(_, held)| held.asked_at >= since)
            .map(|(name, held)| (name.clone(), Arc::clone(&held.session)))
            .collect();
        for (name, session) in sessions {
            match self.source.credentials(&session).await {
                Ok(credentials) => self.note(&name, &session, &credentials),
                // Whoever asks next is told.
                Err(error) => tracing::debug!(profile = name, %error, "cannot renew ahead"),
            }
        }
    }

    fn session(&self, profile: &str) -> Result<Arc<Session>, NotIssued> {
        let settings = match self.source.settings(profile) {
            Ok(settings) => settings,
            Err(error) => {
                self.forget(Some(profile));
                return Err(error);
            }
        };
        let now = self.clock.now();
        let mut held = self.held();
        if let Some(held) = held.get_mut(profile).filter(|held| held.settings == settings) {
            held.asked_at = now;
            return Ok(Arc::clone(&held.session));
        }
        let session = self.source.open(&settings)?;
        let entry = Held { settings, session: Arc::clone(&session), asked_at: now, expires_at: None };
        held.insert(profile.to_owned(), entry);
        Ok(session)
    }

    fn note(&self, profile: &str, session: &Arc<Session>, credentials: &Credentials) {
        if let Some(held) = self.held().get_mut(profile).filter(|held| Arc::ptr_eq(&held.session, session)) {
            held.expires_at = credentials.expires_at;
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Source> Holder for Sessions<S> {
    async fn credentials(&self, profile: &str) -> Result<Arc<Credentials>, NotIssued> {
        let session = self.session(profile)?;
        let credentials = self.source.credentials(&session).await?;
        self.note(profile, &session, &credentials);
        Ok(credentials)
    }
}

impl<H: Holder> Holder for Arc<H> {
    async fn credentials(&self, profile: &str) -> Result<Arc<Credentials>, NotIssued> {
        self.as_ref().credentials(profile).await
    }
}
