//! The token endpoint: a grant becomes tokens (RFC 6749, sections 3.2, 4.1.3, 4.3, 4.4, 6; RFC 8628, section 3.4),
//! and tokens are given back (RFC 7009).
//!
//! Refused: http beyond this machine, answers that are not JSON, answers beyond [`ANSWER_LIMIT`]. The provider's
//! own words are kept for the person; tokens are never in an error.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use wigeon_core::secret::Secret;
use zeroize::Zeroizing;

use super::discovery::{Provider, secure};
use crate::connect::{self, BodyError, Connector};

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// The OAuth client that we are at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// Its id; where the profile has it empty, none is sent.
    pub id: Option<String>,
    /// Its secret, if it is a confidential one.
    pub secret: Option<Secret>,
}

/// What is redeemed.
#[derive(Debug)]
pub enum Grant<'a> {
    /// An authorization code.
    Code {
        /// The code.
        code: &'a Secret,
        /// Exactly as in the authorization request.
        redirect_uri: &'a str,
        /// PKCE's verifier.
        verifier: Option<&'a Secret>,
        /// What the access token is to be for (RFC 8707, section 2.2).
        resource: Option<&'a str>,
    },
    /// A refresh token.
    Refresh {
        /// The token.
        token: &'a Secret,
        /// As in [`Grant::Code`].
        resource: Option<&'a str>,
    },
    /// The code of a sign-in on another device (RFC 8628, section 3.4).
    Device(&'a Secret),
    /// Our own, without a person (RFC 6749, section 4.4).
    ClientCredentials {
        /// Space-separated.
        scope: &'a str,
        /// For whom the token is to be, where the provider has to be told.
        audience: Option<&'a str>,
        /// As in [`Grant::Code`].
        resource: Option<&'a str>,
    },
    /// A person's password.
    Password {
        /// The user name.
        username: &'a str,
        /// The password.
        password: &'a Secret,
        /// Space-separated.
        scope: &'a str,
    },
}

/// What the provider gave.
#[derive(Debug, Deserialize)]
pub struct Tokens {
    /// The ID token; not each refresh brings one.
    pub id_token: Option<Secret>,
    /// The access token.
    pub access_token: Option<Secret>,
    /// The refresh token; a new one replaces the old one.
    pub refresh_token: Option<Secret>,
    /// For how many seconds the access token is good.
    #[serde(default, deserialize_with = "lenient_seconds")]
    pub expires_in: Option<u32>,
    /// For how many seconds the refresh token is good, where the provider says it: Keycloak, and under another name
    /// Google, Entra and others. 0: without an end.
    #[serde(default, alias = "refresh_token_expires_in", deserialize_with = "lenient_seconds")]
    pub refresh_expires_in: Option<u32>,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenEndpointError {
    /// The provider understood and said no.
    #[error("the provider refuses: {}", words(code, description))]
    Refused {
        /// `invalid_grant`, `invalid_client`, …
        code: String,
        /// The provider's own words.
        description: Option<String>,
    },
    /// It cannot be reached, or the connection broke.
    #[error("cannot reach the token endpoint `{url}`")]
    Unreachable {
        /// The endpoint.
        url: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The body breaks off or is endless.
    #[error("cannot read the answer of the token endpoint `{url}`")]
    Body {
        /// The endpoint.
        url: Url,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// It answers with a failure of its own, or not as a token endpoint does.
    #[error("the token endpoint `{url}` answered with status {status} and no OAuth answer")]
    Unreadable {
        /// The endpoint.
        url: Url,
        /// The HTTP status.
        status: u16,
    },
    /// Everyone on the way could read it.
    #[error("the token endpoint `{0}` is http; tokens are only asked for over https, except on this machine")]
    Insecure(Url),
}

impl TokenEndpointError {
    /// Whether the same again may work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Body { .. } => true,
            Self::Unreadable { status, .. } => *status >= 500 || *status == 429,
            Self::Refused { code, .. } => matches!(code.as_str(), "temporarily_unavailable" | "server_error"),
            Self::Insecure(_) => false,
        }
    }
}

/// The provider's words: `invalid_grant (the code has expired)`.
#[must_use]
pub fn words(code: &str, description: &Option<String>) -> String {
    match description.as_deref().filter(|text| !text.is_empty()) {
        Some(description) => format!("{code} ({description})"),
        None => code.to_owned(),
    }
}

/// Redeems a grant.
///
/// # Errors
/// See [`TokenEndpointError`].
pub async fn redeem(
    connector: &Connector,
    provider: &Provider,
    client: &Client,
    grant: Grant<'_>,
) -> Result<Tokens, TokenEndpointError> {
    let url = &provider.token_endpoint;
    let form = match grant {
        Grant::Code { code, redirect_uri, verifier, resource } => {
            let mut form = vec![
                ("grant_type", "authorization_code"),
                ("code", code.expose()),
                ("redirect_uri", redirect_uri),
            ];
            form.extend(verifier.map(|verifier| ("code_verifier", verifier.expose())));
            form.extend(resource.map(|resource| ("resource", resource)));
            form
        }
        Grant::Refresh { token, resource } => {
            let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())];
            form.extend(resource.map(|resource| ("resource", resource)));
            form
        }
        Grant::Device(code) => {
            vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                ("device_code", code.expose()),
            ]
        }
        Grant::ClientCredentials { scope, audience, resource } => {
            let mut form = vec![("grant_type", "client_credentials")];
            form.extend(Some(("scope", scope)).filter(|(_, scope)| !scope.is_empty()));
            form.extend(audience.map(|audience| ("audience", audience)));
            form.extend(resource.map(|resource| ("resource", resource)));
            form
        }
        Grant::Password { username, password, scope } => vec![
            ("grant_type", "password"),
            ("username", username),
            ("password", password.expose()),
            ("scope", scope),
        ],
    };
    ask(connector, provider, client, url, form).await
}

