//! Sealing of what is kept: AES-256-GCM-SIV, under a key of 32 random bytes, bound to what it is about.
//!
//! Enters: a text, and the words that say whose it is. Leaves: bytes that only the same key opens, and only for the
//! same words, so that one account's file cannot be passed off as another's. A nonce that were used twice would show
//! that two texts are equal, and nothing else (RFC 8452).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use wigeon_core::sigv4::canonical::hex;
use zeroize::Zeroizing;

/// The length of a key, in bytes.
pub(super) const KEY_LEN: usize = 32;

/// Why nothing can be sealed.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(super) struct NoRandom;

/// A key that seals records. It is known by its id, which says nothing of it.
#[derive(Clone)]
pub(super) struct DataKey {
    bytes: Zeroizing<[u8; KEY_LEN]>,
    id: String,
}

impl DataKey {
    /// A new one.
    pub(super) fn generate() -> Result<Self, NoRandom> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        rand::fill(bytes.as_mut()).map_err(|_| NoRandom)?;
        Ok(Self::of(bytes))
    }

    /// One that was kept; `None` where these bytes are none.
    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Zeroizing::new).map(Self::of)
    }

    fn of(bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        let mut labeled = Zeroizing::new(b"wigeon key id".to_vec());
        labeled.extend_from_slice(bytes.as_ref());
        let id = hex(digest(&SHA256, &labeled).as_ref().get(..8).unwrap_or_default());
        Self { bytes, id }
    }

    /// The key's name.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The key itself, for where it is kept.
    pub(super) fn expose(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Nonce, ciphertext and tag.
    pub(super) fn seal(&self, about: &[u8], plain: &[u8]) -> Result<Vec<u8>, NoRandom> {
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, self.bytes.as_ref()).map_err(|_| NoRandom)?;
        // Sized at once: a buffer that grows leaves copies behind.
        let mut text = Vec::with_capacity(plain.len() + 16);
        text.extend_from_slice(plain);
        let nonce = key.seal_in_place_append_tag(Aad::from(about), &mut text).map_err(|_| NoRandom)?;
        Ok([nonce.as_ref().as_slice(), &text].concat())
    }

    /// The text; `None` where the key is another one, or a byte has changed.
    pub(super) fn open(&self, about: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, self.bytes.as_ref()).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.open_in_place(nonce, Aad::from(about), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DataKey({}, [redacted])", self.id)
    }
}

/// The bytes that hexadecimal digits stand for.
pub(super) fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim();
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opened_by_the_same_key_for_the_same_words_alone() {
        let key = DataKey::generate().unwrap();
        let sealed = key.seal(b"ada", b"a token").unwrap();
        assert_eq!(key.open(b"ada", &sealed).unwrap().as_slice(), b"a token");
        assert!(key.open(b"bob", &sealed).is_none());
        assert!(DataKey::generate().unwrap().open(b"ada", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(b"ada", &changed).is_none(), "byte {at}");
            assert!(key.open(b"ada", &sealed[..at]).is_none(), "the first {at} bytes");
        }
        assert_ne!(sealed, key.seal(b"ada", b"a token").unwrap(), "never the same twice");
    }

    #[test]
    fn a_key_comes_back_and_shows_nothing() {
        let key = DataKey::generate().unwrap();
        let again = DataKey::from_slice(&from_hex(&hex(key.expose())).unwrap()).unwrap();
        assert_eq!((again.expose(), again.id()), (key.expose(), key.id()));
        assert!(!format!("{key:?}").contains(&hex(key.expose())));
        assert!(DataKey::from_slice(b"short").is_none());
        assert!(from_hex("0g").is_none() && from_hex("123").is_none());
    }
}
