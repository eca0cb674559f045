//! A provider's public keys (RFC 7517), parsed once so that a verification parses nothing.
//!
//! Enters: a JWK Set. Leaves: a [`KeySet`]. A key that cannot be used (an unknown type, `use: enc`, any
//! `key_ops`, a certificate that disagrees, a certificate alone, RSA below 2048 bits) is left out and
//! never breaks the others; a document that is no JWK Set is refused (docs/sts.md, "The token").

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::Algorithm;
use super::der::subject_public_key_info;

/// With more RSA keys than this, AWS refuses every token that RSA signed.
const MAX_RSA_KEYS: usize = 100;

/// The usable keys of one provider. Keys of two providers never share a set.
pub struct KeySet {
    keys: Vec<PublicKey>,
    by_kid: HashMap<String, usize>,
    rsa_keys: usize,
}

/// Why a document is no JWK Set.
#[derive(Debug, thiserror::Error)]
#[error("the document is not a JWK Set: it needs a JSON object with an array `keys`")]
pub struct KeySetError(#[source] serde_json::Error);

/// Why a set has no key for a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The token names a key that the set does not have. A newer set may.
    #[error("the provider's key set has no key `{kid}`")]
    Unknown {
        /// The token's `kid`.
        kid: String,
    },
    /// The token names no key and the set has none, or more than one. A newer set may differ.
    #[error("the token names no key, and the provider's key set has {usable} usable ones in place of one")]
    Ambiguous {
        /// How many usable keys there are.
        usable: usize,
    },
    /// The key is of another type than the token's algorithm needs.
    #[error("the key that the token names cannot make {algorithm} signatures")]
    WrongType {
        /// The token's algorithm.
        algorithm: Algorithm,
    },
    /// More than 100 RSA keys: none of them counts.
    #[error("the provider's key set has {count} RSA keys; with more than 100 none is used")]
    TooManyRsaKeys {
        /// How many there are.
        count: usize,
    },
}

impl KeySet {
    /// Reads a JWK Set.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(json).map_err(KeySetError)?;

        let mut set = Self { keys: Vec::new(), by_kid: HashMap::new(), rsa_keys: 0 };
        for jwk in document.keys {
            // A key that cannot be read is left out: the next one may be the one that is needed.
            let Ok(jwk) = serde_json::from_value::<Jwk>(jwk) else { continue };
            set.rsa_keys += usize::from(jwk.kty == "RSA");
            let Some(key) = jwk.public_key() else { continue };
            if let Some(kid) = jwk.kid.filter(|kid| !kid.is_empty()) {
                // Of two keys with one id the last counts.
                if let Some(slot) = set.by_kid.get(&kid).and_then(|&index| set.keys.get_mut(index)) {
                    *slot = key;
                    continue;
                }
                set.by_kid.insert(kid, set.keys.len());
            }
            set.keys.push(key);
        }
        Ok(set)
    }

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The parsed key for a token's header: by `kid`, or the only one when the token names none.
    pub(super) fn select(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&ParsedPublicKey, KeyError> {
        let key = match kid {
            Some(kid) => self
                .by_kid
                .get(kid)
                .and_then(|&index| self.keys.get(index))
                .ok_or_else(|| KeyError::Unknown { kid: kid.to_owned() })?,
            None => match self.keys.as_slice() {
                [only] => only,
                keys => return Err(KeyError::Ambiguous { usable: keys.len() }),
            },
        };
        if algorithm.is_rsa() && self.rsa_keys > MAX_RSA_KEYS {
            return Err(KeyError::TooManyRsaKeys { count: self.rsa_keys });
        }
        key.for_algorithm(algorithm).ok_or(KeyError::WrongType { algorithm })
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("keys", &self.keys.len()).field("kids", &self.by_kid.len()).finish()
    }
}

/// One key, prepared for each algorithm that it can verify.
struct PublicKey(Vec<(Algorithm, ParsedPublicKey)>);

