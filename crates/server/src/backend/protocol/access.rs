//! Who may use a bucket: its policy, the block of public access, ownership and ACLs.
//!
//! There are no ACLs: the account owns every object (`BucketOwnerEnforced`), which is what new buckets at AWS do.
//! Reading an ACL tells that; setting one that says the same is taken, any other is refused.

use std::path::Path;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use roxmltree::Node;
use wigeon_core::s3::BucketName;

use super::buckets::no_content;
use super::headers::{ownership_is_ours, version};
use super::upload::checked_body;
use super::xml::{self, Answer, Xml, child_text, children};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::attributes::Tags;
use crate::backend::local::settings::{BucketSettings, Document, Setting, read_beside};
use crate::body::{RequestBody, empty, full};
use crate::bucket::{BucketAccess, BucketPolicy, BucketPolicyError, LONGEST_POLICY, PublicAccessBlock};
use crate::refusal::Refusal;

/// What stands in the place of a setting that was removed, where a bucket that never had it has a default.
const REMOVED: &str = "removed";

/// What decisions about a bucket are made with.
pub(super) fn of(store: &Store, bucket: &BucketName) -> Result<BucketAccess, Refusal> {
    of_settings(&store.settings(bucket), bucket)
}

/// The same for a store in a directory, which a server may have open.
///
/// # Errors
/// [`Refusal`] where that cannot be known.
pub fn beside(store: &Path, bucket: &BucketName) -> Result<BucketAccess, Refusal> {
    let settings = read_beside(store, bucket).map_err(|error| Refusal::internal(error.to_string()))?;
    of_settings(&settings, bucket)
}

fn of_settings(settings: &BucketSettings, bucket: &BucketName) -> Result<BucketAccess, Refusal> {
    let policy = settings.get(&Setting::Policy).map(|document| compiled(bucket, document)).transpose()?;
    let block = settings
        .get(&Setting::PublicAccessBlock)
        .map_or(PublicAccessBlock::ALL, |document| blocked(document));
    // Unreadable tags are none, and a condition that needs one does not hold.
    let tags = settings.get(&Setting::Tagging).map(|document| document.parsed(parsed_tags));
    Ok(BucketAccess { policy, block, tags })
}

fn parsed_tags(text: &str) -> Tags {
    serde_json::from_str(text).unwrap_or_default()
}

type Compiled = Result<Arc<BucketPolicy>, String>;

fn compiled(bucket: &BucketName, document: &Document) -> Result<Arc<BucketPolicy>, Refusal> {
    let parse = |text: &str| -> Compiled {
        BucketPolicy::parse(bucket, text).map(Arc::new).map_err(|error| error.to_string())
    };
    match &*document.parsed(parse) {
        Ok(policy) => Ok(Arc::clone(policy)),
        Err(reason) => {
            Err(Refusal::access_denied(format!("the policy of the bucket cannot be read: {reason}")))
        }
    }
}

/// What cannot be read blocks everything.
fn blocked(document: &Document) -> PublicAccessBlock {
    match document.text() {
        REMOVED => PublicAccessBlock::NONE,
        text => serde_json::from_str(text).unwrap_or_default(),
    }
}

