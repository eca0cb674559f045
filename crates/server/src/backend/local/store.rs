//! The store's operations (skeleton).
#![expect(unused_variables, clippy::unused_async, reason = "signatures first")]
use std::path::Path;
use std::sync::Arc;

use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Clock;

use super::attributes::{NewObject, Tags};
use super::checksum::{ChecksumAlgorithm, Checksums};
use super::conditions::PutCondition;
use super::content::Content;
use super::error::StoreError;
use super::object::{BucketInfo, ObjectInfo, ObjectPart, PartInfo, UploadId, UploadInfo};
use super::request::{
    Completion, CopyRequest, ListQuery, NewUpload, ObjectPage, PartCopyRequest, PartPage, UploadPage,
    UploadQuery,
};
use super::staging::{Staged, Writer};

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Tells when objects are written.
    pub clock: Arc<dyn Clock>,
    /// Contents of at most so many bytes lie in the index.
    pub inline_limit: usize,
    /// The smallest part that need not be the last, in bytes.
    pub min_part_size: u64,
    /// How many operations read the index at once.
    pub readers: usize,
}

impl Options {
    /// 16 KiB inline, S3's 5 MiB for parts, eight readers.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inline_limit: 16 << 10, min_part_size: 5 << 20, readers: 8 }
    }
}

/// An open store. Cheap to clone; closed, its threads ended, when the last clone and reader is dropped.
#[derive(Clone)]
pub struct Store {
    _later: (),
}

impl Store {
    /// Opens the store in a directory, creating it if need be, and brings to an end what a crash
    /// interrupted. Blocks.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NewerFormat`], [`StoreError::Io`], …
    pub fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Begins a content. MD5 is always computed, for the entity tag; `checksums` beside it.
    #[must_use]
    pub fn writer(&self, checksums: &[ChecksumAlgorithm]) -> Writer {
        Writer::new(checksums)
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// [`StoreError::BucketAlreadyExists`]
    pub async fn create_bucket(&self, bucket: &BucketName) -> Result<BucketInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Deletes an empty bucket, and aborts its multipart uploads.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::BucketNotEmpty`]
    pub async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), StoreError> {
        Err(StoreError::Stopped)
    }

    /// Tells of a bucket.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`]
    pub async fn bucket(&self, bucket: &BucketName) -> Result<BucketInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// All buckets, by name.
    ///
    /// # Errors
    /// Failures of the store only.
    pub async fn buckets(&self) -> Result<Vec<BucketInfo>, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Makes the staged content an object, in place of what the key had.
    ///
    /// # Errors
    /// NoSuchBucket, PreconditionFailed, NoSuchKey (a condition needs the object to be there), Full
    pub async fn put(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        staged: Staged,
        object: NewObject,
        condition: PutCondition,
    ) -> Result<ObjectInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Tells of an object.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`]
    pub async fn head(&self, bucket: &BucketName, key: &ObjectKey) -> Result<ObjectInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Tells of an object and gives its bytes.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`], [`StoreError::Corrupt`]
    pub async fn get(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<(ObjectInfo, Content), StoreError> {
        Err(StoreError::Stopped)
    }

    /// The parts that a multipart object was completed from; none of another object.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`]
    pub async fn object_parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Vec<ObjectPart>, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Deletes an object; tells whether there was one.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::PreconditionFailed`]
    pub async fn delete(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        condition: PutCondition,
    ) -> Result<bool, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Deletes objects in one commit; an answer for each, in order.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`]
    pub async fn delete_many(
        &self,
        bucket: &BucketName,
        keys: Vec<(ObjectKey, PutCondition)>,
    ) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Copies an object without touching its bytes.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`], [`StoreError::PreconditionFailed`]
    pub async fn copy(&self, request: CopyRequest) -> Result<ObjectInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Replaces an object's tags.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`]
    pub async fn set_tags(&self, bucket: &BucketName, key: &ObjectKey, tags: Tags) -> Result<(), StoreError> {
        Err(StoreError::Stopped)
    }

    /// One page of a bucket's objects.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`]
    pub async fn list(&self, bucket: &BucketName, query: ListQuery) -> Result<ObjectPage, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Begins a multipart upload.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`]
    pub async fn create_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: NewUpload,
    ) -> Result<UploadInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Tells of a multipart upload.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`]
    pub async fn upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
    ) -> Result<UploadInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Makes the staged content a part, in place of an earlier one of this number.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], [`StoreError::PartNumberOutOfRange`]
    pub async fn put_part(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        staged: Staged,
        checksums: Checksums,
    ) -> Result<PartInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Makes bytes of an object of the store a part.
    ///
    /// # Errors
    /// as put_part; NoSuchKey, PreconditionFailed, RangeNotSatisfiable
    pub async fn copy_part(&self, request: PartCopyRequest) -> Result<PartInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Completes an upload: its parts become an object, without being rewritten.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], [`StoreError::NoParts`], [`StoreError::InvalidPart`], [`StoreError::InvalidPartOrder`], [`StoreError::PartTooSmall`], [`StoreError::DigestMismatch`], [`StoreError::PreconditionFailed`], [`StoreError::NoSuchKey`]
    pub async fn complete_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
        completion: Completion,
    ) -> Result<ObjectInfo, StoreError> {
        Err(StoreError::Stopped)
    }

    /// Aborts an upload and deletes its parts.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`]
    pub async fn abort_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
    ) -> Result<(), StoreError> {
        Err(StoreError::Stopped)
    }

    /// One page of an upload's parts: those with a number above `after`.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`]
    pub async fn list_parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
        after: u32,
        max_parts: usize,
    ) -> Result<PartPage, StoreError> {
        Err(StoreError::Stopped)
    }

    /// One page of a bucket's uploads.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`]
    pub async fn list_uploads(
        &self,
        bucket: &BucketName,
        query: UploadQuery,
    ) -> Result<UploadPage, StoreError> {
        Err(StoreError::Stopped)
    }
}
