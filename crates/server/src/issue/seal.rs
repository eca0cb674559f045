//! Sealing sessions into tokens, and opening them.
//!
//! A session token is base64url of `version (1 byte) · key id (4) · nonce (12) · AES-256-GCM-SIV`; version
//! and key id are authenticated too. The plain text is the session as JSON.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use wigeon_core::credentials::Credentials;
use wigeon_core::policy::Document;
use wigeon_core::secret::Secret;
use wigeon_core::time::{SignedDuration, Timestamp};

use super::key_ring::{KeyId, KeyRing};
use super::session::{Session, kept_claims};
use crate::directory::base32;
use crate::trust::AssumedRole;

const VERSION: u8 = 1;
const HEADER_LEN: usize = 1 + size_of::<KeyId>();
const TAG_LEN: usize = 16;

/// The longest session token, in characters: it has to travel in a header, or in an address.
const MAX_TOKEN_LEN: usize = 12 * 1024;

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

/// A session from a token, with the secret key that its requests are signed with.
#[derive(Debug, Clone)]
pub struct Unsealed {
    /// The session.
    pub session: Arc<Session>,
    /// Its secret key.
    pub secret_key: Secret,
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

/// Seals and opens sessions with one key ring.
pub struct Sealer {
    ring: KeyRing,
    opened: Cache<[u8; 32], Unsealed>,
}

impl Sealer {
    /// With this ring.
    #[must_use]
    pub fn new(ring: KeyRing) -> Self {
        let opened = Cache::builder().max_capacity(CACHED_SESSIONS).time_to_live(CACHED_FOR).build();
        Self { ring, opened }
    }

    /// The keys.
    pub(super) fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Makes a session of an assumed role. It begins with the current second.
    pub fn issue(&self, assumed: &AssumedRole, grant: Grant, now: Timestamp) -> Result<Issued, IssueError> {
        let token = assumed.identity().token();
        let provider = assumed.identity().provider();
        let role = assumed.role();
        let issued_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let mut expires_at = issued_at + SignedDuration::from_secs(grant.duration.into());
        if provider.sessions_end_with_token {
            expires_at = expires_at.min(token.expires_at());
        }
        if expires_at <= now {
            return Err(IssueError::TokenExpired);
        }

        let mut random = [0; 10];
        rand::fill(&mut random).map_err(|_| IssueError::Crypto)?;
        let access_key_id = format!("ASIA{}", base32(&random));
        let key = self.ring.newest();
        let session = Session {
            account: role.arn.account().to_owned(),
            role_arn: role.arn.clone(),
            role_id: role.id.clone(),
            role_name: role.name.clone(),
            session_name: assumed.session_name().to_owned(),
            issuer: token.issuer().to_owned(),
            provider_arn: provider.arn.clone(),
            subject: token.subject().to_owned(),
            audience: token.audience().to_owned(),
            amr: token.amr().to_vec(),
            principal_tags: token.tags().principal.clone(),
            transitive_tag_keys: token.tags().transitive.clone(),
            source_identity: token.source_identity().map(str::to_owned),
            policy: grant.policy.as_ref().map(|document| document.text().to_owned()),
            policy_arns: grant.policy_arns,
            claims: kept_claims(token.claims()),
            issued_at,
            expires_at,
            compiled: OnceLock::new(),
            keys: OnceLock::new(),
            access_key_id,
        };
        let session_token = self.seal(&session, grant.minimum_token_len)?;
        let credentials = Credentials {
            access_key_id: session.access_key_id.clone(),
            secret_key: key.secret_key(&session.access_key_id),
            session_token: Some(Secret::new(session_token)),
            expires_at: Some(expires_at),
        };
        Ok(Issued { session, credentials })
    }

    fn seal(&self, session: &Session, minimum_len: usize) -> Result<String, IssueError> {
        let key = self.ring.newest();
        let mut sealed = serde_json::to_vec(session).map_err(|_| IssueError::Crypto)?;
        // JSON does not mind trailing spaces. Four characters carry three bytes.
        let wanted = (minimum_len * 3).div_ceil(4).saturating_sub(HEADER_LEN + NONCE_LEN + TAG_LEN);
        if sealed.len() < wanted {
            sealed.resize(wanted, b' ');
        }
        let header = header(key.id);
        let nonce = key
            .sealing
            .seal_in_place_append_tag(Aad::from(header), &mut sealed)
            .map_err(|_| IssueError::Crypto)?;

        let mut token = Vec::with_capacity(HEADER_LEN + NONCE_LEN + sealed.len());
        token.extend_from_slice(&header);
        token.extend_from_slice(nonce.as_ref());
        token.append(&mut sealed);
        let token = URL_SAFE_NO_PAD.encode(token);
        if token.len() > MAX_TOKEN_LEN { Err(IssueError::TooLarge(token.len())) } else { Ok(token) }
    }

    /// Opens a session token that came with a request signed by `access_key_id`. Whether the session has
    /// been ended before its time is for [`Session::role`] to say.
    pub fn unseal(&self, token: &str, access_key_id: &str, now: Timestamp) -> Result<Unsealed, UnsealError> {
        let unsealed = self.open(token)?;
        let session = &unsealed.session;
        if session.access_key_id != access_key_id {
            return Err(UnsealError::OtherAccessKey);
        }
        if session.expires_at <= now {
            return Err(UnsealError::Expired { at: session.expires_at });
        }
        Ok(unsealed)
    }

    fn open(&self, token: &str) -> Result<Unsealed, UnsealError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(UnsealError::Invalid);
        }
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(unsealed) = self.opened.get(&name) {
            return Ok(unsealed);
        }
        let unsealed = self.open_sealed(token).ok_or(UnsealError::Invalid)?;
        self.opened.insert(name, unsealed.clone());
        Ok(unsealed)
    }

    fn open_sealed(&self, token: &str) -> Option<Unsealed> {
        let mut bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (&mut [version, id @ ..], rest) = bytes.split_first_chunk_mut::<HEADER_LEN>()?;
        let key = self.ring.key(id).filter(|_| version == VERSION)?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key.sealing.open_in_place(nonce, Aad::from(header(key.id)), sealed).ok()?;

        let session: Session = serde_json::from_slice(plain).ok()?;
        let secret_key = key.secret_key(&session.access_key_id);
        Some(Unsealed { session: Arc::new(session), secret_key })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("ring", &self.ring).finish_non_exhaustive()
    }
}

fn header(id: KeyId) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = id;
    [VERSION, a, b, c, d]
}
