//! From a text to a token whose signature holds (RFC 7515, section 5.2).

use std::borrow::Cow;
use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::algorithm::{Algorithm, AllowedAlgorithms};
use super::key_set::{KeyError, KeySet};
use crate::claims::{Claims, ClaimsError};
use crate::encoding::base64_url_decode;

/// The longest token that is looked at: STS's limit for `WebIdentityToken`, in bytes.
pub const MAX_TOKEN_LEN: usize = 20_000;

/// Why a text is no token that can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN_LEN`].
    #[error("the token is {len} bytes long; at most 20000 are read")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// Five parts: a JWE.
    #[error("the token is encrypted; let the provider issue signed tokens that are not encrypted")]
    Encrypted,
    /// Not three base64url parts.
    #[error("the token is not a JWT: it needs three base64url parts separated by dots")]
    NotCompact,
    /// The header is not the JSON object that it has to be.
    #[error("the token's header cannot be read")]
    Header(#[source] serde_json::Error),
    /// The header has `crit`: there is no extension that is understood here.
    #[error("the token's header has a critical extension, and none is supported")]
    Critical,
    /// `alg` is `none`, an HMAC or one that does not exist.
    #[error("the token's algorithm `{alg}` is not an asymmetric signature")]
    AlgorithmRefused {
        /// What stands in the header, cut to 20 characters.
        alg: String,
    },
    /// `alg` is known and not on the caller's list.
    #[error("the token's algorithm {0} is not allowed for this provider")]
    AlgorithmNotAllowed(Algorithm),
    /// The payload is not a JSON object.
    #[error("the token's payload cannot be read")]
    Claims(#[source] ClaimsError),
    /// No key for it.
    #[error("no key for the token")]
    Key(#[from] KeyError),
    /// The signature is another key's, or the token was changed.
    #[error("the token's signature does not hold")]
    Signature,
}

/// A token that was read and not checked. Its claims serve to find the provider, and for nothing else.
pub struct UnverifiedToken<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Claims,
    signing_input: &'a str,
    signature: Vec<u8>,
}

impl<'a> UnverifiedToken<'a> {
    /// Reads a compact JWS.
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > MAX_TOKEN_LEN {
            return Err(TokenError::TooLong { len: text.len() });
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::NotCompact);
        };
        match parts.count() {
            0 => {}
            2 => return Err(TokenError::Encrypted),
            _ => return Err(TokenError::NotCompact),
        }

        let header = decode(header)?;
        let header: Header<'_> = serde_json::from_slice(&header).map_err(TokenError::Header)?;
        if header.crit {
            return Err(TokenError::Critical);
        }
        let algorithm = header
            .alg
            .parse()
            .map_err(|_| TokenError::AlgorithmRefused { alg: header.alg.chars().take(20).collect() })?;
        let claims = Claims::parse(&decode(payload)?).map_err(TokenError::Claims)?;
        let signature_dot = text.len() - signature.len() - 1;
        Ok(Self {
            algorithm,
            kid: header.kid,
            claims,
            signing_input: text.get(..signature_dot).ok_or(TokenError::NotCompact)?,
            signature: decode(signature)?,
        })
    }

    /// What the token says of itself.
    #[must_use]
    pub fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// The `alg` of the header.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `kid` of the header.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether the set has a key for this token, before the signature is looked at: [`KeyError::Unknown`]
    /// and [`KeyError::Ambiguous`] may change with a newer set, the others will not.
    pub fn key_in(&self, keys: &KeySet) -> Result<(), KeyError> {
        keys.select(self.kid(), self.algorithm).map(drop)
    }

    /// Checks the algorithm against the list, finds the key and checks the signature, in this order.
    pub fn verify(self, keys: &KeySet, allowed: &AllowedAlgorithms) -> Result<SignedToken, TokenError> {
        if !allowed.contains(self.algorithm) {
            return Err(TokenError::AlgorithmNotAllowed(self.algorithm));
        }
        let key = keys.select(self.kid(), self.algorithm)?;
        key.verify_sig(self.signing_input.as_bytes(), &self.signature).map_err(|_| TokenError::Signature)?;
        Ok(SignedToken { algorithm: self.algorithm, claims: self.claims })
    }
}

/// Neither the text nor the signature nor a claim's value.
impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedToken")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

/// A token whose signature holds under a key of the set that [`UnverifiedToken::verify`] was given. Who
/// issued it, for whom and until when is still to be checked.
#[derive(Debug)]
pub struct SignedToken {
    algorithm: Algorithm,
    claims: Claims,
}

impl SignedToken {
    /// The signed claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The algorithm that signed, which is also the one of `at_hash`.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The claims, without the rest.
    #[must_use]
    pub fn into_claims(self) -> Claims {
        self.claims
    }
}

#[derive(Deserialize)]
struct Header<'h> {
    #[serde(borrow)]
    alg: Cow<'h, str>,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// True for any value, `null` included: the member's presence is what matters.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(from).map(|_| true)
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    base64_url_decode(part).ok_or(TokenError::NotCompact)
}
