//! Unique ids in AWS's style: a prefix that says what it is, and characters of RFC 4648's base32.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The base32 characters of some bytes, without padding; bits that do not fill a character are left out.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5);
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let index = (buffer >> bits & 31) as usize;
            text.extend(ALPHABET.get(index).copied().map(char::from));
        }
    }
    text
}

/// A prefix and 17 characters that depend on nothing but the texts.
pub(super) fn stable_id(prefix: &str, texts: &[&str]) -> String {
    let hash = digest(&SHA256, texts.join("\0").as_bytes());
    let mut id = base32(hash.as_ref());
    id.truncate(17);
    format!("{prefix}{id}")
}

/// A prefix and 17 random characters; `None` where there is no randomness.
pub(super) fn fresh_id(prefix: &str) -> Option<String> {
    let mut bytes = [0; 11];
    rand::fill(&mut bytes).ok()?;
    let mut id = base32(&bytes);
    id.truncate(17);
    Some(format!("{prefix}{id}"))
}

/// `AROA` and 17 characters that depend on nothing but the role's account, path and name: a file that is
/// read again, and another node that reads the same file, give the same id.
pub(super) fn role_id(account: &str, path: &str, name: &str) -> String {
    stable_id("AROA", &["role", account, path, name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_of_rfc_4648() {
        assert_eq!(base32(b"fooba"), "MZXW6YTB");
        assert_eq!(base32(b"foobar"), "MZXW6YTBO");
        assert_eq!(base32(&[0xff; 10]), "7777777777777777");
    }

    #[test]
    fn role_ids_are_stable_and_distinct() {
        let id = role_id("000000000000", "/", "reader");
        assert_eq!((id.len(), &id[..4]), (21, "AROA"));
        assert_eq!(id, role_id("000000000000", "/", "reader"));
        assert_ne!(id, role_id("000000000000", "/", "writer"));
        assert_ne!(id, role_id("000000000000", "/x/", "reader"));
        assert_ne!(id, role_id("000000000001", "/", "reader"));
    }
}
