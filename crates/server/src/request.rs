//! A request as it arrived, read once: every later step sees the same host, path, query and headers.
//!
//! Refused: two hosts that differ, a path that is not percent-encoded UTF-8, a query that can be read in two ways,
//! and a header that stands both on the request and, moved there by a presigning tool, in its query with another
//! value.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HOST, HeaderName, HeaderValue, ORIGIN, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method};
use wigeon_core::encoding::percent_decode;
use wigeon_core::s3::uri::UriError;
use wigeon_core::sigv4::canonical::Query;
use wigeon_core::sigv4::verify::SignedRequest;
use wigeon_core::time::Timestamp;

use crate::refusal::Refusal;
use crate::request_id::RequestId;
use crate::service::Services;

/// A version of TLS, as `s3:TlsVersion` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    V1_2,
    /// 1.3
    V1_3,
}

impl TlsVersion {
    /// `1.3`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

/// A request without its body.
#[derive(Debug, Clone)]
pub struct Request {
    /// Names it in answers, logs and audit records.
    pub id: RequestId,
    /// When it arrived.
    pub at: Timestamp,
    /// Where it came from.
    pub source_ip: IpAddr,
    /// The version of TLS that it came over; `None` for plain HTTP.
    pub tls: Option<TlsVersion>,
    /// The Host header or `:authority`.
    pub host: String,
    /// The query.
    pub query: Query,
    /// The head as it was sent: what a signature is about.
    sent: Arc<Parts>,
    /// The headers that count, where they are others than those that were sent: with what a presigning tool moved into
    /// the query, or what the fields of a form say.
    meant: Option<HeaderMap>,
}

/// The door that a request came through.
#[derive(Debug, Clone, Copy)]
pub struct Entrance {
    /// The peer's address; this machine's own, where it came through a Unix socket.
    pub peer: IpAddr,
    /// The version of TLS; `None` for plain HTTP.
    pub tls: Option<TlsVersion>,
    /// What is served there.
    pub serves: Services,
}

/// What is known of a request beside its text.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Names the request.
    pub id: RequestId,
    /// Now.
    pub at: Timestamp,
    /// The peer.
    pub source_ip: IpAddr,
    /// The version of TLS that it came over; `None` for plain HTTP.
    pub tls: Option<TlsVersion>,
}

impl Request {
    /// Reads a request's head.
    ///
    /// # Errors
    /// 400 where it is ambiguous.
    pub fn read(parts: &Arc<Parts>, arrival: Arrival) -> Result<Self, Refusal> {
        let path = parts.uri.path();
        if path.contains('%') {
            percent_decode(path).ok_or(UriError::Encoding)?;
        }
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let meant = with_moved_headers(&parts.headers, &query)?;
        Ok(Self {
            id: arrival.id,
            at: arrival.at,
            source_ip: arrival.source_ip,
            tls: arrival.tls,
            host: host(parts)?,
            query,
            sent: Arc::clone(parts),
            meant,
        })
    }

    /// The request that a form stands for: what the fields say counts, what the headers say does not, since nobody
    /// signed them.
    #[must_use]
    pub fn of_form(self, mut fields: HeaderMap) -> Self {
        for name in [USER_AGENT, REFERER, ORIGIN] {
            if let Some(value) = self.headers().get(&name) {
                fields.insert(name, value.clone());
            }
        }
        Self { meant: Some(fields), ..self }
    }

    /// Puts a header beside those that were sent, for a store behind this one.
    pub fn carry(&mut self, name: HeaderName, value: HeaderValue) {
        self.meant.get_or_insert_with(|| self.sent.headers.clone()).insert(name, value);
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.sent.method
    }

