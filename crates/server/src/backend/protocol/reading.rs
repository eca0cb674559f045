//! Reading objects: GET with ranges and conditions, HEAD, attributes, tags.

use std::ops::Range;
use std::str::FromStr;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use wigeon_core::time::http_date;

use super::headers::{
    insert, insert_checksums, insert_lock, insert_version, of_object, quoted, read_conditions, version,
};
use super::lifecycle::insert_expiration;
use super::xml::{Answer, Xml};
use crate::authorize::Permit;
use crate::backend::local::conditions::ReadOutcome;
use crate::backend::local::etag::ETag;
use crate::backend::local::object::ObjectInfo;
use crate::backend::local::{Store, StoreError};
use crate::body::{ResponseBody, empty, stream};
use crate::refusal::Refusal;
use crate::request::Request;

/// `GetObject`
pub(super) async fn get(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let (object, content) = store.get(bucket, key, version(permit.request())?).await?;
    permit.allows_tagged(&object.tags)?;
    let part = selected_part(store, permit, &object).await?;
    match head_of(store, permit, &object, part)? {
        Head::NotModified(response) => Ok(response),
        Head::Content { status, headers, range } => {
            let mut response = Response::new(match range.is_empty() {
                true => empty(),
                false => stream(content.read(range)?),
            });
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        }
    }
}

/// `HeadObject`
pub(super) async fn head(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let object = store.head(bucket, key, version(permit.request())?).await?;
    permit.allows_tagged(&object.tags)?;
    let part = selected_part(store, permit, &object).await?;
    match head_of(store, permit, &object, part)? {
        Head::NotModified(response) => Ok(response),
        Head::Content { status, headers, range: _ } => {
            let mut response = Response::new(empty());
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        }
    }
}

/// A part of a multipart object that the request selects by `partNumber`.
struct Part {
    range: Range<u64>,
    count: Option<usize>,
}

async fn selected_part(store: &Store, permit: &Permit, object: &ObjectInfo) -> Result<Option<Part>, Refusal> {
    let Some(text) = permit.request().query.value("partNumber") else { return Ok(None) };
    let number: u32 = text.parse().ok().filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
        Refusal::invalid_argument("Part number must be an integer between 1 and 10000, inclusive")
    })?;
    if permit.request().header("range").is_some() {
        return Err(Refusal::invalid_request(
            "Cannot specify both Range header and partNumber query parameter",
        ));
    }
    let (bucket, key) = permit.object()?;
    if object.etag.parts().is_none() && number == 1 {
        return Ok(Some(Part { range: 0..object.size, count: None }));
    }
    let parts = store.object_parts(bucket, key, object.version).await?;
    let part = parts.iter().find(|part| part.number == number).ok_or(StoreError::NoSuchPart(number))?;
    Ok(Some(Part { range: part.start..part.start + part.size, count: Some(parts.len()) }))
}

enum Head {
    NotModified(Response<ResponseBody>),
    Content { status: StatusCode, headers: HeaderMap, range: Range<u64> },
}

