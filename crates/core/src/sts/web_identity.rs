//! What a signed token must claim before it counts as somebody's identity.
//!
//! Enters: a [`SignedToken`], or the [`TokenInformation`] of an opaque one; the provider's issuer and client ids,
//! the time. Leaves: a [`VerifiedToken`], which only [`verify_identity`] and [`verify_information`] can make. Refused: every row of docs/sts.md, "The token", with the recorded
//! code and message. The answers do not tell a stranger whether an issuer is registered: an unknown
//! issuer, an unknown key and a wrong signature read alike.

use std::fmt;

use serde_json::Value;

use super::fault::{FaultCode, StsError};
use super::request::session_name_char;
use super::session_tags::{SessionTags, TagsError};
use super::token_information::TokenInformation;
use crate::claims::{ClaimShapeError, Claims};
use crate::jwt::{SignedToken, TokenError, UnverifiedToken};
use crate::time::{SignedDuration, Timestamp};

/// How far a provider's clock may be off, either way.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(300);

const ROLES: &str = "https://aws.amazon.com/roles";
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";

/// Somebody's identity: signed by a registered provider, for one of its client ids, now.
#[derive(Clone)]
pub struct VerifiedToken {
    issuer: String,
    subject: String,
    audience: String,
    original_audiences: Vec<String>,
    amr: Vec<String>,
    tags: SessionTags,
    source_identity: Option<String>,
    expires_at: Timestamp,
    claims: Claims,
}

/// Whom a verified token is about, without the proof of it: what a session keeps.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// `sub`.
    pub subject: String,
    /// `azp` or `aud`.
    pub audience: String,
    /// `amr`.
    pub amr: Vec<String>,
    /// All claims.
    pub claims: Claims,
}

/// Why a signed token is nobody's identity here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// `iss`, `sub`, `aud`, `iat` or `exp` is not there.
    #[error("Missing a required claim: {0}")]
    MissingClaim(&'static str),
    /// A claim is there and empty.
    #[error("Claim is not allowed to be empty: {0}")]
    EmptyClaim(&'static str),
    /// A claim has a type that it cannot have.
    #[error("Claim has an unexpected type: {0}")]
    ClaimType(&'static str),
    /// `sub` is null: AWS fails over it, and so it reads as a failure.
    #[error("The token's subject is null")]
    NullSubject,
    /// A time is null, a fraction or text.
    #[error("Invalid timestamp in token claims.")]
    Timestamp,
    /// `exp` is past.
    #[error("Token expired: current date/time {now} must be before the expiration date/time {expires_at}")]
    Expired {
        /// Seconds since 1970.
        now: i64,
        /// Seconds since 1970.
        expires_at: i64,
    },
    /// `iat` is ahead.
    #[error(
        "Token issued in the future: current date/time {now} must be after the issue date/time {issued_at}"
    )]
    IssuedInFuture {
        /// Seconds since 1970.
        now: i64,
        /// Seconds since 1970.
        issued_at: i64,
    },
    /// `nbf` is ahead.
    #[error(
        "Token not yet valid: current date/time {now} must be after the not-before date/time {not_before}"
    )]
    NotYetValid {
        /// Seconds since 1970.
        now: i64,
        /// Seconds since 1970.
        not_before: i64,
    },
    /// The token is of another issuer than the keys that were used.
    #[error("the token's issuer is not the provider's")]
    WrongIssuer,
    /// Several audiences, and nothing says which one the token was issued to.
    #[error("Token audience contains more than one audience while authorized party is not present")]
    ManyAudiences,
    /// Neither `azp` nor `aud` is a client id of the provider.
    #[error("Incorrect token audience")]
    Audience,
    /// The tags claim.
    #[error(transparent)]
    Tags(#[from] TagsError),
    /// The source identity is not 2–64 characters of the pattern.
    #[error("source_identity passed in claim is not in correct format.")]
    SourceIdentity,
    /// The roles claim does not list the role.
    #[error("The token does not authorize the requested role")]
    RoleNotListed,
}

/// The issuer that a token names, to find its provider. Nothing else may be believed yet.
pub fn issuer_of<'t>(token: &'t UnverifiedToken<'_>) -> Result<&'t str, IdentityError> {
    token.unverified_claims().string("iss").ok_or(IdentityError::MissingClaim("iss"))
}

/// What a provider's tokens may claim.
#[derive(Debug, Clone, Copy)]
pub struct IdentityRules<'a> {
    /// The audiences that are accepted; an empty list accepts none.
    pub client_ids: &'a [String],
    /// Every audience is accepted, and the trust policies decide: built-in providers, and Ceph's providers
    /// without client ids.
    pub any_audience: bool,
    /// A session tag may have several values: Ceph's rule.
    pub many_tag_values: bool,
}

