//! Why the store refused or failed: one variant per decision its caller can take.

use std::io;

use wigeon_core::time::Timestamp;

use super::version::VersionId;

/// A version that says that its key was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteMarker {
    /// Its name.
    pub version: VersionId,
    /// When it was made; whole milliseconds.
    pub modified: Timestamp,
    /// Its place among the versions of its key.
    pub(super) seq: i64,
}

/// The store's refusals and failures.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The bucket does not exist.
    #[error("bucket `{0}` does not exist")]
    NoSuchBucket(String),
    /// A bucket of this name exists already.
    #[error("bucket `{0}` exists already")]
    BucketAlreadyExists(String),
    /// A bucket that holds objects is not deleted.
    #[error("bucket `{0}` is not empty; delete its objects and their versions first")]
    BucketNotEmpty(String),
    /// The object does not exist.
    #[error("key `{0}` does not exist")]
    NoSuchKey(String),
    /// The key's latest version is a delete marker.
    #[error("the key was deleted")]
    Deleted(DeleteMarker),
    /// The key has no such version.
    #[error("version `{0}` does not exist")]
    NoSuchVersion(String),
    /// The version that was named is a delete marker, which has no content.
    #[error("the version is a delete marker")]
    IsDeleteMarker(DeleteMarker),
    /// The bucket would hold more than it may. Nothing was changed.
    #[error("the bucket's quota does not allow for more; delete something first, or ask for a higher quota")]
    QuotaExceeded,
    /// The version is protected: by a retention that is not over, or by a legal hold.
    #[error("the version is protected by object lock")]
    Locked,
    /// The bucket does not lock versions, so nothing in it can be locked.
    #[error("the bucket has no object lock")]
    NoBucketLock,
    /// A bucket that locks versions has to keep them.
    #[error("bucket `{0}` has to keep versions for object lock")]
    LockNeedsVersions(String),
    /// A retention that is over before it begins.
    #[error("a retention has to end in the future")]
    RetentionInThePast,
    /// The multipart upload does not exist: never begun, completed, aborted, or of another key.
    #[error("multipart upload `{0}` does not exist; it may have been completed or aborted")]
    NoSuchUpload(String),
    /// The object, or the upload, has no part of this number.
    #[error("there is no part {0}")]
    NoSuchPart(u32),
    /// A part named by a completion was not uploaded, or its ETag or checksum differs.
    #[error("part {0} was not uploaded, or its entity tag or checksum differs from the one given")]
    InvalidPart(u32),
    /// The parts of a completion are not in ascending order.
    #[error("parts must be listed in ascending order of their numbers")]
    InvalidPartOrder,
    /// A completion names no part at all.
    #[error("an upload needs at least one part to be completed")]
    NoParts,
    /// A part number outside 1–10,000.
    #[error("part number {0} is not between 1 and 10000")]
    PartNumberOutOfRange(u32),
    /// A part other than the last is smaller than the minimum.
    #[error("part {number} has {size} bytes; every part but the last needs at least {minimum}")]
    PartTooSmall {
        /// The part's number.
        number: u32,
        /// Its size in bytes.
        size: u64,
        /// The minimum in bytes.
        minimum: u64,
    },
    /// The stated size or checksum of an object is not that of its bytes.
    #[error("the {0} given for the object is not that of its content")]
    DigestMismatch(&'static str),
    /// `If-Match`, `If-None-Match` and their like did not hold.
    #[error("a precondition of the request does not hold")]
    PreconditionFailed,
    /// A range that does not lie within the content.
    #[error("range {start}–{end} does not lie within {size} bytes")]
    RangeNotSatisfiable {
        /// First byte wanted.
        start: u64,
        /// One past the last byte wanted.
        end: u64,
        /// The content's size.
        size: u64,
    },
    /// The disk, or its quota, is full. Nothing was changed; deleting still works when a little is left.
    #[error("the store's disk is full; free some space and repeat the request")]
    Full(#[source] io::Error),
    /// What is stored contradicts itself: a missing or short file, an unreadable row.
    #[error("the store is damaged: {0}; run `wigeon store verify`")]
    Corrupt(String),
    /// There is no store in the directory.
    #[error("there is no store in `{0}`")]
    NoStore(String),
    /// Another process has the store open.
    #[error("the store in `{0}` is in use by another process; stop that one first")]
    InUse(String),
    /// The store was written by a newer program.
    #[error("the store has format {found}, this program knows {known}; use a newer program")]
    NewerFormat {
        /// The format found.
        found: i64,
        /// The newest format this program knows.
        known: i64,
    },
    /// The store was written by an older program, and nothing brought it forward yet.
    #[error(
        "the store has format {found}, this program writes {known}; open it once for writing, with `wigeon serve` or `--repair`"
    )]
    OlderFormat {
        /// The format found.
        found: i64,
        /// The format this program writes.
        known: i64,
    },
    /// An earlier failure to write means that the disk's state is not known: no more writes until the store
    /// is opened anew.
    #[error(
        "the store takes no more writes since a write to its disk failed; restart after checking the disk"
    )]
    Stopped,
    /// The index failed.
    #[error("the store's index failed")]
    Index(#[source] rusqlite::Error),
    /// The file system failed.
    #[error("could not {doing} in the store")]
    Io {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// Wraps what the system said while `doing` something; a full disk becomes [`StoreError::Full`].
    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(source),
            _ => Self::Io { doing, source },
        }
    }

    /// Whether the caller's request was at fault or merely out of luck, rather than the store.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Corrupt(_)
                | Self::NoStore(_)
                | Self::InUse(_)
                | Self::OlderFormat { .. }
                | Self::NewerFormat { .. }
                | Self::Stopped
                | Self::Index(_)
                | Self::Io { .. }
                | Self::Full(_)
        )
    }
}

/// `SQLITE_IOERR_SHMSIZE`
const SHARED_MEMORY_SIZE: i32 = 4874;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
        // No room for the index of the log.
        let no_room = error.sqlite_error().is_some_and(|error| error.extended_code == SHARED_MEMORY_SIZE);
        if no_room {
            return Self::Full(io::Error::new(io::ErrorKind::StorageFull, error));
        }
        match error.sqlite_error_code() {
            Some(DiskFull) => Self::Full(io::Error::new(io::ErrorKind::StorageFull, error)),
            Some(DatabaseCorrupt | NotADatabase) => {
                Self::Corrupt(format!("the index is unreadable ({error})"))
            }
            _ => Self::Index(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = StoreError::io("write")(io::ErrorKind::StorageFull.into());
        assert!(matches!(full, StoreError::Full(_)));
        let full = StoreError::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), None));
        assert!(matches!(full, StoreError::Full(_)));
        let other = StoreError::io("write")(io::ErrorKind::NotFound.into());
        assert!(matches!(other, StoreError::Io { doing: "write", .. }));
        assert!(!other.is_refusal() && StoreError::PreconditionFailed.is_refusal());
    }
}
