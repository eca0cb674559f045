//! Object lock: what a bucket retains its versions for, retentions and legal holds.

use http::{Response, StatusCode};
use roxmltree::Node;
use wigeon_core::time::iso8601_millis;

use super::headers;
use super::upload::checked_body;
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text, children};
use crate::authorize::Permit;
use crate::backend::local::object_lock::{DefaultRetention, Lock, Period, Retention, RetentionMode};
use crate::backend::local::version::VersionId;
use crate::backend::local::{Store, StoreError};
use crate::body::{RequestBody, ResponseBody, empty};
use crate::classify::{WrittenLock, bypasses_governance};
use crate::refusal::Refusal;

/// The longest default retention in days: a hundred years.
const LONGEST_DAYS: u32 = 36_500;

/// `GetObjectLockConfiguration`
pub(super) async fn bucket(store: &Store, permit: &Permit) -> Answer {
    let lock = store.bucket_lock(permit.bucket()?).await?.ok_or_else(|| {
        let message = "Object Lock configuration does not exist for this bucket";
        Refusal::new("ObjectLockConfigurationNotFoundError", StatusCode::NOT_FOUND, message)
    })?;
    let document = Xml::document("ObjectLockConfiguration", |xml| {
        xml.text("ObjectLockEnabled", "Enabled");
        if let Some(DefaultRetention { mode, period }) = lock.default {
            xml.element("Rule", |xml| {
                xml.element("DefaultRetention", |xml| {
                    xml.text("Mode", mode.name());
                    match period {
                        Period::Days(days) => xml.text("Days", &days.to_string()),
                        Period::Years(years) => xml.text("Years", &years.to_string()),
                    }
                });
            });
        }
    });
    Ok(document.answer())
}

/// `PutObjectLockConfiguration`: once a bucket locks versions, it does for ever.
pub(super) async fn put_bucket(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let document = checked_body(permit, body, LONGEST_BODY).await?;
    let default = xml::read(&document, "ObjectLockConfiguration", |node| {
        if child_text(node, "ObjectLockEnabled").map(str::trim) != Some("Enabled") {
            return Err(Refusal::malformed_xml("ObjectLockEnabled must be Enabled."));
        }
        let Some(rule) = children(node, "Rule").next() else { return Ok(None) };
        let default = children(rule, "DefaultRetention").next();
        default_retention(default.ok_or_else(|| Refusal::malformed_xml("A Rule needs a DefaultRetention."))?)
            .map(Some)
    })?;
    store.lock_bucket(permit.bucket()?, default).await?;
    Ok(Response::new(empty()))
}

fn default_retention(node: Node<'_, '_>) -> Result<DefaultRetention, Refusal> {
    let mode = child_text(node, "Mode").and_then(|mode| RetentionMode::parse(mode.trim()));
    let number = |name| {
        let number = child_text(node, name).map(|text| text.trim().parse::<u32>()).transpose();
        number.map_err(|_| Refusal::malformed_xml(format!("{name} is not a number.")))
    };
    let period = match (number("Days")?, number("Years")?) {
        (Some(days), None) if (1..=LONGEST_DAYS).contains(&days) => Period::Days(days),
        (None, Some(years)) if (1..=LONGEST_DAYS / 365).contains(&years) => Period::Years(years),
        (Some(_), None) | (None, Some(_)) => {
            return Err(Refusal::invalid_argument(
                "Default retention period must be a positive integer value of at most 36500 days or 100 years.",
            ));
        }
        _ => return Err(Refusal::malformed_xml("A DefaultRetention has either Days or Years.")),
    };
    let mode = mode.ok_or_else(|| Refusal::malformed_xml("Mode is GOVERNANCE or COMPLIANCE."))?;
    Ok(DefaultRetention { mode, period })
}

/// What protects the version that the request means.
async fn lock_of(store: &Store, permit: &Permit) -> Result<(Lock, Option<VersionId>), Refusal> {
    let (bucket, key) = permit.object()?;
    let object = store.head(bucket, key, headers::version(permit.request())?).await?;
    match store.bucket_lock(bucket).await? {
        Some(_) => Ok((object.lock, object.version)),
        None => Err(StoreError::NoBucketLock.into()),
    }
}

