//! The shapes of the provider's answers: JSON that nobody stores, and OAuth's errors.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// JSON that neither a browser nor a proxy keeps (RFC 6749, section 5.1).
pub(crate) fn private_json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error of RFC 6749, section 5.2.
pub(crate) fn oauth_error(status: StatusCode, code: &str, description: &str) -> Response {
    private_json(status, &json!({ "error": code, "error_description": description }))
}
