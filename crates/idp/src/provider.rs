//! The provider itself: its configuration, its key, its clock and what it remembers.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use url::Url;
use wigeon_core::jwt::signing::{SigningError, SigningKey};
use wigeon_core::time::Clock;

use crate::config::{Client, Config, ConfigError, User, check_issuer};
use crate::grants::Grants;

/// An OpenID provider, ready to answer. Cheap to clone; all clones are one provider.
#[derive(Clone)]
pub struct Provider {
    inner: Arc<Inner>,
}

/// Why there is no provider.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The signing key.
    #[error(transparent)]
    Key(#[from] SigningError),
}

struct Inner {
    config: Config,
    issuer: String,
    /// The issuer's path without a slash at its end: where all routes begin.
    base_path: String,
    key: SigningKey,
    clock: Arc<dyn Clock>,
    grants: Grants,
}

impl Provider {
    /// A provider under an issuer's address, with a new key. It is served by [`Provider::router`]; whoever
    /// serves it must listen on loopback.
    ///
    /// # Errors
    /// A configuration that [`Config::check`] refuses, an issuer that is not on loopback, no key.
    pub fn new(config: Config, issuer: &str, clock: Arc<dyn Clock>) -> Result<Self, ProviderError> {
        config.check()?;
        let base_path = check_issuer(issuer)?.path().trim_end_matches('/').to_owned();
        let key = SigningKey::generate(config.algorithm.in_jwt())?;
        let issuer = issuer.to_owned();
        let grants = Grants::default();
        Ok(Self { inner: Arc::new(Inner { config, issuer, base_path, key, clock, grants }) })
    }

    /// The issuer identifier, exactly as it stands in every ID token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    pub(crate) fn base_path(&self) -> &str {
        &self.inner.base_path
    }

    /// An endpoint's absolute address.
    pub(crate) fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.inner.issuer.trim_end_matches('/'))
    }

    /// The host, with its port, under which the issuer is known.
    pub(crate) fn authority(&self) -> Option<String> {
        Url::parse(&self.inner.issuer).ok().map(|url| url.authority().to_owned())
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn clients(&self) -> &[Client] {
        &self.inner.config.clients
    }

    pub(crate) fn user(&self, login: &str) -> Option<&User> {
        self.inner.config.users.iter().find(|user| user.login == login)
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.inner.key
    }

    pub(crate) fn grants(&self) -> &Grants {
        &self.inner.grants
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.inner.issuer).finish_non_exhaustive()
    }
}
