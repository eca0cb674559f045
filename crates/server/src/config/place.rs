//! Where a configuration file lies: the files that it names stand beside it, and its secrets are the owner's alone.

use std::fs;
use std::path::{Path, PathBuf};

use url::Url;
use wigeon_core::secret::Secret;

use super::error::ConfigError;

/// A configuration file, as the place of the files that it names.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a>(pub &'a Path);

impl Place<'_> {
    /// A file that is named relative to the configuration.
    #[must_use]
    pub fn beside(&self, name: &Path) -> PathBuf {
        self.0.parent().unwrap_or(Path::new(".")).join(name)
    }

    /// The configuration says something that cannot be.
    #[must_use]
    pub fn malformed(&self, reason: impl Into<String>) -> ConfigError {
        let reason: String = reason.into();
        ConfigError::Malformed { path: self.0.to_owned(), reason: reason.trim().to_owned() }
    }

    /// The address of a collector, which is spoken to over HTTP; `key` is what names it.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`]
    pub fn collector(&self, key: &str, text: &str) -> Result<Url, ConfigError> {
        let url = Url::parse(text).map_err(|error| self.malformed(format!("{key} `{text}`: {error}")))?;
        match url.scheme() {
            "http" | "https" => Ok(url),
            other => {
                Err(self
                    .malformed(format!("{key} `{text}`: `{other}` is not spoken here; use https or http")))
            }
        }
    }

    /// A secret of at least `shortest` characters, from a file beside the configuration that holds nothing else and
    /// that only its owner can read.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn secret(&self, name: &Path, shortest: usize) -> Result<Secret, ConfigError> {
        let path = self.beside(name);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let metadata =
                fs::metadata(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
            if metadata.permissions().mode() & 0o077 != 0 {
                return Err(ConfigError::Exposed { path });
            }
        }
        let text = read(&path)?;
        let secret = text.trim();
        if secret.len() < shortest {
            return Err(ConfigError::ShortSecret { path, shortest });
        }
        Ok(Secret::new(secret))
    }
}

/// A file's text.
///
/// # Errors
/// [`ConfigError::Read`]
pub fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}
