//! A signed request in AWS's Query protocol: to an STS, or to a server's IAM API.
//!
//! Enters: an endpoint, credentials, a service and a form. Leaves: the status and the text of the answer.

use aws_lc_rs::digest::{SHA256, digest};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::sigv4::canonical::{Query, hex};
use wigeon_core::sigv4::sign::Signer;
use wigeon_core::time::Timestamp;

use crate::connect::{self, BodyError, Connector};

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The request cannot be signed for this address.
    #[error("a request to `{0}` cannot be signed")]
    Address(Url),
    /// It cannot be reached.
    #[error("cannot reach `{endpoint}`")]
    Unreachable {
        /// The endpoint.
        endpoint: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The body breaks off or is endless.
    #[error("cannot read the answer of `{endpoint}`")]
    Body {
        /// The endpoint.
        endpoint: Url,
        /// Why.
        #[source]
        source: BodyError,
    },
}

/// Whom to ask, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct SignedQuery<'a> {
    /// Makes connections.
    pub connector: &'a Connector,
    /// Where.
    pub endpoint: &'a Url,
    /// Signs.
    pub credentials: &'a Credentials,
    /// `sts` or `iam`.
    pub service: &'a str,
    /// Now.
    pub at: Timestamp,
}

impl SignedQuery<'_> {
    /// Sends a form, and gives the status and the text of what is answered.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn send(&self, form: &[(&str, &str)]) -> Result<(u16, String), QueryError> {
        let Self { connector, endpoint, credentials, service, at } = *self;
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<String> =
            form.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let body = pairs.join("&");
        let headers = self.headers(&body, Signer { credentials, region: &region_of(endpoint), service, at });
        let headers = headers.ok_or_else(|| QueryError::Address(endpoint.clone()))?;
        let sent = connector.request(Method::POST, endpoint).headers(headers).body(body).send().await;
        let answer = sent.map_err(|source| QueryError::Unreachable {
            endpoint: endpoint.clone(),
            source: source.without_url(),
        })?;
        let status = answer.status().as_u16();
        let body = connect::body(answer, ANSWER_LIMIT).await;
        let body = body.map_err(|source| QueryError::Body { endpoint: endpoint.clone(), source })?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    fn headers(&self, body: &str, signer: Signer<'_>) -> Option<HeaderMap> {
        let hash = hex(digest(&SHA256, body.as_bytes()).as_ref());
        let host = match (self.endpoint.host_str()?, self.endpoint.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let mut headers = HeaderMap::new();
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
        let query = Query::parse("").ok()?;
        signer.sign(&Method::POST, &host, self.endpoint.path(), &query, &mut headers, &hash).ok()?;
        headers.insert(HOST, HeaderValue::from_str(&host).ok()?);
        Some(headers)
    }
}

/// The region of `sts.REGION.amazonaws.com`; the global endpoint, and every other service, signs for `us-east-1`.
fn region_of(endpoint: &Url) -> String {
    let host = endpoint.host_str().unwrap_or_default();
    host.strip_prefix("sts.")
        .and_then(|rest| {
            rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
        })
        .map_or_else(|| "us-east-1".to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions() {
        for (url, region) in [
            ("https://sts.amazonaws.com/", "us-east-1"),
            ("https://sts.eu-central-1.amazonaws.com/", "eu-central-1"),
            ("http://127.0.0.1:9000/", "us-east-1"),
        ] {
            assert_eq!(region_of(&url.parse().unwrap()), region);
        }
    }
}
