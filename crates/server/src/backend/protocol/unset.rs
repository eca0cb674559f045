//! What tools read of a bucket beside its objects: its tags, which are kept, and subjects that do not exist here.
//!
//! Of the latter a read answers as AWS does for a bucket where nothing was set, so that Terraform and others can
//! look; what would set one is refused with `NotImplemented`.

use http::StatusCode;
use wigeon_core::s3::operation::Operation;

use super::buckets::no_content;
use super::headers::checked_tags;
use super::upload::checked_body;
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text, children};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::attributes::Tags;
use crate::backend::local::settings::Setting;
use crate::body::RequestBody;
use crate::refusal::Refusal;

/// How an unset subject answers.
enum Unset {
    /// 404 with a code and a message.
    Missing(&'static str, &'static str),
    /// An empty document with this root.
    Empty(&'static str),
    /// A document with one child: root, name, text.
    Says(&'static str, &'static str, &'static str),
    /// An empty page of a listing.
    Page(&'static str),
}

fn unset(operation: Operation) -> Option<Unset> {
    use Operation as Op;
    let missing_id = "The specified configuration does not exist.";
    Some(match operation {
        Op::GetBucketWebsite => Unset::Missing(
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        ),
        Op::GetBucketReplication => Unset::Missing(
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        ),
        Op::GetBucketMetadataConfiguration | Op::GetBucketMetadataTableConfiguration => {
            Unset::Missing("MetadataConfigurationNotFound", "The metadata configuration was not found")
        }
        Op::GetBucketAnalyticsConfiguration
        | Op::GetBucketInventoryConfiguration
        | Op::GetBucketMetricsConfiguration
        | Op::GetBucketIntelligentTieringConfiguration => Unset::Missing("NoSuchConfiguration", missing_id),
        Op::GetBucketLogging => Unset::Empty("BucketLoggingStatus"),
        Op::GetBucketNotificationConfiguration => Unset::Empty("NotificationConfiguration"),
        Op::GetBucketAccelerateConfiguration => Unset::Empty("AccelerateConfiguration"),
        Op::GetBucketRequestPayment => Unset::Says("RequestPaymentConfiguration", "Payer", "BucketOwner"),
        Op::GetBucketAbac => Unset::Says("AbacStatus", "Status", "Disabled"),
        // AWS encrypts everything and says so; here the disk does, or does not.
        Op::GetBucketEncryption => Unset::Missing(
            "ServerSideEncryptionConfigurationNotFoundError",
            "The server side encryption configuration was not found",
        ),
        Op::ListBucketAnalyticsConfigurations => Unset::Page("ListBucketAnalyticsConfigurationResult"),
        Op::ListBucketInventoryConfigurations => Unset::Page("ListInventoryConfigurationsResult"),
        Op::ListBucketMetricsConfigurations => Unset::Page("ListMetricsConfigurationsResult"),
        Op::ListBucketIntelligentTieringConfigurations => {
            Unset::Page("ListBucketIntelligentTieringConfigurationsOutput")
        }
        _ => return None,
    })
}

/// Whether an operation reads such a subject.
pub(super) fn has(operation: Operation) -> bool {
    unset(operation).is_some()
}

/// The answer of one that [`has`].
pub(super) async fn answer(store: &Store, permit: &Permit) -> Answer {
    store.bucket(permit.bucket()?).await?;
    let document = match unset(permit.operation()) {
        None => return Err(Refusal::not_implemented(permit.operation().name())),
        Some(Unset::Missing(code, message)) => {
            return Err(Refusal::new(code, StatusCode::NOT_FOUND, message));
        }
        Some(Unset::Empty(root)) => Xml::document(root, |_| {}),
        Some(Unset::Says(root, name, text)) => Xml::document(root, |xml| xml.text(name, text)),
        Some(Unset::Page(root)) => Xml::document(root, |xml| xml.text("IsTruncated", "false")),
    };
    Ok(document.answer())
}

/// `GetBucketTagging`
pub(super) async fn tagging(store: &Store, permit: &Permit) -> Answer {
    let bucket = permit.bucket()?;
    store.bucket(bucket).await?;
    let missing = || Refusal::new("NoSuchTagSet", StatusCode::NOT_FOUND, "The TagSet does not exist");
    let document = store.setting(bucket, Setting::Tagging).ok_or_else(missing)?;
    let tags: Tags =
        serde_json::from_str(document.text()).map_err(|error| Refusal::internal(error.to_string()))?;
    let document = Xml::document("Tagging", |xml| {
        xml.element("TagSet", |xml| {
            for (name, value) in &tags {
                xml.element("Tag", |xml| {
                    xml.text("Key", name);
                    xml.text("Value", value);
                });
            }
        });
    });
    Ok(document.answer())
}

/// `PutBucketTagging`: up to fifty.
pub(super) async fn put_tagging(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let document = checked_body(permit, body, LONGEST_BODY).await?;
    let tags = xml::read(&document, "Tagging", |node| {
        let tags = children(node, "TagSet").flat_map(|set| children(set, "Tag"));
        let text = |tag, name| child_text(tag, name).map(str::to_owned);
        let pairs =
            tags.map(|tag| Some((text(tag, "Key")?, text(tag, "Value")?))).collect::<Option<Vec<_>>>();
        pairs.ok_or_else(|| Refusal::malformed_xml("A Tag needs a Key and a Value."))
    })?;
    let tags = checked_tags(tags, 50)?;
    let text = serde_json::to_string(&tags).map_err(|error| Refusal::internal(error.to_string()))?;
    store.set_setting(permit.bucket()?, Setting::Tagging, Some(text)).await?;
    Ok(no_content())
}

/// `DeleteBucketTagging`
pub(super) async fn delete_tagging(store: &Store, permit: &Permit) -> Answer {
    store.set_setting(permit.bucket()?, Setting::Tagging, None).await?;
    Ok(no_content())
}
