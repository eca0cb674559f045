//! Providers that AWS knows by a name, without registration: which there are, and how one is switched on here.
//!
//! Enters: `[[built_in]]` of a directory file, or of the server's configuration where the directory is a database. Leaves:
//! a [`ProviderEntry`]. Refused: other names, and what a service of the kind does not have.

use std::path::PathBuf;

use serde::Deserialize;
use wigeon_core::secret::Secret;
use wigeon_core::time::Timestamp;

use super::connection::Connection;
use super::entry::ProviderEntry;
use super::rules::check_address;
use super::sources::{DirectoryError, Sources};

/// Providers that AWS knows without registration, under names of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltIn {
    /// `accounts.google.com`: ID tokens.
    Google,
    /// `www.amazon.com`, Login with Amazon: opaque access tokens.
    Amazon,
    /// `graph.facebook.com`: opaque access tokens.
    Facebook,
}

impl BuiltIn {
    /// How policies name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Google => "accounts.google.com",
            Self::Amazon => "www.amazon.com",
            Self::Facebook => "graph.facebook.com",
        }
    }

    /// The built-in provider of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Google, Self::Amazon, Self::Facebook].into_iter().find(|known| known.name() == name)
    }

    /// What stands in `iss`.
    #[must_use]
    pub fn issuer(self) -> String {
        format!("https://{}", self.name())
    }

    /// Where the service says what an opaque access token of its own stands for; `None` for a provider of ID tokens.
    #[must_use]
    pub fn token_information(self) -> Option<&'static str> {
        match self {
            Self::Google => None,
            Self::Amazon => Some("https://api.amazon.com/auth/o2/tokeninfo"),
            Self::Facebook => Some("https://graph.facebook.com/debug_token"),
        }
    }
}

/// `[[built_in]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltInSettings {
    name: String,
    #[serde(default)]
    client_ids: Vec<String>,
    jwks_url: Option<String>,
    jwks_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    token_information: Option<String>,
    app_token_file: Option<PathBuf>,
}

impl BuiltInSettings {
    /// Where a fault is: which of them.
    pub(super) fn place(&self) -> String {
        format!("built-in provider `{}`", self.name)
    }

    /// The provider, with the contents of the files that it names.
    pub(super) fn entry(
        self,
        sources: &mut Sources,
        created_at: Timestamp,
    ) -> Result<ProviderEntry, DirectoryError> {
        let place = self.place();
        let built_in = BuiltIn::of(&self.name).ok_or_else(|| {
            let known = "`accounts.google.com`, `www.amazon.com` and `graph.facebook.com`";
            sources.fault(&place, format!("there is no such provider; there are {known}"))
        })?;
        let mut provider = ProviderEntry::new(built_in.issuer(), self.client_ids, created_at);
        provider.built_in = true;
        provider.any_audience = provider.client_ids.is_empty();
        let opaque = built_in.token_information().is_some();
        if opaque && (self.jwks_url.is_some() || self.jwks_file.is_some()) {
            return Err(sources.fault(&place, "its tokens are opaque: there are no keys to give"));
        }
        if !opaque && (self.token_information.is_some() || self.app_token_file.is_some()) {
            let reason = "its tokens are signed: there is no token information to ask for";
            return Err(sources.fault(&place, reason));
        }
        if let Some(address) = &self.token_information {
            check_address(address, false).map_err(|reason| sources.fault(&place, reason))?;
        }
        provider.token_information = self.token_information;
        if let Some(file) = self.app_token_file {
            provider.app_token = Some(Secret::new(sources.read(&file)?.trim()));
        }
        let connection = Connection {
            jwks_url: self.jwks_url,
            jwks_file: self.jwks_file,
            ca_file: self.ca_file,
            ..Connection::default()
        };
        connection.write(&mut provider, sources, &place)?;
        Ok(provider)
    }
}
