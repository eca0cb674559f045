//! Objects written in one piece, and the checksums that vouch for a body on its way.
//!
//! Over https, and to this machine itself, a body goes with a CRC64NVME checksum and an unsigned payload: the checksum
//! is stored and signed, and nothing is hashed twice. Over http to elsewhere the body's SHA-256 is signed too. A store that refuses the checksum's
//! header, or does not answer with it, gets signed SHA-256 payloads from then on.

use bytes::Bytes;
use http::{HeaderMap, Method};
use md5::{Digest as _, Md5};
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::sigv4::canonical::hex;

use super::acl::{CannedAcl, Grant, with_grants};
use super::call::Call;
use super::checksum::{Checksum, ChecksumAlgorithm};
use super::client::{Answer, Client};
use super::error::{ErrorKind, S3Error};
use super::lock::{Retention, with_lock};
use super::object::{CONTENT_HEADERS, Conditions, ETag};
use super::tagging::{Tag, as_header};

/// What goes with an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// The media type.
    pub content_type: Option<String>,
    /// The object's own metadata: names without `x-amz-meta-`.
    pub metadata: Vec<(String, String)>,
    /// `cache-control`, `content-disposition`, `content-encoding`, `content-language`, `expires`; nothing else
    /// is sent.
    pub content_headers: Vec<(String, String)>,
    /// The store's default without it.
    pub storage_class: Option<String>,
    /// Tags, which a store without them refuses.
    pub tags: Vec<Tag>,
    /// Where a website sends who asks for the object.
    pub redirect: Option<String>,
    /// Until when it is kept, and how strictly: in place of what the bucket gives.
    pub retention: Option<Retention>,
    /// Whether somebody holds it.
    pub legal_hold: bool,
    /// Who may do what with it; without any, what the store gives by itself.
    pub grants: Vec<Grant>,
    /// A list that has a name, in place of grants.
    pub acl: Option<CannedAcl>,
    /// Only if these hold.
    pub conditions: Conditions,
}

/// An object that was written.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its entity tag.
    pub etag: Option<ETag>,
    /// Where the bucket keeps versions.
    pub version_id: Option<String>,
    /// What shows that it arrived as it was sent.
    pub verified: Verified,
}

/// What shows that bytes are the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verified {
    /// The store's word: it copied the bytes itself, and they did not pass through here.
    Store,
    /// Their number, and the encryption of the connection.
    Length,
    /// The MD5 digest that the store computed.
    Md5,
    /// The SHA-256 digest that the signature covers: the store would have refused others.
    SignedPayload,
    /// The store's checksum of the content.
    Checksum,
}

impl PutOptions {
    /// What is wished here, and else what goes with an object that is there.
    #[must_use]
    pub fn over(&self, there: Self) -> Self {
        let wished = self.clone();
        Self {
            content_type: wished.content_type.or(there.content_type),
            metadata: named(wished.metadata, there.metadata),
            content_headers: named(wished.content_headers, there.content_headers),
            storage_class: wished.storage_class.or(there.storage_class),
            tags: if wished.tags.is_empty() { there.tags } else { wished.tags },
            redirect: wished.redirect.or(there.redirect),
            retention: wished.retention.or(there.retention),
            legal_hold: wished.legal_hold || there.legal_hold,
            grants: match (wished.acl, wished.grants.is_empty()) {
                (None, true) => there.grants,
                _ => wished.grants,
            },
            acl: wished.acl.or(there.acl),
            conditions: wished.conditions,
        }
    }

    pub(crate) fn on(&self, call: Call) -> Result<Call, S3Error> {
        let mut call =
            call.maybe_header("content-type", self.content_type.as_deref())?.metadata(&self.metadata)?;
        for name in CONTENT_HEADERS {
            let given = self.content_headers.iter().find(|(known, _)| known == name);
            call = call.maybe_header(name, given.map(|(_, value)| value.as_str()))?;
        }
        if !self.tags.is_empty() {
            call = call.header("x-amz-tagging", &as_header(&self.tags))?;
        }
        call = with_lock(with_grants(call, &self.grants)?, self.retention, self.legal_hold)?;
        call.maybe_header("x-amz-acl", self.acl.map(CannedAcl::name))?
            .maybe_header("x-amz-storage-class", self.storage_class.as_deref())?
            .maybe_header("x-amz-website-redirect-location", self.redirect.as_deref())
    }
}

/// Those of `there` whose names are not among the wished ones, then these.
fn named(wished: Vec<(String, String)>, mut there: Vec<(String, String)>) -> Vec<(String, String)> {
    there.retain(|(name, _)| !wished.iter().any(|(known, _)| known == name));
    there.extend(wished);
    there
}

