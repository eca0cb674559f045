//! The canonical request, the string to sign and the signing key, shared by both sides.
//!
//! Enters: method, raw path, parsed query, headers. Leaves: a [`Signature`]. A query in which a name comes
//! twice, or which is not percent-encoded UTF-8, is refused: the check and the handler must read the same.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{constant_time, digest, hmac};
use http::{HeaderMap, Method};

use crate::encoding::{encode_into, percent_decode};
use crate::secret::Secret;

/// The only algorithm of version 4 that is taken.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// SHA-256 of nothing, in hexadecimal.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The most parameters of a query. S3 has a dozen; a presigned address may carry metadata as well.
pub const MOST_PARAMETERS: usize = 256;

/// A query string, decoded once. Each name stands at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// `%` without two hexadecimal digits, or no UTF-8.
    #[error("the query of the request is not percent-encoded UTF-8")]
    Encoding,
    /// A name that comes twice could be read differently by two readers.
    #[error("the query parameter `{0}` is given more than once")]
    Duplicate(String),
    /// Each is compared with those before it.
    #[error("the request has more than {MOST_PARAMETERS} query parameters")]
    TooMany,
}

impl Query {
    /// Reads the part after `?`. `+` is a space, as in forms.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn parse(raw: &str) -> Result<Self, QueryError> {
        let decode = |text: &str| {
            let decoded = percent_decode(&text.replace('+', " ")).map(Cow::into_owned);
            decoded.ok_or(QueryError::Encoding)
        };
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in raw.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(QueryError::Duplicate(name));
            }
            if pairs.len() == MOST_PARAMETERS {
                return Err(QueryError::TooMany);
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// A query of pairs that are distinct by construction.
    #[must_use]
    pub fn of(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }

    /// The value of a name; empty for a name without `=`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a name is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// All pairs, decoded, as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds a pair, or replaces its value.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.pairs.iter_mut().find(|(known, _)| known == name) {
            Some(pair) => pair.1 = value,
            None => self.pairs.push((name.to_owned(), value)),
        }
    }

    /// Encoded for an address, in canonical order, without the parameter `leave_out`.
    #[must_use]
    pub fn canonical(&self, leave_out: Option<&str>) -> String {
        let mut encoded: Vec<(String, String)> = self
            .iter()
            .filter(|(name, _)| Some(*name) != leave_out)
            .map(|(name, value)| {
                let (mut to_name, mut to_value) = (String::new(), String::new());
                encode_into(&mut to_name, name.as_bytes(), false);
                encode_into(&mut to_value, value.as_bytes(), false);
                (to_name, to_value)
            })
            .collect();
        encoded.sort_unstable();
        let mut text = String::new();
        for (name, value) in encoded {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(&name);
            text.push('=');
            text.push_str(&value);
        }
        text
    }
}

/// What a signature is about.
#[derive(Debug, Clone, Copy)]
pub struct Canonical<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The raw path of the request line.
    pub path: &'a str,
    /// The parsed query.
    pub query: &'a Query,
    /// `X-Amz-Signature` of a presigned address does not sign itself.
    pub leave_out: Option<&'a str>,
    /// The headers; `host` is looked up in `host`.
    pub headers: &'a HeaderMap,
    /// The Host header or `:authority`.
    pub host: &'a str,
    /// Names of the signed headers, lower case, sorted, separated by `;`.
    pub signed_headers: &'a str,
    /// Hexadecimal SHA-256 of the payload, or one of S3's fixed words.
    pub payload: &'a str,
}

impl Canonical<'_> {
    /// The canonical request. `None` where the path cannot be decoded.
    #[must_use]
    pub fn text(&self) -> Option<Vec<u8>> {
        let mut text = String::with_capacity(512);
        text.push_str(self.method.as_str());
        text.push('\n');
        encode_into(&mut text, percent_decode(self.path)?.as_bytes(), true);
        text.push('\n');
        text.push_str(&self.query.canonical(self.leave_out));
        text.push('\n');
        let mut text = text.into_bytes();
        for name in names(self.signed_headers) {
            text.extend_from_slice(name);
            text.push(b':');
            self.header_value(name, &mut text);
            text.push(b'\n');
        }
        text.push(b'\n');
        text.extend_from_slice(self.signed_headers.as_bytes());
        text.push(b'\n');
        text.extend_from_slice(self.payload.as_bytes());
        Some(text)
    }

    /// Values joined by commas, trimmed, inner runs of spaces made one.
    fn header_value(&self, name: &[u8], to: &mut Vec<u8>) {
        if name == b"host" {
            to.extend_from_slice(self.host.trim().as_bytes());
            return;
        }
        // A request has few headers: going through them costs less than making a key of the name to look them up by.
        let named = self.headers.iter().filter(|(header, _)| header.as_str().as_bytes() == name);
        for (index, (_, value)) in named.enumerate() {
            if index > 0 {
                to.push(b',');
            }
            let value = value.as_bytes().trim_ascii();
            if !value.contains(&b' ') {
                to.extend_from_slice(value);
                continue;
            }
            let mut space = false;
            for &byte in value {
                if byte != b' ' || !space {
                    to.push(byte);
                }
                space = byte == b' ';
            }
        }
    }
}

