//! Headers of objects and conditions: from a request into the store's types, and back into an answer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE,
    ETAG, EXPIRES, HeaderName, HeaderValue, LAST_MODIFIED,
};
use http::{HeaderMap, StatusCode};
use wigeon_core::s3::ObjectKey;
use wigeon_core::s3::uri::percent_decode;
use wigeon_core::sigv4::canonical::Query;
use wigeon_core::time::{self, Timestamp};

use crate::authorize::Permit;
use crate::backend::local::StoreError;
use crate::backend::local::attributes::{Attributes, StorageClass, SystemHeaders, Tags};
use crate::backend::local::checksum::{ChecksumKind, Checksums};
use crate::backend::local::conditions::{PutCondition, ReadConditions, TagMatch};
use crate::backend::local::etag::ETag;
use crate::backend::local::object::ObjectInfo;
use crate::backend::local::object_lock::{Lock, Retention, RetentionMode};
use crate::backend::local::request::Source;
use crate::backend::local::version::VersionId;
use crate::classify::CopySource;
use crate::refusal::Refusal;
use crate::request::Request;

/// User metadata of one object: names and values together, in bytes (Amazon S3 User Guide, "User-defined
/// object metadata").
const MOST_METADATA: usize = 2048;

/// Refuses headers that would have to change what is stored, and would not.
///
/// # Errors
/// 501 `NotImplemented`, or 400 for ACLs, which the store does not keep.
pub fn refuse_unsupported(request: &Request) -> Result<(), Refusal> {
    let refused = |name: &&HeaderName| {
        name.as_str().starts_with("x-amz-server-side-encryption")
            || name.as_str().starts_with("x-amz-copy-source-server-side-encryption")
    };
    if let Some(name) = request.headers().keys().find(refused) {
        return Err(Refusal::not_implemented(&format!("The header {name}")));
    }
    let granted = request.headers().keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
    let acl = request.header("x-amz-acl").unwrap_or("private");
    if granted || !matches!(acl, "private" | "bucket-owner-full-control" | "bucket-owner-read") {
        return Err(Refusal::acls_not_supported());
    }
    Ok(())
}

/// Which version the request means; `None` for the current one.
///
/// # Errors
/// 400 `InvalidArgument` for what is no version id.
pub fn version(request: &Request) -> Result<Option<VersionId>, Refusal> {
    request.query.value("versionId").map(version_id).transpose()
}

/// Reads a version id.
///
/// # Errors
/// 400 `InvalidArgument`.
pub fn version_id(text: &str) -> Result<VersionId, Refusal> {
    text.parse().map_err(|_| Refusal::invalid_argument("Invalid version id specified"))
}

/// What a copy reads.
///
/// # Errors
/// 400 `InvalidArgument`.
pub fn source(source: &CopySource) -> Result<Source, Refusal> {
    let version = source.version_id.as_deref().map(version_id).transpose()?;
    Ok(Source { bucket: source.bucket.clone(), key: source.key.clone(), version })
}

/// `x-amz-version-id`, where the bucket has versions.
pub fn insert_version(headers: &mut HeaderMap, version: Option<VersionId>) {
    let version = version.map(|version| version.to_string());
    insert(headers, HeaderName::from_static("x-amz-version-id"), version.as_deref());
}

/// `x-amz-copy-source-version-id`, where the bucket has versions.
pub fn insert_source_version(headers: &mut HeaderMap, version: Option<VersionId>) {
    let version = version.map(|version| version.to_string());
    insert(headers, HeaderName::from_static("x-amz-copy-source-version-id"), version.as_deref());
}

/// Refuses an ownership under which ACLs would count.
///
/// # Errors
/// 501 `NotImplemented`, 400 for what is none.
pub fn ownership_is_ours(ownership: &str) -> Result<(), Refusal> {
    match ownership {
        "BucketOwnerEnforced" => Ok(()),
        "BucketOwnerPreferred" | "ObjectWriter" => Err(Refusal::not_implemented(&format!(
            "Object ownership {ownership}, which gives ACLs a meaning,"
        ))),
        _ => Err(Refusal::malformed_xml("ObjectOwnership is not one that there is.")),
    }
}

