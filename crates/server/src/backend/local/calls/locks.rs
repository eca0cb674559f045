//! What the store does to protect versions.

use wigeon_core::s3::{BucketName, ObjectKey};

use super::super::error::StoreError;
use super::super::locks;
use super::super::object::BucketLock;
use super::super::object_lock::{DefaultRetention, Lock, Retention};
use super::super::store::Store;
use super::super::version::VersionId;

impl Store {
    /// Has a bucket lock its versions, for ever; sets what new ones are retained for.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::LockNeedsVersions`].
    pub async fn lock_bucket(
        &self,
        bucket: &BucketName,
        default: Option<DefaultRetention>,
    ) -> Result<(), StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, effects, _| {
            effects.settings = true;
            locks::enable(index, &bucket, default)
        })
        .await
    }

    /// A bucket's lock, if it has one.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn bucket_lock(&self, bucket: &BucketName) -> Result<Option<BucketLock>, StoreError> {
        let bucket = bucket.clone();
        self.read(move |_, index| locks::of_bucket(index, &bucket)).await
    }

    /// Retains a version until a date, or no more; tells which one it was. `bypass`: whoever asks may bypass
    /// `GOVERNANCE`.
    ///
    /// # Errors
    /// Those of [`Store::head`]; [`StoreError::NoBucketLock`], [`StoreError::RetentionInThePast`],
    /// [`StoreError::Locked`].
    pub async fn set_retention(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        retention: Option<Retention>,
        bypass: bool,
    ) -> Result<Option<VersionId>, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.write(move |index, _, clock| {
            let now = clock.now();
            locks::check_until(retention, now)?;
            locks::change(index, (&bucket, &key), version, |lock| lock.retained(retention, now, bypass))
        })
        .await
    }

    /// Puts a legal hold on a version, or takes it off; tells which one it was.
    ///
    /// # Errors
    /// Those of [`Store::head`]; [`StoreError::NoBucketLock`].
    pub async fn set_legal_hold(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        hold: bool,
    ) -> Result<Option<VersionId>, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.write(move |index, _, _| {
            locks::change(index, (&bucket, &key), version, |lock| Ok(Lock { legal_hold: Some(hold), ..lock }))
        })
        .await
    }
}
