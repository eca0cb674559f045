//! Content on its way out: a range of an object as a stream of chunks.
//!
//! Files are read on blocking threads, one chunk ahead of the consumer, and one file at a time is open.
//! What is missing or short is [`StoreError::Corrupt`]: the reader's pins keep others from unlinking it.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::{JoinHandle, spawn_blocking};

use super::contents::Slice;
use super::error::StoreError;
use super::pins::Pinned;
use super::places::{ContentId, Places};

/// The most that one chunk holds, in bytes.
pub const CHUNK: usize = 256 << 10;

/// The bytes of an object as they were when it was looked up, whatever happens to it since.
pub struct Content {
    size: u64,
    slices: Vec<Slice>,
    /// The file of a content that is one file, opened when it was looked up.
    opened: Option<(ContentId, File)>,
    places: Places,
    pinned: Pinned,
}

impl Content {
    /// Opens what can be opened at once. Blocks; its pins are held already.
    pub(super) fn open(
        places: Places,
        size: u64,
        slices: Vec<Slice>,
        pinned: Pinned,
    ) -> Result<Self, StoreError> {
        if slices.iter().map(|slice| slice.size).sum::<u64>() != size {
            return Err(StoreError::Corrupt("the slices of an object are not as long as it".to_owned()));
        }
        let opened = match slices.as_slice() {
            [Slice { inline: None, source, .. }] => Some((*source, open(&places, *source)?)),
            _ => None,
        };
        Ok(Self { size, slices, opened, places, pinned })
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads a range (end exclusive) that must lie within the content.
    ///
    /// # Errors
    /// [`StoreError::RangeNotSatisfiable`].
    pub fn read(self, range: Range<u64>) -> Result<ContentStream, StoreError> {
        let slices = within(&self.slices, self.size, &range)?;
        let reader = Reader { slices: slices.into(), opened: self.opened, places: self.places };
        Ok(ContentStream {
            next: Next::Idle(reader),
            remaining: range.end - range.start,
            _pinned: self.pinned,
        })
    }

    /// The slices that make up a range.
    pub(super) fn slices(&self, range: &Range<u64>) -> Result<Vec<Slice>, StoreError> {
        within(&self.slices, self.size, range)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Cuts slices to a range. An empty range has none.
fn within(slices: &[Slice], size: u64, range: &Range<u64>) -> Result<Vec<Slice>, StoreError> {
    if range.start > range.end || range.end > size {
        return Err(StoreError::RangeNotSatisfiable { start: range.start, end: range.end, size });
    }
    let mut cut = Vec::new();
    let mut at = 0;
    for slice in slices {
        let (from, to) = (range.start.max(at), range.end.min(at + slice.size));
        if from < to {
            cut.push(Slice { start: slice.start + (from - at), size: to - from, ..slice.clone() });
        }
        at += slice.size;
    }
    Ok(cut)
}

fn open(places: &Places, id: ContentId) -> Result<File, StoreError> {
    places.open(id).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => StoreError::Corrupt(format!("the file of content {id} is missing")),
        _ => StoreError::io("open a content file")(error),
    })
}

/// Bytes of a content, in order, in chunks of at most [`CHUNK`] bytes. Ends after an error.
pub struct ContentStream {
    next: Next,
    remaining: u64,
    _pinned: Pinned,
}

enum Next {
    Idle(Reader),
    Reading(JoinHandle<Result<(Reader, Bytes), StoreError>>),
    Ended,
}

impl ContentStream {
    /// Bytes still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        loop {
            match std::mem::replace(&mut self.next, Next::Ended) {
                Next::Ended => return Poll::Ready(None),
                Next::Idle(reader) if reader.slices.is_empty() => return Poll::Ready(None),
                Next::Idle(mut reader) => match reader.inline_chunk() {
                    Some(bytes) => {
                        self.next = Next::Idle(reader);
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    None => self.next = Next::Reading(spawn_blocking(move || reader.file_chunk())),
                },
                Next::Reading(mut job) => {
                    let Poll::Ready(done) = Pin::new(&mut job).poll(cx) else {
                        self.next = Next::Reading(job);
                        return Poll::Pending;
                    };
                    let (reader, bytes) = match done.unwrap_or(Err(StoreError::Stopped)) {
                        Ok(chunk) => chunk,
                        Err(failure) => return Poll::Ready(Some(Err(failure))),
                    };
                    self.next = match reader.ends() || reader.starts_inline() {
                        true => Next::Idle(reader),
                        false => Next::Reading(spawn_blocking(move || reader.file_chunk())),
                    };
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}

impl Stream for ContentStream {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = ready!(self.poll_chunk(cx));
        if let Some(Ok(bytes)) = &chunk {
            self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(chunk)
    }
}

impl fmt::Debug for ContentStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentStream").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

/// What is left to read, and the file that is being read.
struct Reader {
    slices: VecDeque<Slice>,
    opened: Option<(ContentId, File)>,
    places: Places,
}

impl Reader {
    fn ends(&self) -> bool {
        self.slices.is_empty()
    }

    fn starts_inline(&self) -> bool {
        self.slices.front().is_some_and(|slice| slice.inline.is_some())
    }

    /// The first slice, if its bytes are here already.
    fn inline_chunk(&mut self) -> Option<Bytes> {
        let Slice { inline: Some(bytes), start, size, .. } = self.slices.front()? else { return None };
        let from = usize::try_from(*start).ok()?;
        let to = from.checked_add(usize::try_from(*size).ok()?)?;
        // The index says that the slice lies within its source; if it lies, the stream ends short, and
        // the file path below reports it.
        let chunk = (to <= bytes.len()).then(|| bytes.slice(from..to))?;
        self.slices.pop_front();
        Some(chunk)
    }

    /// Reads the next chunk of the first slice's file.
    fn file_chunk(mut self) -> Result<(Self, Bytes), StoreError> {
        let Some(mut slice) = self.slices.pop_front() else { return Ok((self, Bytes::new())) };
        let id = slice.source;
        if slice.inline.is_some() {
            return Err(StoreError::Corrupt(format!("content {id} is shorter than the index says")));
        }
        let failed = StoreError::io("read a content file");
        let mut file = match self.opened.take() {
            Some((opened, file)) if opened == id => file,
            _ => open(&self.places, id)?,
        };
        let wanted = usize::try_from(slice.size).unwrap_or(CHUNK).min(CHUNK);
        // Within a slice the file's own position moves on; seeking costs nothing when it is there already.
        let mut chunk = Vec::with_capacity(wanted);
        let read = file
            .seek(SeekFrom::Start(slice.start))
            .and_then(|_| (&file).take(wanted as u64).read_to_end(&mut chunk))
            .map_err(failed)?;
        if read < wanted {
            return Err(StoreError::Corrupt(format!(
                "the file of content {id} is shorter than the index says"
            )));
        }
        slice.start += wanted as u64;
        slice.size -= wanted as u64;
        if slice.size > 0 {
            self.slices.push_front(slice);
        }
        self.opened = Some((id, file));
        Ok((self, Bytes::from(chunk)))
    }
}
