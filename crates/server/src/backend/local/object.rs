//! What the store tells of its buckets, objects, uploads and parts.

use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Timestamp;

use super::attributes::{Attributes, StorageClass, Tags};
use super::checksum::{ChecksumAlgorithm, ChecksumKind, Checksums};
use super::etag::ETag;
use super::object_lock::{DefaultRetention, Lock};
use super::version::{VersionId, Versioning};

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketInfo {
    /// Its name.
    pub name: BucketName,
    /// When it was created; whole milliseconds.
    pub created: Timestamp,
    /// Whether it keeps versions.
    pub versioning: Versioning,
}

/// That a bucket locks versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketLock {
    /// What new ones are retained for, where their writers say nothing.
    pub default: Option<DefaultRetention>,
}

/// What a bucket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of all versions and parts.
    pub bytes: u64,
    /// Versions that are objects.
    pub objects: u64,
}

/// The most that a bucket may hold; `None` is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Objects.
    pub objects: Option<u64>,
}

/// Everything about an object but its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Which version this is; `None` in a bucket that never had versions.
    pub version: Option<VersionId>,
    /// Bytes.
    pub size: u64,
    /// Entity tag; tells also the number of parts.
    pub etag: ETag,
    /// When it was written (of a multipart object: completed); whole milliseconds.
    pub modified: Timestamp,
    /// Storage class.
    pub storage_class: StorageClass,
    /// The additional checksums kept with it.
    pub checksums: Checksums,
    /// Headers and metadata.
    pub attributes: Attributes,
    /// Tags.
    pub tags: Tags,
    /// What protects it.
    pub lock: Lock,
}

/// What a listing tells of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Its key.
    pub key: ObjectKey,
    /// Bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: ETag,
    /// When it was written; whole milliseconds.
    pub modified: Timestamp,
    /// Storage class.
    pub storage_class: StorageClass,
    /// The additional checksums kept with it.
    pub checksums: Checksums,
}

/// What a listing tells of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its key.
    pub key: ObjectKey,
    /// Its name.
    pub version: VersionId,
    /// It is the latest of its key.
    pub is_latest: bool,
    /// When it was written; whole milliseconds.
    pub modified: Timestamp,
    /// What it holds; `None` of a delete marker.
    pub object: Option<ObjectSummary>,
}

/// One part of a completed multipart object. Parts are numbered from 1 without gaps, whatever the numbers
/// they were uploaded under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPart {
    /// 1, 2, …
    pub number: u32,
    /// Where it begins in the object.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Its own checksums.
    pub checksums: Checksums,
}

/// The name of a multipart upload: unguessable, and in the order in which uploads were begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(String);

impl UploadId {
    /// Takes a client's text; one that no upload has is found out when it is looked up.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A multipart upload that has been begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadInfo {
    /// The key it is for.
    pub key: ObjectKey,
    /// Its name.
    pub id: UploadId,
    /// When it was begun; whole milliseconds.
    pub initiated: Timestamp,
    /// The storage class that the object will have.
    pub storage_class: StorageClass,
    /// The checksum that the object will have.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

/// A part of an upload that is not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    /// 1–10,000.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: ETag,
    /// When it was written; whole milliseconds.
    pub modified: Timestamp,
    /// Its checksums.
    pub checksums: Checksums,
}
