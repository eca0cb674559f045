//! Pieces of a file, read and written at their places by several tasks at once.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use super::error::TransferError;
use super::memory::Room;

/// A file that several tasks read or write at different places.
#[derive(Debug, Clone)]
pub(crate) struct SharedFile {
    file: Arc<File>,
    path: PathBuf,
}

impl SharedFile {
    pub(crate) fn new(file: File, path: &Path) -> Self {
        Self { file: Arc::new(file), path: path.to_owned() }
    }

    /// Exactly `length` bytes from `offset`; fewer mean that the file was cut.
    pub(crate) async fn read(&self, room: Room, offset: u64, length: usize) -> Result<Bytes, TransferError> {
        let file = Arc::clone(&self.file);
        let read = blocking(move || {
            let mut lent = room.buffer(length);
            Self::read_into(&file, offset, length, &mut lent.bytes).map(|()| lent.freeze())
        });
        match read.await? {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(TransferError::Changed(self.path.display().to_string()))
            }
            Err(source) => Err(self.failed("read", source)),
        }
    }

    /// The same, on a thread that may block, into an empty buffer.
    pub(crate) fn read_into(file: &File, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.reserve(length);
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            if read_some(file, bytes, length, at)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Writes all bytes at `offset`, here and now: while they are still in the processor's cache, and without another
    /// thread, which would have memory of its own. One task writes a file: the kernel lets nobody else write into it
    /// meanwhile, and a thread that waits for that in there keeps its processor busy doing nothing.
    pub(crate) fn write(&self, offset: u64, bytes: &Bytes) -> Result<(), TransferError> {
        write_all_at(&self.file, bytes, offset).map_err(|source| self.failed("write", source))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> TransferError {
        TransferError::File { action, path: self.path.clone(), source }
    }
}

/// The threads that serve the disk, for all transfers of the process. So many at once do it well, and each has memory of its
/// own that it does not give back; the runtime's are as many as there are files.
static DISK: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().max_blocking_threads(8).thread_name("disk").build());

/// Runs what may block on a thread where it may. It must not wait for another transfer.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TransferError> {
    let disk = DISK.as_ref().map_err(|_| TransferError::Worker)?;
    disk.spawn_blocking(work).await.map_err(|_| TransferError::Worker)
}

/// Into what is left of the capacity, which is `length`: memory is not zeroed first.
#[cfg(unix)]
fn read_some(file: &File, bytes: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<usize> {
    debug_assert!(bytes.capacity() >= length);
    match rustix::io::pread(file, rustix::buffer::spare_capacity(bytes), offset) {
        Err(rustix::io::Errno::INTR) => read_some(file, bytes, length, offset),
        other => {
            let read = other?;
            bytes.truncate(length);
            Ok(read)
        }
    }
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_some(file: &File, bytes: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<usize> {
    let before = bytes.len();
    bytes.resize(length, 0);
    let read =
        std::os::windows::fs::FileExt::seek_read(file, bytes.get_mut(before..).unwrap_or_default(), offset);
    bytes.truncate(before + read.as_ref().map_or(0, |read| *read));
    read
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}
