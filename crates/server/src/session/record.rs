//! A session: what the token service created, as far as later requests need it, and whether it still stands.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use wigeon_core::arn::Arn;
use wigeon_core::claims::Claims;
use wigeon_core::policy::{Document, Kind, Policy, Value};
use wigeon_core::time::Timestamp;

use crate::directory::{Role, Snapshot, User};

/// Who signed a request.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Nobody: the request is not signed. Only the policy of a bucket can let it in.
    Anonymous,
    /// The account's own key, from the configuration.
    Root,
    /// The account itself, with the temporary credentials of `GetSessionToken`.
    RootSession(Arc<RootSession>),
    /// A session's credentials.
    Session(Arc<Session>),
    /// A user's long-lived key.
    User(Arc<User>),
    /// A user, with the temporary credentials of `GetSessionToken`.
    UserSession(Arc<UserSession>),
}

/// Temporary credentials that act as the account itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RootSession {
    /// Its own access key.
    #[serde(rename = "k")]
    pub access_key_id: String,
    /// The long-lived key that asked for it. The session ends with that key.
    #[serde(rename = "b")]
    pub by: String,
    /// When it began.
    #[serde(rename = "f", with = "jiff::fmt::serde::timestamp::second::required")]
    pub issued_at: Timestamp,
    /// When it ends.
    #[serde(rename = "e", with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
}

/// Temporary credentials that act as a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserSession {
    /// Its own access key.
    #[serde(rename = "k")]
    pub access_key_id: String,
    /// The user's long-lived key that asked for it. The session ends with that key.
    #[serde(rename = "b")]
    pub by: String,
    /// `AIDA…`: a user of the same name who came later is another one.
    #[serde(rename = "u")]
    pub user_id: String,
    /// When it began.
    #[serde(rename = "f", with = "jiff::fmt::serde::timestamp::second::required")]
    pub issued_at: Timestamp,
    /// When it ends.
    #[serde(rename = "e", with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
}

impl UserSession {
    /// The user as it is now.
    ///
    /// # Errors
    /// Where the session was revoked, or its key is gone or switched off.
    pub fn user<'s>(&self, snapshot: &'s Snapshot) -> Result<&'s Arc<User>, SessionEnded> {
        if snapshot.is_revoked(&self.access_key_id) {
            return Err(SessionEnded::Revoked(self.access_key_id.clone()));
        }
        let standing = snapshot.access_key(&self.by).map(|(_, user)| user);
        standing.filter(|user| user.id == self.user_id).ok_or_else(|| SessionEnded::KeyGone(self.by.clone()))
    }
}

/// A session of a role, as its token seals it. Sessions come from a [`Sealer`](crate::issue::Sealer) alone.
#[derive(Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are AWS's; what needs a word has one")]
pub struct Session {
    #[serde(rename = "k")]
    pub access_key_id: String,
    #[serde(rename = "a")]
    pub account: String,
    #[serde(rename = "r")]
    pub role_arn: Arn,
    /// `AROA…`.
    #[serde(rename = "ri")]
    pub role_id: String,
    #[serde(rename = "rn")]
    pub role_name: String,
    #[serde(rename = "n")]
    pub session_name: String,
    /// What it was made from.
    #[serde(rename = "o")]
    pub origin: Origin,
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    pub principal_tags: Vec<(String, String)>,
    #[serde(rename = "tt", default, skip_serializing_if = "Vec::is_empty")]
    pub transitive_tag_keys: Vec<String>,
    #[serde(rename = "si", default, skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<String>,
    /// The inline session policy, byte for byte.
    #[serde(rename = "pi", default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(rename = "pa", default, skip_serializing_if = "Vec::is_empty")]
    pub policy_arns: Vec<String>,
    /// Managed policies that a claim of the token named, beside the role's: MinIO's way.
    #[serde(rename = "cp", default, skip_serializing_if = "Vec::is_empty")]
    pub claim_policies: Vec<String>,
    #[serde(rename = "f", with = "jiff::fmt::serde::timestamp::second::required")]
    pub issued_at: Timestamp,
    #[serde(rename = "e", with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
    /// What is worked out once per session.
    #[serde(skip)]
    pub(crate) prepared: Prepared,
}

/// What a session was made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Origin {
    /// A provider's token.
    #[serde(rename = "w")]
    WebIdentity(WebIdentityOrigin),
    /// The credentials of another caller.
    #[serde(rename = "c")]
    Chained(ChainedOrigin),
}