/// What a write says about the object.
///
/// # Errors
/// 400 where metadata is not text or too much.
pub fn attributes(request: &Request) -> Result<Attributes, Refusal> {
    let header = |name: &HeaderName| {
        request.header(name.as_str()).filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let content_encoding = header(&CONTENT_ENCODING).map(|value| without_aws_chunked(&value));
    Ok(Attributes {
        system: SystemHeaders {
            content_type: header(&CONTENT_TYPE),
            cache_control: header(&CACHE_CONTROL),
            content_disposition: header(&CONTENT_DISPOSITION),
            content_encoding: content_encoding.filter(|value| !value.is_empty()),
            content_language: header(&CONTENT_LANGUAGE),
            expires: header(&EXPIRES),
            website_redirect_location: request.header("x-amz-website-redirect-location").map(str::to_owned),
        },
        metadata: metadata(request)?,
    })
}

/// `aws-chunked` is how the body travelled, not what the object is.
fn without_aws_chunked(value: &str) -> String {
    let kept: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    kept.join(",")
}

fn metadata(request: &Request) -> Result<BTreeMap<String, String>, Refusal> {
    let mut metadata = BTreeMap::new();
    for (name, value) in request.headers() {
        if let Some(name) = name.as_str().strip_prefix("x-amz-meta-") {
            let value = std::str::from_utf8(value.as_bytes())
                .map_err(|_| Refusal::invalid_argument(format!("The metadata {name} is not UTF-8.")))?;
            metadata.insert(name.to_owned(), value.trim().to_owned());
        }
    }
    let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MOST_METADATA {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(Refusal::new("MetadataTooLarge", StatusCode::BAD_REQUEST, message));
    }
    Ok(metadata)
}

/// `x-amz-storage-class`.
///
/// # Errors
/// 400 `InvalidStorageClass`.
pub fn storage_class(request: &Request) -> Result<StorageClass, Refusal> {
    let Some(name) = request.header("x-amz-storage-class") else { return Ok(StorageClass::default()) };
    StorageClass::parse(name).ok_or_else(|| {
        let message = "The storage class you specified is not valid";
        Refusal::new("InvalidStorageClass", StatusCode::BAD_REQUEST, message)
    })
}

/// `x-amz-tagging: a=1&b=2`.
///
/// # Errors
/// 400 `InvalidTag`, `InvalidArgument`.
pub fn tagging(request: &Request) -> Result<Tags, Refusal> {
    let Some(text) = request.header("x-amz-tagging") else { return Ok(Tags::new()) };
    let query = Query::parse(text)
        .map_err(|_| Refusal::invalid_argument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."))?;
    checked_tags(query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())), MOST_OBJECT_TAGS)
}

/// The most tags of an object.
pub const MOST_OBJECT_TAGS: usize = 10;

