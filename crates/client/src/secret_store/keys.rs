//! The keys that seal records: one for each [`Protection`], made when it is first needed, remembered by the process.
//!
//! Enters: which protection. Leaves: its key. Refused: a keychain that is not there, locked or silent; a passphrase
//! that is wrong, or that nobody says; a key that was there and is gone.
//!
//! ```text
//! keys/keychain     the id of a key that the keychain has
//! keys/file         32 random bytes; with the machine's id they make the key
//! keys/passphrase   the key, sealed under the passphrase
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::hex;
use zeroize::Zeroizing;

use super::boundary::{Protection, StoreError};
use super::disk::{failed, lock, read};
use super::keychain::{self, KeychainError};
use super::passphrase::{self, Unopened};
use super::seal::{DataKey, KEY_LEN, from_hex};
use crate::durable;

/// A keychain that has failed is not asked again for so long: each question may take two seconds.
const KEYCHAIN_PAUSE: Duration = Duration::from_secs(10);

/// Another process may be making a key; where it asks a person for a passphrase, that takes a while.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// Knows the passphrase, or whom to ask.
pub trait Passphrases: Send + Sync {
    /// The passphrase; for a `new` key, one that the person chooses now. `None`: nobody says it.
    fn passphrase(&self, new: bool) -> Option<Secret>;
}

/// Nobody knows one.
#[derive(Debug, Clone, Copy)]
pub struct NoPassphrase;

impl Passphrases for NoPassphrase {
    fn passphrase(&self, _new: bool) -> Option<Secret> {
        None
    }
}

/// The keys under one directory.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) dir: PathBuf,
    /// Whether there may be a keychain at all.
    pub(super) keychain: bool,
    pub(super) machine_id: String,
    pub(super) passphrases: Arc<dyn Passphrases>,
    pub(super) known: Arc<Mutex<Known>>,
}

/// What a process remembers.
#[derive(Default)]
pub(super) struct Known {
    keys: BTreeMap<Protection, DataKey>,
    keychain_failed: Option<(Instant, KeychainError)>,
}

impl Keys {
    /// The key, if there is one: what was sealed before is opened with it.
    pub(super) fn existing(&self, protection: Protection) -> Result<Option<DataKey>, StoreError> {
        if let Some(key) = self.known().keys.get(&protection) {
            return Ok(Some(key.clone()));
        }
        let Some(text) = read(&self.file(protection))? else { return Ok(None) };
        let key = match protection {
            Protection::Keychain => {
                self.asked(|| keychain::find(text.trim()))?.and_then(|key| DataKey::from_slice(&key))
            }
            Protection::File => from_hex(&text).and_then(|seed| self.of_machine(&seed)),
            Protection::Passphrase => {
                let said = self.passphrases.passphrase(false).ok_or(StoreError::NoPassphrase)?;
                match passphrase::unwrap(&text, &said) {
                    Ok(key) => Some(key),
                    Err(Unopened::Wrong) => return Err(StoreError::WrongPassphrase),
                    Err(Unopened::Damaged) => None,
                }
            }
        };
        Ok(key.inspect(|key| self.remember(protection, key)))
    }

    /// The key, which is made where there is none. Whatever it takes is known to work afterwards.
    pub(super) fn ready(&self, protection: Protection) -> Result<DataKey, StoreError> {
        if let Some(key) = self.existing(protection)? {
            return Ok(key);
        }
        // Two that begin at once have the same key.
        let Some(_lock) = lock(&self.dir.join("lock"), LOCK_PATIENCE)? else { return Err(StoreError::Busy) };
        if let Some(key) = self.existing(protection)? {
            return Ok(key);
        }
        let (key, text) = match protection {
            Protection::Keychain => {
                let key = DataKey::generate()?;
                self.asked(|| keychain::keep(key.id(), key.expose()))?;
                let id = key.id().to_owned();
                (key, Zeroizing::new(id))
            }
            Protection::File => {
                let seed = DataKey::generate()?;
                let key = self.of_machine(seed.expose()).ok_or(StoreError::NoRandom)?;
                (key, Zeroizing::new(hex(seed.expose())))
            }
            Protection::Passphrase => {
                let chosen = self.passphrases.passphrase(true).ok_or(StoreError::NoPassphrase)?;
                let key = DataKey::generate()?;
                let text = passphrase::wrap(&key, &chosen)?;
                (key, Zeroizing::new(text))
            }
        };
        let file = self.file(protection);
        durable::replace(&file, text.as_bytes()).map_err(failed("write", &file))?;
        self.remember(protection, &key);
        Ok(key)
    }

    fn asked<T>(&self, question: impl FnOnce() -> Result<T, KeychainError>) -> Result<T, StoreError> {
        if !self.keychain {
            return Err(KeychainError::None("there is no session bus".to_owned()).into());
        }
        if let Some((when, error)) = &self.known().keychain_failed
            && when.elapsed() < KEYCHAIN_PAUSE
        {
            return Err(error.clone().into());
        }
        question().map_err(|error| {
            self.known().keychain_failed = Some((Instant::now(), error.clone()));
            error.into()
        })
    }

    /// A copy of the directory alone opens nothing on another machine.
    fn of_machine(&self, seed: &[u8]) -> Option<DataKey> {
        let seed = <[u8; KEY_LEN]>::try_from(seed).map(Zeroizing::new).ok()?;
        let mut key = Zeroizing::new([0; KEY_LEN]);
        let derived = Salt::new(HKDF_SHA256, b"wigeon machine key").extract(seed.as_ref());
        derived.expand(&[self.machine_id.as_bytes()], Length).ok()?.fill(key.as_mut()).ok()?;
        DataKey::from_slice(key.as_ref())
    }

    fn file(&self, protection: Protection) -> PathBuf {
        self.dir.join(protection.name())
    }

    fn remember(&self, protection: Protection, key: &DataKey) {
        self.known().keys.insert(protection, key.clone());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_LEN
    }
}
