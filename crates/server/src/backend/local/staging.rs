//! Content on its way in (skeleton).
use bytes::Bytes;

use super::checksum::{ChecksumAlgorithm, Checksums};
use super::error::StoreError;
use super::etag::ETag;

/// Takes the bytes of one content, hashes them and writes them, none of it on the caller's thread when they
/// are many. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct Writer {
    _later: (),
}

/// Content that is written and synced but belongs to nothing yet. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    digests: Digests,
}

/// What was computed over a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Bytes.
    pub size: u64,
    /// The entity tag: the MD5.
    pub etag: ETag,
    /// The checksums that were asked for.
    pub checksums: Checksums,
}

impl Writer {
    pub(super) fn new(_checksums: &[ChecksumAlgorithm]) -> Self {
        Self { _later: () }
    }

    /// Takes more bytes; waits when writing or hashing is behind.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]. The writer is of no more use then.
    pub async fn write(&mut self, _bytes: Bytes) -> Result<(), StoreError> {
        Err(StoreError::Stopped)
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        0
    }

    /// Ends the content and syncs it. The digests are known then, so that the caller can compare them with
    /// what the client promised before anything becomes visible.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`].
    pub async fn finish(self) -> Result<Staged, StoreError> {
        Err(StoreError::Stopped)
    }
}

impl Staged {
    /// Size, entity tag and checksums.
    #[must_use]
    pub fn digests(&self) -> &Digests {
        &self.digests
    }
}
