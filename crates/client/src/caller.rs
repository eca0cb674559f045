//! Who the STS says we are (`GetCallerIdentity`), where it has the operation: Ceph RGW has not.
//!
//! Enters: the STS endpoint and credentials. Leaves: its own answer, or `None` where it does not know the question.

use aws_lc_rs::digest::{SHA256, digest};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::sigv4::canonical::Query;
use wigeon_core::sigv4::sign::Signer;
use wigeon_core::sts::{API_VERSION, CallerIdentity};
use wigeon_core::time::Timestamp;

use crate::connect::{self, Connector};

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 16;

/// Asks. `None`: the STS cannot be reached, or has no such operation, or refuses it; nobody needs the answer to go on.
pub async fn caller_identity(
    connector: &Connector,
    endpoint: &Url,
    credentials: &Credentials,
    at: Timestamp,
) -> Option<CallerIdentity> {
    let body = format!("Action={}&Version={API_VERSION}", CallerIdentity::ACTION);
    let hash: String =
        digest(&SHA256, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let host = match (endpoint.host_str()?, endpoint.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut headers = HeaderMap::new();
    headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
    let region = region_of(endpoint);
    let signer = Signer { credentials, region: &region, service: "sts", at };
    let query = Query::parse("").ok()?;
    signer.sign(&Method::POST, &host, endpoint.path(), &query, &mut headers, &hash).ok()?;
    headers.insert(HOST, HeaderValue::from_str(&host).ok()?);
    let answer = connector.request(Method::POST, endpoint).headers(headers).body(body).send().await.ok()?;
    if answer.status().as_u16() != 200 {
        tracing::debug!(status = answer.status().as_u16(), "the STS does not say who we are");
        return None;
    }
    let body = connect::body(answer, ANSWER_LIMIT).await.ok()?;
    CallerIdentity::from_xml(&String::from_utf8_lossy(&body)).ok()
}

/// The region of `sts.REGION.amazonaws.com`; the global endpoint, and every other STS, signs for `us-east-1`.
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
