//! The secrets of long-lived access keys, encrypted for the directory.
//!
//! base64url of `version (1 byte) · key id (4) · nonce (12) · AES-256-GCM-SIV`, as for sessions, with the access
//! key id as associated data: a secret opens under its own id only, and never as a session token.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use wigeon_core::secret::Secret;
use zeroize::Zeroizing;

use super::key_ring::KeyId;
use super::seal::{IssueError, Sealer};
use crate::directory::base32;

const VERSION: u8 = 1;
const HEADER_LEN: usize = 1 + size_of::<KeyId>();

/// A new access key.
#[derive(Debug)]
pub struct LongLived {
    /// `AKIA…`.
    pub access_key_id: String,
    /// Shown once.
    pub secret_key: Secret,
    /// For the directory.
    pub sealed_secret: String,
}

impl Sealer {
    /// Makes a random key pair.
    ///
    /// # Errors
    /// [`IssueError::Crypto`]
    pub fn long_lived(&self) -> Result<LongLived, IssueError> {
        let (mut id, mut secret) = ([0; 10], Zeroizing::new([0; 30]));
        rand::fill(&mut id).map_err(|_| IssueError::Crypto)?;
        rand::fill(secret.as_mut()).map_err(|_| IssueError::Crypto)?;
        let access_key_id = format!("AKIA{}", base32(&id));
        let secret_key = Secret::new(STANDARD.encode(secret.as_ref()));
        let sealed_secret = self.seal_secret(&access_key_id, &secret_key)?;
        Ok(LongLived { access_key_id, secret_key, sealed_secret })
    }

    /// Encrypts the secret of an access key with the newest key of the ring.
    ///
    /// # Errors
    /// [`IssueError::Crypto`]
    pub fn seal_secret(&self, access_key_id: &str, secret: &Secret) -> Result<String, IssueError> {
        let ring = self.ring();
        let key = ring.newest();
        let mut sealed = secret.expose().as_bytes().to_vec();
        let associated = Aad::from(associated(key.id, access_key_id));
        let nonce =
            key.sealing.seal_in_place_append_tag(associated, &mut sealed).map_err(|_| IssueError::Crypto)?;
        let bytes = [&header(key.id)[..], nonce.as_ref(), &sealed].concat();
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Decrypts the secret of an access key; `None` where no key of the ring encrypted it for this id.
    #[must_use]
    pub fn open_secret(&self, access_key_id: &str, sealed: &str) -> Option<Secret> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (&mut [version, id @ ..], rest) = bytes.split_first_chunk_mut::<HEADER_LEN>()?;
        let ring = self.ring();
        let key = ring.key(id).filter(|_| version == VERSION)?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let associated = Aad::from(associated(key.id, access_key_id));
        let plain = key.sealing.open_in_place(nonce, associated, sealed).ok()?;
        Some(Secret::new(std::str::from_utf8(plain).ok()?))
    }

    /// The secret encrypted anew, where it is not under the newest key of the ring: to be done before its key
    /// leaves the ring.
    #[must_use]
    pub fn resealed(&self, access_key_id: &str, sealed: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let newest = header(self.ring().newest().id);
        if bytes.starts_with(&newest) {
            return None;
        }
        let secret = self.open_secret(access_key_id, sealed)?;
        self.seal_secret(access_key_id, &secret).ok()
    }
}

fn header(id: KeyId) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = id;
    [VERSION, a, b, c, d]
}

fn associated(id: KeyId, access_key_id: &str) -> Vec<u8> {
    [b"access key\0", &header(id)[..], access_key_id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use wigeon_core::time::{SignedDuration, Timestamp};

    use super::super::key_ring::KeyRing;
    use super::*;

    #[test]
    fn a_secret_opens_under_its_own_id_and_as_nothing_else() {
        let sealer = Sealer::new(KeyRing::generate(Timestamp::UNIX_EPOCH).unwrap());
        let made = sealer.long_lived().unwrap();
        assert_eq!((made.access_key_id.len(), made.secret_key.expose().len()), (20, 40));
        assert!(!made.sealed_secret.contains(made.secret_key.expose()));
        let opened = sealer.open_secret(&made.access_key_id, &made.sealed_secret).unwrap();
        assert_eq!(opened.expose(), made.secret_key.expose());
        assert!(sealer.open_secret("AKIAOTHER", &made.sealed_secret).is_none());
        assert!(sealer.unseal(&made.sealed_secret, &made.access_key_id, Timestamp::UNIX_EPOCH).is_err());
        assert!(sealer.resealed(&made.access_key_id, &made.sealed_secret).is_none());
        let other = Sealer::new(KeyRing::generate(Timestamp::UNIX_EPOCH).unwrap());
        assert!(other.open_secret(&made.access_key_id, &made.sealed_secret).is_none());
    }

    #[test]
    fn secrets_move_to_the_newest_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let mut ring = KeyRing::open_or_create(&path, Timestamp::UNIX_EPOCH).unwrap();
        let made =
            Sealer::new(KeyRing::open_or_create(&path, Timestamp::UNIX_EPOCH).unwrap()).long_lived().unwrap();
        ring.rotate(&path, 2, Timestamp::UNIX_EPOCH, SignedDuration::ZERO).unwrap();
        let sealer = Sealer::new(ring);
        let moved = sealer.resealed(&made.access_key_id, &made.sealed_secret).unwrap();
        assert!(sealer.resealed(&made.access_key_id, &moved).is_none());
        assert_eq!(
            sealer.open_secret(&made.access_key_id, &moved).unwrap().expose(),
            made.secret_key.expose()
        );
    }
}