impl Client {
    /// Writes an object in one piece (PutObject), at most 5 GiB.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn put_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        body: Bytes,
        options: &PutOptions,
    ) -> Result<Stored, S3Error> {
        let call = Call::object("PutObject", Method::PUT, bucket, key).body(body);
        let call = options.conditions.on(options.on(call)?)?;
        let (answer, verified, _) = self.upload(call).await?;
        Ok(Stored { etag: etag(&answer.headers), version_id: version_id(&answer.headers), verified })
    }

    /// Sends a body with the strongest proof that the store takes, and learns what that is.
    pub(crate) async fn upload(&self, call: Call) -> Result<(Answer, Verified, Option<Checksum>), S3Error> {
        if self.uploads_plainly() {
            return Ok((self.send_whole(&call).await?, Verified::SignedPayload, None));
        }
        let checksum = Checksum::of(ChecksumAlgorithm::Crc64Nvme, &call.body);
        let header = checksum.algorithm.header();
        let mut checked = call.clone().header(header, &checksum.base64())?;
        checked.has_checksum = true;
        let answer = match self.send_whole(&checked).await {
            Err(error) if may_dislike_checksums(&error) => {
                let answer = self.send_whole(&call).await?;
                self.remember_plain_uploads();
                return Ok((answer, Verified::SignedPayload, Some(checksum)));
            }
            other => other?,
        };
        let verified = match answer.headers.get(header).map(|value| value.as_bytes()) {
            Some(value) if value == checksum.base64().as_bytes() => {
                self.remember_checksums();
                Verified::Checksum
            }
            Some(_) => {
                let what = format!("the store computed another {}", checksum.algorithm.name());
                return Err(S3Error::Corrupt { subject: call.subject(), what });
            }
            None => {
                self.remember_plain_uploads();
                self.verify_otherwise(&call, &answer)
            }
        };
        Ok((answer, verified, Some(checksum)))
    }

    /// The store took the body and said nothing of the checksum.
    fn verify_otherwise(&self, call: &Call, answer: &Answer) -> Verified {
        if !self.leaves_payloads_unsigned() {
            return Verified::SignedPayload;
        }
        let etag = etag(&answer.headers);
        let same = etag.as_ref().and_then(ETag::md5).is_some_and(|md5| md5 == hex(&Md5::digest(&call.body)));
        if same { Verified::Md5 } else { Verified::Length }
    }
}

/// Old stores refuse headers that they do not know in several ways.
fn may_dislike_checksums(error: &S3Error) -> bool {
    let is_refusal = matches!(error, S3Error::Refused(_));
    is_refusal && error.kind() == ErrorKind::NotSupported
        || matches!(
            error.code(),
            Some(
                "InvalidArgument"
                    | "InvalidRequest"
                    | "BadRequest"
                    | "InvalidDigest"
                    | "SignatureDoesNotMatch"
            )
        )
}

pub(crate) fn etag(headers: &HeaderMap) -> Option<ETag> {
    headers.get("etag").and_then(|tag| tag.to_str().ok()).map(ETag::new)
}

pub(crate) fn version_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-amz-version-id").and_then(|id| id.to_str().ok())?;
    (id != "null").then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let pair = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        text.split_whitespace().filter_map(pair).collect()
    }

    #[test]
    fn wishes_come_before_what_is_there() {
        let there = PutOptions {
            content_type: Some("text/plain".into()),
            metadata: pairs("owner=ada year=1843"),
            content_headers: pairs("cache-control=no-store"),
            tags: pairs("a=1"),
            grants: vec![Grant { permission: "READ".into(), ..Grant::default() }],
            ..PutOptions::default()
        };
        assert_eq!(PutOptions::default().over(there.clone()), there);
        let wished = PutOptions {
            metadata: pairs("owner=bob"),
            content_headers: pairs("expires=never"),
            storage_class: Some("COLD".into()),
            tags: pairs("b=2"),
            acl: Some(CannedAcl::Private),
            ..PutOptions::default()
        };
        let both = wished.over(there);
        assert_eq!(both.content_type.as_deref(), Some("text/plain"));
        assert_eq!(both.metadata, pairs("year=1843 owner=bob"));
        assert_eq!(both.content_headers, pairs("cache-control=no-store expires=never"));
        assert_eq!((both.storage_class.as_deref(), both.tags), (Some("COLD"), pairs("b=2")));
        assert_eq!((both.acl, both.grants), (Some(CannedAcl::Private), Vec::new()));
    }
}
