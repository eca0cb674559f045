//! Operations on buckets themselves.

use std::collections::BTreeMap;

use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use wigeon_core::s3::BucketName;
use wigeon_core::time::{Timestamp, iso8601_millis};

use super::headers::ownership_is_ours;
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::body::{RequestBody, ResponseBody, empty};
use crate::classify::locks_versions;
use crate::refusal::Refusal;

/// `ListBuckets`, with those of other stores.
pub(super) async fn list(store: &Store, permit: &Permit, others: Vec<(BucketName, Timestamp)>) -> Answer {
    let query = &permit.request().query;
    let prefix = query.value("prefix").unwrap_or_default();
    let after = query.value("continuation-token").unwrap_or_default();
    let most: usize = match query.value("max-buckets").map(str::parse) {
        None => 10_000,
        Some(Ok(most)) if (1..=10_000).contains(&most) => most,
        Some(_) => return Err(Refusal::invalid_argument("max-buckets must be between 1 and 10000.")),
    };
    let own = store.buckets().await?.into_iter().map(|bucket| (bucket.name, bucket.created));
    let mut buckets: BTreeMap<BucketName, Timestamp> = own.chain(others).collect();
    buckets.retain(|name, _| name.as_str().starts_with(prefix) && name.as_str() > after);
    let more = buckets.len() > most;
    let last = buckets.keys().nth(most.saturating_sub(1)).filter(|_| more).map(ToString::to_string);
    let document = Xml::document("ListAllMyBucketsResult", |xml| {
        xml.element("Owner", |xml| xml.text("ID", permit.owner_id()));
        xml.element("Buckets", |xml| {
            for (name, created) in buckets.iter().take(most) {
                xml.element("Bucket", |xml| {
                    xml.text("Name", name.as_str());
                    xml.text("CreationDate", &iso8601_millis(*created));
                });
            }
        });
        xml.optional("Prefix", query.value("prefix"));
        xml.optional("ContinuationToken", last.as_deref());
    });
    Ok(document.answer())
}

/// `CreateBucket`. The location constraint, if there is one, must be this server's region.
pub(super) async fn create(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    // Older names are served where they exist; a new bucket follows the rules for new buckets.
    let bucket = BucketName::parse(permit.bucket()?.as_str())?;
    if let Some(ownership) = permit.request().header("x-amz-object-ownership") {
        ownership_is_ours(ownership)?;
    }
    let constraint = body.collect(LONGEST_BODY).await?;
    if !constraint.is_empty() {
        let region = xml::read(&constraint, "CreateBucketConfiguration", |node| {
            Ok(child_text(node, "LocationConstraint").map(|region| region.trim().to_owned()))
        })?;
        if let Some(region) = region.filter(|region| !region.is_empty() && region != permit.region()) {
            let message = format!(
                "The {region} location constraint is incompatible: this server's region is {}.",
                permit.region()
            );
            return Err(Refusal::new("IllegalLocationConstraintException", StatusCode::BAD_REQUEST, message));
        }
    }
    match locks_versions(permit.request()) {
        true => store.create_locking_bucket(&bucket).await?,
        false => store.create_bucket(&bucket).await?,
    };
    let mut response = Response::new(empty());
    if let Ok(location) = HeaderValue::from_str(&format!("/{bucket}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `DeleteBucket`
pub(super) async fn delete(store: &Store, permit: &Permit) -> Answer {
    store.delete_bucket(permit.bucket()?).await?;
    Ok(no_content())
}

/// `HeadBucket`
pub(super) async fn head(store: &Store, permit: &Permit) -> Answer {
    store.bucket(permit.bucket()?).await?;
    let mut response = Response::new(empty());
    if let Ok(region) = HeaderValue::from_str(permit.region()) {
        response.headers_mut().insert("x-amz-bucket-region", region);
    }
    Ok(response)
}

/// `GetBucketLocation`
pub(super) async fn location(store: &Store, permit: &Permit) -> Answer {
    store.bucket(permit.bucket()?).await?;
    Ok(location_document(permit.region()))
}

/// A bucket's location: empty for us-east-1, as at AWS.
pub(crate) fn location_document(region: &str) -> Response<ResponseBody> {
    let region = if region == "us-east-1" { "" } else { region };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{region}</LocationConstraint>"
    );
    xml::answer(StatusCode::OK, body)
}

/// 204.
pub(super) fn no_content() -> Response<ResponseBody> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