/// The names of a list of signed headers.
pub(super) fn names(signed_headers: &str) -> impl Iterator<Item = &[u8]> {
    signed_headers.as_bytes().split(|byte| *byte == b';')
}

/// The credential scope: `DATE/REGION/SERVICE/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    text: String,
}

/// What every scope ends with.
const TERMINATOR: &str = "/aws4_request";

impl Scope {
    /// Of a date (`20261123`), a region (`us-east-1`, …) and a service (`s3`, `sts`, `iam`).
    #[must_use]
    pub fn new(date: &str, region: &str, service: &str) -> Self {
        Self { text: [date, "/", region, "/", service, TERMINATOR].concat() }
    }

    /// Reads the key and the scope of `KEY/20261123/us-east-1/s3/aws4_request`. A key may hold slashes, the scope may not.
    #[must_use]
    pub fn of_credential(credential: &str) -> Option<(&str, Self)> {
        let (rest, _service) = credential.strip_suffix(TERMINATOR)?.rsplit_once('/')?;
        let (rest, _region) = rest.rsplit_once('/')?;
        let (key, date) = rest.rsplit_once('/')?;
        let date_fits = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        let text = credential.get(key.len() + 1..)?.to_owned();
        (date_fits && !key.is_empty()).then_some((key, Self { text }))
    }

    /// The text that stands in the string to sign.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Date, region and service.
    #[must_use]
    pub fn parts(&self) -> (&str, &str, &str) {
        let named = self.text.strip_suffix(TERMINATOR).unwrap_or_default();
        let (rest, service) = named.rsplit_once('/').unwrap_or_default();
        let (date, region) = rest.rsplit_once('/').unwrap_or_default();
        (date, region, service)
    }

    /// The key of this scope, derived from a secret access key.
    #[must_use]
    pub fn signing_key(&self, secret_key: &str) -> SigningKey {
        let start = format!("AWS4{secret_key}");
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, start.as_bytes());
        let (date, region, service) = self.parts();
        for part in [date, region, service, "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        SigningKey(Arc::new(key))
    }
}

/// A key that signs for one scope.
#[derive(Clone)]
pub struct SigningKey(Arc<hmac::Key>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl SigningKey {
    /// Signs a string to sign.
    #[must_use]
    pub fn sign(&self, string_to_sign: &[u8]) -> Signature {
        Signature(hex(hmac::sign(&self.0, string_to_sign).as_ref()))
    }

    /// Signs a request: `amz_date` is `20261123T200700Z`.
    #[must_use]
    pub fn sign_request(&self, amz_date: &str, scope: &Scope, canonical: &[u8]) -> Signature {
        let hash = sha256_hex(canonical);
        self.sign([ALGORITHM, amz_date, scope.text(), &hash].join("\n").as_bytes())
    }
}

/// A secret access key, with the signing key that was last derived from it: the requests of a client have the same scope
/// for a day, and deriving its key costs more than all else about a signature. Clones share what is kept, which is one
/// key, found again by the whole scope.
#[derive(Clone)]
pub struct SigningSecret(Arc<Kept>);

struct Kept {
    secret: Secret,
    last: Mutex<Option<(Scope, SigningKey)>>,
}

impl SigningSecret {
    /// Nothing is derived yet.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(Arc::new(Kept { secret, last: Mutex::new(None) }))
    }

    /// The secret access key itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.secret.expose()
    }

    /// The key of a scope.
    #[must_use]
    pub fn signing_key(&self, scope: &Scope) -> SigningKey {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, key)) = &*last
            && known == scope
        {
            return key.clone();
        }
        let key = scope.signing_key(self.expose());
        *last = Some((scope.clone(), key.clone()));
        key
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A hexadecimal signature. [`Signature::matches`] compares it in constant time; there is no other way:
///
/// ```compile_fail,E0369
/// # use wigeon_core::sigv4::canonical::Signature;
/// fn is_right(signature: &Signature, presented: &Signature) -> bool {
///     signature == presented
/// }
/// ```
///
/// ```compile_fail,E0277
/// # use wigeon_core::sigv4::canonical::Signature;
/// fn is_right(signature: &Signature, presented: &str) -> bool {
///     *signature == *presented
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Signature(String);

