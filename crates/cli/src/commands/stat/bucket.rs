//! What is known of a bucket: each thing asked for at the same time, and left out where it may not be asked.

use serde_json::{Value, json};
use wigeon_client::s3::{BucketSetting, Client, S3Error};
use wigeon_core::s3::BucketName;

use super::super::{bucket, lock};
use super::asking::known;

pub(super) async fn known_of(client: &Client, name: &BucketName) -> Result<Value, S3Error> {
    let region = client.head_bucket(name).await?;
    let has = async |setting| {
        let found = known(client.bucket_setting(name, setting).await)?;
        Ok::<_, S3Error>(found.map(|document| document.is_some()))
    };
    let (versioning, tags, lock, policy, cors, lifecycle, encryption, public, website, replication) = tokio::try_join!(
        async { known(client.versioning(name).await) },
        async { known(client.bucket_tags(name).await) },
        async { known(client.bucket_lock(name).await) },
        has(BucketSetting::Policy),
        has(BucketSetting::Cors),
        has(BucketSetting::Lifecycle),
        has(BucketSetting::Encryption),
        has(BucketSetting::PublicAccessBlock),
        has(BucketSetting::Website),
        has(BucketSetting::Replication),
    )?;
    let region = region.as_deref().unwrap_or_else(|| client.endpoint().region());
    let tags =
        tags.map(|tags| Value::Object(tags.into_iter().map(|(name, value)| (name, value.into())).collect()));
    let mut lock = lock.map(|lock| lock::bucket_document(name.as_str(), lock));
    let object_lock = lock.as_mut().and_then(|lock| lock.get_mut("object_lock").map(Value::take));
    let default = lock.and_then(|mut lock| lock.get_mut("default").map(Value::take));
    Ok(json!({
        "bucket": name,
        "region": region,
        "endpoint": client.endpoint().origin(),
        "versioning": versioning.map(bucket::word),
        "object_lock": object_lock,
        "default_retention": default,
        "policy": policy,
        "cors": cors,
        "lifecycle": lifecycle,
        "encryption": encryption,
        "public_access_block": public,
        "website": website,
        "replication": replication,
        "tags": tags,
    }))
}
