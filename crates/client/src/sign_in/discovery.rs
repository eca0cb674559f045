//! Where a provider's endpoints and keys are (OpenID Connect Discovery 1.0; RFC 8414).
//!
//! Enters: what the profile says. Leaves: a [`Provider`]. Refused: http anywhere but on loopback, a document
//! whose `issuer` is not the one that was asked for, documents beyond [`DOCUMENT_LIMIT`], redirects.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use wigeon_core::jwt::{Algorithm, KeySet};

use crate::connect::{self, BodyError, Connector, is_loopback};
use crate::profile::OAuth;

/// The longest discovery document or key set that is read, in bytes.
const DOCUMENT_LIMIT: usize = 1 << 20;

const WELL_KNOWN: &str = ".well-known/openid-configuration";

/// What is known of a provider. It can be kept: nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// The issuer as its tokens name it; unknown where there is no discovery.
    pub issuer: Option<String>,
    /// Where the browser is sent.
    pub authorization_endpoint: Option<Url>,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: Url,
    /// Where a sign-in on another device begins (RFC 8628).
    pub device_authorization_endpoint: Option<Url>,
    /// Where tokens are given back (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// Where the keys are.
    pub jwks_uri: Option<Url>,
    /// How a client with a secret shows it; unknown where there is no discovery.
    pub client_authentication: Option<Vec<String>>,
    /// The algorithms of its ID tokens; unknown where there is no discovery.
    pub id_token_algorithms: Option<Vec<String>>,
    /// The scopes that it says it knows.
    pub scopes: Option<Vec<String>>,
    /// Whether each authorization response names the issuer (RFC 9207).
    pub names_itself_in_responses: bool,
}

/// Why a provider cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The profile has no issuer, and not the address either.
    #[error("the profile has no {0}; set it, or the issuer (`wigeon login --issuer URL`)")]
    Missing(&'static str),
    /// Everyone on the way could read it.
    #[error("`{0}` is http; only https is used to sign in, except on this machine")]
    Insecure(Url),
    /// The provider cannot be reached.
    #[error("cannot reach the provider at `{url}`")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It answers with something else.
    #[error("`{url}` answered with status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The body breaks off or is endless.
    #[error("cannot read `{url}`")]
    Body {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// It is not what it has to be.
    #[error("`{url}` is not {what}: {why}")]
    Malformed {
        /// What was asked for.
        url: String,
        /// What it should have been.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Discovery 4.3: another issuer speaks.
    #[error("the document at `{url}` is of the issuer `{found}`, not of `{asked}`")]
    OtherIssuer {
        /// What was asked for.
        url: String,
        /// Whose document it is.
        found: String,
        /// Whose it should be.
        asked: String,
    },
}

impl DiscoveryError {
    /// Whether the same again may work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Body { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Missing(_) | Self::Insecure(_) | Self::Malformed { .. } | Self::OtherIssuer { .. } => false,
        }
    }
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<Url>,
    token_endpoint: Option<Url>,
    device_authorization_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
    jwks_uri: Option<Url>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Finds the provider of a profile: by its issuer, else by the issuer that its authorization URL suggests, else
/// from its addresses alone.
///
/// # Errors
/// With an issuer set, whatever hinders its discovery; without one, addresses that are missing or insecure.
pub async fn locate(connector: &Connector, oauth: &OAuth) -> Result<Provider, DiscoveryError> {
    if let Some(issuer) = &oauth.issuer {
        return discover(connector, issuer.as_str()).await;
    }
    let token_endpoint = secure(oauth.token_url.clone().ok_or(DiscoveryError::Missing("token URL"))?)?;
    let authorization_endpoint = oauth.authorization_url.clone().map(secure).transpose()?;
    for candidate in authorization_endpoint.iter().flat_map(candidates) {
        match discover(connector, &candidate).await {
            // The addresses that the person's profile names stay; the document, from the same host as they, adds
            // what they lack.
            Ok(found) => return Ok(Provider { authorization_endpoint, token_endpoint, ..found }),
            Err(error) => tracing::debug!(candidate, %error, "no discovery here"),
        }
    }
    Ok(Provider {
        issuer: None,
        authorization_endpoint,
        token_endpoint,
        device_authorization_endpoint: None,
        revocation_endpoint: None,
        jwks_uri: None,
        client_authentication: None,
        id_token_algorithms: None,
        scopes: None,
        names_itself_in_responses: false,
    })
}

/// Reads an issuer's document.
///
/// # Errors
/// What the module refuses, and a provider that is not there.
pub async fn discover(connector: &Connector, issuer: &str) -> Result<Provider, DiscoveryError> {
    let base = format!("{}/{WELL_KNOWN}", issuer.trim_end_matches('/'));
    let url = secure(Url::parse(&base).map_err(|_| DiscoveryError::Missing("valid issuer"))?)?;
    let malformed =
        |why: String| DiscoveryError::Malformed { url: url.to_string(), what: "a discovery document", why };
    let document: Document = serde_json::from_value(fetch(connector, &url).await?)
        .map_err(|error| malformed(error.to_string()))?;
    // Discovery 4.3. People write an issuer with and without its last slash; the document's own form is the one
    // that tokens are then compared with, exactly.
    if document.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
        return Err(DiscoveryError::OtherIssuer {
            url: url.to_string(),
            found: document.issuer,
            asked: issuer.to_owned(),
        });
    }
    let token_endpoint =
        document.token_endpoint.ok_or_else(|| malformed("it has no `token_endpoint`".to_owned()))?;
    Ok(Provider {
        issuer: Some(document.issuer),
        authorization_endpoint: document.authorization_endpoint.map(secure).transpose()?,
        token_endpoint: secure(token_endpoint)?,
        device_authorization_endpoint: document.device_authorization_endpoint.map(secure).transpose()?,
        revocation_endpoint: document.revocation_endpoint.map(secure).transpose()?,
        jwks_uri: document.jwks_uri.map(secure).transpose()?,
        // Discovery 3: what is omitted is `client_secret_basic`.
        client_authentication: Some(
            document
                .token_endpoint_auth_methods_supported
                .unwrap_or_else(|| vec!["client_secret_basic".to_owned()]),
        ),
        id_token_algorithms: document.id_token_signing_alg_values_supported,
        scopes: document.scopes_supported,
        names_itself_in_responses: document.authorization_response_iss_parameter_supported,
    })
}

