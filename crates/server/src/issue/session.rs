//! A session: what the exchange created, as far as later requests need it.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use wigeon_core::arn::{Arn, without_scheme};
use wigeon_core::claims::Claims;
use wigeon_core::policy::{Context, Document, Kind, Policy, Value};
use wigeon_core::time::Timestamp;

use crate::directory::{Role, Snapshot, User};
use crate::trust::claim_value;

/// Who signed a request.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The account's own key, from the configuration.
    Root,
    /// A session's credentials.
    Session(Arc<Session>),
    /// A user's long-lived key.
    User(Arc<User>),
}

/// What a session token seals. Sessions come from a [`Sealer`](super::Sealer) alone.
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
    #[serde(rename = "i")]
    pub issuer: String,
    #[serde(rename = "p")]
    pub provider_arn: Arn,
    #[serde(rename = "s")]
    pub subject: String,
    #[serde(rename = "u")]
    pub audience: String,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
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
    /// The claims that policies and people may ask for: scalars and arrays of strings.
    #[serde(rename = "c", default, skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Json>,
    #[serde(rename = "f", with = "jiff::fmt::serde::timestamp::second::required")]
    pub issued_at: Timestamp,
    #[serde(rename = "e", with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
    /// The inline session policy, compiled when it is first asked for. That others cannot name this field is
    /// also what keeps them from building a session.
    #[serde(skip)]
    pub(super) compiled: OnceLock<Option<Arc<Policy>>>,
    /// The condition keys that the session is the source of, built when they are first asked for.
    #[serde(skip)]
    pub(super) keys: OnceLock<Vec<(String, Value<'static>)>>,
}

/// Why a session that has not expired is over all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnded {
    /// Its role is gone, or another one took its name.
    #[error("the role `{0}` of the session is gone")]
    RoleGone(Arn),
    /// Its provider is gone.
    #[error("the provider `{0}` of the session is gone")]
    ProviderGone(Arn),
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
        provider: Arn,
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
    pub fn arn(&self) -> Arn {
        Arn::assumed_role(&self.account, &self.role_name, &self.session_name)
    }

    /// `AROA…:SESSION`.
    #[must_use]
    pub fn user_id(&self) -> String {
        format!("{}:{}", self.role_id, self.session_name)
    }

    /// The name to show to people: the first of `preferred_username`, `email`, `name`, else the subject.
    #[must_use]
    pub fn display_name(&self) -> &str {
        let claim = |name| self.claims.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
        claim("preferred_username")
            .or_else(|| claim("email"))
            .or_else(|| claim("name"))
            .unwrap_or(&self.subject)
    }

    /// The role as it is now. An error when the session outlived its role, its provider or a revocation;
    /// to be asked on every request.
    pub fn role<'s>(&self, snapshot: &'s Snapshot) -> Result<&'s Arc<Role>, SessionEnded> {
        let role = snapshot
            .role(self.role_arn.as_str())
            .filter(|role| role.id == self.role_id)
            .ok_or_else(|| SessionEnded::RoleGone(self.role_arn.clone()))?;
        let provider = snapshot
            .provider(&self.issuer)
            .filter(|provider| provider.arn == self.provider_arn)
            .ok_or_else(|| SessionEnded::ProviderGone(self.provider_arn.clone()))?;
        if snapshot.is_revoked(&self.access_key_id) {
            return Err(SessionEnded::Revoked(self.access_key_id.clone()));
        }
        if let Some(before) = role.revoked_before.filter(|before| self.issued_at < *before) {
            return Err(SessionEnded::RoleRevoked { role: role.arn.clone(), before });
        }
        if let Some(before) = provider.revoked_before.filter(|before| self.issued_at < *before) {
            return Err(SessionEnded::ProviderRevoked { provider: provider.arn.clone(), before });
        }
        Ok(role)
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
            let compiled = self.compiled.get_or_init(compile).as_ref();
            policies.push(Arc::clone(compiled.ok_or(SessionEnded::PolicyUnreadable)?));
        }
        for arn in &self.policy_arns {
            let policy = snapshot.policy(arn).ok_or_else(|| SessionEnded::PolicyGone(arn.clone()))?;
            policies.push(Arc::clone(policy));
        }
        Ok(policies)
    }

    /// Enters the condition keys that the session is the source of. What stands there already stays, so the
    /// server's own keys come first.
    pub fn enter_keys<'a>(&'a self, context: &mut Context<'a>) {
        context.set_prepared(self.keys.get_or_init(|| self.condition_keys()));
    }

    /// What the session itself is comes first, the claims last: a claim shadows nothing.
    fn condition_keys(&self) -> Vec<(String, Value<'static>)> {
        let mut keys: Vec<(String, Value<'static>)> = Vec::with_capacity(16 + 2 * self.claims.len());
        let mut add = |key: String, value: Value<'static>| {
            if !keys.iter().any(|(present, _)| present.eq_ignore_ascii_case(&key)) {
                keys.push((key, value));
            }
        };
        let text = |text: &str| Value::from(text.to_owned());
        add("aws:PrincipalArn".to_owned(), text(self.role_arn.as_str()));
        add("aws:PrincipalAccount".to_owned(), text(&self.account));
        add("aws:PrincipalType".to_owned(), text("AssumedRole"));
        add("aws:userid".to_owned(), text(&self.user_id()));
        add("aws:TokenIssueTime".to_owned(), Value::from(self.issued_at));
        add("aws:FederatedProvider".to_owned(), text(self.provider_arn.as_str()));
        if let Some(source_identity) = &self.source_identity {
            add("aws:SourceIdentity".to_owned(), text(source_identity));
        }
        for (key, value) in &self.principal_tags {
            add(format!("aws:PrincipalTag/{key}"), text(value));
        }
        let issuer = without_scheme(&self.issuer);
        for prefix in [issuer, "jwt"] {
            add(format!("{prefix}:sub"), text(&self.subject));
            add(format!("{prefix}:aud"), text(&self.audience));
            add(format!("{prefix}:amr"), Value::from(self.amr.clone()));
        }
        add("jwt:iss".to_owned(), text(&self.issuer));
        for (name, claim) in &self.claims {
            for prefix in [issuer, "jwt"] {
                if let Some(value) = claim_value(claim) {
                    add(format!("{prefix}:{name}"), owned(value));
                }
            }
        }
        keys
    }
}

fn owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Text(text) => Value::from(text.into_owned()),
        Value::Texts(texts) => Value::from(texts.into_iter().map(Cow::into_owned).collect::<Vec<String>>()),
        Value::Time(at) => Value::Time(at),
        Value::Number(number) => Value::Number(number),
        Value::Bool(flag) => Value::Bool(flag),
        Value::Address(address) => Value::Address(address),
    }
}

/// The claims that a session keeps. What only the exchange needed stays behind.
pub(super) fn kept_claims(claims: &Claims) -> Map<String, Json> {
    const LEFT: [&str; 11] =
        ["iss", "sub", "aud", "amr", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "s_hash"];
    claims
        .iter()
        .filter(|(name, claim)| {
            !LEFT.contains(name)
                && !name.starts_with("https://aws.amazon.com/")
                && claim_value(claim).is_some()
        })
        .map(|(name, claim)| (name.to_owned(), claim.clone()))
        .collect()
}

/// Who and until when; neither claims nor policies.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("arn", &self.arn())
            .field("access_key_id", &self.access_key_id)
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
