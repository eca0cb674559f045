//! The session: the one place that gives valid credentials, and renews them ahead of their end.
//!
//! Enters: a profile's settings, a store, once a [`TokenSet`] from a sign-in. Leaves: credentials, for as long as
//! the sign-in lives; then [`SessionError::SignInNeeded`], never a browser window.
//!
//! ```text
//! memory ─► store ─► (lock) store again ─► a person's token, while it is valid ────────────┐
//!                                          ├─► refresh ─► keep the new tokens ─────────────┼─► exchange ─► roles
//!                                          ├─► a workload's token, read anew ──────────────┘               ▲
//!                                          └─► access keys · IAM Identity Center ──────────────────────────┘
//! ```
//!
//! Many callers in a process, and many processes, cause one renewal. A renewal that fails for the moment leaves
//! credentials in use that are still valid, and makes the next one wait a little.

mod error;

mod record;

mod plan;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::sts::session_name_from;
use wigeon_core::time::{Clock, SignedDuration, Timestamp, iso8601};

pub use error::SessionError;
pub use record::{AssumedSession, Record};

use crate::access_keys;
use crate::connect::{ConnectOptions, Connector};
use crate::exchange::{Assumption, MultiFactor, assume_role, exchange};
use crate::identity_center::{Center, CenterError, SsoSession};
use crate::profile::{ClientCredential, Exchanged, IdentityCenter, OAuth, Settings, Sts};
use crate::secret_store::{Lock, Prepared, SecretStore, StoreError};
use crate::sign_in::{self, Client, Identity, SignIn, TokenEndpointError, TokenSet};
use crate::surroundings::Surroundings;
use crate::workload;
use plan::{Plan, Root};

/// How long another process may take to renew before we give up waiting for it.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// An ID token is exchanged only while it has this long to live: the request takes time, too.
const ID_TOKEN_MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// After a renewal that failed, this process asks again after this long at the earliest, while the old credentials
/// work; all processes together keep the pause of the record.
const RETRY_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// Credentials are renewed this long before they expire, or at two thirds of their life if that is later. AWS's SDKs
/// ask again and again for credentials with less than fifteen minutes left, and are told an end that is up to five
/// minutes early.
const RENEWAL_MARGIN: SignedDuration = SignedDuration::from_mins(20);

/// Gives valid credentials for a profile. Share it (`Arc`) between all that need them.
pub struct Session {
    settings: Settings,
    around: Surroundings,
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
        let plan = self.plan()?;
        if let Some(credentials) = self.load()?.and_then(|record| self.usable(&plan, &record)) {
            return Ok(credentials);
        }
        let _lock = self.lock().await?;
        // Another process may have renewed while we waited.
        let record = self.load()?;
        if let Some(credentials) = record.as_ref().and_then(|record| self.usable(&plan, record)) {
            return Ok(credentials);
        }
        // Or it may have tried in vain, and the next attempt is not due yet.
        if let Some(paused) = record.as_ref().and_then(|record| self.paused(record)) {
            return self.still_valid(&plan, record.as_ref(), paused);
        }
        match self.renew(&plan, record.clone(), None).await {
            Ok(renewed) => match self.usable(&plan, &renewed) {
                Some(credentials) => Ok(credentials),
                None => self.warm_up(&plan, &renewed, self.clock.now()),
            },
            Err(error) => {
                // The renewal may have kept new tokens before it failed.
                let record = self.load()?;
                if let Some(mut record) = record.clone().filter(|_| error.is_temporary()) {
                    record.failed(words_of(&error), self.clock.now());
                    self.save(&record)?;
                }
                self.still_valid(&plan, record.as_ref(), error)
            }
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
        let plan = self.plan()?;
        let record = self.load()?;
        if let Some(credentials) = record
            .as_ref()
            .and_then(|record| self.usable(&plan, record))
            .filter(|kept| kept.access_key_id != refused.access_key_id)
        {
            return Ok(credentials);
        }
        *self.warm.write().unwrap_or_else(PoisonError::into_inner) = None;
        let record = self.renew(&plan, record, None).await?;
        self.warm_up(&plan, &record, self.clock.now())
    }

