//! Why a configuration is refused.

use std::io;
use std::path::PathBuf;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("`{path}` cannot be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("`{path}` is not a configuration: {reason}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A secret is shorter than a secret may be.
    #[error("the secret in `{path}` is too short: it needs at least {shortest} characters")]
    ShortSecret {
        /// Which file.
        path: PathBuf,
        /// The least length.
        shortest: usize,
    },
    /// Others than the owner can read a file that holds a secret.
    #[error("`{path}` holds a secret and others can read it; run: chmod 600 `{path}`")]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
}
