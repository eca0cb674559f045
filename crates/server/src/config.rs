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
    /// Where providers, roles and policies are kept.
    pub directory: DirectoryConfig,
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

/// Where the directory is kept.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// Its home.
    pub home: DirectoryHome,
    /// The account's twelve digits, where they are not those of the file or of the database.
    pub account: Option<String>,
}

/// The home of the directory.
#[derive(Debug, Clone)]
pub enum DirectoryHome {
    /// A declarative file.
    File(PathBuf),
    /// A SQLite file, made when it is not there.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres {
        /// A URL or `key=value` pairs.
        address: String,
        /// From a file that only its owner can read.
        password: Option<Secret>,
        /// Certificate authorities (PEM) in place of the system's.
        ca_file: Option<PathBuf>,
    },
}

impl DirectoryConfig {
    /// A declarative file.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { home: DirectoryHome::File(path), account: None }
    }
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
    directory: Option<DirectoryKey>,
    region: Option<String>,
    #[serde(default)]
    domains: Vec<String>,
    root: Option<Root>,
    audit: Option<PathBuf>,
    tls: Option<Certificate>,
}

/// `directory = "FILE"`, or a table.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a file name, or a table with `file`, `sqlite` or `postgres`; with `postgres` also `password_file` and `ca_file`; with either database `account`"
)]
enum DirectoryKey {
    File(PathBuf),
    Table(DirectoryTable),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct DirectoryTable {
    file: Option<PathBuf>,
    sqlite: Option<PathBuf>,
    postgres: Option<String>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    account: Option<String>,
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
                let secret_key = secret(&beside(&root.secret_key_file), 16)?;
                Some(RootKey { access_key_id: root.access_key_id, secret_key })
            }
        };
        let data = beside(&file.data);
        let directory = match file.directory {
            Some(DirectoryKey::File(path)) => DirectoryConfig::file(beside(&path)),
            Some(DirectoryKey::Table(table)) => directory(table, &data, beside).map_err(malformed)?,
            None => directory(DirectoryTable::default(), &data, beside).map_err(malformed)?,
        };
        Ok(Self {
            listen: file.listen.unwrap_or(DEFAULT_LISTEN),
            data,
            directory,
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

fn directory(
    table: DirectoryTable,
    data: &Path,
    beside: impl Fn(&Path) -> PathBuf,
) -> Result<DirectoryConfig, String> {
    let twelve = |account: &String| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if table.account.as_ref().is_some_and(|account| !twelve(account)) {
        return Err("directory.account needs twelve digits".to_owned());
    }
    if table.postgres.is_none() && (table.password_file.is_some() || table.ca_file.is_some()) {
        return Err("directory.password_file and directory.ca_file belong to directory.postgres".to_owned());
    }
    if let Some(address) = table.postgres {
        if table.file.is_some() || table.sqlite.is_some() {
            return Err("the directory has one home: a file or a database".to_owned());
        }
        let password = table.password_file.map(|path| secret(&beside(&path), 1)).transpose();
        let password = password.map_err(|error| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        })?;
        let ca_file = table.ca_file.map(|path| beside(&path));
        let home = DirectoryHome::Postgres { address, password, ca_file };
        return Ok(DirectoryConfig { home, account: table.account });
    }
    let home = match (table.file, table.sqlite) {
        (Some(file), None) if table.account.is_none() => DirectoryHome::File(beside(&file)),
        (Some(_), None) => return Err("a directory file names its account itself".to_owned()),
        (None, Some(file)) => DirectoryHome::Sqlite(beside(&file)),
        (None, None) => DirectoryHome::Sqlite(data.join("directory.sqlite")),
        _ => return Err("the directory has one home: a file or a database".to_owned()),
    };
    Ok(DirectoryConfig { home, account: table.account })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

fn secret(path: &Path, shortest: usize) -> Result<Secret, ConfigError> {
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
    if secret.len() < shortest {
        let reason = format!("a secret needs at least {shortest} characters");
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
        let DirectoryHome::File(directory) = config.directory.home else { panic!("{config:?}") };
        assert_eq!(directory, Path::new("/etc/wigeon/directory.toml"));
        assert_eq!((config.listen, config.region.as_str()), (DEFAULT_LISTEN, "us-east-1"));
    }

    #[test]
    fn the_directory_has_one_home() {
        let home = |text: &str| written(text).1.map(|config| config.directory);
        let DirectoryHome::Sqlite(path) = home("data = 'd'").unwrap().home else { panic!() };
        assert!(path.ends_with("d/directory.sqlite"));
        let named = home("data = 'd'\n[directory]\nsqlite = 'x'\naccount = '123456789012'").unwrap();
        assert!(matches!(named.home, DirectoryHome::Sqlite(path) if path.ends_with("x")));
        assert_eq!(named.account.as_deref(), Some("123456789012"));
        let file = home("data = 'd'\n[directory]\nfile = 'x'").unwrap();
        assert!(matches!(file.home, DirectoryHome::File(_)));
        for text in
            ["file = 'a'\nsqlite = 'b'", "account = '1'", "fil = 'x'", "file = 'x'\naccount = '123456789012'"]
        {
            assert!(home(&format!("data = 'd'\n[directory]\n{text}")).is_err(), "{text}");
        }
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