    /// Begins the session with a fresh sign-in: keeps the tokens, exchanges, keeps the credentials.
    ///
    /// # Errors
    /// A store that does not work; an exchange that fails. The tokens are kept all the same, so that another role
    /// can be tried without signing in again.
    pub async fn begin(&self, tokens: TokenSet) -> Result<Record, SessionError> {
        let record = Record::new(tokens, self.client.id.clone(), self.clock.now());
        self.begin_with(record, None).await
    }

    /// Begins the session with a sign-in at IAM Identity Center.
    ///
    /// # Errors
    /// As [`Session::begin`].
    pub async fn begin_at_center(&self, sso: SsoSession) -> Result<Record, SessionError> {
        let plan = self.plan()?;
        let Root::IdentityCenter(place) = &plan.root else { return Err(self.nobody()) };
        let record =
            Record { sso: Some(sso), ..Record::of(identity_at(place, self.clock.now()), self.clock.now()) };
        self.begin_with(record, None).await
    }

    /// Begins the session with access keys that a person gives, and the code of their multi-factor device where
    /// the role wants one.
    ///
    /// # Errors
    /// As [`Session::begin`].
    pub async fn begin_with_keys(
        &self,
        keys: Credentials,
        code: Option<Secret>,
    ) -> Result<Record, SessionError> {
        let identity = Identity::of_keys("access-keys", &keys.access_key_id, self.clock.now());
        let record = Record { keys: Some(keys), ..Record::of(identity, self.clock.now()) };
        self.begin_with(record, code).await
    }

