//! Fetching a provider's discovery document and key set.
//!
//! Enters: a provider from the directory. Leaves: its [`KeySet`]. Refused: redirects, other schemes than
//! the configured one, answers that are slow, large or not what they have to be, a discovery document that
//! speaks for another issuer (OpenID Connect Discovery, section 4.3).

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use url::Url;
use wigeon_core::jwt::KeySet;

use super::address::{GuardedResolver, check_named};
use super::thumbprint::tls_with;
use crate::directory::{Keys, Provider};

/// How much a provider may ask of us.
#[derive(Debug, Clone)]
pub struct FetchLimits {
    /// For both documents together, from the first connection to the last byte.
    pub timeout: Duration,
    /// For each of the two documents, in bytes.
    pub max_len: usize,
}

impl Default for FetchLimits {
    /// 5 s, as AWS allows, and 1 MiB.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), max_len: 1 << 20 }
    }
}

/// Why keys cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// The HTTP client cannot be built: the certificate authorities are not readable.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] Arc<reqwest::Error>),
    /// TLS with thumbprints cannot be set up.
    #[error("TLS to the provider cannot be set up: {0}")]
    Tls(String),
    /// No answer, or none in time.
    #[error("`{url}` does not answer")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// Not all of it in time.
    #[error("`{issuer}` took longer than {limit:?}")]
    Slow {
        /// The provider.
        issuer: String,
        /// How long it may take.
        limit: Duration,
    },
    /// Another status than 200; redirects are not followed.
    #[error("`{url}` answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// What came.
        status: u16,
    },
    /// More than the limit.
    #[error("`{url}` answers with more than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// How much is read.
        limit: usize,
    },
    /// Not the document that it has to be.
    #[error("`{url}` is not {what}")]
    Document {
        /// What was asked for.
        url: String,
        /// What it should be.
        what: &'static str,
    },
    /// The discovery document is another issuer's.
    #[error("`{url}` is the discovery document of `{issuer}`")]
    Issuer {
        /// What was asked for.
        url: String,
        /// Whom it speaks for.
        issuer: String,
    },
    /// The discovery document names an address that is not fetched from.
    #[error("the discovery document names the key set address `{0}`, which is not allowed")]
    Address(String),
    /// An earlier fetch failed a moment ago, and the next one waits.
    #[error("the last fetch failed a moment ago: {0}")]
    Recently(String),
}

/// Fetches for one provider.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: reqwest::Client,
    limits: FetchLimits,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    pub(super) fn new(provider: &Provider, limits: FetchLimits) -> Result<Self, FetchError> {
        let failed = |error| FetchError::Client(Arc::new(error));
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(limits.timeout)
            .user_agent(concat!("wigeon/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(GuardedResolver));
        if let Some(pem) = &provider.ca_pem {
            client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem).map_err(failed)?);
        } else if !provider.thumbprints.is_empty() {
            let tls = tls_with(&provider.thumbprints).map_err(|error| FetchError::Tls(error.to_string()))?;
            client = client.tls_backend_preconfigured(tls);
        }
        Ok(Self { client: client.build().map_err(failed)?, limits })
    }

    /// The provider's keys as they are now.
    pub(super) async fn keys(&self, provider: &Provider) -> Result<KeySet, FetchError> {
        let limit = self.limits.timeout;
        tokio::time::timeout(limit, self.fetch(provider))
            .await
            .unwrap_or_else(|_| Err(FetchError::Slow { issuer: provider.url.clone(), limit }))
    }

    async fn fetch(&self, provider: &Provider) -> Result<KeySet, FetchError> {
        let url = match &provider.keys {
            Keys::Url(url) => url.clone(),
            Keys::Discovery | Keys::Fixed(_) | Keys::Opaque { .. } => self.discover(provider).await?,
        };
        let json = self.get(&url).await?;
        KeySet::parse(&json).map_err(|_| FetchError::Document { url, what: "a JWK Set" })
    }

    async fn discover(&self, provider: &Provider) -> Result<String, FetchError> {
        let issuer = Url::parse(&provider.url).map_err(|_| FetchError::Address(provider.url.clone()))?;
        let url = format!("{}/.well-known/openid-configuration", provider.url.trim_end_matches('/'));
        let json = self.get(&url).await?;
        let Ok(document) = serde_json::from_slice::<Discovery>(&json) else {
            return Err(FetchError::Document { url, what: "a discovery document" });
        };
        if document.issuer != provider.url {
            return Err(FetchError::Issuer { url, issuer: document.issuer.chars().take(200).collect() });
        }
        check_named(&document.jwks_uri, &issuer)
            .map(String::from)
            .map_err(|refused| FetchError::Address(refused.0))
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let url: Url = url.parse().map_err(|_| FetchError::Address(url.chars().take(200).collect()))?;
        match self.document(&url).await? {
            (200, body) => Ok(body),
            (status, _) => Err(FetchError::Status { url: url.to_string(), status }),
        }
    }

    /// The status and body at an address, whose query may hold a token and is said to nobody.
    pub(super) async fn document(&self, address: &Url) -> Result<(u16, Vec<u8>), FetchError> {
        let mut url = address.clone();
        url.set_query(None);
        let url = url.to_string();
        let unreachable = |error: reqwest::Error| FetchError::Unreachable {
            url: url.clone(),
            source: Arc::new(error.without_url()),
        };
        let mut answer = self.client.get(address.clone()).send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > self.limits.max_len {
                return Err(FetchError::TooLarge { url, limit: self.limits.max_len });
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }
}
