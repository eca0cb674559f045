//! What the store lists, page by page.

use wigeon_core::s3::{BucketName, ObjectKey};

use super::super::error::StoreError;
use super::super::listing::{self, Cost};
use super::super::object::UploadId;
use super::super::request::{
    ListQuery, ObjectPage, PartPage, UploadPage, UploadQuery, VersionPage, VersionQuery,
};
use super::super::store::Store;
use super::super::uploads::UploadAt;

impl Store {
    /// One page of a bucket's objects.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn list(&self, bucket: &BucketName, query: ListQuery) -> Result<ObjectPage, StoreError> {
        Ok(self.list_with_cost(bucket, query).await?.0)
    }

    pub(crate) async fn list_with_cost(
        &self,
        bucket: &BucketName,
        query: ListQuery,
    ) -> Result<(ObjectPage, Cost), StoreError> {
        let bucket = bucket.clone();
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            listing::objects(&snapshot, &bucket, &query)
        })
        .await
    }

    /// One page of a bucket's versions and delete markers.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn list_versions(
        &self,
        bucket: &BucketName,
        query: VersionQuery,
    ) -> Result<VersionPage, StoreError> {
        Ok(self.list_versions_with_cost(bucket, query).await?.0)
    }

    pub(crate) async fn list_versions_with_cost(
        &self,
        bucket: &BucketName,
        query: VersionQuery,
    ) -> Result<(VersionPage, Cost), StoreError> {
        let bucket = bucket.clone();
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            listing::versions(&snapshot, &bucket, &query)
        })
        .await
    }

    /// One page of an upload's parts: those with a number above `after`.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`].
    pub async fn list_parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
        after: u32,
        max_parts: usize,
    ) -> Result<PartPage, StoreError> {
        let at = UploadAt::new(bucket, key, upload);
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            listing::parts(&snapshot, &at, after, max_parts)
        })
        .await
    }

    /// One page of a bucket's uploads.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn list_uploads(
        &self,
        bucket: &BucketName,
        query: UploadQuery,
    ) -> Result<UploadPage, StoreError> {
        let bucket = bucket.clone();
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            listing::uploads(&snapshot, &bucket, &query)
        })
        .await
    }
}
