//! Whether the objects of a bucket have access control lists of their own.
//!
//! At AWS buckets have none since 2023, unless asked for (Object Ownership: `BucketOwnerEnforced`), and so has Wigeon's own
//! server: one request per bucket and run then saves one per object. Where the store does not say it, they may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use wigeon_core::s3::BucketName;

use crate::s3::{BucketSetting, Client};

/// What is known of buckets, by the store's origin and the bucket's name.
#[derive(Debug, Default)]
pub(crate) struct Lists(Mutex<HashMap<(String, String), Known>>);

/// Asked once, also where many want to know it at the same time.
type Known = Arc<OnceCell<bool>>;

impl Lists {
    pub(crate) async fn may_be_there(&self, client: &Client, bucket: &BucketName) -> bool {
        let cell = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry((client.endpoint().origin(), bucket.to_string())).or_default())
        };
        let ask = async || match client.bucket_setting(bucket, BucketSetting::OwnershipControls).await {
            Ok(Some(document)) => !String::from_utf8_lossy(&document).contains("BucketOwnerEnforced"),
            Ok(None) | Err(_) => true,
        };
        *cell.get_or_init(ask).await
    }
}
