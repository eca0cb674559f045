//! How a provider is reached: where its keys come from, whose certificates are trusted on the way, and which of its
//! tokens count.
//!
//! Enters: what a directory file says of a provider, or `[[provider]]` of the server's own configuration of one that was
//! made through the API: there, only who runs the server decides from where keys come. Leaves: the fields of a
//! [`ProviderEntry`]. Refused: unprotected addresses, two sources of keys, files that are not what they are named for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wigeon_core::jwt::{Algorithm, AllowedAlgorithms, KeySet, UnknownAlgorithm};
use wigeon_core::time::Timestamp;

use super::entry::{MinioEntry, ProviderEntry};
use super::rules::check_address;
use super::sources::{DirectoryError, Fingerprint, Sources};

/// The way to one provider, as an administrator writes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Connection {
    /// Where its keys are, in place of what its discovery document says.
    pub(super) jwks_url: Option<String>,
    /// A file with its keys.
    pub(super) jwks_file: Option<PathBuf>,
    /// Certificate authorities (PEM) in place of the system's.
    pub(super) ca_file: Option<PathBuf>,
    /// The accepted algorithms, where they are not AWS's.
    pub(super) algorithms: Option<Vec<String>>,
    /// Plain `http` to another machine has to be asked for; to this machine it is fine.
    pub(super) allow_http: bool,
    /// Whether a session ends no later than its token.
    pub(super) sessions_end_with_token: bool,
}

/// Algorithms by their names.
pub(super) fn algorithms(names: &[String]) -> Result<AllowedAlgorithms, UnknownAlgorithm> {
    let algorithms: Result<Vec<Algorithm>, UnknownAlgorithm> =
        names.iter().map(|name| name.parse()).collect();
    algorithms.map(AllowedAlgorithms::only)
}

impl Connection {
    /// Puts it into a provider's entry, with the contents of the files that it names.
    pub(super) fn write(
        self,
        provider: &mut ProviderEntry,
        sources: &mut Sources,
        place: &str,
    ) -> Result<(), DirectoryError> {
        match (self.jwks_url, self.jwks_file) {
            (None, None) => {}
            (Some(url), None) => {
                check_address(&url, self.allow_http).map_err(|reason| sources.fault(place, reason))?;
                provider.jwks_url = Some(url);
            }
            (None, Some(file)) => {
                let keys = sources.read(&file)?;
                KeySet::parse(keys.as_bytes()).map_err(|error| sources.fault(place, error))?;
                provider.jwks = Some(keys);
            }
            (Some(_), Some(_)) => {
                return Err(sources.fault(place, "`jwks_url` and `jwks_file` exclude each other"));
            }
        }
        if let Some(file) = self.ca_file {
            let pem = sources.read(&file)?;
            reqwest::Certificate::from_pem_bundle(pem.as_bytes())
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| sources.fault(place, "`ca_file` holds no PEM certificate"))?;
            provider.ca_pem = Some(pem);
        }
        if let Some(names) = &self.algorithms {
            algorithms(names).map_err(|error| sources.fault(place, error))?;
        }
        provider.algorithms = self.algorithms;
        provider.sessions_end_with_token = self.sessions_end_with_token;
        Ok(())
    }
}

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
    settings: Vec<ProviderSettings>,
}

/// The ways to providers, with the contents of the files that they name, by issuer.
#[derive(Debug, Clone, Default)]
pub struct Connected(HashMap<String, ProviderEntry>);

impl Connections {
    /// As they stand in the configuration file at `path`, beside which the files lie that they name.
    #[must_use]
    pub fn new(path: &Path, settings: Vec<ProviderSettings>) -> Self {
        Self { path: path.to_owned(), settings }
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
        let mut connected = HashMap::new();
        for settings in self.settings.iter().cloned() {
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
            if connected.insert(provider.url.clone(), provider).is_some() {
                return Err(sources.fault(&place, "it is there twice"));
            }
        }
        Ok((Connected(connected), sources.into_seen()))
    }
}

impl Connected {
    /// A provider's entry, reached as the configuration says.
    pub(super) fn over<'a>(&self, entry: &'a ProviderEntry) -> Cow<'a, ProviderEntry> {
        let Some(said) = self.0.get(&entry.url) else { return Cow::Borrowed(entry) };
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
        self.0.keys().map(String::as_str)
    }
}
