//! What the provider remembers: logins under way, codes, access tokens and refresh tokens.
//!
//! Everything hangs on a [`Grant`]: one login of one person for one client. A code or a refresh token that
//! comes a second time proves that somebody else has it, so it ends the whole grant (RFC 6749 section 4.1.2,
//! RFC 9700 section 4.14.2). Tables are bounded; what has expired makes room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use wigeon_core::secret::Secret;

use crate::authorization_request::{AuthorizationRequest, Scopes};
use crate::opaque::{self, Digest};

/// One login of one person for one client.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) client_id: String,
    /// Which user, by login name.
    pub(crate) login: String,
    pub(crate) scopes: Scopes,
    pub(crate) nonce: Option<String>,
    /// When the person proved who they are.
    pub(crate) auth_time: Timestamp,
    revoked: AtomicBool,
}

impl Grant {
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::SeqCst);
    }

    fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::SeqCst)
    }
}

/// A login form that is open in a browser.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) request: AuthorizationRequest,
    /// The cookie of the browser that was given the form.
    browser: Digest,
    csrf: Digest,
    attempts_left: u8,
}

/// A code, and what must come with it.
#[derive(Debug)]
struct Code {
    grant: Arc<Grant>,
    redirect_uri: String,
    code_challenge: String,
    valid_until: Timestamp,
    spent: bool,
}

/// An access token, with the scopes that it carries.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) grant: Arc<Grant>,
    pub(crate) scopes: Scopes,
}

#[derive(Debug)]
struct Refresh {
    grant: Arc<Grant>,
    spent: bool,
}

/// Why something presented is not honored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("the code is unknown, expired or was used before")]
    Code,
    #[error("the code was issued to another client")]
    CodeClient,
    #[error("the `redirect_uri` is not the one of the authorization request")]
    RedirectUri,
    #[error("the `code_verifier` does not fit the challenge")]
    Verifier,
    #[error("the refresh token is unknown, expired, revoked or was used before")]
    Refresh,
    #[error("the login form is unknown, has expired or was opened in another browser")]
    Login,
    #[error("too much is under way")]
    Full,
}

/// What was presented to redeem a code.
#[derive(Debug)]
pub(crate) struct Redemption<'a> {
    pub(crate) code: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) code_verifier: &'a str,
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    logins: Mutex<Table<Login>>,
    codes: Mutex<Table<Code>>,
    access: Mutex<Table<Access>>,
    refresh: Mutex<Table<Refresh>>,
}

/// How long a login form may stay open.
const LOGIN_TTL: SignedDuration = SignedDuration::from_mins(10);
/// How long a spent code is remembered, to notice that it comes again.
const SPENT_CODE_TTL: SignedDuration = SignedDuration::from_hours(1);
/// Wrong passwords per login form.
const ATTEMPTS: u8 = 5;

/// What a login form carries.
#[derive(Debug)]
pub(crate) struct LoginForm {
    pub(crate) transaction: Secret,
    pub(crate) csrf: Secret,
}

impl Grants {
    /// Remembers a request while the person fills in the form.
    pub(crate) fn open_login(
        &self,
        request: AuthorizationRequest,
        browser: &str,
        now: Timestamp,
    ) -> Result<LoginForm, GrantError> {
        let form = LoginForm { transaction: opaque::fresh(), csrf: opaque::fresh() };
        let login = Login {
            request,
            browser: Digest::of(browser),
            csrf: Digest::of(form.csrf.expose()),
            attempts_left: ATTEMPTS,
        };
        lock(&self.logins).insert(form.transaction.expose(), login, now, now + LOGIN_TTL)?;
        Ok(form)
    }

