//! Signed requests to an STS.
//!
//! Enters: a form, credentials, the time. Leaves: a request that is ready to be sent. Refused: an endpoint whose name
//! cannot stand in a header.

use aws_lc_rs::digest::{SHA256, digest};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::RequestBuilder;
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::Query;
use wigeon_core::sigv4::sign::Signer;
use wigeon_core::time::Timestamp;

use crate::connect::Connector;

/// The region of AWS's global endpoint, and of every STS that does not care.
pub(crate) const GLOBAL_REGION: &str = "us-east-1";

/// A POST of a form, signed. `region` counts where the endpoint's name does not say one.
pub(crate) fn signed(
    connector: &Connector,
    endpoint: &Url,
    region: &str,
    credentials: &Credentials,
    form: &Secret,
    at: Timestamp,
) -> Option<RequestBuilder> {
    let body = form.expose();
    let hash: String =
        digest(&SHA256, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let host = match (endpoint.host_str()?, endpoint.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut headers = HeaderMap::new();
    headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
    let region = region_of(endpoint, region);
    let signer = Signer { credentials, region: &region, service: "sts", at };
    let query = Query::parse("").ok()?;
    signer.sign(&Method::POST, &host, endpoint.path(), &query, &mut headers, &hash).ok()?;
    headers.insert(HOST, HeaderValue::from_str(&host).ok()?);
    Some(connector.request(Method::POST, endpoint).headers(headers).body(body.to_owned()))
}

/// The region of `sts.REGION.amazonaws.com`; AWS's global endpoint signs for `us-east-1`.
fn region_of(endpoint: &Url, elsewhere: &str) -> String {
    let host = endpoint.host_str().unwrap_or_default();
    if host == "sts.amazonaws.com" {
        return GLOBAL_REGION.to_owned();
    }
    host.strip_prefix("sts.")
        .and_then(|rest| {
            rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
        })
        .unwrap_or(elsewhere)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions() {
        for (url, region) in [
            ("https://sts.amazonaws.com/", "us-east-1"),
            ("https://sts.eu-central-1.amazonaws.com/", "eu-central-1"),
            ("http://127.0.0.1:9000/", "here"),
        ] {
            assert_eq!(region_of(&url.parse().unwrap(), "here"), region);
        }
    }
}