/// `GetBucketPolicy`
pub(super) async fn policy(store: &Store, permit: &Permit) -> Answer {
    let bucket = permit.bucket()?;
    store.bucket(bucket).await?;
    let document = store.setting(bucket, Setting::Policy).ok_or_else(no_policy)?;
    let mut response = Response::new(full(document.text().to_owned()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// `PutBucketPolicy`. One that would take from its maker the right to change it again needs
/// `x-amz-confirm-remove-self-bucket-access`; the account itself keeps that right in any case.
pub(super) async fn put_policy(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let bucket = permit.bucket()?;
    let document = checked_body(permit, body, LONGEST_POLICY).await?;
    let malformed = |reason: String| Refusal::new("MalformedPolicy", StatusCode::BAD_REQUEST, reason);
    let text =
        std::str::from_utf8(&document).map_err(|_| malformed("The policy is not UTF-8.".to_owned()))?;
    let policy =
        BucketPolicy::parse(bucket, text).map_err(|error: BucketPolicyError| malformed(error.to_string()))?;
    let block = of(store, bucket).map_or(PublicAccessBlock::ALL, |access| access.block);
    if policy.is_public() && block.block_public_policy {
        let refusal = Refusal::access_denied("the policy is public, and the bucket blocks public policies");
        let message = "Access Denied: public policies are blocked by the BlockPublicPolicy block public access setting.";
        return Err(Refusal { message: message.to_owned(), ..refusal });
    }
    let confirmed = permit.request().header("x-amz-confirm-remove-self-bucket-access") == Some("true");
    if !confirmed && !permit.could_change_policy_under(policy.policy()) {
        let message = "The policy would not let you change it again. To set it all the same, send \
                       x-amz-confirm-remove-self-bucket-access: true.";
        return Err(Refusal::new("AccessDenied", StatusCode::FORBIDDEN, message));
    }
    store.set_setting(bucket, Setting::Policy, Some(text.to_owned())).await?;
    Ok(no_content())
}

/// `DeleteBucketPolicy`: also of a bucket that has none.
pub(super) async fn delete_policy(store: &Store, permit: &Permit) -> Answer {
    store.set_setting(permit.bucket()?, Setting::Policy, None).await?;
    Ok(no_content())
}

/// `GetBucketPolicyStatus`
pub(super) async fn policy_status(store: &Store, permit: &Permit) -> Answer {
    let bucket = permit.bucket()?;
    store.bucket(bucket).await?;
    let policy = of(store, bucket)?.policy.ok_or_else(no_policy)?;
    let public = if policy.is_public() { "TRUE" } else { "FALSE" };
    Ok(Xml::document("PolicyStatus", |xml| xml.text("IsPublic", public)).answer())
}

fn no_policy() -> Refusal {
    Refusal::new("NoSuchBucketPolicy", StatusCode::NOT_FOUND, "The bucket policy does not exist")
}

/// `GetPublicAccessBlock`
pub(super) async fn block(store: &Store, permit: &Permit) -> Answer {
    let bucket = permit.bucket()?;
    store.bucket(bucket).await?;
    let document = store.setting(bucket, Setting::PublicAccessBlock);
    if document.as_ref().is_some_and(|document| document.text() == REMOVED) {
        let message = "The public access block configuration was not found";
        return Err(Refusal::new("NoSuchPublicAccessBlockConfiguration", StatusCode::NOT_FOUND, message));
    }
    let block = document.map_or(PublicAccessBlock::ALL, |document| blocked(&document));
    let document = Xml::document("PublicAccessBlockConfiguration", |xml| {
        for (name, value) in [
            ("BlockPublicAcls", block.block_public_acls),
            ("IgnorePublicAcls", block.ignore_public_acls),
            ("BlockPublicPolicy", block.block_public_policy),
            ("RestrictPublicBuckets", block.restrict_public_buckets),
        ] {
            xml.text(name, if value { "true" } else { "false" });
        }
    });
    Ok(document.answer())
}

/// `PutPublicAccessBlock`: what is left out is off.
pub(super) async fn put_block(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let document = checked_body(permit, body, xml::LONGEST_BODY).await?;
    let block = xml::read(&document, "PublicAccessBlockConfiguration", |node| {
        Ok(PublicAccessBlock {
            block_public_acls: flag(node, "BlockPublicAcls")?,
            ignore_public_acls: flag(node, "IgnorePublicAcls")?,
            block_public_policy: flag(node, "BlockPublicPolicy")?,
            restrict_public_buckets: flag(node, "RestrictPublicBuckets")?,
        })
    })?;
    let text = serde_json::to_string(&block).map_err(|error| Refusal::internal(error.to_string()))?;
    store.set_setting(permit.bucket()?, Setting::PublicAccessBlock, Some(text)).await?;
    Ok(Response::new(empty()))
}

fn flag(node: Node<'_, '_>, name: &str) -> Result<bool, Refusal> {
    match child_text(node, name).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Refusal::malformed_xml(format!("{name} must be true or false."))),
    }
}

/// `DeletePublicAccessBlock`: nothing is blocked from then on.
pub(super) async fn delete_block(store: &Store, permit: &Permit) -> Answer {
    store.set_setting(permit.bucket()?, Setting::PublicAccessBlock, Some(REMOVED.to_owned())).await?;
    Ok(no_content())
}

/// `GetBucketOwnershipControls`
pub(super) async fn ownership(store: &Store, permit: &Permit) -> Answer {
    let bucket = permit.bucket()?;
    store.bucket(bucket).await?;
    if store.setting(bucket, Setting::OwnershipControls).is_some() {
        let message = "The bucket ownership controls were not found";
        return Err(Refusal::new("OwnershipControlsNotFoundError", StatusCode::NOT_FOUND, message));
    }
    let document = Xml::document("OwnershipControls", |xml| {
        xml.element("Rule", |xml| xml.text("ObjectOwnership", "BucketOwnerEnforced"));
    });
    Ok(document.answer())
}

/// `PutBucketOwnershipControls`
pub(super) async fn put_ownership(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let document = checked_body(permit, body, xml::LONGEST_BODY).await?;
    let ownership = xml::read(&document, "OwnershipControls", |node| {
        let rule = children(node, "Rule").next();
        let ownership = rule.and_then(|rule| child_text(rule, "ObjectOwnership")).map(str::trim);
        ownership.map(str::to_owned).ok_or_else(|| Refusal::malformed_xml("There is no Rule."))
    })?;
    ownership_is_ours(&ownership)?;
    store.set_setting(permit.bucket()?, Setting::OwnershipControls, None).await?;
    Ok(Response::new(empty()))
}

/// `DeleteBucketOwnershipControls`: as at AWS the answer of reading them changes, and nothing else.
pub(super) async fn delete_ownership(store: &Store, permit: &Permit) -> Answer {
    store.set_setting(permit.bucket()?, Setting::OwnershipControls, Some(REMOVED.to_owned())).await?;
    Ok(no_content())
}

/// `GetBucketAcl`: the account may do everything.
pub(super) async fn bucket_acl(store: &Store, permit: &Permit) -> Answer {
    store.bucket(permit.bucket()?).await?;
    Ok(owners_acl(permit))
}

/// `GetObjectAcl`
pub(super) async fn object_acl(store: &Store, permit: &Permit) -> Answer {
    let (bucket, key) = permit.object()?;
    permit.allows_tagged(&store.head(bucket, key, version(permit.request())?).await?.tags)?;
    Ok(owners_acl(permit))
}

fn owners_acl(permit: &Permit) -> Response<crate::body::ResponseBody> {
    let owner = permit.owner_id();
    let document = Xml::document("AccessControlPolicy", |xml| {
        xml.element("Owner", |xml| xml.text("ID", owner));
        xml.element("AccessControlList", |xml| {
            xml.element("Grant", |xml| {
                let kind =
                    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"";
                xml.element_with("Grantee", kind, |xml| xml.text("ID", owner));
                xml.text("Permission", "FULL_CONTROL");
            });
        });
    });
    document.answer()
}

/// `PutBucketAcl`
pub(super) async fn put_bucket_acl(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    acl_is_the_owners(permit, body).await?;
    store.bucket(permit.bucket()?).await?;
    Ok(Response::new(empty()))
}

/// `PutObjectAcl`
pub(super) async fn put_object_acl(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    acl_is_the_owners(permit, body).await?;
    let (bucket, key) = permit.object()?;
    permit.allows_tagged(&store.head(bucket, key, version(permit.request())?).await?.tags)?;
    Ok(Response::new(empty()))
}

/// Refuses an ACL that grants anything to anybody but the account. Canned ones and grants in headers were
/// looked at before.
async fn acl_is_the_owners(permit: &Permit, body: &mut RequestBody<'_>) -> Result<(), Refusal> {
    let document = checked_body(permit, body, xml::LONGEST_BODY).await?;
    if document.is_empty() {
        return Ok(());
    }
    let owners = xml::read(&document, "AccessControlPolicy", |node| {
        let grants = children(node, "AccessControlList").flat_map(|list| children(list, "Grant"));
        let mut grantees = grants.map(|grant| {
            let grantee = children(grant, "Grantee").next().and_then(|grantee| child_text(grantee, "ID"));
            grantee.map(str::trim) == Some(permit.owner_id())
        });
        Ok(grantees.all(|owner| owner))
    })?;
    match owners {
        true => Ok(()),
        false => Err(Refusal::acls_not_supported()),
    }
}
