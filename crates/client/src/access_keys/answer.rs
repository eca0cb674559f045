//! The documents in which keys come: one shape, in which only the token's name differs.

use http::{Method, StatusCode};
use reqwest::RequestBuilder;
use serde::Deserialize;
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::parse_iso8601;

use super::error::KeysError;
use crate::connect::{self, Connector};

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 18;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: Option<u32>,
    code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<Secret>,
    #[serde(alias = "Token")]
    session_token: Option<Secret>,
    expiration: Option<String>,
}

/// Reads a document. `versioned`: it must say that it is of version 1.
pub(super) fn credentials(text: &str, from: &str, versioned: bool) -> Result<Credentials, KeysError> {
    let unusable = |problem| KeysError::Document { from: from.to_owned(), problem };
    let document: Document =
        serde_json::from_str(text).map_err(|_| unusable("it is not the JSON of keys"))?;
    if versioned && document.version != Some(1) {
        return Err(unusable("its `Version` is not 1"));
    }
    if document.code.is_some_and(|code| code != "Success") {
        return Err(unusable("its `Code` is not `Success`"));
    }
    let expires_at = match document.expiration {
        None => None,
        Some(text) => Some(parse_iso8601(&text).ok_or_else(|| unusable("its `Expiration` is not a time"))?),
    };
    Ok(Credentials {
        access_key_id: document
            .access_key_id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| unusable("it has no `AccessKeyId`"))?,
        secret_key: document
            .secret_access_key
            .filter(|key| !key.is_empty())
            .ok_or_else(|| unusable("it has no `SecretAccessKey`"))?,
        session_token: document.session_token.filter(|token| !token.is_empty()),
        expires_at,
    })
}

/// Sends a request and reads its answer as text.
pub(super) async fn text(request: RequestBuilder, url: &Url) -> Result<Secret, KeysError> {
    let answer = request
        .send()
        .await
        .map_err(|source| KeysError::Unreachable { url: url.clone(), source: source.without_url() })?;
    let status = answer.status();
    if status != StatusCode::OK {
        return Err(KeysError::Status { url: url.clone(), status: status.as_u16() });
    }
    let body = connect::body(answer, ANSWER_LIMIT)
        .await
        .map_err(|source| KeysError::Body { url: url.clone(), source })?;
    Ok(Secret::new(String::from_utf8_lossy(&body)))
}

/// Begins a GET.
pub(super) fn get(connector: &Connector, url: &Url) -> RequestBuilder {
    connector.request(Method::GET, url)
}
