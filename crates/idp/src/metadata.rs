//! Discovery (OpenID Connect Discovery 1.0, RFC 8414) and the key set (RFC 7517).

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::authorization_request::SCOPES;
use crate::provider::Provider;

/// `GET /.well-known/openid-configuration`.
pub(crate) async fn discovery(State(provider): State<Provider>) -> Json<Value> {
    Json(json!({
        "issuer": provider.issuer(),
        "authorization_endpoint": provider.endpoint("/authorize"),
        "token_endpoint": provider.endpoint("/token"),
        "userinfo_endpoint": provider.endpoint("/userinfo"),
        "revocation_endpoint": provider.endpoint("/revoke"),
        "jwks_uri": provider.endpoint("/jwks"),
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [provider.key().algorithm().name()],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash",
            "name", "preferred_username", "email", "email_verified", "groups",
        ],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    }))
}

/// `GET /jwks`.
pub(crate) async fn jwks(State(provider): State<Provider>) -> Json<Value> {
    Json(json!({ "keys": [provider.key().public_jwk()] }))
}
