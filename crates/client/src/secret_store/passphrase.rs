//! A key under a passphrase: Argon2id (RFC 9106) makes a key of it, which seals the real one.
//!
//! Enters: a passphrase. Leaves: the text of a file, or the key that is in it. The cost stands in the file, so that it
//! can be raised later; the default is RFC 9106's second recommended one: 64 MiB, three passes, four lanes. Memory is
//! what makes guessing on graphics cards dear, and what PBKDF2 lacks. Refused: a cost that nobody would have chosen,
//! so that a file cannot take the machine's memory.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::hex;
use zeroize::Zeroizing;

use super::seal::{DataKey, KEY_LEN, NoRandom, from_hex};

const ABOUT: &[u8] = b"wigeon passphrase 1";

/// Of memory, in KiB.
const MOST_MEMORY: u32 = 1 << 20;

const MOST_PASSES: u32 = 64;

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Wrapped {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    sealed: String,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unopened {
    /// It is another passphrase.
    Wrong,
    /// The file is not one of ours.
    Damaged,
}

/// The file for a new key.
pub(super) fn wrap(key: &DataKey, passphrase: &Secret) -> Result<String, NoRandom> {
    let mut salt = [0; 16];
    rand::fill(&mut salt).map_err(|_| NoRandom)?;
    let mut wrapped = Wrapped {
        kdf: "argon2id".to_owned(),
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 4,
        salt: hex(&salt),
        sealed: String::new(),
    };
    let over = wrapped.key_of(passphrase).ok_or(NoRandom)?;
    wrapped.sealed = hex(&over.seal(ABOUT, key.expose())?);
    Ok(serde_json::to_string(&wrapped).expect("the file has only texts as keys"))
}

/// The key in the file.
pub(super) fn unwrap(text: &str, passphrase: &Secret) -> Result<DataKey, Unopened> {
    let wrapped: Wrapped = serde_json::from_str(text).map_err(|_| Unopened::Damaged)?;
    let sealed = from_hex(&wrapped.sealed).ok_or(Unopened::Damaged)?;
    let over = wrapped.key_of(passphrase).ok_or(Unopened::Damaged)?;
    let key = over.open(ABOUT, &sealed).ok_or(Unopened::Wrong)?;
    DataKey::from_slice(&key).ok_or(Unopened::Damaged)
}

impl Wrapped {
    fn key_of(&self, passphrase: &Secret) -> Option<DataKey> {
        if self.kdf != "argon2id" || self.memory_kib > MOST_MEMORY || self.passes > MOST_PASSES {
            return None;
        }
        let parameters = Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_LEN)).ok()?;
        let mut key = Zeroizing::new([0; KEY_LEN]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(passphrase.expose().as_bytes(), &from_hex(&self.salt)?, key.as_mut())
            .ok()?;
        DataKey::from_slice(key.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_passphrase_and_no_other() {
        let key = DataKey::generate().unwrap();
        let text = wrap(&key, &Secret::new("correct horse")).unwrap();
        assert!(!text.contains(&hex(key.expose())));
        assert_eq!(unwrap(&text, &Secret::new("correct horse")).unwrap().expose(), key.expose());
        assert_eq!(unwrap(&text, &Secret::new("battery staple")).unwrap_err(), Unopened::Wrong);
        assert_eq!(unwrap("{}", &Secret::new("correct horse")).unwrap_err(), Unopened::Damaged);
        let greedy = text.replace("65536", "4000000000");
        assert_eq!(unwrap(&greedy, &Secret::new("correct horse")).unwrap_err(), Unopened::Damaged);
    }

    /// RFC 9106, section 5.3, without its secret and associated data, which the library's interface leaves out here;
    /// the value is that of the reference implementation: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`.
    #[test]
    fn it_is_argon2id() {
        let mut key = [0; KEY_LEN];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(1 << 16, 2, 1, Some(KEY_LEN)).unwrap())
            .hash_password_into(b"password", b"somesalt", &mut key)
            .unwrap();
        assert_eq!(hex(&key), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }
}