/// A session that was made from a provider's token.
#[derive(Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are OpenID Connect's; what needs a word has one")]
pub struct WebIdentityOrigin {
    #[serde(flatten)]
    pub provider: ProviderRef,
    #[serde(rename = "s")]
    pub subject: String,
    #[serde(rename = "u")]
    pub audience: String,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The claims that policies and people may ask for: scalars and arrays of strings.
    #[serde(rename = "c", default, skip_serializing_if = "Claims::is_empty")]
    pub claims: Claims,
    /// Whether `jwt:` keys stand beside the issuer's: MinIO's way.
    #[serde(rename = "j", default, skip_serializing_if = "std::ops::Not::not")]
    pub jwt_keys: bool,
    /// Whether the audience also stands under `ISSUER:app_id`: Ceph's way.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub app_id: bool,
}

/// The provider that vouched for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRef {
    /// The issuer.
    #[serde(rename = "i")]
    pub issuer: String,
    /// How policies name it: its ARN, or the name of a built-in one.
    #[serde(rename = "p")]
    pub principal: String,
}

/// A session that a signed caller made with `AssumeRole`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChainedOrigin {
    /// The ARN of who called.
    #[serde(rename = "b")]
    pub by: Arn,
    /// The provider at the beginning of the chain; `None` where that was the account's own key.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderRef>,
    /// When the session at the beginning of the chain began.
    #[serde(rename = "f", with = "jiff::fmt::serde::timestamp::second::required")]
    pub began_at: Timestamp,
    /// The roles in between: a session ends with each of them.
    #[serde(rename = "l", default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// A role that a chain of sessions went through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The role.
    #[serde(rename = "r")]
    pub role_arn: Arn,
    /// `AROA…`.
    #[serde(rename = "i")]
    pub role_id: String,
    /// When its session, the earliest if there were several, began.
    #[serde(rename = "f", with = "jiff::fmt::serde::timestamp::second::required")]
    pub issued_at: Timestamp,
}

/// What is worked out once per session, when it is first asked for.
#[derive(Clone, Default)]
pub(crate) struct Prepared {
    /// The inline session policy, compiled.
    policy: OnceLock<Option<Arc<Policy>>>,
    /// Who it is.
    arn: OnceLock<Arn>,
    /// The condition keys that the session is the source of.
    pub(super) keys: OnceLock<Vec<(String, Value<'static>)>>,
}

/// Why a session that has not expired is over all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnded {
    /// Its role, or one on the way to it, is gone, or another one took its name.
    #[error("the role `{0}` of the session is gone")]
    RoleGone(Arn),
    /// The long-lived key that it was made from is gone, or switched off.
    #[error("the access key `{0}` of the session is gone or inactive")]
    KeyGone(String),
    /// Its provider is gone.
    #[error("the provider `{0}` of the session is gone")]
    ProviderGone(String),
    /// It was ended by itself.
    #[error("the session of the access key `{0}` is revoked")]
    Revoked(String),
    /// The role's sessions from before this time are over.
    #[error("the sessions of the role `{role}` that were issued before {before} are revoked")]
    RoleRevoked {
        /// The role.
        role: Arn,
        /// The end of what is over.
        before: Timestamp,
    },
    /// The provider's sessions from before this time are over.
    #[error("the sessions from the provider `{provider}` that were issued before {before} are revoked")]
    ProviderRevoked {
        /// The provider.
        provider: String,
        /// The end of what is over.
        before: Timestamp,
    },
    /// A managed session policy is gone: what it allowed cannot be known any more.
    #[error("the session policy `{0}` is gone")]
    PolicyGone(String),
    /// The inline session policy does not parse any more. It did when it was sealed.
    #[error("the inline session policy cannot be read")]
    PolicyUnreadable,
}

impl Session {
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    #[must_use]
    pub fn arn(&self) -> &Arn {
        let arn = || Arn::assumed_role(self.role_arn.account(), &self.role_name, &self.session_name);
        self.prepared.arn.get_or_init(arn)
    }

    /// `AROA…:SESSION`.
    #[must_use]
    pub fn user_id(&self) -> String {
        format!("{}:{}", self.role_id, self.session_name)
    }

    /// What the token said, where the session was made from one.
    #[must_use]
    pub fn web_identity(&self) -> Option<&WebIdentityOrigin> {
        match &self.origin {
            Origin::WebIdentity(origin) => Some(origin),
            Origin::Chained(_) => None,
        }
    }

