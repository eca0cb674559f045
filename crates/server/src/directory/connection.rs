//! How a provider is reached: where its keys come from, whose certificates are trusted on the way, and which of its
//! tokens count.
//!
//! Enters: what an administrator says of it. Leaves: the fields of a [`ProviderEntry`]. Refused: unprotected addresses, two
//! sources of keys, files that are not what they are named for.

use std::path::PathBuf;

use wigeon_core::jwt::{Algorithm, AllowedAlgorithms, KeySet, UnknownAlgorithm};

use super::entry::ProviderEntry;
use super::rules::check_address;
use super::sources::{DirectoryError, Sources};

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
