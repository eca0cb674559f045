//! Writing, copying and deleting objects and their tags.

use http::StatusCode;
use roxmltree::Node;
use wigeon_core::s3::ObjectKey;
use wigeon_core::time::iso8601_millis;

use super::buckets::no_content;
use super::headers;
use super::reading::written;
use super::upload::{LARGEST, receive, requested_algorithm};
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text, children};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::attributes::{NewObject, Tags};
use crate::backend::local::conditions::PutCondition;
use crate::backend::local::etag::ETag;
use crate::backend::local::object::ObjectInfo;
use crate::backend::local::request::CopyRequest;
use crate::body::RequestBody;
use crate::refusal::Refusal;

/// The most keys that one `DeleteObjects` takes.
const MOST_DELETED: usize = 1000;

/// `PutObject`
pub(super) async fn put(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let (bucket, key) = permit.object()?;
    let request = permit.request();
    let condition = headers::put_condition(request)?;
    let mut object = NewObject {
        attributes: headers::attributes(request)?,
        tags: headers::tagging(request)?,
        storage_class: headers::storage_class(request)?,
        ..NewObject::default()
    };
    // Before the body is asked for: nobody should send 5 GiB to a bucket that does not exist.
    store.bucket(bucket).await?;
    let received = receive(store, request, body, None).await?;
    object.checksums = received.checksums;
    let object = store.put(bucket, key, received.staged, object, condition).await?;
    Ok(written(&object))
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
    let onto_itself = source.bucket == *bucket && source.key == *key;
    if onto_itself && attributes.is_none() && request.header("x-amz-storage-class").is_none() {
        return Err(Refusal::invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let there = store.head(&source.bucket, &source.key).await?;
    permit.allows_tagged_source(&there.tags)?;
    // Tags that come along are read there and written here, which takes as much as to do so by hand.
    if tags.is_none() && !there.tags.is_empty() {
        permit.allows_at_source("s3:GetObjectTagging")?;
        permit.allows_tags("s3:PutObjectTagging", &there.tags, None)?;
        permit.allows_tags("s3:PutObject", &there.tags, None)?;
    }
    if there.size > LARGEST {
        return Err(Refusal::invalid_request(
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    let object = store
        .copy(CopyRequest {
            source: (source.bucket.clone(), source.key.clone()),
            source_conditions: headers::read_conditions(request, "x-amz-copy-source-"),
            target: (bucket.clone(), key.clone()),
            condition: headers::put_condition(request)?,
            attributes,
            // Those that were asked about, whatever the source has by now.
            tags: Some(tags.unwrap_or(there.tags)),
            storage_class: headers::storage_class(request)?,
            checksum: requested_algorithm(request)?,
        })
        .await?;
    Ok(Xml::document("CopyObjectResult", |xml| copied(xml, &object)).answer())
}

fn copied(xml: &mut Xml, object: &ObjectInfo) {
    xml.text("LastModified", &iso8601_millis(object.modified));
    xml.text("ETag", &headers::quoted(&object.etag));
    for checksum in object.checksums.iter() {
        xml.text(&format!("Checksum{}", checksum.algorithm().name()), &checksum.to_string());
        xml.text("ChecksumType", checksum.kind().name());
    }
}

/// `DeleteObject`: also of an object that is not there.
pub(super) async fn delete(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let condition = match permit.request().header("if-match") {
        None => PutCondition::Always,
        Some(_) => headers::put_condition(permit.request())?,
    };
    store.delete(bucket, key, condition).await?;
    Ok(no_content())
}

/// One key of a `DeleteObjects`.
struct Deletion {
    key: String,
    etag: Option<String>,
    version: Option<String>,
}

/// `DeleteObjects`: each key is asked for on its own, and refused on its own.
pub(super) async fn delete_many(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let bucket = permit.bucket()?;
    let document = super::upload::checked_body(permit, body, LONGEST_BODY).await?;
    let (deletions, quiet) = xml::read(&document, "Delete", |node| {
        let deletions = children(node, "Object").map(deletion).collect::<Result<Vec<_>, _>>()?;
        Ok((deletions, child_text(node, "Quiet").is_some_and(|quiet| quiet.trim() == "true")))
    })?;
    if deletions.is_empty() || deletions.len() > MOST_DELETED {
        return Err(Refusal::malformed_xml("A request names between 1 and 1000 objects to delete."));
    }
    let mut refused = Vec::new();
    let mut wanted = Vec::new();
    for deletion in deletions {
        match permitted(permit, &deletion) {
            Ok((key, condition)) => wanted.push((key, condition)),
            Err(refusal) => refused.push((deletion.key, refusal)),
        }
    }
    let outcomes = match wanted.is_empty() {
        true => Vec::new(),
        false => store.delete_many(bucket, wanted.clone()).await?,
    };
    let mut deleted = Vec::new();
    for ((key, _), outcome) in wanted.into_iter().zip(outcomes) {
        match outcome {
            Ok(_) => deleted.push(key),
            Err(error) => refused.push((key.into(), error.into())),
        }
    }
    let document = Xml::document("DeleteResult", |xml| {
        for key in deleted.iter().filter(|_| !quiet) {
            xml.element("Deleted", |xml| xml.text("Key", key.as_str()));
        }
        for (key, refusal) in &refused {
            xml.element("Error", |xml| {
                xml.text("Key", key);
                xml.text("Code", refusal.code);
                xml.text("Message", &refusal.message);
            });
        }
    });
    Ok(document.answer())
}

fn deletion(node: Node<'_, '_>) -> Result<Deletion, Refusal> {
    let text = |name| child_text(node, name).map(str::to_owned);
    let key = text("Key").ok_or_else(|| Refusal::malformed_xml("An Object to delete has no Key."))?;
    Ok(Deletion { key, etag: text("ETag"), version: text("VersionId") })
}

fn permitted(permit: &Permit, deletion: &Deletion) -> Result<(ObjectKey, PutCondition), Refusal> {
    let key = ObjectKey::parse(deletion.key.clone())?;
    let action = match deletion.version {
        None => "s3:DeleteObject",
        Some(_) => "s3:DeleteObjectVersion",
    };
    permit.allows(action, &key)?;
    if deletion.version.as_deref().is_some_and(|version| version != "null") {
        let message = "The specified version does not exist.";
        return Err(Refusal::new("NoSuchVersion", StatusCode::NOT_FOUND, message));
    }
    let condition = match deletion.etag.as_deref() {
        None => PutCondition::Always,
        Some("*") => PutCondition::IfPresent,
        Some(tag) => tag.parse::<ETag>().map_or(PutCondition::Never, PutCondition::IfMatches),
    };
    Ok((key, condition))
}

/// `PutObjectTagging`
pub(super) async fn put_tagging(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let (bucket, key) = permit.object()?;
    let document = super::upload::checked_body(permit, body, LONGEST_BODY).await?;
    let tags = xml::read(&document, "Tagging", |node| {
        let tags = children(node, "TagSet").flat_map(|set| children(set, "Tag"));
        let text = |tag, name| child_text(tag, name).map(str::to_owned);
        let pairs =
            tags.map(|tag| Some((text(tag, "Key")?, text(tag, "Value")?))).collect::<Option<Vec<_>>>();
        pairs.ok_or_else(|| Refusal::malformed_xml("A Tag needs a Key and a Value."))
    })?;
    let tags = headers::checked_tags(tags, headers::MOST_OBJECT_TAGS)?;
    let versioned = permit.request().query.has("versionId");
    let action = if versioned { "s3:PutObjectVersionTagging" } else { "s3:PutObjectTagging" };
    match store.head(bucket, key).await {
        Ok(object) => permit.allows_tags(action, &tags, Some(&object.tags))?,
        Err(missing) => {
            // Who may not tag it does not learn either that it is not there.
            permit.allows_tags(action, &tags, None)?;
            return Err(missing.into());
        }
    }
    store.set_tags(bucket, key, tags).await?;
    Ok(http::Response::new(crate::body::empty()))
}

/// `DeleteObjectTagging`
pub(super) async fn delete_tagging(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    permit.allows_tagged(&store.head(bucket, key).await?.tags)?;
    store.set_tags(bucket, key, Tags::new()).await?;
    Ok(no_content())
}