/// Reads a provider's keys.
///
/// # Errors
/// A key set that cannot be had or is none.
pub(super) async fn key_set(connector: &Connector, url: &Url) -> Result<KeySet, DiscoveryError> {
    let document = fetch(connector, &secure(url.clone())?).await?;
    KeySet::parse(document.to_string().as_bytes()).map_err(|error| DiscoveryError::Malformed {
        url: url.to_string(),
        what: "a key set",
        why: error.to_string(),
    })
}

impl Provider {
    /// The algorithms that its ID tokens may have: those that it names and we know; without discovery, all that
    /// we know. None of them is symmetric.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        match &self.id_token_algorithms {
            Some(names) => names.iter().filter_map(|name| name.parse().ok()).collect(),
            None => Algorithm::ALL.to_vec(),
        }
    }
}

/// https, or this machine.
///
/// # Errors
/// [`DiscoveryError::Insecure`].
pub(super) fn secure(url: Url) -> Result<Url, DiscoveryError> {
    if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) {
        Ok(url)
    } else {
        Err(DiscoveryError::Insecure(url))
    }
}

async fn fetch(connector: &Connector, url: &Url) -> Result<Value, DiscoveryError> {
    let answer = connector
        .request(Method::GET, url)
        .header(http::header::ACCEPT, "application/json")
        .send()
        .await
        .map_err(|source| DiscoveryError::Unreachable {
            url: url.to_string(),
            source: source.without_url(),
        })?;
    let status = answer.status();
    if !status.is_success() {
        return Err(DiscoveryError::Status { url: url.to_string(), status: status.as_u16() });
    }
    let body = connect::body(answer, DOCUMENT_LIMIT)
        .await
        .map_err(|source| DiscoveryError::Body { url: url.to_string(), source })?;
    serde_json::from_slice(&body).map_err(|error| DiscoveryError::Malformed {
        url: url.to_string(),
        what: "JSON",
        why: error.to_string(),
    })
}

/// The issuers that an authorization URL suggests: what is left without the ends that known providers use, then
/// the host itself.
fn candidates(authorization_url: &Url) -> Vec<String> {
    const ENDS: &[(&str, &str)] = &[
        ("/protocol/openid-connect/auth", ""),
        ("/oauth2/v2.0/authorize", "/v2.0"),
        ("/oauth2/v1/authorize", ""),
        ("/o/oauth2/v2/auth", ""),
        ("/o/oauth2/auth", ""),
        ("/connect/authorize", ""),
        ("/oauth2/authorize", ""),
        ("/oauth/authorize", ""),
        ("/oauth2/auth", ""),
        ("/authorize", ""),
        ("/auth", ""),
    ];
    let origin = authorization_url.origin().ascii_serialization();
    let path = authorization_url.path().trim_end_matches('/');
    let mut found: Vec<String> = Vec::new();
    let matching =
        ENDS.iter().filter_map(|(end, instead)| Some(format!("{}{instead}", path.strip_suffix(end)?)));
    for base in matching.take(2).chain([String::new()]) {
        let candidate = format!("{origin}{base}");
        if !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://accounts.google.com/o/oauth2/auth", &["https://accounts.google.com", "https://accounts.google.com/o"])]
    #[case(
        "http://localhost:8080/realms/r/protocol/openid-connect/auth",
        &["http://localhost:8080/realms/r", "http://localhost:8080/realms/r/protocol/openid-connect", "http://localhost:8080"]
    )]
    #[case(
        "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        &["https://login.microsoftonline.com/common/v2.0", "https://login.microsoftonline.com/common/oauth2/v2.0", "https://login.microsoftonline.com"]
    )]
    #[case("https://idp.example/login", &["https://idp.example"])]
    fn suggested_issuers(#[case] url: &str, #[case] expected: &[&str]) {
        let found = candidates(&url.parse().unwrap());
        let expected: Vec<_> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert!(expected.iter().all(|one| found.contains(one)), "{found:?}");
        assert_eq!(found.first(), expected.first());
    }

    #[test]
    fn only_https_beyond_this_machine() {
        for (url, allowed) in [
            ("https://idp.example", true),
            ("http://127.0.0.1:1", true),
            ("http://idp.example", false),
            ("ftp://127.0.0.1", false),
        ] {
            assert_eq!(secure(url.parse().unwrap()).is_ok(), allowed, "{url}");
        }
    }
}
