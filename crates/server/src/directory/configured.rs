//! What the server's own configuration says of providers, where the directory is a database: how those are reached that
//! the API made, and which built-in ones there are. Only who runs the server decides from where keys come.
//!
//! Enters: `[[provider]]` and `[[built_in]]` of the configuration, and the files that they name. Leaves: a [`Connected`], by
//! which the directory's providers are compiled. Refused: as of a directory file, with the file, the place and the cause.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use wigeon_core::time::Timestamp;

use super::built_in::BuiltInSettings;
use super::connection::Connection;
use super::entry::{MinioEntry, ProviderEntry};
use super::sources::{DirectoryError, Fingerprint, Sources};

/// `[[provider]]` of the server's configuration: how a provider is reached that the API knows by its address alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// The issuer, as the API was given it.
    url: String,
    jwks_url: Option<String>,
    jwks_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    algorithms: Option<Vec<String>>,
    #[serde(default)]
    allow_http: bool,
    #[serde(default)]
    sessions_end_with_token: bool,
    minio: Option<MinioEntry>,
}

/// What the server's configuration says of providers, and the file that says it.
#[derive(Debug, Clone)]
pub struct Connections {
    path: PathBuf,
    providers: Vec<ProviderSettings>,
    built_in: Vec<BuiltInSettings>,
}

/// The same, with the contents of the files that it names.
#[derive(Debug, Clone, Default)]
pub struct Connected {
    /// The ways to providers, by issuer.
    ways: HashMap<String, ProviderEntry>,
    /// Providers that are there without anybody's registering them.
    built_in: Vec<Arc<ProviderEntry>>,
}

impl Connections {
    /// As they stand in the configuration file at `path`, beside which the files lie that they name.
    #[must_use]
    pub fn new(path: &Path, providers: Vec<ProviderSettings>, built_in: Vec<BuiltInSettings>) -> Self {
        Self { path: path.to_owned(), providers, built_in }
    }

    /// Reads the files that they name.
    ///
    /// # Errors
    /// [`DirectoryError`]
    pub fn check(&self) -> Result<(), DirectoryError> {
        self.load().map(drop)
    }

    pub(super) fn load(&self) -> Result<(Connected, Fingerprint), DirectoryError> {
        let mut sources = Sources::named_by(&self.path);
        let mut connected = Connected::default();
        for settings in self.providers.iter().cloned() {
            let place = format!("provider `{}`", settings.url);
            let mut provider = ProviderEntry::new(settings.url, Vec::new(), Timestamp::UNIX_EPOCH);
            provider.minio = settings.minio;
            let connection = Connection {
                jwks_url: settings.jwks_url,
                jwks_file: settings.jwks_file,
                ca_file: settings.ca_file,
                algorithms: settings.algorithms,
                allow_http: settings.allow_http,
                sessions_end_with_token: settings.sessions_end_with_token,
            };
            connection.write(&mut provider, &mut sources, &place)?;
            if connected.ways.insert(provider.url.clone(), provider).is_some() {
                return Err(sources.fault(&place, "it is there twice"));
            }
        }
        for settings in self.built_in.iter().cloned() {
            let place = settings.place();
            let provider = Arc::new(settings.entry(&mut sources, Timestamp::UNIX_EPOCH)?);
            if connected.built_in.iter().any(|known| known.url == provider.url) {
                return Err(sources.fault(&place, "it is there twice"));
            }
            connected.built_in.push(provider);
        }
        Ok((connected, sources.into_seen()))
    }
}

impl Connected {
    /// A provider's entry, reached as the configuration says.
    pub(super) fn over<'a>(&self, entry: &'a ProviderEntry) -> Cow<'a, ProviderEntry> {
        let Some(said) = self.ways.get(&entry.url) else { return Cow::Borrowed(entry) };
        let mut entry = entry.clone();
        if said.jwks_url.is_some() || said.jwks.is_some() {
            entry.jwks_url.clone_from(&said.jwks_url);
            entry.jwks.clone_from(&said.jwks);
        }
        entry.ca_pem = said.ca_pem.clone().or(entry.ca_pem);
        entry.algorithms = said.algorithms.clone().or(entry.algorithms);
        entry.sessions_end_with_token |= said.sessions_end_with_token;
        entry.minio = said.minio.clone().or(entry.minio);
        Cow::Owned(entry)
    }

    /// The issuers that are spoken of.
    pub(super) fn issuers(&self) -> impl Iterator<Item = &str> {
        self.ways.keys().map(String::as_str)
    }

    /// The providers that nobody has to register.
    pub(super) fn built_in(&self) -> &[Arc<ProviderEntry>] {
        &self.built_in
    }
}
