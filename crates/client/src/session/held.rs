//! What a session is made of: the profile's settings, the clock, the store with its lock, the connections, and the
//! credentials in memory.
//!
//! Enters: settings, a store, a clock. Leaves: a [`Session`], which has asked for nothing yet.

use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use wigeon_core::credentials::Credentials;
use wigeon_core::time::{Clock, Timestamp};

use super::error::SessionError;
use super::plan::{Plan, Root};
use super::record::Record;
use crate::connect::{ConnectOptions, Connector};
use crate::identity_center::Center;
use crate::profile::{ClientCredential, IdentityCenter, OAuth, Settings, Sts};
use crate::secret_store::{Lock, Prepared, SecretStore, StoreError};
use crate::sign_in::{Client, SignIn};
use crate::surroundings::Surroundings;

/// How long another process may take to renew before we give up waiting for it.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// Gives valid credentials for a profile. Share it (`Arc`) between all that need them.
pub struct Session {
    pub(super) settings: Settings,
    pub(super) around: Surroundings,
    pub(super) oauth: OAuth,
    pub(super) sts: Sts,
    pub(super) client: Client,
    options: ConnectOptions,
    connector: OnceLock<Connector>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<dyn SecretStore>,
    /// The credentials in use, and from when on to renew them.
    pub(super) warm: RwLock<Option<Warm>>,
    pub(super) renewing: Mutex<()>,
}

/// Credentials in memory, and from when on to renew them.
#[derive(Clone)]
pub(super) struct Warm {
    pub(super) credentials: Arc<Credentials>,
    pub(super) renew_at: Timestamp,
}

impl Session {
    /// Makes the session of a profile. Nothing is read or asked for yet.
    ///
    /// # Errors
    /// A profile that cannot be used.
    pub fn new(
        settings: &Settings,
        options: ConnectOptions,
        store: Arc<dyn SecretStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SessionError> {
        let oauth = settings.oauth()?;
        let client = client_of(&oauth);
        let mut options = options;
        options.ca_files.extend(settings.ca_file().map(|file| file.value));
        Ok(Self {
            settings: settings.clone(),
            around: Surroundings::default(),
            sts: settings.sts()?,
            oauth,
            client,
            options,
            connector: OnceLock::new(),
            clock,
            store,
            warm: RwLock::new(None),
            renewing: Mutex::new(()),
        })
    }

    /// Lets the session see the variables of an environment: for workloads, and for access keys from elsewhere.
    #[must_use]
    pub fn in_surroundings(mut self, around: Surroundings) -> Self {
        self.around = around;
        self
    }

    /// Whether the profile needs no person to begin: a workload, or keys from elsewhere.
    ///
    /// # Errors
    /// A profile that cannot be used.
    pub fn is_unattended(&self) -> Result<bool, SessionError> {
        Ok(self.plan()?.is_unattended())
    }

    /// The multi-factor device whose code is wanted at the beginning.
    ///
    /// # Errors
    /// A profile that cannot be used.
    pub fn mfa_serial(&self) -> Result<Option<String>, SessionError> {
        Ok(self.plan()?.mfa_serial().map(str::to_owned))
    }

    /// Where a person signs in at IAM Identity Center, if this profile is one for that.
    ///
    /// # Errors
    /// A profile that cannot be used.
    pub fn identity_center(&self) -> Result<Option<IdentityCenter>, SessionError> {
        match self.plan()?.root {
            Root::IdentityCenter(center) => Ok(Some(center)),
            _ => Ok(None),
        }
    }

    /// The profile's name.
    #[must_use]
    pub fn profile(&self) -> &str {
        self.settings.name()
    }

    /// Makes the requests of this profile.
    ///
    /// # Errors
    /// A TLS setup that does not work.
    pub fn connector(&self) -> Result<&Connector, SessionError> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector);
        }
        let connector = Connector::new(&self.options)?;
        Ok(self.connector.get_or_init(|| connector))
    }

    /// What a sign-in for this session needs.
    ///
    /// # Errors
    /// A TLS setup that does not work.
    pub fn sign_in(&self) -> Result<SignIn<'_>, SessionError> {
        Ok(SignIn {
            connector: self.connector()?,
            clock: self.clock.as_ref(),
            oauth: &self.oauth,
            client: &self.client,
        })
    }

    /// What requests to IAM Identity Center need.
    ///
    /// # Errors
    /// A TLS setup that does not work.
    pub fn center<'a>(&'a self, place: &'a IdentityCenter) -> Result<Center<'a>, SessionError> {
        let (connector, clock) = (self.connector()?, self.clock.as_ref());
        Ok(Center { place, connector, around: &self.around, clock })
    }

    /// The exchange's settings.
    #[must_use]
    pub fn sts(&self) -> &Sts {
        &self.sts
    }

    /// Sees to it that a sign-in can be kept, before anyone signs in.
    ///
    /// # Errors
    /// A store that does not work.
    pub fn prepare(&self) -> Result<Prepared, SessionError> {
        Ok(self.store.prepare(self.profile())?)
    }

    pub(super) fn plan(&self) -> Result<Plan, SessionError> {
        Plan::of(&self.settings, &self.around)
    }

    pub(super) fn load(&self) -> Result<Option<Record>, SessionError> {
        match self.store.load(self.profile()) {
            Ok(None) => Ok(None),
            Err(error @ StoreError::Unopened(_)) => Err(self.sign_in_needed(&error.to_string())),
            Err(error) => Err(error.into()),
            Ok(Some(text)) => Record::from_text(&text)
                .map(Some)
                .ok_or_else(|| SessionError::Damaged { profile: self.profile().to_owned() }),
        }
    }

    pub(super) fn save(&self, record: &Record) -> Result<(), SessionError> {
        Ok(self.store.save(&record.account(self.profile()), &record.to_text())?)
    }

    pub(super) async fn lock(&self) -> Result<Lock, SessionError> {
        let begun = tokio::time::Instant::now();
        loop {
            if let Some(lock) = self.store.try_lock(self.profile())? {
                return Ok(lock);
            }
            if begun.elapsed() > LOCK_PATIENCE {
                return Err(SessionError::Busy { profile: self.profile().to_owned() });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    pub(super) fn nobody(&self) -> SessionError {
        SessionError::SignInNeeded { profile: self.profile().to_owned(), reason: None }
    }

    pub(super) fn sign_in_needed(&self, reason: &str) -> SessionError {
        SessionError::SignInNeeded { profile: self.profile().to_owned(), reason: Some(reason.to_owned()) }
    }
}

fn client_of(oauth: &OAuth) -> Client {
    let id = match &oauth.client_id {
        ClientCredential::Given(id) => Some(id.clone()),
        ClientCredential::None | ClientCredential::Ask => None,
    };
    let secret = match &oauth.client_secret {
        ClientCredential::Given(secret) => Some(secret.clone()),
        ClientCredential::None | ClientCredential::Ask => None,
    };
    Client { id, secret }
}
