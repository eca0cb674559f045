//! The ID token: what of it must hold before anyone believes it (OpenID Connect Core 1.0, section 3.1.3.7).
//!
//! Enters: the token as it came, the provider's keys, what we expect. Leaves: an [`Identity`]: of a person only from
//! [`verify`]; of a workload what its token says, for the STS to judge. Refused: each step of the section, numbered below. Clocks may differ by [`SKEW`].

use serde::{Deserialize, Serialize};
use wigeon_core::claims::{ClaimShapeError, Claims};
use wigeon_core::jwt::{Algorithm, AllowedAlgorithms, KeySet, TokenError, UnverifiedToken, at_hash};
use wigeon_core::secret::Secret;
use wigeon_core::time::{SignedDuration, Timestamp, iso8601};

/// How far our clock and the provider's may be apart.
pub const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Who signed in, as a checked ID token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `iss`.
    pub issuer: String,
    /// `sub`: the person, for this issuer.
    pub subject: String,
    /// `aud`.
    pub audience: Vec<String>,
    /// What to call the person.
    pub user: String,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`: until when the token can be exchanged.
    pub expires_at: Timestamp,
    /// Whether the signature was checked. Without a key set it cannot be; the token then came over TLS from
    /// the token endpoint itself, which step 6 accepts.
    pub signature_checked: bool,
}

impl Identity {
    /// What a token that is not for us says of itself: a workload's, or an access token. Nothing of it is checked;
    /// whoever takes it does that. An opaque token names nobody.
    pub(crate) fn claimed(token: &Secret, now: Timestamp) -> Self {
        let parsed = UnverifiedToken::parse(token.expose()).ok();
        let claims = parsed.as_ref().map(|token| token.unverified_claims());
        let text = |name| claims.and_then(|claims| claims.string(name)).map(str::to_owned);
        let time = |name| claims.and_then(|claims| claims.time(name).ok().flatten());
        let audiences = claims.and_then(|claims| claims.audiences().ok().flatten()).unwrap_or_default();
        let subject = text("sub").unwrap_or_else(|| "unknown".to_owned());
        Self {
            issuer: text("iss").unwrap_or_else(|| "unknown".to_owned()),
            user: subject.clone(),
            subject,
            audience: audiences.into_iter().map(str::to_owned).collect(),
            issued_at: time("iat").unwrap_or(now),
            expires_at: time("exp").unwrap_or(Timestamp::MAX),
            signature_checked: false,
        }
    }

    /// The owner of credentials that no token stands behind.
    pub(crate) fn of_keys(source: &str, subject: &str, now: Timestamp) -> Self {
        Self {
            issuer: source.to_owned(),
            subject: subject.to_owned(),
            audience: Vec::new(),
            user: subject.to_owned(),
            issued_at: now,
            expires_at: Timestamp::MAX,
            signature_checked: false,
        }
    }
}

/// What the token has to say.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The issuer; `None` where there is no discovery that names it.
    pub issuer: Option<&'a str>,
    /// Our client id; `None` where none is sent.
    pub client_id: Option<&'a str>,
    /// The nonce that was sent; `None` after a refresh or a password grant.
    pub nonce: Option<&'a Secret>,
    /// The access token that came with it.
    pub access_token: Option<&'a Secret>,
    /// The algorithms that the provider may use.
    pub algorithms: Vec<Algorithm>,
    /// Claims for the person's name, the first that is there.
    pub username_claims: &'a [String],
}

/// Why an ID token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    /// It cannot be read, or its signature is not the provider's.
    #[error("the ID token is not one of the provider's")]
    Token(#[from] TokenError),
    /// A claim that must be there is not.
    #[error("the ID token has no `{0}`")]
    Missing(&'static str),
    /// A claim is of the wrong shape.
    #[error("the ID token is malformed")]
    Shape(#[from] ClaimShapeError),
    /// Another issuer's.
    #[error("the ID token is of the issuer `{found}`, not of `{expected}`")]
    Issuer {
        /// `iss`.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// For someone else.
    #[error("the ID token is for `{}`, not for our client `{expected}`", found.join("`, `"))]
    Audience {
        /// `aud`.
        found: Vec<String>,
        /// Our client id.
        expected: String,
    },
    /// For several, and it does not say for whom it was made.
    #[error("the ID token is for several audiences (`{}`) and has no `azp`", .0.join("`, `"))]
    NoAuthorizedParty(Vec<String>),
    /// Made for someone else.
    #[error("the ID token was made for `{found}`, not for our client `{expected}`")]
    AuthorizedParty {
        /// `azp`.
        found: String,
        /// Our client id.
        expected: String,
    },
    /// Too late.
    #[error("the ID token expired at {}", iso8601(*.0))]
    Expired(Timestamp),
    /// Too early: one of the clocks is wrong.
    #[error("the ID token is only valid from {}; is this machine's clock right?", iso8601(*.0))]
    NotYet(Timestamp),
    /// After a refresh: another person's.
    #[error("the new ID token is of the subject `{found}`, not of `{expected}`")]
    Subject {
        /// `sub`.
        found: String,
        /// Who signed in.
        expected: String,
    },
    /// It answers another sign-in.
    #[error("the ID token does not answer this sign-in (`nonce`)")]
    Nonce,
    /// The access token is not the one that it belongs to.
    #[error("the ID token and the access token do not belong together (`at_hash`)")]
    AccessTokenHash,
}

/// Checks an ID token. Without keys the caller must have had it over TLS from the token endpoint.
///
/// # Errors
/// The first step that does not hold.
pub fn verify(
    token: &Secret,
    keys: Option<&KeySet>,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Identity, IdTokenError> {
    // 1. An encrypted token: we register for none, and cannot read one. (Refused when parsed.)
    let unverified = UnverifiedToken::parse(token.expose())?;
    let algorithm = unverified.algorithm();

    // 6. The signature, against the keys of this issuer; 7. with an algorithm that the issuer uses; 8. symmetric
    // algorithms do not exist here.
    let (claims, signature_checked) = match keys {
        Some(keys) => {
            let allowed = AllowedAlgorithms::only(expected.algorithms.iter().copied());
            (unverified.verify(keys, &allowed)?.into_claims(), true)
        }
        None => (unverified.unverified_claims().clone(), false),
    };

    // 2. `iss` is exactly the issuer.
    let issuer = claims.string("iss").ok_or(IdTokenError::Missing("iss"))?;
    if let Some(expected) = expected.issuer.filter(|expected| *expected != issuer) {
        return Err(IdTokenError::Issuer { found: issuer.to_owned(), expected: expected.to_owned() });
    }

    let audience = audience(&claims, expected)?;

    // 9. Now is before `exp`.
    let expires_at = claims.time("exp")?.ok_or(IdTokenError::Missing("exp"))?;
    if now >= shifted(expires_at, SKEW) {
        return Err(IdTokenError::Expired(expires_at));
    }
    // 10. `iat` is there and not ahead of us; nor is `nbf`.
    let issued_at = claims.time("iat")?.ok_or(IdTokenError::Missing("iat"))?;
    for begin in [Some(issued_at), claims.time("nbf")?].into_iter().flatten() {
        if begin > shifted(now, SKEW) {
            return Err(IdTokenError::NotYet(begin));
        }
    }

    // 11. The nonce that was sent comes back.
    if let Some(nonce) = expected.nonce {
        let found = claims.string("nonce").ok_or(IdTokenError::Missing("nonce"))?;
        if Secret::new(found) != *nonce {
            return Err(IdTokenError::Nonce);
        }
    }
    // 12 and 13: neither `acr_values` nor `max_age` is ever asked for.

    // 3.1.3.8: `at_hash`, where it is there.
    if let (Some(hash), Some(access_token)) = (claims.string("at_hash"), expected.access_token)
        && Secret::new(hash) != Secret::new(at_hash(algorithm, access_token.expose()))
    {
        return Err(IdTokenError::AccessTokenHash);
    }

    // Section 2: `sub` is required.
    let subject = claims.string("sub").filter(|sub| !sub.is_empty()).ok_or(IdTokenError::Missing("sub"))?;
    let user = expected.username_claims.iter().find_map(|claim| claims.string(claim)).unwrap_or(subject);
    Ok(Identity {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        audience,
        user: user.to_owned(),
        issued_at,
        expires_at,
        signature_checked,
    })
}

/// Steps 3 to 5.
fn audience(claims: &Claims, expected: &Expected<'_>) -> Result<Vec<String>, IdTokenError> {
    let audience: Vec<String> =
        claims.audiences()?.ok_or(IdTokenError::Missing("aud"))?.into_iter().map(str::to_owned).collect();
    // Without a client id there is nothing to compare with; the STS, which knows its audiences, still does.
    let Some(client_id) = expected.client_id else { return Ok(audience) };
    // 3. `aud` holds our client id.
    if !audience.iter().any(|one| one == client_id) {
        return Err(IdTokenError::Audience { found: audience, expected: client_id.to_owned() });
    }
    match claims.string("azp") {
        // 5. `azp`, where it is there, is our client id.
        Some(azp) if azp != client_id => {
            Err(IdTokenError::AuthorizedParty { found: azp.to_owned(), expected: client_id.to_owned() })
        }
        // 4. With several audiences it is there.
        None if audience.len() > 1 => Err(IdTokenError::NoAuthorizedParty(audience)),
        _ => Ok(audience),
    }
}

fn shifted(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
