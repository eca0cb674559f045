//! Sealing sessions into tokens, and opening them.
//!
//! A session token is an envelope around the session as JSON. Tokens of the version before are still read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use wigeon_core::credentials::Credentials;
use wigeon_core::policy::Document;
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::SigningSecret;
use wigeon_core::time::{SignedDuration, Timestamp};

use super::envelope::{self, OVERHEAD};
use super::key_ring::KeyRing;
use super::{origin, version_1};
use crate::decided::DecidedBy;
use crate::directory::{User, base32};
use crate::session::{Caller, Prepared, RootSession, Session, UserSession};
use crate::trust::AssumedRole;

/// The version of session tokens that are issued.
const VERSION: u8 = 2;

/// The version of sealed messages; they are under another key as well.
const MESSAGE_VERSION: u8 = 0x81;

/// How long a message about a denied request can be decoded.
const MESSAGES_LAST: SignedDuration = SignedDuration::from_hours(24);

/// The longest session token, in characters: it has to travel in a header, or in an address.
const MAX_TOKEN_LEN: usize = 12 * 1024;

/// Room for most sessions, in bytes.
const USUAL_SESSION_LEN: usize = 1024;

/// Opened sessions that are kept, so that a request with the same token opens nothing.
const CACHED_SESSIONS: u64 = 10_000;
const CACHED_FOR: Duration = Duration::from_secs(300);

/// What was granted beside the role itself.
#[derive(Debug, Default)]
pub struct Grant {
    /// In seconds.
    pub duration: u32,
    /// The inline session policy.
    pub policy: Option<Document>,
    /// Managed session policies.
    pub policy_arns: Vec<String>,
    /// The session token has at least this many characters.
    pub minimum_token_len: usize,
}

/// A new session and the credentials that stand for it.
#[derive(Debug)]
pub struct Issued {
    /// What was sealed.
    pub session: Session,
    /// What the client gets.
    pub credentials: Credentials,
    /// The statement that let them in.
    pub allowed_by: Option<DecidedBy>,
}

/// Why no session is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The session would have to end with its token, and the token has ended.
    #[error("the token has expired, and its sessions may not outlive it")]
    TokenExpired,
    /// The claims, tags and policies do not fit into a session token.
    #[error(
        "the session token would have {0} characters; a provider that puts fewer claims into its tokens helps"
    )]
    TooLarge(usize),
    /// The crypto library failed.
    #[error("the session could not be sealed")]
    Crypto,
}

/// A caller from a session token, with the secret key that its requests are signed with.
#[derive(Debug)]
pub struct Unsealed {
    /// Who: a session of a role or of the account.
    pub caller: Caller,
    /// Its secret key.
    pub secret_key: SigningSecret,
    access_key_id: String,
    expires_at: Timestamp,
}

/// Why a session token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Not a token that any key of the ring sealed.
    #[error("the session token is not one of this service")]
    Invalid,
    /// The token is good, and belongs to another access key.
    #[error("the session token does not belong to the access key")]
    OtherAccessKey,
    /// The session is over.
    #[error("the session expired at {at}")]
    Expired {
        /// When it ended.
        at: Timestamp,
    },
}

/// Seals and opens sessions with one key ring, which may be exchanged while it is in use.
pub struct Sealer {
    ring: ArcSwap<KeyRing>,
    opened: Cache<[u8; 32], Arc<Unsealed>>,
}

impl Sealer {
    /// With this ring.
    #[must_use]
    pub fn new(ring: KeyRing) -> Self {
        let opened = Cache::builder().max_capacity(CACHED_SESSIONS).time_to_live(CACHED_FOR).build();
        Self { ring: ArcSwap::from_pointee(ring), opened }
    }

    /// The keys.
    pub(super) fn ring(&self) -> Guard<Arc<KeyRing>> {
        self.ring.load()
    }

    /// Goes on with another ring. Sessions of keys that are no longer in it end.
    pub fn replace(&self, ring: KeyRing) {
        self.ring.store(Arc::new(ring));
        self.opened.invalidate_all();
    }

    /// How many keys there are, and since when the one that issues does, where that is known.
    #[must_use]
    pub fn standing(&self) -> (usize, Option<Timestamp>) {
        self.ring().standing()
    }

