//! The token endpoint: a code or a refresh token for tokens (RFC 6749 sections 4.1.3 and 6, OpenID Connect
//! Core sections 3.1.3 and 12).
//!
//! Public clients name themselves by `client_id`; a client that shows a secret is refused, since this
//! provider knows none.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;
use wigeon_core::jwt::signing::SigningError;

use crate::answer;
use crate::authorization_request::Scopes;
use crate::grants::{Access, Grant, GrantError, Redemption};
use crate::mint;
use crate::parameters::{Parameters, Repeated};
use crate::provider::Provider;

/// Why no token is issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the body must be `application/x-www-form-urlencoded`")]
    ContentType,
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("the request has no `{0}`")]
    Missing(&'static str),
    #[error("the client is unknown, or it authenticated in a way that public clients do not")]
    Client,
    #[error("the grant type `{0}` is not supported")]
    GrantType(String),
    #[error("the scope goes beyond what was granted")]
    Scope,
    #[error("the `code_verifier` is not 43 to 128 unreserved characters")]
    VerifierForm,
    #[error(transparent)]
    Grant(#[from] GrantError),
    #[error("the person behind this grant is no longer known")]
    UserGone,
    #[error("the ID token could not be signed")]
    Signing(#[from] SigningError),
}

impl TokenError {
    /// The status and code of RFC 6749, section 5.2.
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::ContentType | Self::Repeated(_) | Self::Missing(_) | Self::VerifierForm => {
                (StatusCode::BAD_REQUEST, "invalid_request")
            }
            Self::Client => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::GrantType(_) => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::Scope => (StatusCode::BAD_REQUEST, "invalid_scope"),
            Self::Grant(GrantError::Full) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Self::Grant(_) | Self::UserGone => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::Signing(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }

    pub(crate) fn response(&self) -> Response {
        let (status, code) = self.code();
        answer::oauth_error(status, code, &self.to_string())
    }
}

/// `POST /token`.
pub(crate) async fn token(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    exchange(&provider, &headers, &body).unwrap_or_else(|error| {
        tracing::info!(%error, "no token issued");
        error.response()
    })
}

fn exchange(provider: &Provider, headers: &HeaderMap, body: &[u8]) -> Result<Response, TokenError> {
    let parameters = form(headers, body)?;
    let client_id = client(provider, headers, &parameters)?;
    match parameters.one("grant_type")? {
        Some("authorization_code") => from_code(provider, &parameters, client_id),
        Some("refresh_token") => from_refresh(provider, &parameters, client_id),
        Some(other) => Err(TokenError::GrantType(other.to_owned())),
        None => Err(TokenError::Missing("grant_type")),
    }
}

/// A form body, and nothing else.
pub(crate) fn form(headers: &HeaderMap, body: &[u8]) -> Result<Parameters, TokenError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(TokenError::ContentType);
    }
    Ok(Parameters::parse(body))
}

/// The registered client that asks.
pub(crate) fn client<'a>(
    provider: &Provider,
    headers: &HeaderMap,
    parameters: &'a Parameters,
) -> Result<&'a str, TokenError> {
    let secretive = headers.contains_key(header::AUTHORIZATION)
        || parameters.one("client_secret")?.is_some()
        || parameters.one("client_assertion")?.is_some();
    let id = parameters.one("client_id")?.ok_or(TokenError::Client)?;
    if secretive || !provider.clients().iter().any(|client| client.id == id) {
        return Err(TokenError::Client);
    }
    Ok(id)
}

fn from_code(provider: &Provider, parameters: &Parameters, client_id: &str) -> Result<Response, TokenError> {
    let need = |name| parameters.one(name)?.ok_or(TokenError::Missing(name));
    let asked = Redemption {
        code: need("code")?,
        client_id,
        redirect_uri: need("redirect_uri")?,
        code_verifier: need("code_verifier")?,
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&asked.code_verifier.len()) || !asked.code_verifier.bytes().all(unreserved) {
        return Err(TokenError::VerifierForm);
    }
    let now = provider.now();
    let grant = provider.grants().redeem(&asked, now)?;
    let nonce = grant.nonce.clone();
    let scopes = grant.scopes.clone();
    issue(provider, &grant, &scopes, nonce.as_deref(), now)
}

fn from_refresh(
    provider: &Provider,
    parameters: &Parameters,
    client_id: &str,
) -> Result<Response, TokenError> {
    let token = parameters.one("refresh_token")?.ok_or(TokenError::Missing("refresh_token"))?;
    let now = provider.now();
    // What may still be corrected is checked before the token is spent.
    let grant = provider.grants().peek_refresh(token, client_id, now)?;
    let scopes = match parameters.one("scope")? {
        Some(narrower) => Scopes::parse(narrower),
        None => grant.scopes.clone(),
    };
    if !scopes.within(&grant.scopes) || !scopes.has("openid") {
        return Err(TokenError::Scope);
    }
    let grant = provider.grants().spend_refresh(token, client_id, now)?;
    // OpenID Connect Core, section 12.2: the ID token of a refresh has no nonce.
    issue(provider, &grant, &scopes, None, now)
}

fn issue(
    provider: &Provider,
    grant: &Arc<Grant>,
    scopes: &Scopes,
    nonce: Option<&str>,
    now: Timestamp,
) -> Result<Response, TokenError> {
    let lifetimes = &provider.config().lifetimes;
    let user = provider.user(&grant.login).ok_or(TokenError::UserGone)?;
    let access = Access { grant: Arc::clone(grant), scopes: scopes.clone() };
    let access_token = provider.grants().issue_access(access, now, lifetimes.access_token)?;
    let id_token = mint::id_token(
        provider.key(),
        &mint::IdToken {
            issuer: provider.issuer(),
            client_id: &grant.client_id,
            user,
            scopes,
            nonce,
            auth_time: grant.auth_time,
            access_token: access_token.expose(),
            now,
            ttl: lifetimes.id_token,
        },
    )?;
    let mut body = json!({
        "token_type": "Bearer",
        "access_token": access_token.expose(),
        "expires_in": lifetimes.access_token.as_secs(),
        "scope": scopes.joined(),
        "id_token": id_token,
    });
    if grant.scopes.has("offline_access") {
        let refresh = provider.grants().issue_refresh(grant, now, lifetimes.refresh_token)?;
        if let Some(body) = body.as_object_mut() {
            body.insert("refresh_token".to_owned(), refresh.expose().into());
        }
    }
    Ok(answer::private_json(StatusCode::OK, &body))
}
