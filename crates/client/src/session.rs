//! The session: the one place that gives valid credentials, and renews them ahead of their end.
//!
//! Enters: a profile's settings, a store, once a [`TokenSet`] from a sign-in. Leaves: credentials, for as long as
//! the sign-in lives; then [`SessionError::SignInNeeded`], never a browser window.
//!
//! ```text
//! memory ─► store ─► (lock) store again ─► exchange the ID token, while it is valid
//!                                          └─► refresh ─► keep the new tokens ─► exchange
//! ```
//!
//! Many callers in a process, and many processes, cause one renewal. A renewal that fails for the moment leaves
//! credentials in use that are still valid.

mod record;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::{Clock, SignedDuration, Timestamp, iso8601};

pub use record::{AssumedSession, Record};

use crate::connect::{ConnectError, ConnectOptions, Connector};
use crate::exchange::{ExchangeError, exchange};
use crate::profile::{ClientCredential, OAuth, Role, Settings, SettingsError, Sts};
use crate::secret_store::{Lock, SecretStore, StoreError};
use crate::sign_in::{self, Client, SignIn, SignInError, TokenEndpointError, TokenSet};

/// How long another process may take to renew before we give up waiting for it.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// An ID token is exchanged only while it has this long to live: the request takes time, too.
const ID_TOKEN_MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// Credentials are renewed this long before they expire, or at two thirds of their life if that is later. AWS's SDKs
/// ask again and again for credentials with less than fifteen minutes left, and are told an end that is up to five
/// minutes early.
const RENEWAL_MARGIN: SignedDuration = SignedDuration::from_mins(20);

