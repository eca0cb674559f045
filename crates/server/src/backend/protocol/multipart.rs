//! Multipart uploads.

use http::Response;
use http::header::{HeaderName, HeaderValue};
use roxmltree::Node;
use wigeon_core::time::iso8601_millis;

use super::buckets::no_content;
use super::headers;
use super::headers::{checksum_kind, put_condition, quoted, read_conditions};
use super::upload::{parse, receive, requested_algorithm};
use super::writing::source_of;
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text, children};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::checksum::ChecksumAlgorithm;
use crate::backend::local::conditions::PutCondition;
use crate::backend::local::etag::ETag;
use crate::backend::local::object::UploadId;
use crate::backend::local::request::{CompletedPart, Completion, NewUpload, PartCopyRequest};
use crate::body::{RequestBody, empty};
use crate::refusal::Refusal;
use crate::request::Request;

/// `CreateMultipartUpload`
pub(super) async fn create(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let request = permit.request();
    let algorithm = requested_algorithm(request)?;
    let kind =
        match request.header("x-amz-checksum-type") {
            None => None,
            Some(name) => Some(checksum_kind(name).ok_or_else(|| {
                Refusal::invalid_request("Value for x-amz-checksum-type header is invalid.")
            })?),
        };
    let checksum = match (algorithm, kind) {
        (None, None) => None,
        (None, Some(_)) => {
            let message =
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.";
            return Err(Refusal::invalid_request(message));
        }
        (Some(algorithm), kind) => {
            let kind = kind.unwrap_or(algorithm.default_kind());
            if !algorithm.allows(kind) {
                let message = format!(
                    "The {} checksum type cannot be used with the {} checksum algorithm.",
                    kind.name(),
                    algorithm.name()
                );
                return Err(Refusal::invalid_request(message));
            }
            Some((algorithm, kind))
        }
    };
    let upload = NewUpload {
        attributes: headers::attributes(request)?,
        tags: headers::tagging(request)?,
        storage_class: headers::storage_class(request)?,
        checksum,
        lock: headers::lock(request)?,
    };
    let upload = store.create_upload(bucket, key, upload).await?;
    let document = Xml::document("InitiateMultipartUploadResult", |xml| {
        xml.text("Bucket", bucket.as_str());
        xml.text("Key", key.as_str());
        xml.text("UploadId", upload.id.as_str());
    });
    let mut response = document.answer();
    if let Some((algorithm, kind)) = checksum {
        let headers = response.headers_mut();
        headers.insert("x-amz-checksum-algorithm", HeaderValue::from_static(algorithm.name()));
        headers.insert("x-amz-checksum-type", HeaderValue::from_static(kind.name()));
    }
    Ok(response)
}

/// `uploadId` and `partNumber`.
fn upload_id(request: &Request) -> UploadId {
    UploadId::new(request.query.value("uploadId").unwrap_or_default())
}

fn part_number(request: &Request) -> Result<u32, Refusal> {
    let number = request.query.value("partNumber").and_then(|text| text.parse().ok());
    number.filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
        Refusal::invalid_argument("Part number must be an integer between 1 and 10000, inclusive")
    })
}

/// `UploadPart`
pub(super) async fn put_part(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let (bucket, key) = permit.object()?;
    let request = permit.request();
    let (id, number) = (upload_id(request), part_number(request)?);
    let (upload, room) = store.before_part(bucket, key, &id, number).await?;
    let also = upload.checksum.map(|(algorithm, _)| algorithm);
    let received = receive(store, request, body, also, room).await?;
    let part = store.put_part(bucket, key, &id, number, received.staged, received.checksums).await?;
    let mut response = Response::new(empty());
    headers::insert(response.headers_mut(), HeaderName::from_static("etag"), Some(&quoted(&part.etag)));
    for checksum in part.checksums.iter() {
        let name = HeaderName::from_static(checksum.algorithm().header());
        headers::insert(response.headers_mut(), name, Some(&checksum.to_string()));
    }
    Ok(response)
}

