//! What is known of an object, and which part of it, under which conditions, is asked for.

use std::fmt;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use wigeon_core::time::{Timestamp, parse_http_date};

use super::call::Call;
use super::checksum::Checksum;
use super::error::S3Error;
use super::state::ObjectState;

/// An entity tag, with its quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// As a store writes it; quotes are added where they are missing.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let bare = text.trim();
        let quoted = bare.starts_with('"') || bare.starts_with("W/");
        Self(if quoted { bare.to_owned() } else { format!("\"{bare}\"") })
    }

    /// With quotes, as headers carry it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The MD5 digest in hexadecimal, where the tag has the form of one: that of an object that was put in
    /// one piece, without a customer's or KMS key.
    #[must_use]
    pub fn md5(&self) -> Option<&str> {
        let bare = self.0.strip_prefix('"')?.strip_suffix('"')?;
        (bare.len() == 32 && bare.bytes().all(|b| b.is_ascii_hexdigit())).then_some(bare)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_matches('"'))
    }
}

/// The head of an object.
#[derive(Debug, Clone, Default)]
pub struct ObjectHead {
    /// Of the whole object, in bytes.
    pub size: u64,
    /// Changes with the content.
    pub etag: Option<ETag>,
    /// When it was written.
    pub last_modified: Option<Timestamp>,
    /// The media type.
    pub content_type: Option<String>,
    /// Of the whole object, where the store keeps one.
    pub checksum: Option<Checksum>,
    /// The object's own metadata: names without `x-amz-meta-`, in lower case.
    pub metadata: Vec<(String, String)>,
    /// Other standard headers that belong to the object (Content-Encoding, Cache-Control, …).
    pub content_headers: Vec<(String, String)>,
    /// Where the bucket keeps versions.
    pub version_id: Option<String>,
    /// `STANDARD` where the store does not say.
    pub storage_class: Option<String>,
    /// `AES256`, `aws:kms`, …
    pub encryption: Option<String>,
    /// What else the store says of it.
    pub state: ObjectState,
}

/// Standard headers that belong to the object.
pub(crate) const CONTENT_HEADERS: [&str; 5] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

impl ObjectHead {
    /// Reads the headers of GetObject and HeadObject.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let bytes = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
        let text = |name: &str| bytes(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let length = || text(CONTENT_LENGTH.as_str())?.parse().ok();
        let whole = || text(CONTENT_RANGE.as_str())?.rsplit_once('/')?.1.parse().ok();
        Self {
            size: whole().or_else(length).unwrap_or(0),
            etag: text(ETAG.as_str()).map(|tag| ETag::new(&tag)),
            last_modified: text(LAST_MODIFIED.as_str()).and_then(|date| parse_http_date(&date)),
            content_type: text(CONTENT_TYPE.as_str()),
            checksum: Checksum::of_object(headers),
            metadata: headers
                .iter()
                .filter_map(|(name, value)| {
                    let name = name.as_str().strip_prefix("x-amz-meta-")?;
                    Some((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                })
                .collect(),
            content_headers: CONTENT_HEADERS
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), text(name)?)))
                .collect(),
            version_id: text("x-amz-version-id").filter(|id| id != "null"),
            storage_class: text("x-amz-storage-class"),
            encryption: text("x-amz-server-side-encryption"),
            state: ObjectState::read(headers),
        }
    }

    /// The MD5 digest of the content, where the entity tag is one.
    #[must_use]
    pub fn md5(&self) -> Option<&str> {
        let kms = self.encryption.as_deref().is_some_and(|kind| kind.starts_with("aws:kms"));
        let opaque = kms || self.state.customer_key_md5.is_some();
        self.etag.as_ref().filter(|_| !opaque)?.md5()
    }
}

/// Bytes of an object, from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Counted from 0.
    pub first: u64,
    /// Never before the first; `None` for the end of the object.
    pub last: Option<u64>,
}

impl ByteRange {
    /// As the header `Range` has it.
    pub(crate) fn header(self) -> String {
        match self.last {
            Some(last) => format!("bytes={}-{last}", self.first),
            None => format!("bytes={}-", self.first),
        }
    }
}

/// What must hold for an operation to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The object is still this one.
    pub if_match: Option<ETag>,
    /// The object is not this one.
    pub if_none_match: Option<ETag>,
    /// There is no object of this key.
    pub if_absent: bool,
}

impl Conditions {
    /// The object is still this one.
    #[must_use]
    pub fn still(etag: Option<ETag>) -> Self {
        Self { if_match: etag, ..Self::default() }
    }

    pub(crate) fn on(&self, call: Call) -> Result<Call, S3Error> {
        let none = self.if_none_match.as_ref().map(ETag::as_str).or(self.if_absent.then_some("*"));
        call.maybe_header("if-match", self.if_match.as_ref().map(ETag::as_str))?
            .maybe_header("if-none-match", none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags() {
        let plain = ETag::new("\"d41d8cd98f00b204e9800998ecf8427e\"");
        assert_eq!(plain.md5(), Some("d41d8cd98f00b204e9800998ecf8427e"));
        assert_eq!(plain, ETag::new("d41d8cd98f00b204e9800998ecf8427e"));
        assert_eq!(ETag::new("\"d41d8cd98f00b204e9800998ecf8427e-2\"").md5(), None);
        assert_eq!(ETag::new("W/\"x\"").as_str(), "W/\"x\"");
    }

    #[test]
    fn heads() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-length", "5"),
            ("content-range", "bytes 0-4/100"),
            ("x-amz-meta-mtime", "1.5"),
            ("cache-control", "no-cache"),
            ("last-modified", "Tue, 03 Nov 2026 04:05:06 GMT"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let head = ObjectHead::read(&headers);
        assert_eq!(head.size, 100);
        assert_eq!(head.metadata, [("mtime".to_owned(), "1.5".to_owned())]);
        assert_eq!(head.content_headers, [("cache-control".to_owned(), "no-cache".to_owned())]);
        assert_eq!(head.last_modified.unwrap().to_string(), "2026-11-03T04:05:06Z");
    }
}