    /// The request behind a form, when the form was given to this browser. Counts an attempt.
    pub(crate) fn attempt_login(
        &self,
        transaction: &str,
        csrf: &str,
        browser: &str,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, GrantError> {
        let mut logins = lock(&self.logins);
        let login = logins.get_mut(transaction, now).ok_or(GrantError::Login)?;
        if login.csrf != Digest::of(csrf) || login.browser != Digest::of(browser) {
            return Err(GrantError::Login);
        }
        login.attempts_left = login.attempts_left.checked_sub(1).ok_or(GrantError::Login)?;
        Ok(login.request.clone())
    }

    /// Forgets a form that has done its work.
    pub(crate) fn close_login(&self, transaction: &str) {
        lock(&self.logins).remove(transaction);
    }

    /// A code for a person who has logged in.
    pub(crate) fn issue_code(
        &self,
        request: AuthorizationRequest,
        login: &str,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<Secret, GrantError> {
        let grant = Arc::new(Grant {
            client_id: request.client_id,
            login: login.to_owned(),
            scopes: request.scopes,
            nonce: request.nonce,
            auth_time: now,
            revoked: AtomicBool::new(false),
        });
        let code = opaque::fresh();
        let issued = Code {
            grant,
            redirect_uri: request.redirect_uri,
            code_challenge: request.code_challenge,
            valid_until: now + ttl,
            spent: false,
        };
        lock(&self.codes).insert(code.expose(), issued, now, now + ttl + SPENT_CODE_TTL)?;
        Ok(code)
    }

    /// Redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.6). Whatever comes of it, the code is spent.
    pub(crate) fn redeem(&self, asked: &Redemption<'_>, now: Timestamp) -> Result<Arc<Grant>, GrantError> {
        let mut codes = lock(&self.codes);
        let code = codes.get_mut(asked.code, now).ok_or(GrantError::Code)?;
        // 1. Once only; a second time ends what came of the first.
        if code.spent {
            code.grant.revoke();
            return Err(GrantError::Code);
        }
        code.spent = true;
        // 2. In time.
        if now >= code.valid_until {
            return Err(GrantError::Code);
        }
        // 3. By the client that it was issued to.
        if code.grant.client_id != asked.client_id {
            return Err(GrantError::CodeClient);
        }
        // 4. With the redirect address of the authorization request, byte for byte.
        if code.redirect_uri != asked.redirect_uri {
            return Err(GrantError::RedirectUri);
        }
        // 5. With the verifier behind the challenge.
        if Secret::new(opaque::s256(asked.code_verifier)) != Secret::new(code.code_challenge.as_str()) {
            return Err(GrantError::Verifier);
        }
        Ok(Arc::clone(&code.grant))
    }

    /// An access token.
    pub(crate) fn issue_access(
        &self,
        access: Access,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<Secret, GrantError> {
        let token = opaque::fresh();
        lock(&self.access).insert(token.expose(), access, now, now + ttl)?;
        Ok(token)
    }

    /// What a presented access token stands for.
    pub(crate) fn access(&self, token: &str, now: Timestamp) -> Option<Access> {
        let mut access = lock(&self.access);
        access.get_mut(token, now).filter(|access| !access.grant.is_revoked()).map(|access| access.clone())
    }

    /// A refresh token.
    pub(crate) fn issue_refresh(
        &self,
        grant: &Arc<Grant>,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<Secret, GrantError> {
        let token = opaque::fresh();
        let refresh = Refresh { grant: Arc::clone(grant), spent: false };
        lock(&self.refresh).insert(token.expose(), refresh, now, now + ttl)?;
        Ok(token)
    }

    /// The grant of a refresh token that nobody has asked to spend yet; the token stays good.
    pub(crate) fn peek_refresh(
        &self,
        token: &str,
        client_id: &str,
        now: Timestamp,
    ) -> Result<Arc<Grant>, GrantError> {
        let mut refresh = lock(&self.refresh);
        let known = refresh.get_mut(token, now).ok_or(GrantError::Refresh)?;
        if known.grant.client_id != client_id || known.grant.is_revoked() {
            return Err(GrantError::Refresh);
        }
        if known.spent {
            known.grant.revoke();
            return Err(GrantError::Refresh);
        }
        Ok(Arc::clone(&known.grant))
    }

    /// Spends a refresh token; one that was spent before ends its grant.
    pub(crate) fn spend_refresh(
        &self,
        token: &str,
        client_id: &str,
        now: Timestamp,
    ) -> Result<Arc<Grant>, GrantError> {
        let grant = self.peek_refresh(token, client_id, now)?;
        let mut refresh = lock(&self.refresh);
        let known = refresh.get_mut(token, now).ok_or(GrantError::Refresh)?;
        if std::mem::replace(&mut known.spent, true) {
            grant.revoke();
            return Err(GrantError::Refresh);
        }
        Ok(grant)
    }

    /// Revokes a token (RFC 7009): a refresh token with all that came of its grant, an access token alone.
    /// A token of another client, or none at all, is left as it is.
    pub(crate) fn revoke(&self, token: &str, client_id: &str, now: Timestamp) {
        if let Some(known) = lock(&self.refresh).get_mut(token, now)
            && known.grant.client_id == client_id
        {
            known.grant.revoke();
        }
        let mut access = lock(&self.access);
        if access.get_mut(token, now).is_some_and(|access| access.grant.client_id == client_id) {
            access.remove(token);
        }
    }
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Values under digests, each until its time, at most [`Table::CAPACITY`] of them.
#[derive(Debug)]
struct Table<V> {
    entries: HashMap<Digest, (V, Timestamp)>,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<V> Table<V> {
    const CAPACITY: usize = 50_000;
    /// How often expired entries are looked for, in insertions.
    const SWEEP: usize = 256;

    fn insert(&mut self, token: &str, value: V, now: Timestamp, until: Timestamp) -> Result<(), GrantError> {
        let size = self.entries.len();
        if size >= Self::CAPACITY || size % Self::SWEEP == Self::SWEEP - 1 {
            self.entries.retain(|_, (_, until)| now < *until);
        }
        if self.entries.len() >= Self::CAPACITY {
            return Err(GrantError::Full);
        }
        self.entries.insert(Digest::of(token), (value, until));
        Ok(())
    }

    fn get_mut(&mut self, token: &str, now: Timestamp) -> Option<&mut V> {
        self.entries.get_mut(&Digest::of(token)).filter(|(_, until)| now < *until).map(|(value, _)| value)
    }

    fn remove(&mut self, token: &str) {
        self.entries.remove(&Digest::of(token));
    }
}
