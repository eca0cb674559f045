//! What buckets are configured with.

use std::sync::Arc;

use wigeon_core::s3::BucketName;

use super::super::error::StoreError;
use super::super::settings::{self, BucketSettings, Document, Setting};
use super::super::store::Store;

impl Store {
    /// A bucket's settings as of now, from memory; none of a bucket that does not exist.
    #[must_use]
    pub fn settings(&self, bucket: &BucketName) -> Arc<BucketSettings> {
        self.shared.settings.of(bucket)
    }

    /// One of a bucket's settings, from memory.
    #[must_use]
    pub fn setting(&self, bucket: &BucketName, setting: Setting) -> Option<Arc<Document>> {
        self.shared.settings.document(bucket, setting)
    }

    /// Changes a setting, durably; `None` removes it. Whoever looks after the answer finds it changed.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn set_setting(
        &self,
        bucket: &BucketName,
        setting: Setting,
        document: Option<String>,
    ) -> Result<(), StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, effects, _| {
            effects.settings = true;
            settings::set(index, &bucket, setting, document.as_deref())
        })
        .await
    }
}