/// Posts a form as our client and reads the answer, or the provider's refusal of it (RFC 6749, section 5.2).
///
/// # Errors
/// As [`redeem`].
pub(super) async fn ask<T: DeserializeOwned>(
    connector: &Connector,
    provider: &Provider,
    client: &Client,
    url: &Url,
    form: Vec<(&'static str, &str)>,
) -> Result<T, TokenEndpointError> {
    let (status, body) = post(connector, provider, client, url, form).await?;
    let unreadable = || TokenEndpointError::Unreadable { url: url.clone(), status };
    if (200..300).contains(&status) {
        return serde_json::from_slice(&body).map_err(|_| unreadable());
    }
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    Err(TokenEndpointError::Refused { code: refusal.error, description: refusal.error_description })
}

/// Gives a token back, where the provider takes it (RFC 7009). `false`: it has no place for that.
///
/// # Errors
/// As [`redeem`].
pub async fn revoke(
    connector: &Connector,
    provider: &Provider,
    client: &Client,
    token: &Secret,
    kind: &str,
) -> Result<bool, TokenEndpointError> {
    let Some(url) = &provider.revocation_endpoint else { return Ok(false) };
    let form = vec![("token", token.expose()), ("token_type_hint", kind)];
    let (status, body) = post(connector, provider, client, url, form).await?;
    if (200..300).contains(&status) {
        return Ok(true);
    }
    let text = |name: &str| {
        let document: serde_json::Value = serde_json::from_slice(&body).ok()?;
        document.get(name)?.as_str().map(str::to_owned)
    };
    match text("error") {
        Some(code) => Err(TokenEndpointError::Refused { code, description: text("error_description") }),
        None => Err(TokenEndpointError::Unreadable { url: url.clone(), status }),
    }
}

async fn post<'a>(
    connector: &Connector,
    provider: &Provider,
    client: &'a Client,
    url: &Url,
    mut form: Vec<(&'static str, &'a str)>,
) -> Result<(u16, Zeroizing<Vec<u8>>), TokenEndpointError> {
    let url = secure(url.clone()).map_err(|_| TokenEndpointError::Insecure(url.clone()))?;
    let mut request = connector
        .request(Method::POST, &url)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    match authentication(provider, client) {
        Authentication::None => {}
        Authentication::Id(id) => form.push(("client_id", id)),
        Authentication::Post(id, secret) => {
            form.extend([("client_id", id), ("client_secret", secret.expose())]);
        }
        Authentication::Basic(id, secret) => {
            // RFC 6749, section 2.3.1: both halves are form-encoded first.
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret.expose())));
            request =
                request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        }
    }
    let body = Serializer::new(String::new()).extend_pairs(form).finish();
    let answer = request.body(body).send().await.map_err(|source| TokenEndpointError::Unreachable {
        url: url.clone(),
        source: source.without_url(),
    })?;
    let status = answer.status().as_u16();
    let body = connect::body(answer, ANSWER_LIMIT)
        .await
        .map_err(|source| TokenEndpointError::Body { url, source })?;
    Ok((status, Zeroizing::new(body)))
}

/// Some providers write the number as a text; one that is none at all is no reason to refuse the tokens.
fn lenient_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    Ok(number.and_then(|number| u32::try_from(number).ok()))
}

enum Authentication<'a> {
    None,
    Id(&'a str),
    Basic(&'a str, &'a Secret),
    Post(&'a str, &'a Secret),
}

fn authentication<'a>(provider: &Provider, client: &'a Client) -> Authentication<'a> {
    let (id, secret) = match (&client.id, &client.secret) {
        (Some(id), Some(secret)) if !secret.is_empty() => (id, secret),
        (Some(id), _) => return Authentication::Id(id),
        (None, _) => return Authentication::None,
    };
    let offers = |method: &str| {
        provider
            .client_authentication
            .as_ref()
            .is_some_and(|methods| methods.iter().any(|offered| offered == method))
    };
    if offers("client_secret_basic") {
        Authentication::Basic(id, secret)
    } else {
        // Also where nothing is known of the provider: profiles that name only addresses were made for programs
        // that send the secret in the form.
        Authentication::Post(id, secret)
    }
}
