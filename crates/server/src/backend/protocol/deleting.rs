//! Deleting objects and versions, one or many.

use http::HeaderValue;
use roxmltree::Node;
use wigeon_core::s3::ObjectKey;

use super::buckets::no_content;
use super::headers;
use super::upload::checked_body;
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text, children};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::conditions::PutCondition;
use crate::backend::local::etag::ETag;
use crate::backend::local::request::{Deleted, Deletion};
use crate::backend::local::version::VersionId;
use crate::body::RequestBody;
use crate::classify::bypasses_governance;
use crate::refusal::Refusal;

/// The most keys that one `DeleteObjects` takes.
const MOST_DELETED: usize = 1000;

/// `DeleteObject`: also of an object that is not there.
pub(super) async fn one(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    let condition = match permit.request().header("if-match") {
        None => PutCondition::Always,
        Some(_) => headers::put_condition(permit.request())?,
    };
    let version = headers::version(permit.request())?;
    let bypass_governance = bypasses_governance(permit.request());
    let deletion = Deletion { key: key.clone(), version, condition, bypass_governance };
    let deleted = store.delete(bucket, deletion).await?;
    let mut response = no_content();
    headers::insert_version(response.headers_mut(), deleted.version);
    if deleted.marker {
        response.headers_mut().insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// One key of a `DeleteObjects`.
struct Named {
    key: String,
    etag: Option<String>,
    version: Option<String>,
}

/// `DeleteObjects`: each key is asked for on its own, and refused on its own.
pub(super) async fn many(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let bucket = permit.bucket()?;
    let document = checked_body(permit, body, LONGEST_BODY).await?;
    let (named, quiet) = xml::read(&document, "Delete", |node| {
        let named = children(node, "Object").map(named).collect::<Result<Vec<_>, _>>()?;
        Ok((named, child_text(node, "Quiet").is_some_and(|quiet| quiet.trim() == "true")))
    })?;
    if named.is_empty() || named.len() > MOST_DELETED {
        return Err(Refusal::malformed_xml("A request names between 1 and 1000 objects to delete."));
    }
    let mut refused = Vec::new();
    let mut wanted = Vec::new();
    for named in named {
        match permitted(permit, &named) {
            Ok(deletion) => wanted.push(deletion),
            Err(refusal) => refused.push((named.key, named.version, refusal)),
        }
    }
    let outcomes = match wanted.is_empty() {
        true => Vec::new(),
        false => store.delete_many(bucket, wanted.clone()).await?,
    };
    let mut deleted = Vec::new();
    for (deletion, outcome) in wanted.into_iter().zip(outcomes) {
        match outcome {
            Ok(done) => deleted.push((deletion, done)),
            Err(error) => {
                let version = deletion.version.map(|version| version.to_string());
                refused.push((deletion.key.into(), version, error.into()));
            }
        }
    }
    let document = Xml::document("DeleteResult", |xml| {
        for (deletion, done) in deleted.iter().filter(|_| !quiet) {
            xml.element("Deleted", |xml| written(xml, deletion, done));
        }
        for (key, version, refusal) in &refused {
            xml.element("Error", |xml| {
                xml.text("Key", key);
                xml.optional("VersionId", version.as_deref());
                xml.text("Code", refusal.code);
                xml.text("Message", &refusal.message);
            });
        }
    });
    Ok(document.answer())
}

fn written(xml: &mut Xml, deletion: &Deletion, done: &Deleted) {
    xml.text("Key", deletion.key.as_str());
    let id = |version: Option<VersionId>| version.map(|version| version.to_string());
    xml.optional("VersionId", id(deletion.version).as_deref());
    if done.marker {
        xml.text("DeleteMarker", "true");
        xml.optional("DeleteMarkerVersionId", id(done.version).as_deref());
    }
}

fn named(node: Node<'_, '_>) -> Result<Named, Refusal> {
    let text = |name| child_text(node, name).map(str::to_owned);
    let key = text("Key").ok_or_else(|| Refusal::malformed_xml("An Object to delete has no Key."))?;
    Ok(Named { key, etag: text("ETag"), version: text("VersionId").filter(|version| !version.is_empty()) })
}

fn permitted(permit: &Permit, named: &Named) -> Result<Deletion, Refusal> {
    let key = ObjectKey::parse(named.key.clone())?;
    permit.allows_deletion(&key, named.version.as_deref())?;
    let condition = match named.etag.as_deref() {
        None => PutCondition::Always,
        Some("*") => PutCondition::IfPresent,
        Some(tag) => tag.parse::<ETag>().map_or(PutCondition::Never, PutCondition::IfMatches),
    };
    let version = named.version.as_deref().map(headers::version_id).transpose()?;
    Ok(Deletion { key, version, condition, bypass_governance: bypasses_governance(permit.request()) })
}
