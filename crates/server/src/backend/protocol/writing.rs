//! Writing and copying objects, and their tags.

use http::Response;
use wigeon_core::time::iso8601_millis;

use super::buckets::no_content;
use super::headers;
use super::lifecycle::insert_expiration;
use super::reading::written;
use super::upload::{LARGEST, checked_body, receive, requested_algorithm};
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text, children};
use crate::authorize::Permit;
use crate::backend::local::attributes::{NewObject, Tags};
use crate::backend::local::object::ObjectInfo;
use crate::backend::local::request::{CopyRequest, Source};
use crate::backend::local::{Store, StoreError};
use crate::body::{RequestBody, empty};
use crate::refusal::Refusal;

/// `PutObject`
pub(super) async fn put(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let (bucket, key) = permit.object()?;
    let request = permit.request();
    let condition = headers::put_condition(request)?;
    let mut object = NewObject {
        attributes: headers::attributes(request)?,
        tags: headers::tagging(request)?,
        storage_class: headers::storage_class(request)?,
        lock: headers::lock(request)?,
        ..NewObject::default()
    };
    // Before the body is asked for: nobody should send 5 GiB to a bucket that does not exist, or has no room for them.
    let room = store.before_put(bucket, key, condition).await?;
    let received = receive(store, request, body, None, room).await?;
    object.checksums = received.checksums;
    let object = store.put(bucket, key, received.staged, object, condition).await?;
    let mut response = written(&object);
    insert_expiration(response.headers_mut(), store, bucket, key.as_str(), &object);
    Ok(response)
}

/// `CopyObject`
pub(super) async fn copy(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let request = permit.request();
    let source = permit.copy_source()?;
    let replace = |header: &str| match request.header(header) {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(Refusal::invalid_argument(format!("Unknown {header}."))),
    };
    let attributes =
        replace("x-amz-metadata-directive")?.then(|| headers::attributes(request)).transpose()?;
    let tags = replace("x-amz-tagging-directive")?.then(|| headers::tagging(request)).transpose()?;
    if tags.is_none() && request.header("x-amz-tagging").is_some_and(|tags| !tags.is_empty()) {
        return Err(Refusal::invalid_argument(
            "The header x-amz-tagging goes with x-amz-tagging-directive: REPLACE.",
        ));
    }
    let source = headers::source(source)?;
    let onto_itself = source.bucket == *bucket && source.key == *key && source.version.is_none();
    if onto_itself && attributes.is_none() && request.header("x-amz-storage-class").is_none() {
        return Err(Refusal::invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let there = source_of(store, &source).await?;
    permit.allows_tagged_source(&there.tags)?;
    // Tags that come along are read there and written here, which takes as much as to do so by hand.
    if tags.is_none() && !there.tags.is_empty() {
        permit.allows_at_source(match source.version {
            None => "s3:GetObjectTagging",
            Some(_) => "s3:GetObjectVersionTagging",
        })?;
        permit.allows_tags("s3:PutObjectTagging", &there.tags, None)?;
        permit.allows_tags("s3:PutObject", &there.tags, None)?;
    }
    if there.size > LARGEST {
        return Err(Refusal::invalid_request(
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    let copied = store
        .copy(CopyRequest {
            source,
            source_conditions: headers::read_conditions(request, "x-amz-copy-source-"),
            target: (bucket.clone(), key.clone()),
            condition: headers::put_condition(request)?,
            attributes,
            // Those that were asked about, whatever the source has by now.
            tags: Some(tags.unwrap_or(there.tags)),
            storage_class: headers::storage_class(request)?,
            checksum: requested_algorithm(request)?,
            lock: headers::lock(request)?,
        })
        .await?;
    let mut response = Xml::document("CopyObjectResult", |xml| copy_result(xml, &copied.object)).answer();
    headers::insert_version(response.headers_mut(), copied.object.version);
    headers::insert_source_version(response.headers_mut(), copied.source_version);
    insert_expiration(response.headers_mut(), store, bucket, key.as_str(), &copied.object);
    Ok(response)
}

/// What a copy reads.
///
/// # Errors
/// 400 `InvalidRequest` where it names a delete marker.
pub(super) async fn source_of(store: &Store, source: &Source) -> Result<ObjectInfo, Refusal> {
    store.head(&source.bucket, &source.key, source.version).await.map_err(|error| match error {
        StoreError::IsDeleteMarker(_) => Refusal::invalid_request(
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        ),
        other => other.into(),
    })
}

fn copy_result(xml: &mut Xml, object: &ObjectInfo) {
    xml.text("LastModified", &iso8601_millis(object.modified));
    xml.text("ETag", &headers::quoted(&object.etag));
    for checksum in object.checksums.iter() {
        xml.text(&format!("Checksum{}", checksum.algorithm().name()), &checksum.to_string());
        xml.text("ChecksumType", checksum.kind().name());
    }
}

/// `PutObjectTagging`
pub(super) async fn put_tagging(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let (bucket, key) = permit.object()?;
    let document = checked_body(permit, body, LONGEST_BODY).await?;
    let tags = xml::read(&document, "Tagging", |node| {
        let tags = children(node, "TagSet").flat_map(|set| children(set, "Tag"));
        let text = |tag, name| child_text(tag, name).map(str::to_owned);
        let pairs =
            tags.map(|tag| Some((text(tag, "Key")?, text(tag, "Value")?))).collect::<Option<Vec<_>>>();
        pairs.ok_or_else(|| Refusal::malformed_xml("A Tag needs a Key and a Value."))
    })?;
    let tags = headers::checked_tags(tags, headers::MOST_OBJECT_TAGS)?;
    let version = headers::version(permit.request())?;
    let action = if version.is_some() { "s3:PutObjectVersionTagging" } else { "s3:PutObjectTagging" };
    match store.head(bucket, key, version).await {
        Ok(object) => permit.allows_tags(action, &tags, Some(&object.tags))?,
        Err(missing) => {
            // Who may not tag it does not learn either that it is not there.
            permit.allows_tags(action, &tags, None)?;
            return Err(missing.into());
        }
    }
    let tagged = store.set_tags(bucket, key, version, tags).await?;
    let mut response = Response::new(empty());
    headers::insert_version(response.headers_mut(), tagged);
    Ok(response)
}

/// `DeleteObjectTagging`
pub(super) async fn delete_tagging(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let version = headers::version(permit.request())?;
    permit.allows_tagged(&store.head(bucket, key, version).await?.tags)?;
    let untagged = store.set_tags(bucket, key, version, Tags::new()).await?;
    let mut response = no_content();
    headers::insert_version(response.headers_mut(), untagged);
    Ok(response)
}
