//! What the store tells of how full its buckets are.

use wigeon_core::s3::BucketName;

use super::super::error::StoreError;
use super::super::index;
use super::super::object::{Quota, Usage};
use super::super::store::Store;
use super::super::usage;

impl Store {
    /// What a bucket holds, and the most that it may.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn usage(&self, bucket: &BucketName) -> Result<(Usage, Quota), StoreError> {
        let bucket = bucket.clone();
        self.read(move |_, index| usage::of(index, index::bucket(index, &bucket)?)).await
    }

    /// What the buckets hold that hold most, and the most that they may; by their names.
    ///
    /// # Errors
    /// Failures of the store only.
    pub async fn usages(&self, most: usize) -> Result<Vec<(BucketName, Usage, Quota)>, StoreError> {
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            usage::of_fullest(&snapshot, most)
        })
        .await
    }

    /// Sets the most that a bucket may hold. What it holds already stays.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn set_quota(&self, bucket: &BucketName, quota: Quota) -> Result<(), StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, _, _| usage::set_quota(index, &bucket, quota)).await
    }
}
