//! The head of a request for an upstream, made from the one that was permitted.
//!
//! Everything that the client said goes along, but for what belongs to its own connection and its own signature. The
//! path is written anew from the bucket and key that were authorized, so that the upstream cannot read another one out
//! of it. Refused, unless it is configured otherwise: a key with `.` or `..` as a segment, which some stores and proxies
//! resolve, and which would then lead out of what was authorized.

use http::header::{CONNECTION, CONTENT_ENCODING, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use wigeon_core::s3::uri::percent_encode;
use wigeon_core::sigv4::canonical::Query;

use super::mapping::Place;
use crate::refusal::Refusal;
use crate::request::Request;

/// A request's head, but for what depends on where it is sent and by whom.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) method: Method,
    /// The key there; empty for the bucket itself.
    pub(super) key: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// Whether the client waits to be told to send its body.
    pub(super) expects: bool,
}

impl Head {
    /// Of a permitted request.
    pub(super) fn of(
        request: &Request,
        place: &Place,
        key: Option<&wigeon_core::s3::ObjectKey>,
        dots: bool,
    ) -> Result<Self, Refusal> {
        let key = key.map(|key| place.key(key)).unwrap_or_default();
        if !dots {
            refuse_dot_segments(&key)?;
        }
        let query = request.query.iter().filter(|(name, _)| !is_of_the_client(name));
        let query = Query::of(query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        let headers = passed(request.headers());
        let expects =
            request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
        Ok(Self { method: request.method().clone(), key, query, headers, expects })
    }

    /// A request of the gateway's own.
    pub(super) fn own(method: Method, key: String, query: &[(&str, &str)]) -> Self {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { method, key, query: Query::of(query), headers: HeaderMap::new(), expects: false }
    }

    /// The path at the upstream.
    pub(super) fn path(&self, bucket: Option<&str>) -> String {
        let key = percent_encode(&self.key, true);
        match bucket {
            Some(bucket) if key.is_empty() => ["/", bucket].concat(),
            Some(bucket) => ["/", bucket, "/", &key].concat(),
            None => ["/", &key].concat(),
        }
    }

    pub(super) fn set(&mut self, name: &'static str, value: &str) -> Result<(), Refusal> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Refusal::invalid_argument(format!("The header {name} cannot be sent on.")))?;
        self.headers.insert(name, value);
        Ok(())
    }
}

/// Whether sending a key on is safe whatever stands between here and the store.
pub(super) fn refuse_dot_segments(key: &str) -> Result<(), Refusal> {
    if key.split('/').any(|segment| matches!(segment, "." | "..")) {
        let message =
            "Object keys with `.` or `..` as a segment are not served by the store behind this bucket.";
        return Err(Refusal::invalid_argument(message));
    }
    Ok(())
}

/// The parameters of a signature, and headers that a presigning tool moved into the query, which go as headers.
fn is_of_the_client(name: &str) -> bool {
    matches!(name, "AWSAccessKeyId" | "Signature" | "Expires" | "content-type" | "content-md5")
        || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
}

/// The headers that go along.
fn passed(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut passed = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        if !stays(name) && !named.iter().any(|other| other == name.as_str()) {
            passed.append(name.clone(), value.clone());
        }
    }
    if let Some(encoding) = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) {
        // `aws-chunked` is about the way, not about the object.
        let kept: Vec<&str> = encoding
            .split(',')
            .map(str::trim)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
            .collect();
        passed.remove(CONTENT_ENCODING);
        if !kept.is_empty()
            && let Ok(value) = HeaderValue::from_str(&kept.join(","))
        {
            passed.insert(CONTENT_ENCODING, value);
        }
    }
    passed
}

fn stays(name: &HeaderName) -> bool {
    let of_the_connection = matches!(
        name.as_str(),
        "host"
            | "connection"
            | "content-length"
            | "expect"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "keep-alive"
            | "proxy-authorization"
            | "proxy-authenticate"
            | "proxy-connection"
            | "forwarded"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-proto"
            | "x-real-ip"
            | "http2-settings"
    );
    let of_the_caller = matches!(
        name.as_str(),
        "authorization"
            | "cookie"
            | "date"
            | "x-amz-date"
            | "x-amz-security-token"
            | "x-amz-content-sha256"
            | "x-amz-decoded-content-length"
            | "x-amz-trailer"
            | "x-amz-mfa"
            | "x-amz-s3session-token"
    );
    of_the_connection || of_the_caller
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_belongs_to_the_client_stays() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "gateway"),
            ("authorization", "AWS4-HMAC-SHA256 …"),
            ("x-amz-security-token", "session"),
            ("x-amz-date", "20261123T200000Z"),
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("transfer-encoding", "chunked"),
            ("content-length", "20"),
            ("connection", "keep-alive, x-private"),
            ("x-private", "1"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "10.0.0.1"),
            ("expect", "100-continue"),
            ("content-encoding", "gzip, aws-chunked"),
            ("x-amz-meta-a", "1"),
            ("if-none-match", "*"),
            ("range", "bytes=0-1"),
            ("user-agent", "tool"),
        ] {
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let passed = passed(&headers);
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-encoding", "if-none-match", "range", "user-agent", "x-amz-meta-a"]);
        assert_eq!(passed[CONTENT_ENCODING], "gzip");
    }

    #[rstest]
    #[case("X-Amz-Signature", true)]
    #[case("x-amz-acl", true)]
    #[case("Signature", true)]
    #[case("versionId", false)]
    #[case("response-content-type", false)]
    #[case("x-id", false)]
    fn parameters(#[case] name: &str, #[case] stays: bool) {
        assert_eq!(is_of_the_client(name), stays);
    }

    #[rstest]
    #[case("a/../b")]
    #[case("..")]
    #[case("./a")]
    #[case("a/.")]
    fn keys_that_lead_elsewhere(#[case] key: &str) {
        assert!(refuse_dot_segments(key).is_err());
    }

    #[test]
    fn keys_that_do_not() {
        for key in ["a", "a//b", "...", "a/..b", ".hidden/x", "/"] {
            assert!(refuse_dot_segments(key).is_ok(), "{key}");
        }
    }

    #[test]
    fn paths() {
        let head = |key: &str| Head::own(Method::GET, key.to_owned(), &[]);
        assert_eq!(head("a b/ü").path(Some("bucket")), "/bucket/a%20b/%C3%BC");
        assert_eq!((head("").path(Some("b")), head("k").path(None)), ("/b".into(), "/k".into()));
        assert_eq!(head("/a").path(Some("b")), "/b//a");
    }
}
