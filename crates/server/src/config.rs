//! The server's configuration file.
//!
//! Enters: a TOML file. Leaves: a [`Config`] with every path made absolute, relative to the file. Refused: unknown
//! keys, values that cannot be, and secrets that others can read.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wigeon_core::secret::Secret;

use crate::authenticate::RootKey;

/// A server's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where STS and S3 are served, on one address.
    pub listen: SocketAddr,
    /// Where buckets, objects and keys are kept.
    pub data: PathBuf,
    /// The declarative file with providers, roles and policies.
    pub directory: PathBuf,
    /// The region that requests must be signed for.
    pub region: String,
    /// Names under which buckets are hosts, without ports: `s3.example.org` for `bucket.s3.example.org`.
    pub domains: Vec<String>,
    /// The administrator's key.
    pub root: Option<RootKey>,
    /// The file of the audit records.
    pub audit: Option<PathBuf>,
    /// The listener's certificate; without one it speaks plain HTTP.
    pub tls: Option<Certificate>,
}

/// Where the listener's certificate and key are, both in PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate and those between it and its authority, in this order.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

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
    /// Others than the owner can read a file that holds a secret.
    #[error("`{path}` holds a secret and others can read it; run: chmod 600 `{path}`")]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    data: PathBuf,
    directory: PathBuf,
    region: Option<String>,
    #[serde(default)]
    domains: Vec<String>,
    root: Option<Root>,
    audit: Option<PathBuf>,
    tls: Option<Certificate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    access_key_id: String,
    /// A file with the secret key and nothing else.
    secret_key_file: PathBuf,
}

/// `127.0.0.1:9000`
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9000);

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let malformed = |reason: String| ConfigError::Malformed {
            path: path.to_owned(),
            reason: reason.trim().to_owned(),
        };
        let file: File = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let beside = |name: &Path| path.parent().unwrap_or(Path::new(".")).join(name);
        let root = match file.root {
            None => None,
            Some(root) => {
                if root.access_key_id.len() < 16 {
                    return Err(malformed("root.access_key_id needs at least 16 characters".to_owned()));
                }
                let secret_key = secret(&beside(&root.secret_key_file))?;
                Some(RootKey { access_key_id: root.access_key_id, secret_key })
            }
        };
        Ok(Self {
            listen: file.listen.unwrap_or(DEFAULT_LISTEN),
            data: beside(&file.data),
            directory: beside(&file.directory),
            region: file.region.unwrap_or_else(|| "us-east-1".to_owned()),
            domains: file.domains,
            root,
            audit: file.audit.map(|path| beside(&path)),
            tls: file
                .tls
                .map(|tls| Certificate { certificate: beside(&tls.certificate), key: beside(&tls.key) }),
        })
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

fn secret(path: &Path) -> Result<Secret, ConfigError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata =
            fs::metadata(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(ConfigError::Exposed { path: path.to_owned() });
        }
    }
    let text = read(path)?;
    let secret = text.trim();
    if secret.len() < 16 {
        let reason = "a secret key needs at least 16 characters".to_owned();
        return Err(ConfigError::Malformed { path: path.to_owned(), reason });
    }
    Ok(Secret::new(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, Result<Config, ConfigError>) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("serve.toml"), text).unwrap();
        fs::write(dir.path().join("secret"), "0123456789abcdef\n").unwrap();
        let config = Config::read(&dir.path().join("serve.toml"));
        (dir, config)
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let (dir, config) = written("data = 'd'\ndirectory = '/etc/wigeon/directory.toml'");
        let config = config.unwrap();
        assert_eq!(config.data, dir.path().join("d"));
        assert_eq!(config.directory, Path::new("/etc/wigeon/directory.toml"));
        assert_eq!((config.listen, config.region.as_str()), (DEFAULT_LISTEN, "us-east-1"));
    }

    #[test]
    fn a_wrong_file_names_itself_and_the_place() {
        let (dir, error) = written("data = 'd'\ndirectory = 'x'\nlisen = '127.0.0.1:1'");
        let text = error.unwrap_err().to_string();
        assert!(text.contains("serve.toml") && text.contains("line 3") && text.contains("lisen"), "{text}");
        drop(dir);
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let text = "data = 'd'\ndirectory = 'x'\n[root]\naccess_key_id = 'AKIAROOTROOTROOT'\nsecret_key_file = 'secret'";
        let (dir, _) = written(text);
        let secret = dir.path().join("secret");
        let read = |mode| {
            fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
            Config::read(&dir.path().join("serve.toml"))
        };
        assert!(matches!(read(0o644), Err(ConfigError::Exposed { .. })));
        let config = read(0o600).unwrap();
        assert_eq!(config.root.as_ref().unwrap().secret_key.expose(), "0123456789abcdef");
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