    /// The raw path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.sent.uri.path()
    }

    /// Whether it came over TLS.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.tls.is_some()
    }

    /// What its signature is about.
    #[must_use]
    pub fn signed(&self) -> SignedRequest<'_> {
        SignedRequest {
            method: self.method(),
            host: &self.host,
            path: self.path(),
            query: &self.query,
            headers: &self.sent.headers,
        }
    }

    /// All headers that count.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.meant.as_ref().unwrap_or(&self.sent.headers)
    }

    /// A header's value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        // A request has few: going through them costs less than making a key of the name to look one up by.
        let (_, value) = self.headers().iter().find(|(known, _)| *known == name)?;
        std::str::from_utf8(value.as_bytes()).ok().map(str::trim)
    }
}

fn host(parts: &Parts) -> Result<String, Refusal> {
    let header = parts.headers.get(HOST).map(|value| value.to_str().unwrap_or_default());
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    match (header, authority) {
        (Some(header), Some(authority)) if !header.eq_ignore_ascii_case(authority) => {
            Err(Refusal::invalid_request("The Host header is not the host of the request's address."))
        }
        (Some(host), _) | (None, Some(host)) if !host.is_empty() => Ok(host.to_owned()),
        _ => Err(Refusal::invalid_request("The request has no Host header.")),
    }
}

/// Presigning tools move `x-amz-*` headers into the query, where they mean the same. `None` where they moved none.
fn with_moved_headers(sent: &HeaderMap, query: &Query) -> Result<Option<HeaderMap>, Refusal> {
    let mut moved = query.iter().filter(|(name, _)| is_moved_header(name)).peekable();
    if moved.peek().is_none() {
        return Ok(None);
    }
    let mut headers = sent.clone();
    for (name, value) in moved {
        let ambiguous = || Refusal::invalid_argument(format!("The header {name} is given in two ways."));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| ambiguous())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| ambiguous())?;
        if headers.get(&name).is_some_and(|sent| *sent != value) {
            return Err(ambiguous());
        }
        headers.insert(name, value);
    }
    Ok(Some(headers))
}

fn is_moved_header(name: &str) -> bool {
    const OF_THE_SIGNATURE: [&str; 8] = [
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-signedheaders",
        "x-amz-signature",
        "x-amz-security-token",
        "x-amz-content-sha256",
    ];
    let lower = name.to_ascii_lowercase();
    (lower.starts_with("x-amz-") && !OF_THE_SIGNATURE.contains(&lower.as_str()))
        || matches!(name, "content-type" | "content-md5")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str, headers: &[(&str, &str)]) -> Result<Request, Refusal> {
        let mut builder = http::Request::get(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let (id, at) = (RequestId::of(1), Timestamp::UNIX_EPOCH);
        Request::read(&Arc::new(parts), Arrival { id, at, source_ip: [127, 0, 0, 1].into(), tls: None })
    }

    #[test]
    fn headers_in_the_query_count_but_are_not_signed_headers() {
        let request = read("/b/k?x-amz-acl=private&X-Amz-Meta-A=1&X-Amz-Date=x", &[("host", "h")]).unwrap();
        assert_eq!(
            (request.header("x-amz-acl"), request.header("x-amz-meta-a")),
            (Some("private"), Some("1"))
        );
        assert_eq!(request.header("x-amz-date"), None);
        assert!(request.signed().headers.get("x-amz-acl").is_none());
    }

    #[test]
    fn ambiguous_requests_are_refused() {
        for (uri, headers) in [
            ("/?x-amz-acl=private", &[("host", "h"), ("x-amz-acl", "public-read")][..]),
            ("/?x-amz-acl=private&X-Amz-Acl=public-read", &[("host", "h")]),
            ("/?a=1&a=2", &[("host", "h")]),
            ("http://one/", &[("host", "two")]),
            ("/", &[]),
            ("/b/%ff", &[("host", "h")]),
            ("/?x-amz-m%0a=1", &[("host", "h")]),
        ] {
            assert_eq!(read(uri, headers).unwrap_err().status, 400, "{uri}");
        }
        assert_eq!(read("http://one/", &[]).unwrap().host, "one");
    }
}
