//! The key ring's file, looked at while the server runs.
//!
//! Enters: a file that may be exchanged at any time. Leaves: a [`Sealer`] that goes on with what it says, and with the
//! next key once that may issue. Refused: a file that is no key ring by now; the keys before then stay.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use wigeon_core::time::Timestamp;

use super::key_ring::{KeyRing, KeyRingError};
use super::seal::Sealer;

/// A key ring's file and the sealer that works with it.
#[derive(Debug)]
pub struct RingFile {
    path: PathBuf,
    sealer: Arc<Sealer>,
    seen: Mutex<Option<SystemTime>>,
}

impl RingFile {
    /// Reads the ring, or creates it with one new key when the file is not there.
    ///
    /// # Errors
    /// [`KeyRingError`]
    pub fn open(path: PathBuf, now: Timestamp) -> Result<Self, KeyRingError> {
        let ring = KeyRing::open_or_create(&path, now)?;
        let file = Self { sealer: Arc::new(Sealer::new(ring)), seen: Mutex::new(None), path };
        *file.seen() = file.modified();
        Ok(file)
    }

    /// What seals sessions with it.
    #[must_use]
    pub fn sealer(&self) -> &Arc<Sealer> {
        &self.sealer
    }

    /// Reads the file again where it was changed, or where the next key is due. Whether the keys changed.
    ///
    /// # Errors
    /// [`KeyRingError`]; the keys before stay, and a file that stays as it is will not be complained about again.
    pub fn refresh(&self, now: Timestamp) -> Result<bool, KeyRingError> {
        let modified = self.modified();
        let changed = std::mem::replace(&mut *self.seen(), modified) != modified;
        if !changed && !self.sealer.is_due(now) {
            return Ok(false);
        }
        self.sealer.replace(KeyRing::open(&self.path, now)?);
        Ok(true)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<SystemTime>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn modified(&self) -> Option<SystemTime> {
        fs::metadata(&self.path).and_then(|file| file.modified()).ok()
    }
}