impl PublicKey {
    fn for_algorithm(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.0.iter().find(|(its, _)| *its == algorithm).map(|(_, key)| key)
    }
}

/// The members of a JWK that matter. `alg` is not among them: AWS ignores it, and the key's type together
/// with the caller's list already decides.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Value>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    x5c: Option<Vec<String>>,
}

impl Jwk {
    fn public_key(&self) -> Option<PublicKey> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") || self.key_ops.is_some() {
            return None;
        }
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => self.rsa()?,
            ("EC", Some("P-256")) => self.ec(Algorithm::ES256, &ECDSA_P256_SHA256_FIXED, 32)?,
            ("EC", Some("P-384")) => self.ec(Algorithm::ES384, &ECDSA_P384_SHA384_FIXED, 48)?,
            ("EC", Some("P-521")) => self.ec(Algorithm::ES512, &ECDSA_P521_SHA512_FIXED, 66)?,
            ("OKP", Some("Ed25519")) => {
                let point = decode(self.x.as_deref()?)?;
                let key = (point.len() == 32).then(|| ParsedPublicKey::new(&ED25519, point).ok())??;
                PublicKey(vec![(Algorithm::EdDSA, key)])
            }
            _ => return None,
        };
        self.certificate_agrees(&key).then_some(key)
    }

    fn rsa(&self) -> Option<PublicKey> {
        let (n, e) = (decode(self.n.as_deref()?)?, decode(self.e.as_deref()?)?);
        // Some providers write a leading zero byte, which RFC 7518 forbids and everyone accepts.
        let zeros = n.iter().take_while(|byte| **byte == 0).count();
        let n = n.get(zeros..)?;
        if n.len() < 256 {
            return None;
        }
        let components = RsaPublicKeyComponents { n, e: e.as_slice() };
        let parsed = Algorithm::RSA.into_iter().map(|algorithm| {
            let key = components.to_parsed_public_key(algorithm.rsa_parameters()?).ok()?;
            Some((algorithm, key))
        });
        parsed.collect::<Option<_>>().map(PublicKey)
    }

    fn ec(
        &self,
        algorithm: Algorithm,
        verification: &'static dyn VerificationAlgorithm,
        width: usize,
    ) -> Option<PublicKey> {
        let (x, y) = (decode(self.x.as_deref()?)?, decode(self.y.as_deref()?)?);
        if x.len() > width || y.len() > width {
            return None;
        }
        // SEC 1, section 2.3.3: 04, X, Y, each at full width.
        let mut point = vec![0; 1 + 2 * width];
        *point.first_mut()? = 4;
        point.get_mut(1 + width - x.len()..1 + width)?.copy_from_slice(&x);
        point.get_mut(1 + 2 * width - y.len()..)?.copy_from_slice(&y);
        let key = ParsedPublicKey::new(verification, point).ok()?;
        Some(PublicKey(vec![(algorithm, key)]))
    }

    /// A first certificate in `x5c` must hold this very key; no certificate is fine.
    fn certificate_agrees(&self, key: &PublicKey) -> bool {
        let Some(chain) = &self.x5c else { return true };
        let (Some(leaf), Some((_, key))) = (chain.first(), key.0.first()) else { return false };
        let certified = || {
            let der = STANDARD.decode(leaf.as_bytes()).ok()?;
            let certified = ParsedPublicKey::new(key.algorithm(), subject_public_key_info(&der)?).ok()?;
            canonical(&certified)
        };
        certified().is_some_and(|certified| canonical(key).is_some_and(|own| own == certified))
    }
}

fn canonical(key: &ParsedPublicKey) -> Option<Vec<u8>> {
    let der: PublicKeyX509Der<'_> = key.as_der().ok()?;
    Some(der.as_ref().to_vec())
}

/// base64url without padding; a padded value is met in the wild and means the same.
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}
