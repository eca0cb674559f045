//! Trust: whether a role lets somebody's identity assume it.
//!
//! Enters: a [`WebIdentity`], a role's ARN, a session name. Leaves: an [`AssumedRole`], which only
//! [`assume`] can make. Refused: a roles claim that does not list the role, and everything that the trust
//! policy does not allow; an unknown role and a refused one read alike. Source: sts.md, "Trust".

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value as Json;
use wigeon_core::arn::without_scheme;
use wigeon_core::policy::{Context, Policies, Principal, Request, Value, evaluate, explain};
use wigeon_core::sts::{IdentityError, StsError};
use wigeon_core::time::Timestamp;

use crate::directory::{Role, Snapshot};
use crate::verify::WebIdentity;

/// What the server itself knows of a request.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// When it came.
    pub now: Timestamp,
    /// Where it came from.
    pub source_ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// Whether it came over TLS.
    pub secure_transport: bool,
}

/// An identity that a role lets in, under a session name.
#[derive(Debug)]
pub struct AssumedRole {
    identity: WebIdentity,
    role: Arc<Role>,
    session_name: String,
}

impl AssumedRole {
    /// Who.
    #[must_use]
    pub fn identity(&self) -> &WebIdentity {
        &self.identity
    }

    /// As what.
    #[must_use]
    pub fn role(&self) -> &Arc<Role> {
        &self.role
    }

    /// Under which name.
    #[must_use]
    pub fn session_name(&self) -> &str {
        &self.session_name
    }
}

/// Why a role does not let an identity in. For the audit; the wire gets [`TrustError::to_sts`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The roles claim.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No such role.
    #[error("there is no role `{0}`")]
    UnknownRole(String),
    /// The trust policy.
    #[error("the trust policy of `{role}` does not allow {action}: {reason}")]
    Refused {
        /// The role.
        role: String,
        /// `sts:AssumeRoleWithWebIdentity`, `sts:TagSession` or `sts:SetSourceIdentity`.
        action: &'static str,
        /// What decided it.
        reason: String,
    },
}

impl TrustError {
    /// The answer on the wire: the same for a role that is not there and one that refuses.
    #[must_use]
    pub fn to_sts(&self) -> StsError {
        match self {
            Self::Identity(error) => StsError::from(error),
            Self::UnknownRole(_) | Self::Refused { .. } => StsError::not_authorized(),
        }
    }
}

/// Asks a role's trust policy.
pub fn assume(
    snapshot: &Snapshot,
    identity: WebIdentity,
    role_arn: &str,
    session_name: String,
    circumstances: &Circumstances<'_>,
) -> Result<AssumedRole, TrustError> {
    // 1. The provider may have said which roles this token is for. It says so before anyone looks whether
    //    the role exists.
    let authorized_by_idp = identity.token().authorizes_role(role_arn)?;
    // 2. The role.
    let role = snapshot.role(role_arn).ok_or_else(|| TrustError::UnknownRole(role_arn.to_owned()))?;
    // 3. Its trust policy, for the exchange and for each thing that the token wants beside it.
    let context = context(snapshot, &identity, &session_name, authorized_by_idp, circumstances);
    let tags = !identity.token().tags().is_empty();
    let source_identity = identity.token().source_identity().is_some();
    let actions = [
        ("sts:AssumeRoleWithWebIdentity", true),
        ("sts:TagSession", tags),
        ("sts:SetSourceIdentity", source_identity),
    ];
    for (action, _) in actions.into_iter().filter(|(_, wanted)| *wanted) {
        let policies = Policies { resource: Some(&role.trust), ..Policies::default() };
        let request = Request {
            principal: Principal::WebIdentity { provider: identity.provider().arn.as_str() },
            action,
            resource: role_arn,
            account: snapshot.account(),
            context: &context,
        };
        if !evaluate(&policies, &request).is_allowed() {
            let reason = explain(&policies, &request).to_string();
            return Err(TrustError::Refused { role: role_arn.to_owned(), action, reason });
        }
    }
    Ok(AssumedRole { role: Arc::clone(role), session_name, identity })
}

/// The condition keys. What the server knows stands first: a claim can shadow none of it.
fn context<'a>(
    snapshot: &'a Snapshot,
    identity: &'a WebIdentity,
    session_name: &'a str,
    authorized_by_idp: bool,
    circumstances: &Circumstances<'a>,
) -> Context<'a> {
    let token = identity.token();
    let provider = identity.provider();
    let claims = token.claims();
    let mut context = Context::with_capacity(24 + claims.iter().count());

    context.set("aws:CurrentTime", circumstances.now);
    context.set("aws:EpochTime", circumstances.now.as_second());
    context.set("aws:SecureTransport", circumstances.secure_transport);
    if let Some(address) = circumstances.source_ip {
        context.set("aws:SourceIp", address);
    }
    if let Some(agent) = circumstances.user_agent {
        context.set("aws:UserAgent", agent);
    }
    context.set("aws:PrincipalAccount", snapshot.account());
    context.set("aws:PrincipalType", "User");
    context.set("aws:userid", provider.arn.as_str());
    context.set("aws:FederatedProvider", provider.arn.as_str());

    context.set("sts:RoleSessionName", session_name);
    context.set("sts:RoleAuthorizedByIdp", authorized_by_idp);
    if let Some(source_identity) = token.source_identity() {
        context.set("sts:SourceIdentity", source_identity);
    }
    let tags = token.tags();
    if !tags.principal.is_empty() {
        let keys: Vec<&str> = tags.principal.iter().map(|(key, _)| key.as_str()).collect();
        context.set("aws:TagKeys", keys);
        for (key, value) in &tags.principal {
            context.set(format!("aws:RequestTag/{key}"), value);
        }
    }
    if !tags.transitive.is_empty() {
        let keys: Vec<&str> = tags.transitive.iter().map(String::as_str).collect();
        context.set("sts:TransitiveTagKeys", keys);
    }

    let issuer = without_scheme(token.issuer());
    context.set(format!("{issuer}:aud"), token.audience());
    context.set(format!("{issuer}:sub"), token.subject());
    context.set(format!("{issuer}:amr"), token.amr().iter().map(String::as_str).collect::<Vec<_>>());
    context.set(
        format!("{issuer}:oaud"),
        match token.original_audiences() {
            [only] => Value::from(only),
            many => Value::from(many.iter().map(String::as_str).collect::<Vec<_>>()),
        },
    );
    for (name, claim) in claims.iter() {
        if let Some(value) = claim_value(claim) {
            context.set(format!("{issuer}:{name}"), value);
        }
    }
    context
}

/// A scalar or an array of strings; nothing else becomes a condition key.
pub(crate) fn claim_value(claim: &Json) -> Option<Value<'_>> {
    match claim {
        Json::String(text) => Some(Value::from(text)),
        Json::Bool(flag) => Some(Value::Bool(*flag)),
        Json::Number(number) => {
            Some(number.as_i64().map_or_else(|| Value::from(number.to_string()), Value::Number))
        }
        Json::Array(items) => {
            let texts: Option<Vec<Cow<'_, str>>> =
                items.iter().map(|item| item.as_str().map(Cow::Borrowed)).collect();
            texts.map(Value::Texts)
        }
        Json::Null | Json::Object(_) => None,
    }
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests;
