//! What the store is asked for, where it takes more than a bucket and a key; and the pages it answers with.

use std::ops::Range;

use wigeon_core::s3::{BucketName, ObjectKey};

use super::attributes::{Attributes, StorageClass, Tags};
use super::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind, Checksums};
use super::conditions::{PutCondition, ReadConditions};
use super::etag::ETag;
use super::object::{ObjectInfo, ObjectSummary, PartInfo, UploadId, UploadInfo, VersionSummary};
use super::object_lock::Lock;
use super::version::VersionId;

/// The most that one page of a listing holds, whatever is asked for (S3's limit).
pub const PAGE_LIMIT: usize = 1000;

/// A version of an object, as the source of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The version; `None` for the current one.
    pub version: Option<VersionId>,
}

/// Something to delete.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// The key.
    pub key: ObjectKey,
    /// The version; `None` for the object itself, of which the versions then stay.
    pub version: Option<VersionId>,
    /// What must hold of the current version.
    pub condition: PutCondition,
    /// Whoever deletes may bypass a retention of mode `GOVERNANCE`.
    pub bypass_governance: bool,
}

impl Deletion {
    /// Of an object, whatever it is.
    #[must_use]
    pub fn of(key: ObjectKey) -> Self {
        Self { key, version: None, condition: PutCondition::Always, bypass_governance: false }
    }
}

/// What a deletion did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// There was something to delete.
    pub existed: bool,
    /// The version that is gone, or the delete marker that was made; `None` in a bucket that never had versions.
    pub version: Option<VersionId>,
    /// That version is a delete marker.
    pub marker: bool,
}

/// A copy within the store.
#[derive(Debug, Clone)]
pub struct CopyRequest {
    /// What to copy.
    pub source: Source,
    /// What must hold of it; [`StoreError::PreconditionFailed`](super::error::StoreError) otherwise.
    pub source_conditions: ReadConditions,
    /// Where to; may be the source itself, to change its attributes.
    pub target: (BucketName, ObjectKey),
    /// What must hold of the object that is replaced.
    pub condition: PutCondition,
    /// New headers and metadata; `None` keeps the source's.
    pub attributes: Option<Attributes>,
    /// New tags; `None` keeps the source's.
    pub tags: Option<Tags>,
    /// The storage class of the copy.
    pub storage_class: StorageClass,
    /// A checksum that the copy shall have; it is computed if the source has none. `None` keeps the source's.
    pub checksum: Option<ChecksumAlgorithm>,
    /// What shall protect the copy; the source's lock stays with the source.
    pub lock: Lock,
}

/// What a copy made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The new object.
    pub object: ObjectInfo,
    /// The version that was copied; `None` from a bucket that never had versions.
    pub source_version: Option<VersionId>,
}

/// A multipart upload to begin.
#[derive(Debug, Clone, Default)]
pub struct NewUpload {
    /// Headers and metadata of the object to be.
    pub attributes: Attributes,
    /// Its tags.
    pub tags: Tags,
    /// Its storage class.
    pub storage_class: StorageClass,
    /// The checksum it shall have.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// What shall protect it.
    pub lock: Lock,
}

/// A part to be taken from an object of the store.
#[derive(Debug, Clone)]
pub struct PartCopyRequest {
    /// What to copy from.
    pub source: Source,
    /// What must hold of it.
    pub source_conditions: ReadConditions,
    /// The bytes to copy; `None` for all. Must lie within the object.
    pub range: Option<Range<u64>>,
    /// The upload's bucket and key.
    pub target: (BucketName, ObjectKey),
    /// The upload.
    pub upload: UploadId,
    /// 1–10,000.
    pub number: u32,
}

/// The completion of a multipart upload.
#[derive(Debug, Clone, Default)]
pub struct Completion {
    /// The parts in ascending order.
    pub parts: Vec<CompletedPart>,
    /// The checksum that the client expects of the whole object.
    pub checksum: Option<Checksum>,
    /// The size in bytes that the client expects of the whole object.
    pub size: Option<u64>,
    /// What must hold of the object that is replaced.
    pub condition: PutCondition,
}

/// What a completion made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The object's tag.
    pub etag: ETag,
    /// Bytes.
    pub size: u64,
    /// Its version; `None` in a bucket that never had versions.
    pub version: Option<VersionId>,
    /// Its checksums.
    pub checksums: Checksums,
}

/// One part in a completion. What is given must be what the store has.
#[derive(Debug, Clone)]
pub struct CompletedPart {
    /// Its number.
    pub number: u32,
    /// Its tag.
    pub etag: ETag,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// A page of objects to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only keys that begin so.
    pub prefix: String,
    /// Keys that hold this after the prefix are rolled up into one common prefix, up to and including it.
    /// Empty means none.
    pub delimiter: String,
    /// Only keys after this one, in the order of their bytes (`marker`, `start-after`, or
    /// [`ObjectPage::next`]). A text that has the form of a common prefix stands for everything it rolls up.
    pub after: String,
    /// At most so many keys and common prefixes together; [`PAGE_LIMIT`] at most.
    pub max_keys: usize,
}

/// A page of objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectPage {
    /// Objects in the order of their keys' bytes.
    pub objects: Vec<ObjectSummary>,
    /// Common prefixes in the order of their bytes.
    pub common_prefixes: Vec<String>,
    /// There is more: the last key or common prefix of this page, for [`ListQuery::after`].
    pub next: Option<String>,
}

/// A page of versions to list.
#[derive(Debug, Clone, Default)]
pub struct VersionQuery {
    /// Only keys that begin so.
    pub prefix: String,
    /// As [`ListQuery::delimiter`].
    pub delimiter: String,
    /// As [`ListQuery::after`]: only versions of later keys …
    pub after_key: String,
    /// … and those of that very key that are older than this one.
    pub after_version: Option<VersionId>,
    /// At most so many versions and common prefixes together; [`PAGE_LIMIT`] at most.
    pub max_keys: usize,
}

/// A page of versions, in the order of their keys' bytes, then the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionPage {
    /// Versions and delete markers.
    pub versions: Vec<VersionSummary>,
    /// Common prefixes.
    pub common_prefixes: Vec<String>,
    /// There is more: the markers for the next page. The version is absent after a common prefix.
    pub next: Option<(String, Option<VersionId>)>,
}

/// A page of uploads to list.
#[derive(Debug, Clone, Default)]
pub struct UploadQuery {
    /// Only keys that begin so.
    pub prefix: String,
    /// As [`ListQuery::delimiter`].
    pub delimiter: String,
    /// As [`ListQuery::after`]: only uploads of later keys …
    pub after_key: String,
    /// … and those of that very key that were begun after this one.
    pub after_upload: Option<UploadId>,
    /// At most so many uploads and common prefixes together; [`PAGE_LIMIT`] at most.
    pub max_uploads: usize,
}

/// A page of uploads, in the order of their keys' bytes, then of their beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadPage {
    /// Uploads.
    pub uploads: Vec<UploadInfo>,
    /// Common prefixes.
    pub common_prefixes: Vec<String>,
    /// There is more: the markers for the next page. The upload is absent after a common prefix.
    pub next: Option<(String, Option<UploadId>)>,
}

/// A page of parts, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartPage {
    /// Parts.
    pub parts: Vec<PartInfo>,
    /// There is more: the last number of this page.
    pub next: Option<u32>,
}
