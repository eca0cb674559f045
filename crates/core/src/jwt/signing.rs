//! Signing tokens: for the development provider, for tests, and wherever we are the issuer.
//!
//! Enters: a private key (generated here, or PKCS#8) and claims. Leaves: a compact JWS, and the public
//! half as a JWK whose `kid` is the RFC 7638 thumbprint.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair, RsaSignatureEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::der::rsa_modulus_and_exponent;

/// A private key together with the one algorithm that it signs with.
pub struct SigningKey {
    algorithm: Algorithm,
    kid: String,
    pair: KeyPair,
}

enum KeyPair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// Why there is no key or no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The crypto library could not generate a key.
    #[error("a {0} key could not be generated")]
    Generate(Algorithm),
    /// The bytes are not the PKCS#8 form of a key for the algorithm.
    #[error("the private key is not a PKCS#8 key for {0}")]
    Key(Algorithm),
    /// The crypto library could not sign.
    #[error("{0} could not sign")]
    Sign(Algorithm),
}

impl SigningKey {
    /// A new key: RSA of 2048 bits, the curve of the ES algorithm, or Ed25519.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        let failed = |_| SigningError::Generate(algorithm);
        let pair = match ec_signing(algorithm) {
            Some(signing) => KeyPair::Ec(EcdsaKeyPair::generate(signing).map_err(failed)?),
            None if algorithm.is_rsa() => {
                KeyPair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?)
            }
            None => KeyPair::Ed(Ed25519KeyPair::generate().map_err(failed)?),
        };
        Ok(Self::from_pair(algorithm, pair))
    }

    /// Reads an unencrypted PKCS#8 key (DER).
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, SigningError> {
        let rejected = |_| SigningError::Key(algorithm);
        let pair = match ec_signing(algorithm) {
            Some(signing) => KeyPair::Ec(EcdsaKeyPair::from_pkcs8(signing, der).map_err(rejected)?),
            None if algorithm.is_rsa() => KeyPair::Rsa(RsaKeyPair::from_pkcs8(der).map_err(rejected)?),
            None => KeyPair::Ed(Ed25519KeyPair::from_pkcs8(der).map_err(rejected)?),
        };
        Ok(Self::from_pair(algorithm, pair))
    }

    fn from_pair(algorithm: Algorithm, pair: KeyPair) -> Self {
        let kid = thumbprint(&pair);
        Self { algorithm, kid, pair }
    }

    /// The private key as PKCS#8 (DER), to be kept.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        let failed = |_| SigningError::Key(self.algorithm);
        let der: Vec<u8> = match &self.pair {
            KeyPair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                der.as_ref().to_vec()
            }
            KeyPair::Ec(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            KeyPair::Ed(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(der))
    }

    /// The algorithm of every signature of this key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key id: the RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half: `kty` and its members, `kid`, `use: sig`, `alg`.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = required_members(&self.pair);
        jwk.insert("kid".to_owned(), json!(self.kid));
        jwk.insert("use".to_owned(), json!("sig"));
        jwk.insert("alg".to_owned(), json!(self.algorithm.name()));
        Value::Object(jwk)
    }

    /// A compact JWS of the claims. The header has `alg`, `kid` and `typ: JWT`; members of `header` come on
    /// top and replace those, a `null` removes one.
    pub fn sign(
        &self,
        header: &Map<String, Value>,
        claims: &Map<String, Value>,
    ) -> Result<String, SigningError> {
        let mut members = Map::new();
        members.insert("alg".to_owned(), json!(self.algorithm.name()));
        members.insert("kid".to_owned(), json!(self.kid));
        members.insert("typ".to_owned(), json!("JWT"));
        for (name, value) in header {
            match value {
                Value::Null => members.remove(name),
                value => members.insert(name.clone(), value.clone()),
            };
        }
        let payload = serde_json::to_string(claims).unwrap_or_default();
        self.sign_payload(&members, &payload)
    }

    /// As [`Self::sign`], with exactly this header and this payload, whatever they are.
    pub fn sign_payload(&self, header: &Map<String, Value>, payload: &str) -> Result<String, SigningError> {
        let header = serde_json::to_string(header).unwrap_or_default();
        let mut text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.signature(text.as_bytes())?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Ok(text)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let failed = |_| SigningError::Sign(self.algorithm);
        let random = SystemRandom::new();
        Ok(match &self.pair {
            KeyPair::Rsa(pair) => {
                let encoding = rsa_encoding(self.algorithm).ok_or(SigningError::Sign(self.algorithm))?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).map_err(failed)?;
                signature
            }
            KeyPair::Ec(pair) => pair.sign(&random, message).map_err(failed)?.as_ref().to_vec(),
            KeyPair::Ed(pair) => pair.try_sign(message).map_err(failed)?.as_ref().to_vec(),
        })
    }
}

/// Only what is public.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// RFC 7638: the hash of the required members in the order of their names.
fn thumbprint(pair: &KeyPair) -> String {
    let mut members: Vec<_> = required_members(pair).into_iter().collect();
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    let members: Map<String, Value> = members.into_iter().collect();
    let json = serde_json::to_string(&members).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(digest(&SHA256, json.as_bytes()))
}

fn required_members(pair: &KeyPair) -> Map<String, Value> {
    let encode = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    let members = match pair {
        KeyPair::Rsa(pair) => {
            let (n, e) = rsa_modulus_and_exponent(pair.public_key().as_ref())
                .expect("the crypto library writes an RSA public key as RSAPublicKey");
            vec![("kty", json!("RSA")), ("n", encode(n)), ("e", encode(e))]
        }
        KeyPair::Ec(pair) => {
            let (_, point) = pair.public_key().as_ref().split_at(1);
            let (x, y) = point.split_at(point.len() / 2);
            let curve = match x.len() {
                32 => "P-256",
                48 => "P-384",
                _ => "P-521",
            };
            vec![("kty", json!("EC")), ("crv", json!(curve)), ("x", encode(x)), ("y", encode(y))]
        }
        KeyPair::Ed(pair) => {
            let x = encode(pair.public_key().as_ref());
            vec![("kty", json!("OKP")), ("crv", json!("Ed25519")), ("x", x)]
        }
    };
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn ec_signing(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => Some(&ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::ES512 => Some(&ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => None,
    }
}

fn rsa_encoding(algorithm: Algorithm) -> Option<&'static RsaSignatureEncoding> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_SHA512),
        _ => None,
    }
}
