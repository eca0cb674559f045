//! The administrator's key, `[root]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::ConfigError;
use super::place::Place;
use crate::authenticate::RootKey;

/// `[root]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootTable {
    access_key_id: String,
    /// A file with the secret key and nothing else.
    secret_key_file: PathBuf,
}

impl RootTable {
    /// Where the secret key is.
    #[must_use]
    pub fn secret_key_file(&self, place: Place<'_>) -> PathBuf {
        place.beside(&self.secret_key_file)
    }

    /// Reads the secret key.
    ///
    /// # Errors
    /// [`ConfigError`]: a key id that is too short, a secret that is missing, short, or not the owner's alone.
    pub fn read(self, place: Place<'_>) -> Result<RootKey, ConfigError> {
        if self.access_key_id.len() < 16 {
            return Err(place.malformed("root.access_key_id needs at least 16 characters"));
        }
        let secret_key = place.secret(&self.secret_key_file, 16)?;
        Ok(RootKey { access_key_id: self.access_key_id, secret_key })
    }
}