/// `UploadPartCopy`
pub(super) async fn copy_part(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let request = permit.request();
    let source = headers::source(permit.copy_source()?)?;
    let there = source_of(store, &source).await?;
    permit.allows_tagged_source(&there.tags)?;
    let range = match request.header("x-amz-copy-source-range") {
        None => None,
        Some(text) => Some(copy_range(text)?),
    };
    let part = store
        .copy_part(PartCopyRequest {
            source,
            source_conditions: read_conditions(request, "x-amz-copy-source-"),
            range,
            target: (bucket.clone(), key.clone()),
            upload: upload_id(request),
            number: part_number(request)?,
        })
        .await?;
    let document = Xml::document("CopyPartResult", |xml| {
        xml.text("LastModified", &iso8601_millis(part.modified));
        xml.text("ETag", &quoted(&part.etag));
        for checksum in part.checksums.iter() {
            xml.text(&format!("Checksum{}", checksum.algorithm().name()), &checksum.to_string());
        }
    });
    let mut response = document.answer();
    headers::insert_source_version(response.headers_mut(), there.version);
    Ok(response)
}

/// `bytes=FIRST-LAST`: both are needed here.
fn copy_range(text: &str) -> Result<std::ops::Range<u64>, Refusal> {
    let refused = || {
        Refusal::invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
        )
    };
    let (first, last) =
        text.strip_prefix("bytes=").and_then(|spec| spec.split_once('-')).ok_or_else(refused)?;
    let (first, last): (u64, u64) =
        (first.parse().map_err(|_| refused())?, last.parse().map_err(|_| refused())?);
    match last.checked_add(1) {
        Some(end) if first <= last => Ok(first..end),
        _ => Err(refused()),
    }
}

/// `CompleteMultipartUpload`
pub(super) async fn complete(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let (bucket, key) = permit.object()?;
    let request = permit.request();
    let document = body.collect(LONGEST_BODY).await?;
    let parts = xml::read(&document, "CompleteMultipartUpload", |node| {
        children(node, "Part").map(completed_part).collect::<Result<Vec<_>, _>>()
    })?;
    let size = match request.header("x-amz-mp-object-size").map(str::parse) {
        None => None,
        Some(Ok(size)) => Some(size),
        Some(Err(_)) => {
            return Err(Refusal::invalid_request("x-amz-mp-object-size is not a number of bytes."));
        }
    };
    let mut checksum = None;
    for algorithm in ChecksumAlgorithm::ALL {
        if let Some(value) = request.header(algorithm.header()) {
            checksum = Some(parse(algorithm, value)?);
        }
    }
    let condition = match request.header("if-match").or(request.header("if-none-match")) {
        None => PutCondition::Always,
        Some(_) => put_condition(request)?,
    };
    let completion = Completion { parts, checksum, size, condition };
    let object = store.complete_upload(bucket, key, &upload_id(request), completion).await?;
    let document = Xml::document("CompleteMultipartUploadResult", |xml| {
        xml.text("Location", &format!("http://{}/{bucket}/{key}", request.host));
        xml.text("Bucket", bucket.as_str());
        xml.text("Key", key.as_str());
        xml.text("ETag", &quoted(&object.etag));
        for checksum in object.checksums.iter() {
            xml.text(&format!("Checksum{}", checksum.algorithm().name()), &checksum.to_string());
            xml.text("ChecksumType", checksum.kind().name());
        }
    });
    let mut response = document.answer();
    headers::insert_version(response.headers_mut(), object.version);
    Ok(response)
}

fn completed_part(node: Node<'_, '_>) -> Result<CompletedPart, Refusal> {
    let missing = || Refusal::malformed_xml("A Part needs a PartNumber and an ETag.");
    let number =
        child_text(node, "PartNumber").and_then(|text| text.trim().parse().ok()).ok_or_else(missing)?;
    let etag = child_text(node, "ETag").ok_or_else(missing)?;
    let etag = etag
        .trim()
        .parse::<ETag>()
        .map_err(|_| Refusal::from(crate::backend::local::StoreError::InvalidPart(number)))?;
    let mut checksum = None;
    for algorithm in ChecksumAlgorithm::ALL {
        if let Some(value) = child_text(node, &format!("Checksum{}", algorithm.name())) {
            checksum = Some(parse(algorithm, value.trim())?);
        }
    }
    Ok(CompletedPart { number, etag, checksum })
}

/// `AbortMultipartUpload`
pub(super) async fn abort(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    store.abort_upload(bucket, key, &upload_id(permit.request())).await?;
    Ok(no_content())
}
