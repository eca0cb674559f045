//! Buckets themselves: which there are, where they say they are, and making one.

use bytes::Bytes;
use http::{Method, StatusCode};
use wigeon_core::s3::BucketName;
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::answer;
use super::head::Head;
use super::mapping::Place;
use super::origin::Origin;
use super::upload::Outgoing;
use crate::authorize::Permit;
use crate::backend::protocol::buckets::location_document;
use crate::backend::protocol::xml::{self, Answer, LONGEST_BODY, Xml, child_text, children};
use crate::body::RequestBody;
use crate::refusal::Refusal;

/// All buckets of an upstream's account.
pub(super) async fn all(origin: &Origin) -> Result<Vec<(BucketName, Timestamp)>, Refusal> {
    let head = Head::own(Method::GET, String::new(), &[]);
    let received = origin.send(None, &head, Outgoing::nothing()).await?;
    if !received.status.is_success() {
        return Err(
            origin.unavailable(&format!("it answered {} to a list of its buckets", received.status.as_u16()))
        );
    }
    let unfit = |_| origin.unavailable("its list of buckets is none");
    let bytes = received.collect(LONGEST_BODY).await.map_err(|reason| origin.unavailable(&reason))?;
    xml::read(&bytes, "ListAllMyBucketsResult", |node| {
        let buckets = children(node, "Buckets").flat_map(|all| children(all, "Bucket"));
        let read = buckets.filter_map(|bucket| {
            let name = BucketName::parse_existing(child_text(bucket, "Name")?).ok()?;
            let created = child_text(bucket, "CreationDate").and_then(parse_iso8601);
            Some((name, created.unwrap_or_default()))
        });
        Ok(read.collect())
    })
    .map_err(unfit)
}

/// Whether a bucket is there, and its credentials may see it.
pub(super) async fn exists(origin: &Origin, place: &Place) -> Result<bool, Refusal> {
    let head = Head::own(Method::HEAD, String::new(), &[]);
    let received = origin.send(Some(place.bucket().as_str()), &head, Outgoing::nothing()).await?;
    match received.status {
        status if status.is_success() => Ok(true),
        StatusCode::NOT_FOUND => Ok(false),
        StatusCode::FORBIDDEN => {
            Err(origin.unavailable(&format!("its credentials may not see the bucket `{}`", place.bucket())))
        }
        status => Err(origin.unavailable(&format!("it answered {} for a bucket", status.as_u16()))),
    }
}

/// `GetBucketLocation`: the gateway's region, for which requests are signed.
pub(super) async fn location(origin: &Origin, permit: &Permit, place: &Place) -> Answer {
    let head = Head::own(Method::HEAD, String::new(), &[]);
    let received = origin.send(Some(place.bucket().as_str()), &head, Outgoing::nothing()).await?;
    match received.status {
        status if status.is_success() => Ok(location_document(permit.region())),
        StatusCode::NOT_FOUND => {
            let message = "The specified bucket does not exist";
            Err(Refusal::new("NoSuchBucket", StatusCode::NOT_FOUND, message))
        }
        status => Err(Refusal {
            reason: Some(format!("the upstream answered {}", status.as_u16())),
            ..Refusal::access_denied("")
        }),
    }
}

/// `CreateBucket`. A location constraint names the gateway's region, and stands for the upstream's.
pub(super) async fn create(
    origin: &Origin,
    permit: &Permit,
    place: &Place,
    head: Head,
    body: &mut RequestBody<'_>,
) -> Answer {
    if place.is_part() {
        let message = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(Refusal::new("BucketAlreadyOwnedByYou", StatusCode::CONFLICT, message));
    }
    let document = body.collect(LONGEST_BODY).await?;
    let mut constraint = None;
    if !document.is_empty() {
        constraint = xml::read(&document, "CreateBucketConfiguration", |node| {
            let unknown = node
                .children()
                .find(|child| child.is_element() && child.tag_name().name() != "LocationConstraint");
            match unknown {
                Some(child) => Err(Refusal::not_implemented(child.tag_name().name())),
                None => Ok(child_text(node, "LocationConstraint").map(|region| region.trim().to_owned())),
            }
        })?;
    }
    if let Some(region) = constraint.filter(|region| !region.is_empty() && region != permit.region()) {
        let message = format!(
            "The {region} location constraint is incompatible: this server's region is {}.",
            permit.region()
        );
        return Err(Refusal::new("IllegalLocationConstraintException", StatusCode::BAD_REQUEST, message));
    }
    let mut head = head;
    for name in ["content-md5", "x-amz-sdk-checksum-algorithm"] {
        head.headers.remove(name);
    }
    let checksums = head.headers.keys().filter(|name| name.as_str().starts_with("x-amz-checksum-"));
    for name in checksums.cloned().collect::<Vec<_>>() {
        head.headers.remove(name);
    }
    let sent = match origin.needs_constraint() {
        None => Bytes::new(),
        Some(region) => {
            let document =
                Xml::document("CreateBucketConfiguration", |xml| xml.text("LocationConstraint", region));
            document.into_text().into()
        }
    };
    let received = origin.send(Some(place.bucket().as_str()), &head, Outgoing::document(sent)).await?;
    let created = received.status.is_success();
    let mut response = answer::relayed(received, permit, place)?;
    if created && let Ok(location) = http::HeaderValue::from_str(&format!("/{}", place.name())) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    Ok(response)
}

/// A part of a bucket is there when its bucket is.
pub(super) fn no_such_configuration(operation: &str) -> Refusal {
    let refusal = Refusal::not_implemented(operation);
    let message =
        format!("{operation} is not available: this bucket is a part of another one, which it would change.");
    Refusal { message, ..refusal }
}
