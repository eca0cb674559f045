//! Tags of objects at an upstream, where a policy asks for them.
//!
//! A policy that speaks of the tags that an object has, or that a copy takes along, can be decided only with them: they
//! are fetched first. (The object's own may change before the request itself arrives there.) A store that knows no tags has objects without any; every other failure to learn them refuses
//! the request.

use http::Method;
use wigeon_core::s3::operation::Operation;

use super::head::Head;
use super::mapping::Place;
use super::origin::{Origin, Received, ReceivedBody};
use super::upload::Outgoing;
use crate::authorize::Permit;
use crate::backend::protocol::xml::{self, LONGEST_BODY, child_text, children};
use crate::classify::{CopySource, Tags};
use crate::refusal::Refusal;

/// What a copy reads, and the tags that come along with it.
pub(super) async fn ask_of_source(
    origin: &Origin,
    permit: &Permit,
    (source, place): (&CopySource, &Place),
) -> Result<(), Refusal> {
    let takes_along = permit.operation() == Operation::CopyObject
        && permit.request().header("x-amz-tagging-directive") != Some("REPLACE");
    if permit.is_account() || !takes_along {
        return Ok(());
    }
    let tags = of_object(origin, place, &place.key(&source.key), source.version_id.as_deref()).await?;
    if tags.is_empty() {
        return Ok(());
    }
    permit.allows_tagged_source(&tags)?;
    let read = if source.version_id.is_some() { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" };
    permit.allows_at_source(read)?;
    permit.allows_tags("s3:PutObjectTagging", &tags, None)?;
    permit.allows_tags("s3:PutObject", &tags, None)
}

/// The tags of a `PutObjectTagging`'s body, asked about.
pub(super) fn ask_of_document(permit: &Permit, document: &[u8]) -> Result<(), Refusal> {
    let tags = read(document)?;
    let versioned = permit.request().query.has("versionId");
    permit.allows_tags(
        if versioned { "s3:PutObjectVersionTagging" } else { "s3:PutObjectTagging" },
        &tags,
        None,
    )
}

/// The tags of an object there.
pub(super) async fn of_object(
    origin: &Origin,
    place: &Place,
    key: &str,
    version: Option<&str>,
) -> Result<Tags, Refusal> {
    let mut query = vec![("tagging", "")];
    query.extend(version.map(|version| ("versionId", version)));
    let head = Head::own(Method::GET, key.to_owned(), &query);
    let received = origin.send(Some(place.bucket().as_str()), &head, Outgoing::nothing()).await?;
    if let Received { body: ReceivedBody::Error(_, document), status, .. } = &received {
        let none = [
            "NoSuchTagSet",
            "NoSuchTagSetError",
            "NotImplemented",
            "NoSuchKey",
            "NoSuchVersion",
            "NoSuchBucket",
            "MethodNotAllowed",
        ];
        return match none.contains(&document.code.as_str()) {
            true => Ok(Tags::new()),
            false => Err(Refusal::access_denied(format!(
                "a policy speaks of the object's tags, and the upstream answered {} {} when asked for them",
                status.as_u16(),
                document.code
            ))),
        };
    }
    let bytes = received.collect(LONGEST_BODY).await.map_err(|reason| origin.unavailable(&reason))?;
    read(&bytes).map_err(|_| origin.unavailable("its answer is not the one to the request"))
}

fn read(document: &[u8]) -> Result<Tags, Refusal> {
    xml::read(document, "Tagging", |node| {
        let tags = children(node, "TagSet").flat_map(|set| children(set, "Tag"));
        let text = |tag, name| child_text(tag, name).map(str::to_owned);
        let mut read = Tags::new();
        for tag in tags {
            let pair = text(tag, "Key").zip(text(tag, "Value"));
            let (key, value) =
                pair.ok_or_else(|| Refusal::malformed_xml("A Tag needs a Key and a Value."))?;
            if read.insert(key, value).is_some() {
                let message = "Cannot provide multiple Tags with the same key";
                return Err(Refusal::new("InvalidTag", http::StatusCode::BAD_REQUEST, message));
            }
        }
        Ok(read)
    })
}