    /// The provider at the beginning.
    #[must_use]
    pub fn provider(&self) -> Option<&ProviderRef> {
        match &self.origin {
            Origin::WebIdentity(origin) => Some(&origin.provider),
            Origin::Chained(origin) => origin.provider.as_ref(),
        }
    }

    /// When the first session of the chain began; for a session that is no chain's, when it began itself.
    #[must_use]
    pub fn began_at(&self) -> Timestamp {
        match &self.origin {
            Origin::WebIdentity(_) => self.issued_at,
            Origin::Chained(origin) => origin.began_at,
        }
    }

    /// The name to show to people: the first of `preferred_username`, `email`, `name`, else the subject; the
    /// session's name where there was no token.
    #[must_use]
    pub fn display_name(&self) -> &str {
        let Some(origin) = self.web_identity() else { return &self.session_name };
        let claim = |name| origin.claims.string(name).filter(|text| !text.is_empty());
        claim("preferred_username")
            .or_else(|| claim("email"))
            .or_else(|| claim("name"))
            .unwrap_or(&origin.subject)
    }

    /// The role as it is now. An error when the session outlived its role, one on the way to it, its provider
    /// or a revocation; to be asked on every request.
    pub fn role<'s>(&self, snapshot: &'s Snapshot) -> Result<&'s Arc<Role>, SessionEnded> {
        if snapshot.is_revoked(&self.access_key_id) {
            return Err(SessionEnded::Revoked(self.access_key_id.clone()));
        }
        if let Origin::Chained(origin) = &self.origin {
            for link in &origin.links {
                standing_role(snapshot, &link.role_arn, &link.role_id, link.issued_at)?;
            }
        }
        if let Some(provider) = self.provider() {
            standing_provider(snapshot, provider, self.began_at())?;
        }
        standing_role(snapshot, &self.role_arn, &self.role_id, self.issued_at)
    }

    /// The session policies as they are now; an empty list means that there is no such limit. An error when
    /// one is gone: the session then may do nothing, rather than everything.
    pub fn policies(&self, snapshot: &Snapshot) -> Result<Vec<Arc<Policy>>, SessionEnded> {
        let mut policies = Vec::new();
        if let Some(text) = &self.policy {
            let compile = || {
                let document = Document::parse(text, Kind::Session).ok()?;
                Some(Arc::new(document.named("session policy")))
            };
            let compiled = self.prepared.policy.get_or_init(compile).as_ref();
            policies.push(Arc::clone(compiled.ok_or(SessionEnded::PolicyUnreadable)?));
        }
        for arn in &self.policy_arns {
            let policy = snapshot.policy(arn).ok_or_else(|| SessionEnded::PolicyGone(arn.clone()))?;
            policies.push(Arc::clone(policy));
        }
        Ok(policies)
    }
}

fn standing_role<'s>(
    snapshot: &'s Snapshot,
    arn: &Arn,
    id: &str,
    issued_at: Timestamp,
) -> Result<&'s Arc<Role>, SessionEnded> {
    let role = snapshot
        .role(arn.as_str())
        .filter(|role| role.id == id)
        .ok_or_else(|| SessionEnded::RoleGone(arn.clone()))?;
    match role.revoked_before.filter(|before| issued_at < *before) {
        Some(before) => Err(SessionEnded::RoleRevoked { role: role.arn.clone(), before }),
        None => Ok(role),
    }
}

fn standing_provider(
    snapshot: &Snapshot,
    provider: &ProviderRef,
    began_at: Timestamp,
) -> Result<(), SessionEnded> {
    let standing = snapshot
        .provider(&provider.issuer)
        .filter(|standing| standing.principal() == provider.principal)
        .ok_or_else(|| SessionEnded::ProviderGone(provider.principal.clone()))?;
    match standing.revoked_before.filter(|before| began_at < *before) {
        Some(before) => Err(SessionEnded::ProviderRevoked { provider: provider.principal.clone(), before }),
        None => Ok(()),
    }
}

/// Who and until when; neither claims nor policies.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("arn", self.arn())
            .field("access_key_id", &self.access_key_id)
            .field("origin", &self.origin)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Who vouched for whom; no claims.
impl fmt::Debug for WebIdentityOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentityOrigin")
            .field("provider", &self.provider)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}
