//! Where the directory of providers, roles and policies is kept: `directory`; how the providers of a database are reached:
//! `[[provider]]`; and which built-in ones stand beside them: `[[built_in]]`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wigeon_core::secret::Secret;

use super::error::ConfigError;
use super::place::Place;
use crate::directory::{AccountSettings, BuiltInSettings, Connections, ProviderSettings};

/// Where the directory is kept.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// Its home.
    pub home: DirectoryHome,
    /// What is said of a database's account; a file says that itself.
    pub account: AccountSettings,
    /// How the providers of a database are reached.
    pub connections: Option<Connections>,
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
    /// With what `[[provider]]` says of the providers of a database.
    ///
    /// # Errors
    /// [`ConfigError`]: the directory is a file, which says that itself.
    pub fn with_providers(
        self,
        providers: Vec<ProviderSettings>,
        built_in: Vec<BuiltInSettings>,
        place: Place<'_>,
    ) -> Result<Self, ConfigError> {
        match (providers.is_empty() && built_in.is_empty(), &self.home) {
            (true, _) => Ok(self),
            (false, DirectoryHome::File(_)) => {
                let reason = "`[[provider]]` and `[[built_in]]` are for a database; the directory file says this itself";
                Err(place.malformed(reason))
            }
            (false, DirectoryHome::Sqlite(_) | DirectoryHome::Postgres { .. }) => {
                Ok(Self { connections: Some(Connections::new(place.0, providers, built_in)), ..self })
            }
        }
    }

    /// A declarative file.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { home: DirectoryHome::File(path), account: AccountSettings::default(), connections: None }
    }
}

/// `directory = "FILE"`, or a table.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a file name, or a table with `file`, `sqlite` or `postgres`; with `postgres` also `password_file` and `ca_file`; with either database `account` and `ceph`"
)]
pub enum DirectoryKey {
    /// A declarative file.
    File(PathBuf),
    /// A home with its settings.
    Table(DirectoryTable),
}

impl Default for DirectoryKey {
    /// SQLite under the data.
    fn default() -> Self {
        Self::Table(DirectoryTable::default())
    }
}

/// `[directory]`
#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct DirectoryTable {
    file: Option<PathBuf>,
    sqlite: Option<PathBuf>,
    postgres: Option<String>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    account: Option<String>,
    ceph: Option<bool>,
}

impl DirectoryKey {
    /// Finds out which home is meant.
    ///
    /// # Errors
    /// [`ConfigError`]: two homes, settings of another home, a password that cannot be had.
    pub fn read(self, place: Place<'_>, data: &Path) -> Result<DirectoryConfig, ConfigError> {
        match self {
            Self::File(path) => Ok(DirectoryConfig::file(place.beside(&path))),
            Self::Table(table) => table.read(place, data),
        }
    }
}

impl DirectoryTable {
    fn read(self, place: Place<'_>, data: &Path) -> Result<DirectoryConfig, ConfigError> {
        let twelve =
            |account: &String| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if self.account.as_ref().is_some_and(|account| !twelve(account)) {
            return Err(place.malformed("directory.account needs twelve digits"));
        }
        if self.postgres.is_none() && (self.password_file.is_some() || self.ca_file.is_some()) {
            let reason = "directory.password_file and directory.ca_file belong to directory.postgres";
            return Err(place.malformed(reason));
        }
        let two_homes = || place.malformed("the directory has one home: a file or a database");
        let home = match (self.file, self.sqlite, self.postgres) {
            (Some(file), None, None) if self.account.is_none() && self.ceph.is_none() => {
                DirectoryHome::File(place.beside(&file))
            }
            (Some(_), None, None) => {
                return Err(place.malformed("a directory file says its `account`, and `ceph`, itself"));
            }
            (None, Some(file), None) => DirectoryHome::Sqlite(place.beside(&file)),
            (None, None, None) => DirectoryHome::Sqlite(data.join("directory.sqlite")),
            (None, None, Some(address)) => DirectoryHome::Postgres {
                address,
                password: self.password_file.map(|path| place.secret(&path, 1)).transpose()?,
                ca_file: self.ca_file.map(|path| place.beside(&path)),
            },
            _ => return Err(two_homes()),
        };
        let account = AccountSettings { number: self.account, ceph: self.ceph };
        Ok(DirectoryConfig { home, account, connections: None })
    }
}
