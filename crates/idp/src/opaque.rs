//! Opaque tokens: codes, access and refresh tokens, CSRF tokens.
//!
//! A token is 32 random bytes in base64url. It is kept only as its SHA-256 digest, so looking one up neither
//! leaks it through timing nor leaves it in memory.

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use wigeon_core::secret::Secret;

/// The SHA-256 digest under which a token is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// The digest of a token as it was presented.
    pub(crate) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

/// A new token that nobody can guess.
pub(crate) fn fresh() -> Secret {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the operating system has randomness");
    Secret::new(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256 in base64url without padding: the S256 transformation of RFC 7636, section 4.2.
pub(crate) fn s256(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_43_characters() {
        let (one, two) = (fresh(), fresh());
        assert_ne!(one, two);
        assert_eq!(one.expose().len(), 43);
        assert_ne!(Digest::of(one.expose()), Digest::of(two.expose()));
    }

    /// RFC 7636, appendix B.
    #[test]
    fn s256_of_the_specification() {
        assert_eq!(
            s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
