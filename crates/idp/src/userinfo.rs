//! The userinfo endpoint (OpenID Connect Core, section 5.3): the person behind an access token.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::answer;
use crate::mint;
use crate::provider::Provider;

/// `GET` or `POST /userinfo`, with the token in the Authorization header (RFC 6750, section 2.1).
pub(crate) async fn userinfo(State(provider): State<Provider>, headers: HeaderMap) -> Response {
    let Some(token) = bearer(&headers) else {
        return challenge("Bearer");
    };
    let access = provider.grants().access(token, provider.now());
    let known = access.and_then(|access| Some((provider.user(&access.grant.login)?, access.scopes)));
    let Some((user, scopes)) = known else {
        return challenge(
            "Bearer error=\"invalid_token\", error_description=\"the access token is unknown, expired or revoked\"",
        );
    };
    let mut claims = mint::person(user, &scopes);
    claims.insert("sub".to_owned(), user.subject().into());
    answer::private_json(StatusCode::OK, &Value::Object(claims))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn challenge(value: &'static str) -> Response {
    let headers = [(header::WWW_AUTHENTICATE, HeaderValue::from_static(value))];
    (StatusCode::UNAUTHORIZED, headers).into_response()
}