    /// Begins the session of a profile that needs nobody, or only a person's code.
    ///
    /// # Errors
    /// As [`Session::begin`].
    pub async fn begin_unattended(&self, code: Option<Secret>) -> Result<Record, SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        let plan = self.plan()?;
        let kept = self.load().ok().flatten().filter(|record| record.keys.is_some());
        self.renew(&plan, kept, code.as_ref()).await
    }

    async fn begin_with(&self, record: Record, code: Option<Secret>) -> Result<Record, SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        let plan = self.plan()?;
        self.save(&record)?;
        self.renew(&plan, Some(record), code.as_ref()).await
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

    /// What requests to IAM Identity Center need.
    ///
    /// # Errors
    /// A TLS setup that does not work.
    pub fn center<'a>(&'a self, place: &'a IdentityCenter) -> Result<Center<'a>, SessionError> {
        let (connector, clock) = (self.connector()?, self.clock.as_ref());
        Ok(Center { place, connector, around: &self.around, clock })
    }

    /// Sees to it that a sign-in can be kept, before anyone signs in.
    ///
    /// # Errors
    /// A store that does not work.
    pub fn prepare(&self) -> Result<Prepared, SessionError> {
        Ok(self.store.prepare(self.profile())?)
    }

    /// What is kept of the sign-in, whether or not it is still good.
    ///
    /// # Errors
    /// A store that does not work.
    pub fn record(&self) -> Result<Option<Record>, SessionError> {
        self.load()
    }

    /// What is kept of every account of the profile, the current one among them.
    ///
    /// # Errors
    /// A store that does not work.
    pub fn accounts(&self) -> Result<Vec<Record>, SessionError> {
        Ok(self.store.accounts(self.profile())?.iter().filter_map(Record::from_text).collect())
    }

    /// Makes another account of the profile the current one.
    ///
    /// # Errors
    /// A store that does not work.
    pub async fn switch_to(&self, record: &Record) -> Result<(), SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        self.save(record)?;
        *self.warm.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    /// Gives the tokens back to the provider, where it takes them, and forgets everything. `None`: there was
    /// nothing to forget; else whether the provider took them back.
    ///
    /// # Errors
    /// A store that does not work.
    pub async fn end(&self) -> Result<Option<bool>, SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        let mut records = self.accounts().unwrap_or_default();
        if records.is_empty() {
            records.extend(self.load().ok().flatten());
        }
        *self.warm.write().unwrap_or_else(PoisonError::into_inner) = None;
        let had = self.store.remove(self.profile())?;
        if records.is_empty() {
            return Ok(had.then_some(false));
        }
        let mut revoked = false;
        for record in &records {
            revoked |= self.give_back(record).await;
        }
        Ok(Some(revoked))
    }

    /// Gives an account's tokens back; whether the provider took one.
    async fn give_back(&self, record: &Record) -> bool {
        let mut taken_back = false;
        for (token, kind) in
            [(&record.refresh_token, "refresh_token"), (&record.access_token, "access_token")]
        {
            let (Some(token), Some(provider), Ok(connector)) = (token, &record.provider, self.connector())
            else {
                continue;
            };
            match sign_in::revoke(connector, provider, &self.client, token, kind).await {
                Ok(taken) => taken_back |= taken,
                Err(error) => tracing::warn!(%error, kind, "the provider did not take a token back"),
            }
        }
        taken_back
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
        match self.store.load(self.profile()) {
            Ok(None) => Ok(None),
            Err(error @ StoreError::Unopened(_)) => Err(self.sign_in_needed(&error.to_string())),
            Err(error) => Err(error.into()),
            Ok(Some(text)) => Record::from_text(&text)
                .map(Some)
                .ok_or_else(|| SessionError::Damaged { profile: self.profile().to_owned() }),
        }
    }

    fn save(&self, record: &Record) -> Result<(), SessionError> {
        Ok(self.store.save(&record.account(self.profile()), &record.to_text())?)
    }

    fn plan(&self) -> Result<Plan, SessionError> {
        Plan::of(&self.settings, &self.around)
    }

    /// The record's credentials, if they are this profile's and are not due for renewal.
    fn usable(&self, plan: &Plan, record: &Record) -> Option<Arc<Credentials>> {
        let session = self.session_of(plan, record)?;
        (self.clock.now() < renew_at(session)).then(|| self.keep_warm(session))
    }

    /// The record's session, if it came the way that the profile names now.
    fn session_of<'r>(&self, plan: &Plan, record: &'r Record) -> Option<&'r AssumedSession> {
        if plan.root == Root::Person && record.client_id != self.client.id {
            return None;
        }
        record.session.as_ref().filter(|session| {
            let came: Vec<&String> = if session.way.is_empty() {
                session.role.iter().collect()
            } else {
                session.way.iter().collect()
            };
            session.endpoint == plan.sts.endpoint && came == plan.way().iter().collect::<Vec<_>>()
        })
    }

    /// The last failure, while nobody is to try again.
    fn paused(&self, record: &Record) -> Option<SessionError> {
        let failure = record.failure.as_ref().filter(|failure| self.clock.now() < failure.until)?;
        Some(SessionError::Paused {
            profile: self.profile().to_owned(),
            words: failure.words.clone(),
            until: failure.until,
        })
    }

    fn keep_warm(&self, session: &AssumedSession) -> Arc<Credentials> {
        let credentials = Arc::new(session.credentials.clone());
        let warm = Warm { credentials: Arc::clone(&credentials), renew_at: renew_at(session) };
        *self.warm.write().unwrap_or_else(PoisonError::into_inner) = Some(warm);
        credentials
    }

    /// New credentials that are due for renewal at once (very short ones) are used all the same.
    fn warm_up(
        &self,
        plan: &Plan,
        record: &Record,
        now: Timestamp,
    ) -> Result<Arc<Credentials>, SessionError> {
        match self.session_of(plan, record) {
            Some(session) if session.credentials.expires_at.is_none_or(|end| now < end) => {
                Ok(self.keep_warm(session))
            }
            _ => Err(self
                .sign_in_needed("the STS gave credentials that have already expired; is the clock right?")),
        }
    }

    /// New credentials, from the root of the plan on.
    async fn renew(
        &self,
        plan: &Plan,
        record: Option<Record>,
        code: Option<&Secret>,
    ) -> Result<Record, SessionError> {
        if let Some(serial) = plan.mfa_serial().filter(|_| code.is_none()) {
            return Err(self.sign_in_needed(&format!("the role wants a code of the device `{serial}`")));
        }
        let now = self.clock.now();
        let (record, first) = match &plan.root {
            Root::Person => {
                let record = record.ok_or_else(|| self.nobody())?;
                self.enter_as_person(plan, record).await?
            }
            Root::Workload(source) => {
                let found = workload::token(source, &self.around, self.sign_in()?).await?;
                let assumed = exchange(self.connector()?, &plan.sts, &found.token, &found.identity).await?;
                let record = Record { id_token: Some(found.token), ..Record::of(found.identity, now) };
                (record, assumed.into())
            }
            Root::IdentityCenter(place) => {
                let record = record.ok_or_else(|| self.nobody())?;
                self.enter_by_center(place, record).await?
            }
            Root::Kept => {
                let record = record.ok_or_else(|| self.nobody())?;
                let keys = record.keys.clone().ok_or_else(|| self.nobody())?;
                (record, Assumption::plain(keys))
            }
            Root::Keys(source) => {
                let keys = access_keys::keys(source, &self.around, self.connector()?)
                    .await?
                    .ok_or_else(|| self.nobody())?;
                (
                    Record::of(Identity::of_keys("access-keys", &keys.access_key_id, now), now),
                    Assumption::plain(keys),
                )
            }
            Root::Given(keys) => {
                let identity = Identity::of_keys("access-keys", &keys.access_key_id, now);
                (Record::of(identity, now), Assumption::plain(keys.clone()))
            }
        };
        self.through_roles(plan, record, first, code).await
    }

    /// Assumes the roles of the plan, one with the credentials of the other, and keeps what comes of it.
    async fn through_roles(
        &self,
        plan: &Plan,
        mut record: Record,
        first: Assumption,
        code: Option<&Secret>,
    ) -> Result<Record, SessionError> {
        let obtained_at = self.clock.now();
        let mut last = first;
        for step in &plan.roles {
            let factor = match (&step.mfa_serial, code) {
                (Some(serial), Some(code)) => Some(MultiFactor { serial, code }),
                _ => None,
            };
            let name =
                step.session_name.clone().unwrap_or_else(|| session_name_from(&record.identity.subject));
            last = assume_role(
                self.connector()?,
                &plan.sts,
                &last.credentials,
                step,
                &name,
                factor,
                obtained_at,
            )
            .await?;
        }
        let way = plan.way();
        record.session = Some(AssumedSession {
            endpoint: plan.sts.endpoint.clone(),
            role: way.last().filter(|role| role.starts_with("arn:")).cloned(),
            way: if way.len() > 1 || way.iter().any(|role| !role.starts_with("arn:")) {
                way
            } else {
                Vec::new()
            },
            arn: last.arn,
            obtained_at,
            credentials: last.credentials,
        });
        record.failure = None;
        self.save(&record)?;
        if let Some(session) = &record.session {
            self.keep_warm(session);
        }
        Ok(record)
    }

    /// Exchanges the person's token while it is valid; else refreshes it first.
    async fn enter_as_person(
        &self,
        plan: &Plan,
        mut record: Record,
    ) -> Result<(Record, Assumption), SessionError> {
        if record.client_id != self.client.id {
            return Err(self.sign_in_needed("the profile's client id has changed since"));
        }
        let (token, valid_until) = record.exchangeable(self.oauth.exchanged).ok_or_else(|| self.nobody())?;
        if self.clock.now() + ID_TOKEN_MARGIN < valid_until {
            match exchange(self.connector()?, &plan.sts, token, &record.identity).await {
                Err(error) if error.wants_newer_token() && record.refresh_token.is_some() => {
                    tracing::info!(%error, "the STS wants a newer token");
                }
                outcome => return Ok((record, outcome?.into())),
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
        let (token, _) = record.exchangeable(self.oauth.exchanged).ok_or_else(|| self.nobody())?;
        let assumed = exchange(self.connector()?, &plan.sts, token, &record.identity).await?;
        Ok((record, assumed.into()))
    }

    /// The credentials of the role at IAM Identity Center, with a sign-in that is refreshed when it has to be.
    async fn enter_by_center(
        &self,
        place: &IdentityCenter,
        mut record: Record,
    ) -> Result<(Record, Assumption), SessionError> {
        let kept = record.sso.as_ref().ok_or_else(|| self.nobody())?;
        let (Some(account), Some(role)) = (&place.account_id, &place.role_name) else {
            return Err(self.sign_in_needed("no account and role have been chosen"));
        };
        let center = self.center(place)?;
        self.prepare()?;
        let sso = match center.fresh(kept).await {
            Err(CenterError::SignInNeeded(why)) => return Err(self.sign_in_needed(&why)),
            outcome => outcome?,
        };
        if record.sso.as_ref() != Some(&sso) {
            // First of all the new tokens are kept: the old ones may be worthless from now on.
            record.sso = Some(sso.clone());
            self.save(&record)?;
        }
        match center.role_credentials(&sso, account, role).await {
            Ok(credentials) => Ok((record, Assumption::plain(credentials))),
            Err(CenterError::Refused { status: 401, code, message, .. }) => Err(self
                .sign_in_needed(&format!("IAM Identity Center has ended the sign-in: {code} ({message})"))),
            Err(error) => Err(error.into()),
        }
    }

    async fn refresh(&self, record: &mut Record, refresh_token: &Secret) -> Result<(), SessionError> {
        let sign_in = self.sign_in()?;
        let provider = record.provider.clone().ok_or_else(|| self.nobody())?;
        // The old token may be worthless once the new one is there: first it is certain that that one can be kept.
        self.prepare()?;
        let renewal = match sign_in::refresh(sign_in, &provider, refresh_token).await {
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
            .verified(sign_in, &provider, &record.identity)
            .await
            .map_err(|error| SessionError::Untrusted(Box::new(error)))?;
        let newer = match self.oauth.exchanged {
            Exchanged::IdToken => refreshed.id_token.is_some(),
            Exchanged::AccessToken => refreshed.access_token.is_some(),
        };
        if refreshed.access_token.is_some() {
            record.access_token = refreshed.access_token;
            record.access_token_expires_at = refreshed.access_token_expires_at;
        }
        if let Some((id_token, identity)) = refreshed.id_token {
            record.id_token = Some(id_token);
            record.identity = identity;
        }
        self.save(record)?;
        if newer {
            return Ok(());
        }
        let ended = iso8601(record.identity.expires_at);
        let reason =
            format!("the ID token ended at {ended}, and the provider gives no new one without a person");
        Err(self.sign_in_needed(&reason))
    }

    /// A renewal that fails for the moment is no reason to stop while the old credentials work.
    fn still_valid(
        &self,
        plan: &Plan,
        record: Option<&Record>,
        error: SessionError,
    ) -> Result<Arc<Credentials>, SessionError> {
        let now = self.clock.now();
        let session = record.and_then(|record| self.session_of(plan, record));
        match session {
            Some(session) if session.credentials.expires_at.is_none_or(|end| now < end) => {
                tracing::info!(%error, "the session could not be renewed; its credentials still work");
                // Not every request in the meantime is to try again.
                let credentials = Arc::new(session.credentials.clone());
                let end = session.credentials.expires_at.unwrap_or(Timestamp::MAX);
                let renew_at = (now + RETRY_PAUSE).min(end);
                let warm = Warm { credentials: Arc::clone(&credentials), renew_at };
                *self.warm.write().unwrap_or_else(PoisonError::into_inner) = Some(warm);
                Ok(credentials)
            }
            _ => Err(error),
        }
    }

    async fn lock(&self) -> Result<Lock, SessionError> {
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

    fn nobody(&self) -> SessionError {
        SessionError::SignInNeeded { profile: self.profile().to_owned(), reason: None }
    }

    fn sign_in_needed(&self, reason: &str) -> SessionError {
        SessionError::SignInNeeded { profile: self.profile().to_owned(), reason: Some(reason.to_owned()) }
    }
}

/// Who signed in at IAM Identity Center, which names accounts and roles, and no person.
fn identity_at(place: &IdentityCenter, now: Timestamp) -> Identity {
    let role = place.role_name.as_deref().unwrap_or_default();
    let account = place.account_id.as_deref().unwrap_or_default();
    Identity { user: format!("{role} in {account}"), ..Identity::of_keys(&place.start_url, account, now) }
}

/// An error with its causes, for whoever meets it later.
fn words_of(error: &SessionError) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
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
