//! The three services of a server, which share its addresses or have some of their own.

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use wigeon_core::s3::uri::{Target, UriError};

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Buckets and objects.
    S3,
    /// Tokens for credentials.
    Sts,
    /// The directory's administration.
    Iam,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::S3, Self::Sts, Self::Iam];

    /// Which service a request is for; `named` is what its address names. IAM's requests have the form of STS's; their
    /// signature says whose they are, and one without a signature is refused by either.
    #[must_use]
    pub fn of(parts: &Parts, named: &Result<Target, UriError>) -> Self {
        if !is_query(parts, named) {
            return Self::S3;
        }
        let query = parts.uri.query().unwrap_or_default();
        let header =
            parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let scoped = header.contains("/iam/aws4_request") || query.contains("%2Fiam%2Faws4_request");
        let versioned = query.split('&').any(|pair| pair == "Version=2010-05-08");
        if scoped || versioned { Self::Iam } else { Self::Sts }
    }

    /// As signatures and records name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Sts => "sts",
            Self::Iam => "iam",
        }
    }
}

/// STS and IAM share their address with S3: their requests are forms posted to `/`, or carry an `Action`. On the host of a bucket
/// `/` is the bucket.
fn is_query(parts: &Parts, named: &Result<Target, UriError>) -> bool {
    if *named != Ok(Target::Service) {
        return false;
    }
    let form = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    let action = parts.uri.query().unwrap_or_default().split('&').any(|pair| pair.starts_with("Action="));
    action || (form && parts.method == Method::POST)
}

/// Some of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Services([bool; Service::ALL.len()]);

impl Services {
    /// All of them.
    pub const ALL: Self = Self([true; Service::ALL.len()]);

    /// Whether one is among them.
    #[must_use]
    pub fn contains(self, service: Service) -> bool {
        self.0.get(service as usize).copied().unwrap_or(false)
    }
}

impl FromIterator<Service> for Services {
    fn from_iter<I: IntoIterator<Item = Service>>(services: I) -> Self {
        let mut all = Self([false; Service::ALL.len()]);
        for service in services {
            if let Some(known) = all.0.get_mut(service as usize) {
                *known = true;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

    #[rstest]
    #[case("POST", "/", &[("content-type", FORM)], Service::Sts)]
    #[case("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", &[], Service::Sts)]
    #[case("GET", "/?Action=ListRoles&Version=2010-05-08", &[], Service::Iam)]
    #[case("POST", "/", &[("content-type", FORM), ("authorization", "AWS4-HMAC-SHA256 Credential=K/20261123/us-east-1/iam/aws4_request")], Service::Iam)]
    #[case("POST", "/", &[], Service::S3)]
    #[case("GET", "/", &[("content-type", FORM)], Service::S3)]
    #[case("POST", "/bucket", &[("content-type", FORM)], Service::S3)]
    #[case("POST", "/", &[("content-type", FORM), ("host", "bucket.s3.test")], Service::S3)]
    fn whose_a_request_is(
        #[case] method: &str,
        #[case] uri: &str,
        #[case] headers: &[(&'static str, &str)],
        #[case] service: Service,
    ) {
        let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        for (name, value) in headers {
            parts.headers.insert(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let host = parts.headers.get("host").map_or("localhost", |host| host.to_str().unwrap());
        let named = Target::parse(host, parts.uri.path(), &["s3.test".to_owned()]);
        assert_eq!(Service::of(&parts, &named), service);
    }
}
