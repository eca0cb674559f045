//! Content on its way in: hashed and written while it arrives, synced, and held until it becomes an object
//! or a part. Whatever is dropped before that leaves nothing.
//!
//! Bytes are gathered into blocks. While one block gathers, the previous one is written and hashed on
//! blocking threads, each digest on its own, so that neither the runtime nor a single core sets the pace; a
//! block that is ready early waits, and with it the client. A content that fits inline never leaves memory.

use std::fs::File;
use std::io::Write;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use md5::{Digest, Md5};
use tokio::task::{JoinHandle, spawn_blocking};

use super::checksum::{ChecksumAlgorithm, Checksums, Hasher};
use super::commit::StagedFile;
use super::content::ContentStream;
use super::contents::Fresh;
use super::error::StoreError;
use super::etag::ETag;
use super::places::{ContentId, Places};

/// Bytes that are written and hashed in one go.
const BLOCK: usize = 1 << 20;

/// The same of what turns out to be large, so that handing blocks over costs less of it.
const LARGE_BLOCK: usize = 4 << 20;

/// So many bytes of a content are in blocks of the usual size.
const LARGE: u64 = 8 << 20;

/// Smaller pieces are gathered into one buffer, so that a dribbling client costs no bookkeeping per byte.
const PIECE: usize = 16 << 10;

/// So many bytes are handed to the disk at a time, ahead of the last sync.
const WRITE_BACK: u64 = 16 << 20;

/// So much of the disk stays free, of a small one a twentieth: what deletions write to the index has to find room when
/// nothing else does.
const HEADROOM: u64 = 64 << 20;

/// What every writer of a store shares.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) places: Places,
    pub(super) inline_limit: usize,
    next_id: AtomicI64,
}

impl Staging {
    pub(super) fn new(places: Places, inline_limit: usize, next_id: ContentId) -> Self {
        Self { places, inline_limit: inline_limit.min(BLOCK), next_id: AtomicI64::new(next_id.0) }
    }

    /// Refuses what would leave no room for deletions.
    pub(super) fn check_room(&self, wanted: usize) -> Result<(), StoreError> {
        let (free, total) = self.places.space().map_err(StoreError::io("ask for the free space"))?;
        match free < HEADROOM.min(total / 20) + wanted as u64 {
            true => Err(StoreError::Full(std::io::ErrorKind::StorageFull.into())),
            false => Ok(()),
        }
    }

    /// A number that no content has had.
    pub(super) fn next_id(&self) -> ContentId {
        ContentId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }
}

/// Takes the bytes of one content, hashes them and writes them, none of it on the caller's thread when they
/// are many. Dropped unfinished, it leaves nothing.
pub struct Writer {
    staging: Arc<Staging>,
    algorithms: Vec<ChecksumAlgorithm>,
    size: u64,
    block: Block,
    /// Where the previous blocks go; `None` as long as nothing has left memory.
    spill: Option<Spill>,
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

/// Content that is written and synced but belongs to nothing yet. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    digests: Digests,
    id: ContentId,
    fresh: Fresh,
}

#[derive(Default)]
struct Block {
    pieces: Vec<Bytes>,
    tail: BytesMut,
    size: usize,
}

impl Block {
    fn push(&mut self, bytes: Bytes) {
        self.size += bytes.len();
        if bytes.len() < PIECE {
            self.tail.extend_from_slice(&bytes);
        } else {
            self.close_tail();
            self.pieces.push(bytes);
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(mem::take(&mut self.tail).freeze());
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.close_tail();
        self.size = 0;
        mem::take(&mut self.pieces)
    }
}

impl Writer {
    pub(super) fn new(staging: Arc<Staging>, algorithms: &[ChecksumAlgorithm]) -> Self {
        Self { staging, algorithms: algorithms.to_vec(), size: 0, block: Block::default(), spill: None }
    }

    /// Takes more bytes; waits when writing or hashing is behind.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]. The writer is of no more use then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.size += bytes.len() as u64;
        self.block.push(bytes);
        let full = if self.size <= LARGE { BLOCK } else { LARGE_BLOCK };
        if self.block.size >= full {
            self.spill().await?;
        }
        Ok(())
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.size
    }

    /// Ends the content and syncs it. The digests are known then, so that the caller can compare them with
    /// what the client promised before anything becomes visible.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`].
    pub async fn finish(mut self) -> Result<Staged, StoreError> {
        if self.spill.is_none() && self.block.size <= self.staging.inline_limit {
            return Ok(self.finish_inline());
        }
        if self.block.size > 0 {
            self.spill().await?;
        }
        let Some(spill) = self.spill else { return Err(StoreError::Stopped) };
        let Settled { file, md5, hashers, sync } = spill.settle().await?;
        if let Some(sync) = sync {
            job(sync).await?;
        }
        let OpenFile { staged, file } = file;
        job(spawn_blocking(move || file.sync_data().map_err(StoreError::io("sync a content file")))).await?;
        let digests = Digests {
            size: self.size,
            etag: ETag::of_md5(md5.finalize().into()),
            checksums: hashers.into_iter().map(Hasher::finish).collect(),
        };
        Ok(Staged { digests, id: staged.id(), fresh: Fresh::File(staged) })
    }

