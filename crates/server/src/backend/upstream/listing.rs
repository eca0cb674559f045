//! Listings of buckets that have another name, or are a part of one: names go in and come back exchanged.

use wigeon_core::s3::operation::Operation;

use super::answer::{self, Read, with_document};
use super::head::Head;
use super::mapping::Place;
use super::origin::Origin;
use super::renaming;
use super::upload::Outgoing;
use crate::authorize::Permit;
use crate::backend::protocol::xml::Answer;

/// The longest listing that is read: a thousand keys of a thousand bytes fit ten times.
const LONGEST: usize = 16 << 20;

/// The root of an operation's answer that holds names; `None` for operations whose answers hold none.
pub(super) fn root(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::ListObjects | Operation::ListObjectsV2 => Some("ListBucketResult"),
        Operation::ListObjectVersions => Some("ListVersionsResult"),
        Operation::ListMultipartUploads => Some("ListMultipartUploadsResult"),
        Operation::ListParts => Some("ListPartsResult"),
        Operation::CreateMultipartUpload => Some("InitiateMultipartUploadResult"),
        Operation::CompleteMultipartUpload => Some("CompleteMultipartUploadResult"),
        _ => None,
    }
}

/// The parameters of a listing, as they are at the upstream.
pub(super) fn there(head: &mut Head, permit: &Permit, place: &Place) {
    let lists = matches!(
        permit.operation(),
        Operation::ListObjects
            | Operation::ListObjectsV2
            | Operation::ListObjectVersions
            | Operation::ListMultipartUploads
    );
    if !lists || !place.is_part() {
        return;
    }
    let prefix = head.query.value("prefix").unwrap_or_default();
    let prefix = format!("{}{prefix}", place.prefix());
    head.query.set("prefix", prefix);
    for name in ["marker", "start-after", "key-marker"] {
        if let Some(value) = head.query.value(name).filter(|value| !value.is_empty()) {
            let value = format!("{}{value}", place.prefix());
            head.query.set(name, value);
        }
    }
}

/// Sends the request and exchanges the names in the answer.
pub(super) async fn renamed(
    origin: &Origin,
    permit: &Permit,
    place: &Place,
    (head, body): (&Head, Outgoing<'_, '_>),
    root: &str,
) -> Answer {
    let received = origin.send(Some(place.bucket().as_str()), head, body).await?;
    match answer::document(received, permit, place, LONGEST).await? {
        Read::Other(response) => Ok(*response),
        Read::Document(headers, text) => match renaming::here(&text, place, root) {
            Some(text) => Ok(with_document(headers, permit, text)),
            // A completion may fail after its 200 has been sent.
            None if text.contains("<Error>") => {
                Err(origin.unavailable("it failed after it had begun to answer"))
            }
            None => Err(origin.unavailable("its answer is not the one to the request")),
        },
    }
}