fn no_lock() -> Refusal {
    let message = "The specified object does not have a ObjectLock configuration";
    Refusal::new("NoSuchObjectLockConfiguration", StatusCode::NOT_FOUND, message)
}

fn of_version(mut response: Response<ResponseBody>, version: Option<VersionId>) -> Response<ResponseBody> {
    headers::insert_version(response.headers_mut(), version);
    response
}

/// `GetObjectRetention`
pub(super) async fn retention(store: &Store, permit: &Permit) -> Answer {
    let (lock, version) = lock_of(store, permit).await?;
    let retention = lock.retention.ok_or_else(no_lock)?;
    let document = Xml::document("Retention", |xml| {
        xml.text("Mode", retention.mode.name());
        xml.text("RetainUntilDate", &iso8601_millis(retention.until));
    });
    Ok(of_version(document.answer(), version))
}

/// `PutObjectRetention`; an empty document takes the retention off.
pub(super) async fn put_retention(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let (bucket, key) = permit.object()?;
    let document = checked_body(permit, body, LONGEST_BODY).await?;
    let retention = permitted_retention(permit, &document)?;
    let version = headers::version(permit.request())?;
    let bypass = bypasses_governance(permit.request());
    let version = store.set_retention(bucket, key, version, retention, bypass).await?;
    Ok(of_version(Response::new(empty()), version))
}

/// The retention that a body sets, if the requester may set it. What policies ask of it is what the body says, not what a
/// header does.
///
/// # Errors
/// 400 for what is no retention, 403 `AccessDenied`.
pub(crate) fn permitted_retention(permit: &Permit, document: &[u8]) -> Result<Option<Retention>, Refusal> {
    let retention = xml::read(document, "Retention", |node| {
        let text = |name| child_text(node, name).map(str::trim);
        match (text("Mode"), text("RetainUntilDate")) {
            (None, None) => Ok(None),
            (Some(mode), Some(until)) => headers::retention(mode, until).map(Some),
            _ => Err(Refusal::malformed_xml("A Retention has a Mode and a RetainUntilDate.")),
        }
    })?;
    let mode = retention.map(|retention| retention.mode.name());
    let until = retention.map(|retention| retention.until);
    permit.allows_lock("s3:PutObjectRetention", WrittenLock { mode, until, legal_hold: None })?;
    Ok(retention)
}

/// `GetObjectLegalHold`
pub(super) async fn legal_hold(store: &Store, permit: &Permit) -> Answer {
    let (lock, version) = lock_of(store, permit).await?;
    let hold = lock.legal_hold.ok_or_else(no_lock)?;
    let document = Xml::document("LegalHold", |xml| xml.text("Status", if hold { "ON" } else { "OFF" }));
    Ok(of_version(document.answer(), version))
}

/// `PutObjectLegalHold`
pub(super) async fn put_legal_hold(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let (bucket, key) = permit.object()?;
    let document = checked_body(permit, body, LONGEST_BODY).await?;
    let hold = permitted_legal_hold(permit, &document)?;
    let version = headers::version(permit.request())?;
    let version = store.set_legal_hold(bucket, key, version, hold).await?;
    Ok(of_version(Response::new(empty()), version))
}

/// The legal hold that a body sets, if the requester may set it.
///
/// # Errors
/// 400 for what is none, 403 `AccessDenied`.
pub(crate) fn permitted_legal_hold(permit: &Permit, document: &[u8]) -> Result<bool, Refusal> {
    let hold = xml::read(document, "LegalHold", |node| match child_text(node, "Status").map(str::trim) {
        Some("ON") => Ok(true),
        Some("OFF") => Ok(false),
        _ => Err(Refusal::malformed_xml("The Status of a LegalHold is ON or OFF.")),
    })?;
    let written = WrittenLock { legal_hold: Some(if hold { "ON" } else { "OFF" }), ..WrittenLock::default() };
    permit.allows_lock("s3:PutObjectLegalHold", written)?;
    Ok(hold)
}