impl<'a> IdentityRules<'a> {
    /// AWS's rules for a provider with these client ids.
    #[must_use]
    pub fn aws(client_ids: &'a [String]) -> Self {
        Self { client_ids, any_audience: false, many_tag_values: false }
    }
}

/// Checks what the token claims against one provider.
pub fn verify_identity(
    token: SignedToken,
    issuer: &str,
    rules: &IdentityRules<'_>,
    now: Timestamp,
) -> Result<VerifiedToken, IdentityError> {
    let claims = token.into_claims();

    // 1. Everything that has to be there is there.
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        if claims.value(name).is_none() {
            return Err(IdentityError::MissingClaim(name));
        }
    }
    // 2. The issuer is the one whose keys were used, character by character.
    if claims.string("iss") != Some(issuer) {
        return Err(IdentityError::WrongIssuer);
    }
    // 3. Times, with the clock skew allowed both ways.
    let expires_at = check_times(&claims, now)?;
    // 4. The subject.
    let subject = subject(&claims)?;
    // 5. The audience.
    let (audience, original_audiences) = audience(&claims, rules)?;
    // 6. What the provider says about sessions.
    let tags = SessionTags::from_claims(&claims, rules.many_tag_values)?;
    let source_identity = source_identity(&claims)?;

    let amr = claims.strings("amr").unwrap_or_default().into_iter().map(str::to_owned).collect();
    let issuer = issuer.to_owned();
    Ok(VerifiedToken {
        issuer,
        subject,
        audience,
        original_audiences,
        amr,
        tags,
        source_identity,
        expires_at,
        claims,
    })
}

/// Checks an opaque access token, as the service that issued it describes it, against one provider: what is left to
/// check is the audience.
pub fn verify_information(
    information: TokenInformation,
    issuer: &str,
    rules: &IdentityRules<'_>,
) -> Result<VerifiedToken, IdentityError> {
    let TokenInformation { subject, audience, expires_at, claims } = information;
    if !rules.any_audience && !rules.client_ids.contains(&audience) {
        return Err(IdentityError::Audience);
    }
    Ok(VerifiedToken {
        issuer: issuer.to_owned(),
        subject,
        original_audiences: vec![audience.clone()],
        audience,
        amr: Vec::new(),
        tags: SessionTags::default(),
        source_identity: None,
        expires_at,
        claims: Claims::from(claims),
    })
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<Timestamp, IdentityError> {
    let time = |name| claims.time(name).map_err(|_: ClaimShapeError| IdentityError::Timestamp);
    let expires_at = time("exp")?.ok_or(IdentityError::MissingClaim("exp"))?;
    let issued_at = time("iat")?.ok_or(IdentityError::MissingClaim("iat"))?;
    let not_before = time("nbf")?;

    let seconds = now.as_second();
    if now.duration_since(expires_at) > CLOCK_SKEW {
        return Err(IdentityError::Expired { now: seconds, expires_at: expires_at.as_second() });
    }
    if issued_at.duration_since(now) > CLOCK_SKEW {
        return Err(IdentityError::IssuedInFuture { now: seconds, issued_at: issued_at.as_second() });
    }
    if let Some(not_before) = not_before.filter(|not_before| not_before.duration_since(now) > CLOCK_SKEW) {
        return Err(IdentityError::NotYetValid { now: seconds, not_before: not_before.as_second() });
    }
    Ok(expires_at)
}

fn subject(claims: &Claims) -> Result<String, IdentityError> {
    match claims.value("sub") {
        None => Err(IdentityError::MissingClaim("sub")),
        Some(Value::String(subject)) => Ok(subject.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Null) => Err(IdentityError::NullSubject),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(IdentityError::ClaimType("sub")),
    }
}

/// The audience that counts (`azp`, when it is there) and the ones that stand in `aud`.
fn audience(claims: &Claims, rules: &IdentityRules<'_>) -> Result<(String, Vec<String>), IdentityError> {
    let original = claims
        .audiences()
        .map_err(|_| IdentityError::ClaimType("aud"))?
        .ok_or(IdentityError::MissingClaim("aud"))?;
    let authorized_party = match claims.value("azp") {
        None | Some(Value::Null) => None,
        Some(Value::String(party)) => Some(party.as_str()),
        Some(_) => return Err(IdentityError::ClaimType("azp")),
    };
    let audience = match (authorized_party, original.as_slice()) {
        (_, []) => return Err(IdentityError::EmptyClaim("aud")),
        (Some(party), _) => party,
        (None, [only]) => only,
        (None, _) => return Err(IdentityError::ManyAudiences),
    };
    let accepted = rules.any_audience || rules.client_ids.iter().any(|id| id == audience);
    if audience.is_empty() || !accepted {
        return Err(IdentityError::Audience);
    }
    Ok((audience.to_owned(), original.into_iter().map(str::to_owned).collect()))
}

fn source_identity(claims: &Claims) -> Result<Option<String>, IdentityError> {
    match claims.value(SOURCE_IDENTITY) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text))
            if (2..=64).contains(&text.len()) && text.chars().all(session_name_char) =>
        {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(IdentityError::SourceIdentity),
    }
}

