//! The envelope of session tokens and messages.
//!
//! base64url of `version (1 byte) · key id (4) · nonce (12) · AES-256-GCM-SIV`; version and key id are
//! authenticated too.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use wigeon_core::encoding::{base64_url, base64_url_decode};

use super::key_ring::KeyId;

const HEADER_LEN: usize = 1 + size_of::<KeyId>();
const TAG_LEN: usize = 16;

/// The bytes that an envelope adds to its contents.
pub(super) const OVERHEAD: usize = HEADER_LEN + NONCE_LEN + TAG_LEN;

/// Seals some bytes. `None` when the crypto library fails.
pub(super) fn seal(version: u8, id: KeyId, key: &RandomizedNonceKey, mut plain: Vec<u8>) -> Option<String> {
    let header = header(version, id);
    let nonce = key.seal_in_place_append_tag(Aad::from(header), &mut plain).ok()?;
    let mut envelope = Vec::with_capacity(HEADER_LEN + NONCE_LEN + plain.len());
    envelope.extend_from_slice(&header);
    envelope.extend_from_slice(nonce.as_ref());
    envelope.append(&mut plain);
    Some(base64_url(&envelope))
}

/// An envelope that was read and not opened.
pub(super) struct Sealed {
    version: u8,
    key_id: KeyId,
    bytes: Vec<u8>,
}

impl Sealed {
    /// Reads the outside. `None` when the text is no envelope.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = base64_url_decode(text)?;
        let &[version, a, b, c, d] = bytes.first_chunk::<HEADER_LEN>()?;
        Some(Self { version, key_id: [a, b, c, d], bytes })
    }

    pub(super) fn version(&self) -> u8 {
        self.version
    }

    pub(super) fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The contents, once. `None` when another key sealed them, or they were changed.
    pub(super) fn open(&mut self, key: &RandomizedNonceKey) -> Option<&[u8]> {
        let (header, rest) = self.bytes.split_first_chunk_mut::<HEADER_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        key.open_in_place(nonce, Aad::from(*header), sealed).ok().map(|plain| &*plain)
    }
}

fn header(version: u8, [a, b, c, d]: KeyId) -> [u8; HEADER_LEN] {
    [version, a, b, c, d]
}
