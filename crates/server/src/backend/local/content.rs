//! Content on its way out (skeleton).
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use super::error::StoreError;

/// The bytes of an object as they were when it was looked up, whatever happens to it since.
#[derive(Debug)]
pub struct Content {
    size: u64,
}

/// Bytes of a content, in order, in chunks of at most 256 KiB.
#[derive(Debug)]
pub struct ContentStream {
    _later: (),
}

impl Content {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads a range (end exclusive) that must lie within the content.
    ///
    /// # Errors
    /// [`StoreError::RangeNotSatisfiable`].
    pub fn read(self, _range: Range<u64>) -> Result<ContentStream, StoreError> {
        Err(StoreError::Stopped)
    }
}

impl Stream for ContentStream {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}