/// Status and headers, which GET and HEAD share.
fn head_of(store: &Store, permit: &Permit, object: &ObjectInfo, part: Option<Part>) -> Result<Head, Refusal> {
    let request = permit.request();
    let mut headers = of_object(object, request);
    let (bucket, key) = permit.object()?;
    insert_lock(&mut headers, permit, key, object.lock);
    // Of a version that is named, nobody knows here whether it is the current one.
    if version(request)?.is_none() {
        insert_expiration(&mut headers, store, bucket, key.as_str(), object);
    }
    match read_conditions(request, "").evaluate(object) {
        ReadOutcome::Proceed => {}
        ReadOutcome::NotModified => {
            let mut response = Response::new(empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.headers_mut() = headers;
            return Ok(Head::NotModified(response));
        }
        ReadOutcome::Failed => return Err(StoreError::PreconditionFailed.into()),
    }
    let selected = match &part {
        Some(part) => Some(part.range.clone()),
        None => requested_range(request, object)?,
    };
    if let Some(count) = part.and_then(|part| part.count) {
        headers.insert("x-amz-mp-parts-count", HeaderValue::from(count));
    }
    let whole = selected.as_ref().is_none_or(|range| range.end - range.start == object.size);
    if whole && request.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"))
    {
        insert_checksums(&mut headers, &object.checksums);
    }
    let (status, range) = match selected {
        None => (StatusCode::OK, 0..object.size),
        Some(range) => {
            if !range.is_empty() {
                let text = format!("bytes {}-{}/{}", range.start, range.end - 1, object.size);
                insert(&mut headers, CONTENT_RANGE, Some(&text));
            }
            (StatusCode::PARTIAL_CONTENT, range)
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    Ok(Head::Content { status, headers, range })
}

/// The `Range` header (RFC 9110, section 14.2). One range is served; several, and what cannot be read, are as
/// if there were none. A range whose `If-Range` does not hold is not applied either.
fn requested_range(request: &Request, object: &ObjectInfo) -> Result<Option<Range<u64>>, Refusal> {
    let Some(text) = request.header("range") else { return Ok(None) };
    if let Some(condition) = request.header("if-range") {
        let holds = ETag::from_str(condition).is_ok_and(|tag| tag == object.etag)
            || condition == http_date(object.modified);
        if !holds {
            return Ok(None);
        }
    }
    match parse_range(text, object.size) {
        Parsed::Ignored => Ok(None),
        Parsed::Bytes(range) => Ok(Some(range)),
        Parsed::Unsatisfiable => {
            Err(StoreError::RangeNotSatisfiable { start: 0, end: 0, size: object.size }.into())
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Ignored,
    Bytes(Range<u64>),
    Unsatisfiable,
}

fn parse_range(text: &str, size: u64) -> Parsed {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|spec| spec.split_once('-')) else {
        return Parsed::Ignored;
    };
    match (first.trim().is_empty(), position(first), last.trim().is_empty(), position(last)) {
        (true, _, false, Some(0)) => Parsed::Unsatisfiable,
        (true, _, false, Some(_)) if size == 0 => Parsed::Unsatisfiable,
        (true, _, false, Some(length)) => Parsed::Bytes(size.saturating_sub(length)..size),
        (false, Some(first), true, _) if first < size => Parsed::Bytes(first..size),
        (false, Some(first), false, Some(last)) if first <= last && first < size => {
            Parsed::Bytes(first..last.saturating_add(1).min(size))
        }
        (false, Some(first), false, Some(last)) if first > last => Parsed::Ignored,
        (false, Some(_), true, _) | (false, Some(_), false, Some(_)) => Parsed::Unsatisfiable,
        _ => Parsed::Ignored,
    }
}

/// Digits and nothing else; however many there are, no object is longer.
fn position(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// `GetObjectAttributes`
pub(super) async fn attributes(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let request = permit.request();
    let wanted = request.header("x-amz-object-attributes").unwrap_or_default();
    let wants = |name: &str| wanted.split(',').any(|part| part.trim() == name);
    if wanted.is_empty() {
        return Err(Refusal::invalid_request(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        ));
    }
    let object = store.head(bucket, key, version(request)?).await?;
    permit.allows_tagged(&object.tags)?;
    let parts = match wants("ObjectParts") && object.etag.parts().is_some() {
        true => store.object_parts(bucket, key, object.version).await?,
        false => Vec::new(),
    };
    let document = Xml::document("GetObjectAttributesResponse", |xml| {
        if wants("ETag") {
            xml.text("ETag", &object.etag.to_string());
        }
        if wants("Checksum") && !object.checksums.is_empty() {
            xml.element("Checksum", |xml| {
                for checksum in object.checksums.iter() {
                    xml.text(&format!("Checksum{}", checksum.algorithm().name()), &checksum.to_string());
                    xml.text("ChecksumType", checksum.kind().name());
                }
            });
        }
        if !parts.is_empty() {
            xml.element("ObjectParts", |xml| {
                xml.text("TotalPartsCount", &parts.len().to_string());
                xml.text("PartsCount", &parts.len().to_string());
                xml.text("IsTruncated", "false");
            });
        }
        if wants("StorageClass") {
            xml.text("StorageClass", object.storage_class.name());
        }
        if wants("ObjectSize") {
            xml.text("ObjectSize", &object.size.to_string());
        }
    });
    let mut response = document.answer();
    insert(
        response.headers_mut(),
        HeaderName::from_static("last-modified"),
        Some(&http_date(object.modified)),
    );
    insert_version(response.headers_mut(), object.version);
    Ok(response)
}

/// `GetObjectTagging`
pub(super) async fn tagging(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let object = store.head(bucket, key, version(permit.request())?).await?;
    permit.allows_tagged(&object.tags)?;
    let document = Xml::document("Tagging", |xml| {
        xml.element("TagSet", |xml| {
            for (name, value) in &object.tags {
                xml.element("Tag", |xml| {
                    xml.text("Key", name);
                    xml.text("Value", value);
                });
            }
        });
    });
    let mut response = document.answer();
    insert_version(response.headers_mut(), object.version);
    Ok(response)
}

/// `ETag`, version and checksums of an answer to a write.
pub(super) fn written(object: &ObjectInfo) -> Response<ResponseBody> {
    let mut response = Response::new(empty());
    insert(response.headers_mut(), HeaderName::from_static("etag"), Some(&quoted(&object.etag)));
    insert_checksums(response.headers_mut(), &object.checksums);
    insert_version(response.headers_mut(), object.version);
    response
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("bytes=0-9", Parsed::Bytes(0..10))]
    #[case("bytes=90-", Parsed::Bytes(90..100))]
    #[case("bytes=90-1000", Parsed::Bytes(90..100))]
    #[case("bytes=0-18446744073709551615", Parsed::Bytes(0..100))]
    #[case("bytes=0-99999999999999999999999", Parsed::Bytes(0..100))]
    #[case("bytes=99999999999999999999999-", Parsed::Unsatisfiable)]
    #[case("bytes=-99999999999999999999999", Parsed::Bytes(0..100))]
    #[case("bytes=+0-+9", Parsed::Ignored)]
    #[case("bytes=-10", Parsed::Bytes(90..100))]
    #[case("bytes=-1000", Parsed::Bytes(0..100))]
    #[case("bytes=100-", Parsed::Unsatisfiable)]
    #[case("bytes=100-200", Parsed::Unsatisfiable)]
    #[case("bytes=-0", Parsed::Unsatisfiable)]
    #[case("bytes=5-2", Parsed::Ignored)]
    #[case("bytes=0-1,5-6", Parsed::Ignored)]
    #[case("bytes=a-b", Parsed::Ignored)]
    #[case("bytes=-", Parsed::Ignored)]
    #[case("lines=0-1", Parsed::Ignored)]
    fn ranges(#[case] text: &str, #[case] parsed: Parsed) {
        assert_eq!(parse_range(text, 100), parsed);
    }

    #[test]
    fn nothing_of_an_empty_object_is_satisfiable() {
        for text in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(parse_range(text, 0), Parsed::Unsatisfiable, "{text}");
        }
    }
}