    /// Whether another key of the ring issues by now than did when the ring was read.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.ring().is_due(now)
    }

    /// Makes a session of an assumed role. It begins with the current second, and ends no later than the
    /// session that it was made from; with a provider that asks for it, no later than the token.
    pub fn issue(&self, assumed: AssumedRole, grant: Grant, now: Timestamp) -> Result<Issued, IssueError> {
        let issued_at = whole_second(now);
        let mut expires_at = issued_at + SignedDuration::from_secs(grant.duration.into());
        if let Some(limit) = origin::ends_with(assumed.by()) {
            expires_at = expires_at.min(limit);
        }
        if expires_at <= now {
            return Err(IssueError::TokenExpired);
        }
        let entry = assumed.into_entry();
        let session = Session {
            access_key_id: new_access_key_id()?,
            account: entry.account,
            role_arn: entry.role.arn.clone(),
            role_id: entry.role.id.clone(),
            role_name: entry.role.name.clone(),
            session_name: entry.session_name,
            origin: origin::of(entry.by, entry.ceph, issued_at),
            principal_tags: entry.tags.principal,
            transitive_tag_keys: entry.tags.transitive,
            source_identity: entry.source_identity,
            policy: grant.policy.as_ref().map(|document| document.text().to_owned()),
            policy_arns: grant.policy_arns,
            claim_policies: entry.claim_policies,
            issued_at,
            expires_at,
            prepared: Prepared::default(),
        };
        let sealed =
            self.seal(&SealedRef::Session(&session), &session.access_key_id, grant.minimum_token_len)?;
        let credentials = Self::credentials(&session.access_key_id, sealed, expires_at);
        Ok(Issued { session, credentials, allowed_by: entry.allowed_by })
    }

    /// Makes temporary credentials that act as the account itself, for the holder of this long-lived key.
    pub fn issue_for_root(
        &self,
        by: &str,
        duration: u32,
        minimum_token_len: usize,
        now: Timestamp,
    ) -> Result<Credentials, IssueError> {
        let issued_at = whole_second(now);
        let expires_at = issued_at + SignedDuration::from_secs(duration.into());
        let access_key_id = new_access_key_id()?;
        let session = RootSession { access_key_id, by: by.to_owned(), issued_at, expires_at };
        let sealed = self.seal(&SealedRef::Root(&session), &session.access_key_id, minimum_token_len)?;
        Ok(Self::credentials(&session.access_key_id, sealed, expires_at))
    }

    /// Makes temporary credentials that act as a user, for the holder of one of its long-lived keys.
    pub fn issue_for_user(
        &self,
        user: &User,
        by: &str,
        duration: u32,
        minimum_token_len: usize,
        now: Timestamp,
    ) -> Result<Credentials, IssueError> {
        let issued_at = whole_second(now);
        let expires_at = issued_at + SignedDuration::from_secs(duration.into());
        let (user_id, by) = (user.id.clone(), by.to_owned());
        let session = UserSession { access_key_id: new_access_key_id()?, by, user_id, issued_at, expires_at };
        let sealed = self.seal(&SealedRef::User(&session), &session.access_key_id, minimum_token_len)?;
        Ok(Self::credentials(&session.access_key_id, sealed, expires_at))
    }

    fn credentials(
        access_key_id: &str,
        (token, secret_key): (String, Secret),
        expires_at: Timestamp,
    ) -> Credentials {
        Credentials {
            access_key_id: access_key_id.to_owned(),
            secret_key,
            session_token: Some(Secret::new(token)),
            expires_at: Some(expires_at),
        }
    }

    /// The token, and the secret key of the same key of the ring.
    fn seal(
        &self,
        session: &SealedRef<'_>,
        access_key_id: &str,
        minimum_len: usize,
    ) -> Result<(String, Secret), IssueError> {
        let ring = self.ring();
        let key = ring.newest();
        let mut plain = Vec::with_capacity(USUAL_SESSION_LEN);
        serde_json::to_writer(&mut plain, session).map_err(|_| IssueError::Crypto)?;
        // JSON does not mind trailing spaces. Four characters carry three bytes.
        let wanted = (minimum_len * 3).div_ceil(4).saturating_sub(OVERHEAD);
        if plain.len() < wanted {
            plain.resize(wanted, b' ');
        }
        let token = envelope::seal(VERSION, key.id, &key.sealing, plain).ok_or(IssueError::Crypto)?;
        if token.len() > MAX_TOKEN_LEN {
            Err(IssueError::TooLarge(token.len()))
        } else {
            Ok((token, key.secret_key(access_key_id)))
        }
    }

    /// Opens a session token that came with a request signed by `access_key_id`. Whether the session has
    /// been ended before its time is for [`Rights::of`](crate::rights::Rights::of) to say.
    pub fn unseal(
        &self,
        token: &str,
        access_key_id: &str,
        now: Timestamp,
    ) -> Result<Arc<Unsealed>, UnsealError> {
        let unsealed = self.open(token)?;
        if unsealed.access_key_id != access_key_id {
            return Err(UnsealError::OtherAccessKey);
        }
        if unsealed.expires_at <= now {
            return Err(UnsealError::Expired { at: unsealed.expires_at });
        }
        Ok(unsealed)
    }

    fn open(&self, token: &str) -> Result<Arc<Unsealed>, UnsealError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(UnsealError::Invalid);
        }
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(unsealed) = self.opened.get(&name) {
            return Ok(unsealed);
        }
        let unsealed = Arc::new(self.open_sealed(token).ok_or(UnsealError::Invalid)?);
        self.opened.insert(name, Arc::clone(&unsealed));
        Ok(unsealed)
    }

    fn open_sealed(&self, token: &str) -> Option<Unsealed> {
        let mut sealed = envelope::Sealed::read(token)?;
        let ring = self.ring();
        let key = ring.key(sealed.key_id())?;
        let version = sealed.version();
        let plain = sealed.open(&key.sealing)?;
        let opened = match version {
            VERSION => serde_json::from_slice(plain).ok()?,
            version_1::VERSION => Opened::Session(Box::new(version_1::read(plain)?)),
            _ => return None,
        };
        let (caller, access_key_id, expires_at) = match opened {
            Opened::Session(session) => {
                let (id, expires_at) = (session.access_key_id.clone(), session.expires_at);
                (Caller::Session(Arc::from(session)), id, expires_at)
            }
            Opened::Root(session) => {
                let (id, expires_at) = (session.access_key_id.clone(), session.expires_at);
                (Caller::RootSession(Arc::new(session)), id, expires_at)
            }
            Opened::User(session) => {
                let (id, expires_at) = (session.access_key_id.clone(), session.expires_at);
                (Caller::UserSession(Arc::new(session)), id, expires_at)
            }
        };
        let secret_key = SigningSecret::new(key.secret_key(&access_key_id));
        Some(Unsealed { caller, secret_key, access_key_id, expires_at })
    }

    /// Seals a text that requesters carry and only administrators may have read: why a request was denied.
    /// `None` when the crypto library fails.
    #[must_use]
    pub fn seal_message(&self, text: &str, now: Timestamp) -> Option<String> {
        let ring = self.ring();
        let key = ring.newest();
        let mut plain = now.as_second().to_be_bytes().to_vec();
        plain.extend_from_slice(text.as_bytes());
        // The length says as little as can be about what decided.
        plain.resize(plain.len().next_multiple_of(1024), b' ');
        envelope::seal(MESSAGE_VERSION, key.id, &key.confiding, plain)
    }

    /// Opens a message of [`Self::seal_message`] again, for a day. `None` for anything else.
    #[must_use]
    pub fn open_message(&self, message: &str, now: Timestamp) -> Option<String> {
        let mut sealed = envelope::Sealed::read(message)?;
        let ring = self.ring();
        let key = ring.key(sealed.key_id()).filter(|_| sealed.version() == MESSAGE_VERSION)?;
        let (sealed_at, text) = sealed.open(&key.confiding)?.split_first_chunk()?;
        let age = now.duration_since(Timestamp::from_second(i64::from_be_bytes(*sealed_at)).ok()?);
        let text = std::str::from_utf8(text).ok()?;
        (age <= MESSAGES_LAST).then(|| text.trim_end().to_owned())
    }
}

/// What is sealed into a session token.
#[derive(Serialize)]
enum SealedRef<'a> {
    #[serde(rename = "s")]
    Session(&'a Session),
    #[serde(rename = "r")]
    Root(&'a RootSession),
    #[serde(rename = "u")]
    User(&'a UserSession),
}

/// The same, opened.
#[derive(Deserialize)]
enum Opened {
    #[serde(rename = "s")]
    Session(Box<Session>),
    #[serde(rename = "r")]
    Root(RootSession),
    #[serde(rename = "u")]
    User(UserSession),
}

fn whole_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn new_access_key_id() -> Result<String, IssueError> {
    let mut random = [0; 10];
    rand::fill(&mut random).map_err(|_| IssueError::Crypto)?;
    Ok(format!("ASIA{}", base32(&random)))
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("ring", &self.ring.load()).finish_non_exhaustive()
    }
}
