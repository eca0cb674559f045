//! What a bucket holds, and the most that it may: Wigeon's own operations, `?quota` of a bucket.
//!
//! S3 has none for it. The actions are `wigeon:GetBucketQuota` and `wigeon:PutBucketQuota`, so that `s3:*` on a bucket does
//! not let its users raise their own limit.

use http::Response;
use roxmltree::Node;

use super::upload::checked_body;
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::object::Quota;
use crate::body::{RequestBody, empty};
use crate::refusal::Refusal;

/// `GetBucketQuota`
pub(super) async fn get(store: &Store, permit: &Permit) -> Answer {
    let (usage, quota) = store.usage(permit.bucket()?).await?;
    let document = Xml::document("BucketQuota", |xml| {
        xml.optional("MaxBytes", quota.bytes.map(|bytes| bytes.to_string()).as_deref());
        xml.optional("MaxObjects", quota.objects.map(|objects| objects.to_string()).as_deref());
        xml.text("UsedBytes", &usage.bytes.to_string());
        xml.text("UsedObjects", &usage.objects.to_string());
    });
    Ok(document.answer())
}

/// `PutBucketQuota`: what is left out is without limit.
pub(super) async fn put(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let document = checked_body(permit, body, LONGEST_BODY).await?;
    let quota = xml::read(&document, "BucketQuota", |node| {
        Ok(Quota { bytes: limit(node, "MaxBytes")?, objects: limit(node, "MaxObjects")? })
    })?;
    store.set_quota(permit.bucket()?, quota).await?;
    Ok(Response::new(empty()))
}

/// The index counts in 63 bits.
fn limit(node: Node<'_, '_>, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = child_text(node, name) else { return Ok(None) };
    let number = text.trim().parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
    number.map(Some).ok_or_else(|| Refusal::malformed_xml(format!("{name} is not a number.")))
}
