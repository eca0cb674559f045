//! Content on its way out: a range of an object as a stream of chunks.
//!
//! What the system has in memory is read here and now; what it has not, on a blocking thread, and then the system is told
//! what comes next, so that the disk works while a chunk is sent. One file at a time is open, and one buffer is in use: a
//! consumer that is done with a chunk when it asks for the next has it read into the same memory, still in the processor's
//! cache. What is missing or short is [`StoreError::Corrupt`]: the reader's pins keep others from unlinking it.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::task::{JoinHandle, spawn_blocking};

use super::cached;
use super::contents::Slice;
use super::error::StoreError;
use super::pins::Pinned;
use super::places::{ContentId, Places};

/// The most that one chunk holds, in bytes: more than hyper gathers before it sends, so that it is done with one when it
/// asks for the next.
pub const CHUNK: usize = 512 << 10;

/// So many bytes may be had at once, one chunk after the other; then whoever else is served by this thread has a turn.
const TURN: usize = 4 * CHUNK;

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
        let (opened, places) = (self.opened, self.places);
        let reader = Reader { slices: slices.into(), opened, places, buffer: Buffer::default() };
        Ok(ContentStream {
            next: Next::Idle(reader),
            turn: TURN,
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
        io::ErrorKind::NotFound => StoreError::Corrupt(format!("the file of content {id} is missing")),
        _ => StoreError::io("open a content file")(error),
    })
}

/// Bytes of a content, in order, in chunks of at most [`CHUNK`] bytes. Ends after an error.
pub struct ContentStream {
    next: Next,
    /// Bytes that may be had before it is another's turn.
    turn: usize,
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
                Next::Idle(reader) if self.turn == 0 => {
                    self.turn = TURN;
                    self.next = Next::Idle(reader);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Next::Idle(mut reader) => match reader.chunk_at_hand() {
                    Some(bytes) => {
                        self.turn = self.turn.saturating_sub(bytes.len());
                        self.next = Next::Idle(reader);
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    None => self.next = Next::Reading(spawn_blocking(move || reader.read_chunk())),
                },
                Next::Reading(mut job) => {
                    let Poll::Ready(done) = Pin::new(&mut job).poll(cx) else {
                        self.turn = TURN;
                        self.next = Next::Reading(job);
                        return Poll::Pending;
                    };
                    let (reader, bytes) = match done.unwrap_or(Err(StoreError::Stopped)) {
                        Ok(chunk) => chunk,
                        Err(failure) => return Poll::Ready(Some(Err(failure))),
                    };
                    self.next = Next::Idle(reader);
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
    buffer: Buffer,
}

impl Reader {
    /// The next chunk, if its bytes are in memory.
    fn chunk_at_hand(&mut self) -> Option<Bytes> {
        let slice = self.slices.front()?;
        if let Some(bytes) = &slice.inline {
            let from = usize::try_from(slice.start).ok()?;
            let to = from.checked_add(usize::try_from(slice.size).ok()?)?;
            // The index says that the slice lies within its source; if it lies, reading the chunk reports it.
            let chunk = (to <= bytes.len()).then(|| bytes.slice(from..to))?;
            self.slices.pop_front();
            return Some(chunk);
        }
        let (_, file) = self.opened.as_ref().filter(|(opened, _)| *opened == slice.source)?;
        let mut room = self.buffer.room(wanted(slice));
        let read = cached::read(file, &mut room, slice.start, self.places.are_in_memory());
        let chunk = self.buffer.fill(room, read);
        self.pass(read);
        (read > 0).then_some(chunk)
    }

    /// Reads the next chunk of the first slice's file. Blocks.
    fn read_chunk(mut self) -> Result<(Self, Bytes), StoreError> {
        let Some(slice) = self.slices.front() else { return Ok((self, Bytes::new())) };
        let (id, wanted) = (slice.source, wanted(slice));
        let short = || StoreError::Corrupt(format!("content {id} is shorter than the index says"));
        if slice.inline.is_some() {
            return Err(short());
        }
        let file = match self.opened.take() {
            Some((opened, file)) if opened == id => file,
            _ => open(&self.places, id)?,
        };
        let mut room = self.buffer.room(wanted);
        file.read_exact_at(&mut room, slice.start).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => short(),
            _ => StoreError::io("read a content file")(error),
        })?;
        cached::soon(&file, slice.start + wanted as u64, CHUNK);
        self.opened = Some((id, file));
        let chunk = self.buffer.fill(room, wanted);
        self.pass(wanted);
        Ok((self, chunk))
    }

    /// So many bytes of the first slice have been read.
    fn pass(&mut self, bytes: usize) {
        let Some(slice) = self.slices.front_mut() else { return };
        slice.start += bytes as u64;
        slice.size -= bytes as u64;
        if slice.size == 0 {
            self.slices.pop_front();
        }
    }
}

/// How many bytes of a slice make a chunk.
fn wanted(slice: &Slice) -> usize {
    usize::try_from(slice.size).unwrap_or(CHUNK).min(CHUNK)
}

/// The memory of the last chunk: the next one's, too, once nobody has a part of it any more.
#[derive(Default)]
struct Buffer(Bytes);

impl Buffer {
    /// Room for so many bytes.
    fn room(&mut self, wanted: usize) -> BytesMut {
        match std::mem::take(&mut self.0).try_into_mut() {
            Ok(mut free) if free.len() >= wanted => {
                free.truncate(wanted);
                free
            }
            _ => BytesMut::zeroed(wanted),
        }
    }

    /// The first bytes of what was room.
    fn fill(&mut self, room: BytesMut, read: usize) -> Bytes {
        self.0 = room.freeze();
        self.0.slice(..read)
    }
}
