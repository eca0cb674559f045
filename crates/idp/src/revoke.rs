//! Revocation (RFC 7009): a client gives back a token that it no longer needs.
//!
//! The answer to an unknown token, or to another client's, is the same as to a known one (section 2.2).

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::provider::Provider;
use crate::token::{self, TokenError};

/// `POST /revoke`.
pub(crate) async fn revoke(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    match revoked(&provider, &headers, &body) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => error.response(),
    }
}

fn revoked(provider: &Provider, headers: &HeaderMap, body: &[u8]) -> Result<(), TokenError> {
    let parameters = token::form(headers, body)?;
    let client_id = token::client(provider, headers, &parameters)?;
    let token = parameters.one("token")?.ok_or(TokenError::Missing("token"))?;
    provider.grants().revoke(token, client_id, provider.now());
    Ok(())
}
