//! What the store does with buckets.

use wigeon_core::s3::BucketName;

use super::super::buckets;
use super::super::error::StoreError;
use super::super::index::{all, bucket_info, one};
use super::super::object::BucketInfo;
use super::super::store::Store;
use super::super::version::Versioning;

impl Store {
    /// Creates a bucket.
    ///
    /// # Errors
    /// [`StoreError::BucketAlreadyExists`].
    pub async fn create_bucket(&self, bucket: &BucketName) -> Result<BucketInfo, StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, _, clock| buckets::create(index, &bucket, false, clock.now())).await
    }

    /// Creates a bucket that locks versions, and therefore keeps them.
    ///
    /// # Errors
    /// [`StoreError::BucketAlreadyExists`].
    pub async fn create_locking_bucket(&self, bucket: &BucketName) -> Result<BucketInfo, StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, _, clock| buckets::create(index, &bucket, true, clock.now())).await
    }

    /// Deletes an empty bucket, and aborts its multipart uploads.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::BucketNotEmpty`].
    pub async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, effects, _| buckets::delete(index, effects, &bucket)).await
    }

    /// Tells of a bucket.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn bucket(&self, bucket: &BucketName) -> Result<BucketInfo, StoreError> {
        let bucket = bucket.clone();
        self.read(move |_, index| {
            let sql = "SELECT name, created, versioning FROM bucket WHERE name = ?1";
            one(index, sql, &[&bucket.as_str()], bucket_info)?
                .ok_or_else(|| StoreError::NoSuchBucket(bucket.to_string()))
        })
        .await
    }

    /// All buckets, by name.
    ///
    /// # Errors
    /// Failures of the store only.
    pub async fn buckets(&self) -> Result<Vec<BucketInfo>, StoreError> {
        let sql = "SELECT name, created, versioning FROM bucket ORDER BY name";
        self.read(|_, index| all(index, sql, &[], bucket_info)).await
    }

    /// Has a bucket keep versions, or stop making new ones. It never forgets again that it had some.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`]; [`StoreError::LockNeedsVersions`] of one that locks versions.
    pub async fn set_versioning(&self, bucket: &BucketName, enabled: bool) -> Result<(), StoreError> {
        let bucket = bucket.clone();
        let versioning = if enabled { Versioning::Enabled } else { Versioning::Suspended };
        self.write(move |index, _, _| buckets::set_versioning(index, &bucket, versioning)).await
    }
}