impl VerifiedToken {
    /// `iss`, which is the provider's URL.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`; a number became its text.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `azp` when it is there, else the one `aud`: a client id of the provider.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// What stands in `aud`.
    #[must_use]
    pub fn original_audiences(&self) -> &[String] {
        &self.original_audiences
    }

    /// `amr`: how the person signed in.
    #[must_use]
    pub fn amr(&self) -> &[String] {
        &self.amr
    }

    /// The session tags that the provider wants.
    #[must_use]
    pub fn tags(&self) -> &SessionTags {
        &self.tags
    }

    /// The source identity that the provider wants.
    #[must_use]
    pub fn source_identity(&self) -> Option<&str> {
        self.source_identity.as_deref()
    }

    /// `exp`.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// All claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whom it is about; the token is used up.
    #[must_use]
    pub fn into_bearer(self) -> Bearer {
        let Self { subject, audience, amr, claims, .. } = self;
        Bearer { subject, audience, amr, claims }
    }

    /// What the roles claim says about a role: `true` when it lists it, `false` when the token has no such
    /// claim, an error when it has one that does not list it.
    pub fn authorizes_role(&self, role_arn: &str) -> Result<bool, IdentityError> {
        let listed = match self.claims.value(ROLES) {
            None | Some(Value::Null) => return Ok(false),
            Some(Value::String(list)) => list.split(';').any(|entry| entry.trim() == role_arn),
            Some(Value::Array(entries)) => {
                entries.iter().filter_map(Value::as_str).any(|entry| entry.trim() == role_arn)
            }
            Some(_) => false,
        };
        if listed { Ok(true) } else { Err(IdentityError::RoleNotListed) }
    }
}

/// Claims by name, and what is shown to everyone anyway.
impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .field("audience", &self.audience)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl From<&IdentityError> for StsError {
    fn from(error: &IdentityError) -> Self {
        let code = match error {
            IdentityError::NullSubject => {
                return Self::new(FaultCode::InternalFailure, "The token could not be processed");
            }
            IdentityError::WrongIssuer => return Self::no_verification_key(),
            IdentityError::Expired { .. } => FaultCode::ExpiredTokenException,
            IdentityError::MissingClaim(_)
            | IdentityError::EmptyClaim(_)
            | IdentityError::ClaimType(_)
            | IdentityError::Timestamp
            | IdentityError::IssuedInFuture { .. }
            | IdentityError::NotYetValid { .. }
            | IdentityError::ManyAudiences
            | IdentityError::Audience
            | IdentityError::Tags(_)
            | IdentityError::SourceIdentity
            | IdentityError::RoleNotListed => FaultCode::InvalidIdentityToken,
        };
        Self::new(code, error.to_string())
    }
}

impl From<&TokenError> for StsError {
    fn from(error: &TokenError) -> Self {
        let message = match error {
            TokenError::TooLong { .. }
            | TokenError::Encrypted
            | TokenError::NotCompact
            | TokenError::Header(_)
            | TokenError::Claims(_) => "The ID token provided is not a valid JWT",
            TokenError::Critical => "The ID token has a critical header, which is not supported",
            TokenError::AlgorithmRefused { .. } => "The ID token's signature algorithm is not supported",
            TokenError::AlgorithmNotAllowed(_) | TokenError::Key(_) | TokenError::Signature => {
                return Self::no_verification_key();
            }
        };
        Self::new(FaultCode::InvalidIdentityToken, message)
    }
}

impl StsError {
    /// The one answer to an unknown issuer, an unknown key, an algorithm that the provider does not allow
    /// and a signature that does not hold.
    #[must_use]
    pub fn no_verification_key() -> Self {
        Self::new(
            FaultCode::InvalidIdentityToken,
            "Couldn't retrieve verification key from your identity provider",
        )
    }
}

#[cfg(test)]
mod tests;