impl Signature {
    /// The 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether another text is this signature.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_bytes(), presented.as_bytes()).is_ok()
    }
}

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    let mut text = vec![0; bytes.len() * 2];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_once_and_sorted_for_signing() {
        let query = Query::parse("b=2&a=x%20y&list-type=2&acl&plus=a+b&e=%2B").unwrap();
        assert_eq!(query.value("a"), Some("x y"));
        assert_eq!(query.value("acl"), Some(""));
        assert_eq!(query.canonical(None), "a=x%20y&acl=&b=2&e=%2B&list-type=2&plus=a%20b");
        assert_eq!(query.canonical(Some("acl")), "a=x%20y&b=2&e=%2B&list-type=2&plus=a%20b");
        assert_eq!(Query::parse("a=1&a=2"), Err(QueryError::Duplicate("a".into())));
        assert_eq!(Query::parse("a=1&%61=2"), Err(QueryError::Duplicate("a".into())));
        assert_eq!(Query::parse("a=%ff"), Err(QueryError::Encoding));
        let many = |count: usize| (0..count).map(|n| format!("p{n}&")).collect::<String>();
        assert!(Query::parse(&many(MOST_PARAMETERS)).is_ok());
        assert_eq!(Query::parse(&many(MOST_PARAMETERS + 1)), Err(QueryError::TooMany));
    }

    #[test]
    fn sorting_is_by_encoded_name_then_value() {
        let query =
            Query::of(vec![("a-".into(), "1".into()), ("a".into(), "2".into()), ("A".into(), "3".into())]);
        assert_eq!(query.canonical(None), "A=3&a=2&a-=1");
    }

    #[test]
    fn a_kept_key_is_the_scopes_own() {
        let secret = SigningSecret::new(Secret::new("secret"));
        let scopes = [
            Scope::new("20261123", "a", "s3"),
            Scope::new("20261124", "a", "s3"),
            Scope::new("20261123", "b", "s3"),
            Scope::new("20261123", "a", "sts"),
        ];
        let signed = |key: &SigningKey| key.sign(b"text").as_str().to_owned();
        let mut all = Vec::new();
        for scope in scopes.iter().chain(&scopes) {
            let derived = signed(&scope.signing_key("secret"));
            assert_eq!(signed(&secret.signing_key(scope)), derived);
            assert_eq!(signed(&secret.clone().signing_key(scope)), derived);
            all.push(derived);
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4);
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }

    #[test]
    fn a_credential_holds_a_key_and_a_scope() {
        let (key, scope) = Scope::of_credential("AK/IA/20261123/us-east-1/s3/aws4_request").unwrap();
        assert_eq!((key, scope.text()), ("AK/IA", "20261123/us-east-1/s3/aws4_request"));
        assert_eq!(scope.parts(), ("20261123", "us-east-1", "s3"));
        assert_eq!(scope, Scope::new("20261123", "us-east-1", "s3"));
        assert_eq!(Scope::of_credential("K/20261123//s3/aws4_request").unwrap().1.parts().1, "");
        for wrong in [
            "",
            "/aws4_request",
            "K/20261123/us-east-1/s3",
            "K/20261123/us-east-1/s3/aws4_requests",
            "/20261123/us-east-1/s3/aws4_request",
            "20261123/us-east-1/s3/aws4_request",
            "K/2026112/us-east-1/s3/aws4_request",
            "K/2026112x/us-east-1/s3/aws4_request",
        ] {
            assert!(Scope::of_credential(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn hexadecimal() {
        let all: Vec<u8> = (0..=255).collect();
        let expected: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex(&all), expected);
    }

    #[test]
    fn hash_of_nothing() {
        assert_eq!(sha256_hex(b""), EMPTY_SHA256);
    }
}
