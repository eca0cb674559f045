//! `DeleteObjects`: each key is asked for on its own; the upstream is told of those that may be deleted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use md5::{Digest, Md5};
use roxmltree::Node;
use wigeon_core::s3::ObjectKey;

use super::answer::{self, Read, with_document};
use super::head::{Head, refuse_dot_segments};
use super::mapping::Place;
use super::origin::Origin;
use super::upload::Outgoing;
use crate::authorize::Permit;
use crate::backend::protocol::upload::check_document;
use crate::backend::protocol::xml::{self, Answer, LONGEST_BODY, Xml, child_text, children};
use crate::body::RequestBody;
use crate::refusal::Refusal;

/// The most keys of one request.
const MOST: usize = 1000;

/// One key to delete, with everything that is said of it.
struct Deletion {
    key: String,
    /// VersionId, ETag and their like, as they came.
    more: Vec<(String, String)>,
}

/// A key that stays, and why.
struct Kept {
    key: String,
    code: String,
    message: String,
}

pub(super) async fn serve(
    origin: &Origin,
    permit: &Permit,
    place: &Place,
    mut head: Head,
    body: &mut RequestBody<'_>,
) -> Answer {
    let document = body.collect(LONGEST_BODY).await?;
    check_document(permit.request(), body, &document)?;
    let (deletions, quiet) = xml::read(&document, "Delete", |node| {
        let deletions = children(node, "Object").map(deletion).collect::<Result<Vec<_>, _>>()?;
        Ok((deletions, child_text(node, "Quiet").is_some_and(|quiet| quiet.trim() == "true")))
    })?;
    if deletions.is_empty() || deletions.len() > MOST {
        return Err(Refusal::malformed_xml("A request names between 1 and 1000 objects to delete."));
    }
    let (mut wanted, mut kept) = (Vec::new(), Vec::new());
    for deletion in deletions {
        match permitted(origin, permit, &deletion) {
            Ok(key) => wanted.push((key, deletion.more)),
            Err(refusal) => {
                kept.push(Kept { key: deletion.key, code: refusal.code.to_owned(), message: refusal.message })
            }
        }
    }
    if wanted.is_empty() {
        return Ok(result(&[], &kept).answer());
    }
    let as_it_came = kept.is_empty() && !place.is_part();
    let sent = if as_it_came { document } else { Bytes::from(request(&wanted, quiet, place)) };
    if !as_it_came {
        // Checksums of the body that came.
        let checksums = head.headers.keys().filter(|name| name.as_str().starts_with("x-amz-checksum-"));
        for name in checksums.cloned().collect::<Vec<_>>() {
            head.headers.remove(name);
        }
    }
    head.headers.remove("x-amz-sdk-checksum-algorithm");
    // Each store takes this one, and some ask for it.
    head.set("content-md5", &STANDARD.encode(Md5::digest(&sent)))?;
    let received = origin.send(Some(place.bucket().as_str()), &head, Outgoing::document(sent)).await?;
    if as_it_came && received.status.is_success() && !place.is_part() {
        return answer::relayed(received, permit, place);
    }
    match answer::document(received, permit, place, LONGEST_BODY).await? {
        Read::Other(response) => Ok(*response),
        Read::Document(headers, text) => merged(origin, permit, place, kept, (headers, text)),
    }
}

fn deletion(node: Node<'_, '_>) -> Result<Deletion, Refusal> {
    let key =
        child_text(node, "Key").ok_or_else(|| Refusal::malformed_xml("An Object to delete has no Key."))?;
    let more = node.children().filter(|child| child.is_element() && child.tag_name().name() != "Key");
    let more =
        more.map(|child| (child.tag_name().name().to_owned(), child.text().unwrap_or_default().to_owned()));
    Ok(Deletion { key: key.to_owned(), more: more.collect() })
}

fn permitted(origin: &Origin, permit: &Permit, deletion: &Deletion) -> Result<ObjectKey, Refusal> {
    let key = ObjectKey::parse(deletion.key.clone())?;
    let version = deletion.more.iter().find(|(name, value)| name == "VersionId" && !value.is_empty());
    permit.allows_deletion(&key, version.map(|(_, version)| version.as_str()))?;
    if !origin.dot_segments {
        refuse_dot_segments(key.as_str())?;
    }
    Ok(key)
}

fn request(wanted: &[(ObjectKey, Vec<(String, String)>)], quiet: bool, place: &Place) -> String {
    Xml::document("Delete", |xml| {
        for (key, more) in wanted {
            xml.element("Object", |xml| {
                xml.text("Key", &place.key(key));
                for (name, value) in more {
                    xml.text(name, value);
                }
            });
        }
        if quiet {
            xml.text("Quiet", "true");
        }
    })
    .into_text()
}

/// The upstream's result under the names of here, and what was not asked of it.
fn merged(
    origin: &Origin,
    permit: &Permit,
    place: &Place,
    mut kept: Vec<Kept>,
    (headers, text): (http::HeaderMap, String),
) -> Answer {
    let read = xml::read(text.as_bytes(), "DeleteResult", |node| {
        let deleted: Vec<Vec<(String, String)>> = children(node, "Deleted").map(fields).collect();
        let failed: Vec<Vec<(String, String)>> = children(node, "Error").map(fields).collect();
        Ok((deleted, failed))
    });
    let (mut deleted, failed) =
        read.map_err(|_| origin.unavailable("its answer is not the one to the request"))?;
    for (name, value) in deleted.iter_mut().flatten().filter(|(name, _)| name == "Key") {
        let here = place
            .strip(value)
            .ok_or_else(|| origin.unavailable(&format!("it deleted a {name} of elsewhere")))?;
        *value = here.to_owned();
    }
    for fields in failed {
        let field =
            |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let key = field("Key").unwrap_or_default();
        kept.push(Kept {
            key: place.strip(&key).unwrap_or_default().to_owned(),
            code: field("Code").unwrap_or_default(),
            message: field("Message").unwrap_or_default(),
        });
    }
    let mut response = with_document(headers, permit, result(&deleted, &kept).into_text());
    *response.status_mut() = http::StatusCode::OK;
    Ok::<Response<_>, _>(response)
}

fn fields(node: Node<'_, '_>) -> Vec<(String, String)> {
    let children = node.children().filter(Node::is_element);
    children
        .map(|child| (child.tag_name().name().to_owned(), child.text().unwrap_or_default().to_owned()))
        .collect()
}

fn result(deleted: &[Vec<(String, String)>], kept: &[Kept]) -> Xml {
    Xml::document("DeleteResult", |xml| {
        for fields in deleted {
            xml.element("Deleted", |xml| {
                for (name, value) in fields {
                    xml.text(name, value);
                }
            });
        }
        for Kept { key, code, message } in kept {
            xml.element("Error", |xml| {
                xml.text("Key", key);
                xml.text("Code", code);
                xml.text("Message", message);
            });
        }
    })
}