    /// At most the inline limit: hashing it costs less than handing it to another thread.
    fn finish_inline(mut self) -> Staged {
        let content = self.block.take().concat();
        let digests = Digests {
            size: self.size,
            etag: ETag::of_md5(Md5::digest(&content).into()),
            checksums: digest(&self.algorithms, &content),
        };
        Staged { digests, id: self.staging.next_id(), fresh: Fresh::Inline(content) }
    }

    /// Sends the gathered block on its way, once the one before is done.
    async fn spill(&mut self) -> Result<(), StoreError> {
        self.staging.check_room(self.block.size)?;
        let settled = match self.spill.take() {
            Some(spill) => spill.settle().await?,
            None => {
                let staging = Arc::clone(&self.staging);
                let file = job(spawn_blocking(move || {
                    let (staged, file) = StagedFile::create(&staging.places, staging.next_id())
                        .map_err(StoreError::io("create a content file"))?;
                    Ok(OpenFile { staged, file: Arc::new(file) })
                }))
                .await?;
                let hashers = self.algorithms.iter().map(|each| Hasher::new(*each)).collect();
                Settled { file, md5: Md5::new(), hashers, sync: None }
            }
        };
        self.spill = Some(Spill::start(settled, self.block.take().into(), self.size));
        Ok(())
    }
}

fn digest(algorithms: &[ChecksumAlgorithm], bytes: &[u8]) -> Checksums {
    let each = |algorithm: &ChecksumAlgorithm| {
        let mut hasher = Hasher::new(*algorithm);
        hasher.update(bytes);
        hasher.finish()
    };
    algorithms.iter().map(each).collect()
}

/// Computes the digests of a stream that is not written anywhere.
pub(super) async fn digest_stream(
    mut stream: ContentStream,
    algorithms: &[ChecksumAlgorithm],
) -> Result<Digests, StoreError> {
    let mut md5 = Md5::new();
    let mut hashers: Vec<Hasher> = algorithms.iter().map(|each| Hasher::new(*each)).collect();
    let size = stream.remaining();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        (md5, hashers) = job(spawn_blocking(move || {
            md5.update(&chunk);
            hashers.iter_mut().for_each(|hasher| hasher.update(&chunk));
            Ok((md5, hashers))
        }))
        .await?;
    }
    let checksums = hashers.into_iter().map(Hasher::finish).collect();
    Ok(Digests { size, etag: ETag::of_md5(md5.finalize().into()), checksums })
}

impl Staged {
    /// Size, entity tag and checksums.
    #[must_use]
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    pub(super) fn into_parts(self) -> (Digests, ContentId, Fresh) {
        (self.digests, self.id, self.fresh)
    }
}

type Job<T> = JoinHandle<Result<T, StoreError>>;

async fn job<T>(job: Job<T>) -> Result<T, StoreError> {
    job.await.unwrap_or(Err(StoreError::Stopped))
}

struct OpenFile {
    staged: StagedFile,
    file: Arc<File>,
}

/// A block that is being written and hashed.
struct Spill {
    file: Job<OpenFile>,
    md5: Job<Md5>,
    hashers: Vec<Job<Hasher>>,
    sync: Option<Job<()>>,
}

/// A block that is done.
struct Settled {
    file: OpenFile,
    md5: Md5,
    hashers: Vec<Hasher>,
    /// The latest early sync; at most one at a time.
    sync: Option<Job<()>>,
}

impl Spill {
    fn start(before: Settled, block: Arc<[Bytes]>, written: u64) -> Self {
        let Settled { file, mut md5, hashers, mut sync } = before;
        let pieces = Arc::clone(&block);
        let size = block.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let before = written.saturating_sub(size);
        // What was written before this block, that is.
        let due = before / WRITE_BACK > before.saturating_sub(size) / WRITE_BACK;
        if due && sync.as_ref().is_none_or(JoinHandle::is_finished) {
            let file = Arc::clone(&file.file);
            sync =
                Some(spawn_blocking(move || file.sync_data().map_err(StoreError::io("sync a content file"))));
        }
        let file = spawn_blocking(move || {
            pieces
                .iter()
                .try_for_each(|piece| (&*file.file).write_all(piece))
                .map_err(StoreError::io("write a content file"))?;
            Ok(file)
        });
        let hashers = hashers
            .into_iter()
            .map(|mut hasher| {
                let pieces = Arc::clone(&block);
                spawn_blocking(move || {
                    pieces.iter().for_each(|piece| hasher.update(piece));
                    Ok(hasher)
                })
            })
            .collect();
        let md5 = spawn_blocking(move || {
            block.iter().for_each(|piece| md5.update(piece));
            Ok(md5)
        });
        Self { file, md5, hashers, sync }
    }

    async fn settle(self) -> Result<Settled, StoreError> {
        let md5 = job(self.md5).await?;
        let mut hashers = Vec::with_capacity(self.hashers.len());
        for hasher in self.hashers {
            hashers.push(job(hasher).await?);
        }
        Ok(Settled { file: job(self.file).await?, md5, hashers, sync: self.sync })
    }
}
