//! Signature algorithms, and the list of those that a caller accepts (RFC 7518, section 3; RFC 8037).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{digest, signature};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// An asymmetric signature algorithm. There is no variant for `none` or for HMAC: such a token cannot
/// even be spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the registered ones")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// The registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// RS* and PS*.
    #[must_use]
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512)
    }

    /// The RSA algorithms, which share one key.
    pub(super) const RSA: [Self; 6] =
        [Self::RS256, Self::RS384, Self::RS512, Self::PS256, Self::PS384, Self::PS512];

    pub(super) fn rsa_parameters(self) -> Option<&'static signature::RsaParameters> {
        Some(match self {
            Self::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::ES256 | Self::ES384 | Self::ES512 | Self::EdDSA => return None,
        })
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::RS256 | Self::PS256 | Self::ES256 => &digest::SHA256,
            Self::RS384 | Self::PS384 | Self::ES384 => &digest::SHA384,
            Self::RS512 | Self::PS512 | Self::ES512 | Self::EdDSA => &digest::SHA512,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no asymmetric signature algorithm known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a signature algorithm that can be allowed here")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

/// The algorithms that a caller accepts. There is no way to say "any".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedAlgorithms(Vec<Algorithm>);

impl AllowedAlgorithms {
    /// What AWS accepts: RS256/384/512 and ES256/384/512.
    #[must_use]
    pub fn aws() -> Self {
        use Algorithm::{ES256, ES384, ES512, RS256, RS384, RS512};
        Self(vec![RS256, RS384, RS512, ES256, ES384, ES512])
    }

    /// Exactly these; an empty list allows nothing.
    #[must_use]
    pub fn only(algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        Self(algorithms.into_iter().collect())
    }

    /// Whether the algorithm is on the list.
    #[must_use]
    pub fn contains(&self, algorithm: Algorithm) -> bool {
        self.0.contains(&algorithm)
    }
}

/// The `at_hash` of an access token (OpenID Connect Core, section 3.1.3.6): the left half of its hash, by
/// the hash of the ID token's algorithm; SHA-512 for EdDSA with Ed25519.
#[must_use]
pub fn at_hash(algorithm: Algorithm, access_token: &str) -> String {
    let hash = digest::digest(algorithm.digest(), access_token.as_bytes());
    let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
    URL_SAFE_NO_PAD.encode(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_symmetric_ones_do_not_exist() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        for name in ["none", "None", "HS256", "HS384", "HS512", "rs256", "RS1", ""] {
            assert!(name.parse::<Algorithm>().is_err(), "{name}");
        }
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        let none = AllowedAlgorithms::only([]);
        assert!(Algorithm::ALL.into_iter().all(|algorithm| !none.contains(algorithm)));
        assert!(!AllowedAlgorithms::aws().contains(Algorithm::PS256));
        assert!(!AllowedAlgorithms::aws().contains(Algorithm::EdDSA));
    }

    #[test]
    fn at_hash_is_the_left_half_of_the_algorithms_hash() {
        // Computed with Python's hashlib and base64.
        for (algorithm, expected) in [
            (Algorithm::RS256, "xbDyM5Wjs8mTAhnyPZlETA"),
            (Algorithm::ES256, "xbDyM5Wjs8mTAhnyPZlETA"),
            (Algorithm::PS384, "Z2bWqw23yCiNi06TTWWJ6GDqNsCbm8iQ"),
            (Algorithm::ES512, "ZDF0ZIrz-CeaQ43lPXZWSsjpu7TSFdVlDejvKcy1OlQ"),
            (Algorithm::EdDSA, "ZDF0ZIrz-CeaQ43lPXZWSsjpu7TSFdVlDejvKcy1OlQ"),
        ] {
            assert_eq!(at_hash(algorithm, "access-token-1"), expected, "{algorithm}");
        }
    }
}