/// After a renewal that failed, the next attempt waits this long, while the old credentials work.
const RETRY_PAUSE: SignedDuration = SignedDuration::from_secs(15);

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
    /// The provider cannot renew now.
    #[error("the sign-in cannot be renewed now")]
    Renewal(#[source] TokenEndpointError),
    /// The provider's new tokens do not hold.
    #[error("the renewed sign-in cannot be trusted")]
    Untrusted(#[source] Box<SignInError>),
    /// The STS says no, or cannot be reached.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

/// Gives valid credentials for a profile. Share it (`Arc`) between all that need them.
pub struct Session {
    profile: String,
    oauth: OAuth,
    sts: Sts,
    client: Client,
    options: ConnectOptions,
    connector: OnceLock<Connector>,
    clock: Arc<dyn Clock>,
    store: Arc<dyn SecretStore>,
    /// The credentials in use, and from when on to renew them.
    warm: RwLock<Option<Warm>>,
    renewing: Mutex<()>,
}

#[derive(Clone)]
struct Warm {
    credentials: Arc<Credentials>,
    renew_at: Timestamp,
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
            profile: settings.name().to_owned(),
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

    /// Credentials that are valid now, and for a while. Cheap while they are warm.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn credentials(&self) -> Result<Arc<Credentials>, SessionError> {
        if let Some(credentials) = self.warm() {
            return Ok(credentials);
        }
        // One renewal for all callers of this process: the others find its result in memory.
        let _renewing = self.renewing.lock().await;
        if let Some(credentials) = self.warm() {
            return Ok(credentials);
        }
        if let Some(credentials) = self.load()?.and_then(|record| self.usable(&record)) {
            return Ok(credentials);
        }
        let _lock = self.lock().await?;
        // Another process may have renewed while we waited.
        let record = self.load()?.ok_or_else(|| self.nobody())?;
        if let Some(credentials) = self.usable(&record) {
            return Ok(credentials);
        }
        let fallback = record.clone();
        match self.renew(record).await {
            Ok(record) => {
                Ok(self.usable(&record).map_or_else(|| self.warm_up(&record, self.clock.now()), Ok)?)
            }
            Err(error) => self.still_valid(&fallback, error),
        }
    }

    /// Credentials other than these, which a store has refused as expired although by our clock they are not: the
    /// store has ended the session, or one of the clocks is wrong. Renews unless someone else already has.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn instead_of(&self, refused: &Credentials) -> Result<Arc<Credentials>, SessionError> {
        let _renewing = self.renewing.lock().await;
        if let Some(credentials) = self.warm().filter(|warm| warm.access_key_id != refused.access_key_id) {
            return Ok(credentials);
        }
        let _lock = self.lock().await?;
        let record = self.load()?.ok_or_else(|| self.nobody())?;
        if let Some(credentials) =
            self.usable(&record).filter(|kept| kept.access_key_id != refused.access_key_id)
        {
            return Ok(credentials);
        }
        *self.warm.write().unwrap_or_else(PoisonError::into_inner) = None;
        let record = self.renew(record).await?;
        self.warm_up(&record, self.clock.now())
    }

    /// Begins the session with a fresh sign-in: keeps the tokens, exchanges, keeps the credentials.
    ///
    /// # Errors
    /// A store that does not work; an exchange that fails. The tokens are kept all the same, so that another role
    /// can be tried without signing in again.
    pub async fn begin(&self, tokens: TokenSet) -> Result<Record, SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        let mut record = Record::new(tokens, self.client.id.clone(), self.clock.now());
        self.save(&record)?;
        self.assume(&mut record).await?;
        Ok(record)
    }

    /// What is kept of the sign-in, whether or not it is still good.
    ///
    /// # Errors
    /// A store that does not work.
    pub fn record(&self) -> Result<Option<Record>, SessionError> {
        self.load()
    }

    /// Gives the tokens back to the provider, where it takes them, and forgets everything. `None`: there was
    /// nothing to forget; else whether the provider took them back.
    ///
    /// # Errors
    /// A store that does not work.
    pub async fn end(&self) -> Result<Option<bool>, SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        let record = self.load().ok().flatten();
        *self.warm.write().unwrap_or_else(PoisonError::into_inner) = None;
        let had = self.store.remove(&self.profile)?;
        let Some(record) = record else { return Ok(had.then_some(false)) };
        let mut revoked = false;
        for (token, kind) in
            [(&record.refresh_token, "refresh_token"), (&record.access_token, "access_token")]
        {
            let (Some(token), Ok(connector)) = (token, self.connector()) else { continue };
            match sign_in::revoke(connector, &record.provider, &self.client, token, kind).await {
                Ok(taken) => revoked |= taken,
                Err(error) => tracing::warn!(%error, kind, "the provider did not take a token back"),
            }
        }
        Ok(Some(revoked))
    }

    /// The profile's name.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
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

    /// The exchange's settings.
    #[must_use]
    pub fn sts(&self) -> &Sts {
        &self.sts
    }

    fn warm(&self) -> Option<Arc<Credentials>> {
        let warm = self.warm.read().unwrap_or_else(PoisonError::into_inner);
        warm.as_ref()
            .filter(|warm| self.clock.now() < warm.renew_at)
            .map(|warm| Arc::clone(&warm.credentials))
    }

    fn load(&self) -> Result<Option<Record>, SessionError> {
        match self.store.load(&self.profile)? {
            None => Ok(None),
            Some(text) => Record::from_text(&text)
                .map(Some)
                .ok_or_else(|| SessionError::Damaged { profile: self.profile.clone() }),
        }
    }

    fn save(&self, record: &Record) -> Result<(), SessionError> {
        Ok(self.store.save(&record.account(&self.profile), &record.to_text())?)
    }

    /// The record's credentials, if they are this profile's and are not due for renewal.
    fn usable(&self, record: &Record) -> Option<Arc<Credentials>> {
        let session = self.session_of(record)?;
        (self.clock.now() < renew_at(session)).then(|| self.keep_warm(session))
    }

    /// The record's session, if it is of the role and the STS that the profile names now.
    fn session_of<'r>(&self, record: &'r Record) -> Option<&'r AssumedSession> {
        if record.client_id != self.client.id {
            return None;
        }
        let role = match &self.sts.role {
            Role::Given(arn) => Some(arn.as_str()),
            Role::Ask | Role::None => None,
        };
        record
            .session
            .as_ref()
            .filter(|session| session.endpoint == self.sts.endpoint && session.role.as_deref() == role)
    }

    fn keep_warm(&self, session: &AssumedSession) -> Arc<Credentials> {
        let credentials = Arc::new(session.credentials.clone());
        let warm = Warm { credentials: Arc::clone(&credentials), renew_at: renew_at(session) };
        *self.warm.write().unwrap_or_else(PoisonError::into_inner) = Some(warm);
        credentials
    }

    /// New credentials that are due for renewal at once (very short ones) are used all the same.
    fn warm_up(&self, record: &Record, now: Timestamp) -> Result<Arc<Credentials>, SessionError> {
        match self.session_of(record) {
            Some(session) if session.credentials.expires_at.is_none_or(|end| now < end) => {
                Ok(self.keep_warm(session))
            }
            _ => Err(self
                .sign_in_needed("the STS gave credentials that have already expired; is the clock right?")),
        }
    }

    /// Exchanges the ID token while it is valid; else refreshes it first.
    async fn renew(&self, mut record: Record) -> Result<Record, SessionError> {
        if record.client_id != self.client.id {
            return Err(self.sign_in_needed("the profile's client id has changed since"));
        }
        let valid_until = record.identity.expires_at;
        let is_valid = self.clock.now() + ID_TOKEN_MARGIN < valid_until;
        if is_valid {
            match self.assume(&mut record).await {
                Err(SessionError::Exchange(error))
                    if error.wants_newer_token() && record.refresh_token.is_some() =>
                {
                    tracing::info!(%error, "the STS wants a newer token");
                }
                outcome => return outcome.map(|()| record),
            }
        }
        let Some(refresh_token) = record.refresh_token.clone() else {
            let reason = format!(
                "the sign-in ended at {}, and the provider gave no refresh token",
                iso8601(valid_until)
            );
            return Err(self.sign_in_needed(&reason));
        };
        self.refresh(&mut record, &refresh_token).await?;
        self.assume(&mut record).await?;
        Ok(record)
    }

    async fn refresh(&self, record: &mut Record, refresh_token: &Secret) -> Result<(), SessionError> {
        let sign_in = self.sign_in()?;
        let renewal = match sign_in::refresh(sign_in, &record.provider, refresh_token).await {
            Ok(renewal) => renewal,
            Err(TokenEndpointError::Refused { code, description }) if code == "invalid_grant" => {
                // RFC 6749, section 5.2: it will never work again.
                record.refresh_token = None;
                self.save(record)?;
                let words = sign_in::words(&code, &description);
                return Err(self.sign_in_needed(&format!("the provider has ended the sign-in: {words}")));
            }
            Err(error) => return Err(SessionError::Renewal(error)),
        };
        // First of all the new refresh token is kept: the old one may be worthless from now on (RFC 9700, 4.14.2).
        if let Some(new) = renewal.refresh_token() {
            record.refresh_token = Some(new.clone());
            self.save(record)?;
        }
        let refreshed = renewal
            .verified(sign_in, &record.provider, &record.identity)
            .await
            .map_err(|error| SessionError::Untrusted(Box::new(error)))?;
        record.access_token = refreshed.access_token.or(record.access_token.take());
        match refreshed.id_token {
            Some((id_token, identity)) => {
                record.id_token = id_token;
                record.identity = identity;
                self.save(record)
            }
            None => {
                self.save(record)?;
                let ended = iso8601(record.identity.expires_at);
                let reason = format!(
                    "the ID token ended at {ended}, and the provider gives no new one without a person"
                );
                Err(self.sign_in_needed(&reason))
            }
        }
    }

    async fn assume(&self, record: &mut Record) -> Result<(), SessionError> {
        let obtained_at = self.clock.now();
        let assumed = exchange(self.connector()?, &self.sts, &record.id_token, &record.identity).await?;
        record.session = Some(AssumedSession {
            endpoint: self.sts.endpoint.clone(),
            role: match &self.sts.role {
                Role::Given(arn) => Some(arn.to_string()),
                Role::Ask | Role::None => None,
            },
            arn: assumed.arn,
            obtained_at,
            credentials: assumed.credentials,
        });
        self.save(record)?;
        if let Some(session) = &record.session {
            self.keep_warm(session);
        }
        Ok(())
    }

    /// A renewal that fails for the moment is no reason to stop while the old credentials work.
    fn still_valid(&self, record: &Record, error: SessionError) -> Result<Arc<Credentials>, SessionError> {
        let now = self.clock.now();
        match self.session_of(record) {
            Some(session) if session.credentials.expires_at.is_none_or(|end| now < end) => {
                tracing::warn!(%error, "the session could not be renewed; its credentials still work");
                // Not every request in the meantime is to try again.
                let credentials = Arc::new(session.credentials.clone());
                let pause = (now + RETRY_PAUSE).min(session.credentials.expires_at.unwrap_or(Timestamp::MAX));
                let warm = Warm { credentials: Arc::clone(&credentials), renew_at: pause };
                *self.warm.write().unwrap_or_else(PoisonError::into_inner) = Some(warm);
                Ok(credentials)
            }
            _ => Err(error),
        }
    }

    async fn lock(&self) -> Result<Lock, SessionError> {
        let begun = tokio::time::Instant::now();
        loop {
            if let Some(lock) = self.store.try_lock(&self.profile)? {
                return Ok(lock);
            }
            if begun.elapsed() > LOCK_PATIENCE {
                return Err(SessionError::Busy { profile: self.profile.clone() });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    fn nobody(&self) -> SessionError {
        SessionError::SignInNeeded { profile: self.profile.clone(), reason: None }
    }

    fn sign_in_needed(&self, reason: &str) -> SessionError {
        SessionError::SignInNeeded { profile: self.profile.clone(), reason: Some(reason.to_owned()) }
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

/// Twenty minutes ahead of the end, or a third of the life of credentials that live less than an hour.
fn renew_at(session: &AssumedSession) -> Timestamp {
    let Some(end) = session.credentials.expires_at else { return Timestamp::MAX };
    let life = end.duration_since(session.obtained_at);
    let margin = RENEWAL_MARGIN.min(life / 3);
    end.checked_sub(margin).unwrap_or(end)
}

#[cfg(test)]
mod tests;