/// S3's limits for tags: so many, names of 1–128 characters, values of at most 256.
///
/// # Errors
/// 400 `InvalidTag`, `BadRequest`.
pub fn checked_tags(tags: impl IntoIterator<Item = (String, String)>, most: usize) -> Result<Tags, Refusal> {
    let invalid = |message: &str| Refusal::new("InvalidTag", StatusCode::BAD_REQUEST, message);
    let mut checked = Tags::new();
    for (name, value) in tags {
        if name.is_empty() || name.chars().count() > 128 {
            return Err(invalid("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(invalid("The TagValue you have provided is invalid"));
        }
        // Policies name tags without regard to case (`s3:RequestObjectTag/Env`): of two such tags only one would be
        // looked at.
        if checked.keys().any(|known: &String| known.eq_ignore_ascii_case(&name)) {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
        checked.insert(name, value);
    }
    if checked.len() > most {
        let message = format!("Tags cannot be more than {most}");
        return Err(Refusal::new("BadRequest", StatusCode::BAD_REQUEST, message));
    }
    Ok(checked)
}

/// What a write says of the object's protection.
///
/// # Errors
/// 400 `InvalidArgument`.
pub fn lock(request: &Request) -> Result<Lock, Refusal> {
    let header = |name: &str| request.header(name).filter(|value| !value.is_empty());
    let retention = match (header("x-amz-object-lock-mode"), header("x-amz-object-lock-retain-until-date")) {
        (None, None) => None,
        (Some(mode), Some(until)) => Some(retention(mode, until)?),
        _ => {
            return Err(Refusal::invalid_argument(
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
            ));
        }
    };
    if retention.is_some_and(|retention| retention.until <= request.at) {
        return Err(StoreError::RetentionInThePast.into());
    }
    Ok(Lock { retention, legal_hold: header("x-amz-object-lock-legal-hold").map(legal_hold).transpose()? })
}

/// A retention, as headers and documents write it.
///
/// # Errors
/// 400 `InvalidArgument`.
pub fn retention(mode: &str, until: &str) -> Result<Retention, Refusal> {
    let mode =
        RetentionMode::parse(mode).ok_or_else(|| Refusal::invalid_argument("Unknown wormMode directive."))?;
    let until: Option<Timestamp> = until.parse().ok();
    // Whole milliseconds are kept.
    let until = until.and_then(|until| Timestamp::from_millisecond(until.as_millisecond()).ok());
    let message = "The retain until date must be provided in ISO 8601 format";
    Ok(Retention { mode, until: until.ok_or_else(|| Refusal::invalid_argument(message))? })
}

/// `ON` or `OFF`.
///
/// # Errors
/// 400 `InvalidArgument`.
pub fn legal_hold(text: &str) -> Result<bool, Refusal> {
    match text {
        "ON" => Ok(true),
        "OFF" => Ok(false),
        _ => Err(Refusal::invalid_argument("Legal Hold must be either of 'ON' or 'OFF'")),
    }
}

/// What protects an object, as far as the requester may know.
pub fn insert_lock(headers: &mut HeaderMap, permit: &Permit, key: &ObjectKey, lock: Lock) {
    if let Some(retention) = lock.retention
        && permit.allows("s3:GetObjectRetention", key).is_ok()
    {
        insert(headers, HeaderName::from_static("x-amz-object-lock-mode"), Some(retention.mode.name()));
        let until = time::iso8601_millis(retention.until);
        insert(headers, HeaderName::from_static("x-amz-object-lock-retain-until-date"), Some(&until));
    }
    if let Some(hold) = lock.legal_hold
        && permit.allows("s3:GetObjectLegalHold", key).is_ok()
    {
        let hold = if hold { "ON" } else { "OFF" };
        insert(headers, HeaderName::from_static("x-amz-object-lock-legal-hold"), Some(hold));
    }
}

/// `If-Match`, `If-None-Match: *` of a write.
///
/// # Errors
/// 501 for other conditions, which S3 does not know on writes either.
pub fn put_condition(request: &Request) -> Result<PutCondition, Refusal> {
    match (request.header("if-match"), request.header("if-none-match")) {
        (None, None) => Ok(PutCondition::Always),
        (None, Some("*")) => Ok(PutCondition::IfAbsent),
        (Some("*"), None) => Ok(PutCondition::IfPresent),
        (Some(tag), None) => Ok(ETag::from_str(tag).map_or(PutCondition::Never, PutCondition::IfMatches)),
        _ => Err(Refusal::not_implemented("A header you provided implies functionality that")),
    }
}

/// The conditions of a read, or with the prefix `x-amz-copy-source-` those of a copy's source.
#[must_use]
pub fn read_conditions(request: &Request, prefix: &str) -> ReadConditions {
    let header = |name: &str| request.header(&format!("{prefix}{name}"));
    let tags = |name: &str| {
        header(name).map(|text| match text {
            "*" => TagMatch::Any,
            list => {
                TagMatch::OneOf(list.split(',').filter_map(|tag| ETag::from_str(weak(tag)).ok()).collect())
            }
        })
    };
    let date = |name: &str| header(name).and_then(time::parse_http_date);
    ReadConditions {
        if_match: tags("if-match"),
        if_none_match: tags("if-none-match"),
        if_modified_since: date("if-modified-since"),
        if_unmodified_since: date("if-unmodified-since"),
    }
}

fn weak(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The headers of a GET or HEAD answer. The query's `response-*` parameters replace what is stored.
#[must_use]
pub fn of_object(object: &ObjectInfo, request: &Request) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let system = &object.attributes.system;
    let fields = [
        (
            CONTENT_TYPE,
            "response-content-type",
            system.content_type.as_deref().or(Some("binary/octet-stream")),
        ),
        (CACHE_CONTROL, "response-cache-control", system.cache_control.as_deref()),
        (CONTENT_DISPOSITION, "response-content-disposition", system.content_disposition.as_deref()),
        (CONTENT_ENCODING, "response-content-encoding", system.content_encoding.as_deref()),
        (CONTENT_LANGUAGE, "response-content-language", system.content_language.as_deref()),
        (EXPIRES, "response-expires", system.expires.as_deref()),
    ];
    for (name, parameter, stored) in fields {
        insert(&mut headers, name, request.query.value(parameter).or(stored));
    }
    let redirect = HeaderName::from_static("x-amz-website-redirect-location");
    insert(&mut headers, redirect, system.website_redirect_location.as_deref());
    for (name, value) in &object.attributes.metadata {
        if let Ok(name) = HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes()) {
            insert(&mut headers, name, Some(value));
        }
    }
    if object.storage_class != StorageClass::Standard {
        let name = HeaderName::from_static("x-amz-storage-class");
        insert(&mut headers, name, Some(object.storage_class.name()));
    }
    if !object.tags.is_empty() {
        headers.insert("x-amz-tagging-count", HeaderValue::from(object.tags.len()));
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(&mut headers, LAST_MODIFIED, Some(&time::http_date(object.modified)));
    insert(&mut headers, ETAG, Some(&quoted(&object.etag)));
    insert_version(&mut headers, object.version);
    headers
}

/// `x-amz-checksum-…` and its type.
pub fn insert_checksums(headers: &mut HeaderMap, checksums: &Checksums) {
    for checksum in checksums.iter() {
        let name = HeaderName::from_static(checksum.algorithm().header());
        insert(headers, name, Some(&checksum.to_string()));
        let kind = HeaderName::from_static("x-amz-checksum-type");
        insert(headers, kind, Some(checksum.kind().name()));
    }
}

/// `FULL_OBJECT` or `COMPOSITE`.
#[must_use]
pub fn checksum_kind(name: &str) -> Option<ChecksumKind> {
    [ChecksumKind::FullObject, ChecksumKind::Composite].into_iter().find(|kind| kind.name() == name)
}

/// Sets a header whose value may hold UTF-8; a value that cannot stand in a header is left out.
pub fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(Ok(value)) = value.map(|value| HeaderValue::from_bytes(value.as_bytes())) {
        headers.insert(name, value);
    }
}

/// `"…"`
#[must_use]
pub fn quoted(etag: &ETag) -> String {
    format!("\"{etag}\"")
}

/// Decodes one percent-encoded value of a request.
///
/// # Errors
/// 400 `InvalidArgument`.
pub fn decoded(name: &str, text: &str) -> Result<String, Refusal> {
    percent_decode(text)
        .map(Cow::into_owned)
        .ok_or_else(|| Refusal::invalid_argument(format!("{name} is not percent-encoded UTF-8.")))
}
