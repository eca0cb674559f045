//! AWS's published signing test suite: every signed request of it is verified, in headers and in addresses.
//!
//! S3 takes a path as it is sent, encoded once, and a session token among the signed parts only. What the suite signs
//! by the other services' rules has to be refused, and is named in [`refused`].

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "this is a test throughout")]

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::{Query, SigningSecret, sha256_hex};
use wigeon_core::sigv4::signed_request::{SignatureError, SignedRequest};
use wigeon_core::sigv4::verify::{Claim, Expected};
use wigeon_core::time;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

#[derive(Deserialize)]
struct Published {
    name: String,
    way: String,
    request: String,
}

/// A request as a server reads it.
struct Request {
    method: Method,
    path: String,
    query: Query,
    headers: HeaderMap,
    body: String,
}

impl Request {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        // A value may go on in further lines, which begin with a space.
        let head = head.trim_end().replace("\n ", " ");
        let mut lines = head.lines();
        let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
        let target = target.strip_suffix(" HTTP/1.1").unwrap_or(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap());
        }
        Self {
            method: method.parse().unwrap(),
            path: on_the_wire(path),
            query: Query::parse(&on_the_wire(query)).unwrap(),
            headers,
            body: body.to_owned(),
        }
    }

    /// At the suite's time, or that of its oldest case, for the service and region of the scope.
    fn verify(&self) -> Result<(), SignatureError> {
        let host = self.headers["host"].to_str().unwrap();
        let date = self.headers.get("x-amz-date").map(|value| value.to_str().unwrap());
        let now = time::parse_amz(date.or(self.query.value("X-Amz-Date")).unwrap()).unwrap();
        let (service, region) = match host.split('.').nth(1).unwrap() {
            "us-east-2" => ("lambda", "us-east-2"),
            _ => ("service", "us-east-1"),
        };
        let (method, path, query, headers) = (&self.method, self.path.as_str(), &self.query, &self.headers);
        let request = SignedRequest { method, host, path, query, headers };
        let claim = Claim::read(&request)?.unwrap();
        let secret = SigningSecret::new(Secret::new(SECRET));
        let expected = Expected { service, region, empty_region: false, now };
        let body = sha256_hex(self.body.as_bytes());
        claim.verify(&request, &secret, None, &expected, Some(&body)).map(drop)
    }

    /// With another last digit of the signature.
    fn forged(mut self) -> Self {
        let other = |text: &str| {
            let (start, last) = text.split_at(text.len() - 1);
            format!("{start}{}", if last == "0" { "1" } else { "0" })
        };
        match self.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()) {
            Some(value) => drop(self.headers.insert("authorization", other(&value).parse().unwrap())),
            None => {
                let signature = other(self.query.value("X-Amz-Signature").unwrap());
                self.query.set("X-Amz-Signature", signature);
            }
        }
        self
    }
}

/// The suite writes spaces and other letters into its targets as they are; no client sends them so.
fn on_the_wire(target: &str) -> String {
    target
        .bytes()
        .map(|byte| if byte.is_ascii_graphic() { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}

/// Why S3's rules refuse a request of the suite.
fn refused(name: &str, way: &str) -> Option<SignatureError> {
    match (name, way) {
        // Signed for `/` or `/example/`, sent as `/./`, `//` and the like: for S3 these are other keys.
        (
            "get-relative-normalized"
            | "get-relative-relative-normalized"
            | "get-slash-dot-slash-normalized"
            | "get-slash-normalized"
            | "get-slash-pointless-dot-normalized"
            | "get-slashes-normalized",
            _,
        ) => Some(SignatureError::Mismatch),
        // The path is encoded a second time before it is signed.
        ("double-encode-path" | "double-url-encode", _) => Some(SignatureError::Mismatch),
        // The session token was added when the signature had been made.
        ("post-sts-header-after", "header") => {
            Some(SignatureError::UnsignedHeader("x-amz-security-token".to_owned()))
        }
        ("post-sts-header-after", "query") => Some(SignatureError::Mismatch),
        _ => None,
    }
}

#[test]
fn every_published_request() {
    let published: Vec<Published> = serde_json::from_str(include_str!("sigv4_suite/requests.json")).unwrap();
    assert_eq!(published.len(), 78);
    for Published { name, way, request } in published {
        let verified = Request::read(&request).verify();
        assert_eq!(verified.err(), refused(&name, &way), "{name} in the {way}");
        let forged = Request::read(&request).forged().verify();
        assert!(forged.is_err(), "{name} in the {way} with another signature");
    }
}
