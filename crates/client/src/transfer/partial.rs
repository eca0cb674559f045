//! A file that is not whole yet: temporary, beside its target, under a name of its own, until it takes the target's.
//!
//! With a journal it outlives an end that passes: the next run that wants the same object (the same entity tag) in the
//! same place finds it, reads again what the journal says has arrived, and keeps what has the recorded checksum.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};

use super::engine::Transfers;
use super::error::TransferError;
use super::file_slice::{SharedFile, blocking};
use super::file_time;
use super::folder::look_for_links;
use super::item::Address;
use super::journal::{DownloadBegun, Journal, RangeArrived, place_on_disk};
use crate::s3::{Checksum, ChecksumAlgorithm, Client, Digest, ObjectHead};

/// A range that has arrived: its first byte, its length, its checksum where one is wanted.
pub(crate) type Range = (u64, u64, Option<Checksum>);

/// A piece that is read at once to be checked.
const PIECE: usize = 1 << 20;

/// A file in the making.
#[derive(Debug)]
pub(crate) struct Partial {
    temporary: NamedTempFile,
    pub(crate) file: SharedFile,
    journal: Option<Journal>,
    pub(crate) arrived: Vec<Range>,
    pub(crate) part_size: u64,
    /// Of the ranges, if any is to be computed.
    pub(crate) algorithm: Option<ChecksumAlgorithm>,
}

impl Transfers {
    /// What an earlier run has left of this object for this file, or a new file.
    pub(crate) async fn take_up_file(
        &self,
        client: &Client,
        from: &Address,
        head: &ObjectHead,
        to: &Path,
    ) -> Result<Partial, TransferError> {
        let own = head.checksum.map(|checksum| checksum.algorithm);
        let (journals, store, object, target) =
            (self.journals.clone(), client.endpoint().origin(), from.clone(), to.to_owned());
        let (etag, size) = (head.etag.as_ref().map(|etag| etag.as_str().to_owned()), head.size);
        let part_size = self.tuning.part_size_for(size);
        let prepare = move || -> io::Result<Partial> {
            // Without an entity tag nothing tells whether the object is still the same.
            let journals = journals.filter(|_| etag.is_some());
            let mut journal =
                journals.and_then(|journals| journals.open("download", &store, &object, &target));
            let algorithm = own.or(journal.is_some().then_some(ChecksumAlgorithm::Crc64Nvme));
            if let (Some(kept), Some(algorithm)) = (&mut journal, algorithm)
                && let Some((begun, ranges)) = kept.read::<DownloadBegun>()
                && let Some(file) = begun.open_temporary()
            {
                let temporary = TempPath::try_from_path(&begun.temporary)?;
                let temporary = NamedTempFile::from_parts(file, temporary);
                if Some(&begun.etag) == etag.as_ref() && begun.size == size {
                    let file = temporary.as_file().try_clone()?;
                    let arrived = still_there(&file, &ranges, algorithm, &begun);
                    let (file, part_size) = (SharedFile::new(file, &target), begun.part_size);
                    let algorithm = Some(algorithm);
                    return Ok(Partial { temporary, file, journal, arrived, part_size, algorithm });
                }
                // Of another object: it goes when it is dropped.
            }
            let temporary = create(&target)?;
            let file = temporary.as_file().try_clone()?;
            if let (Some(kept), Some(etag)) = (&mut journal, etag) {
                let (device, inode) = place_on_disk(&file.metadata()?);
                let path = std::path::absolute(temporary.path())?;
                let begun = DownloadBegun { etag, size, part_size, temporary: path, inode, device };
                if kept.begin(&begun).is_err() {
                    journal = None;
                }
            }
            let file = SharedFile::new(file, &target);
            Ok(Partial { temporary, file, journal, arrived: Vec::new(), part_size, algorithm })
        };
        let partial = blocking(prepare).await?.map_err(|source| write_failed(to, source))?;
        let there: u64 = partial.arrived.iter().map(|(_, length, _)| length).sum();
        if there > 0 {
            self.progress.resumed(there);
        }
        Ok(partial)
    }
}

impl Partial {
    /// A range is on the disk.
    pub(crate) fn arrive(&mut self, range: Range) {
        let (first, length, checksum) = range;
        self.arrived.push(range);
        if let (Some(journal), Some(checksum)) = (&mut self.journal, checksum) {
            // A line that is not written costs a range, no more.
            let _ = journal.append(&RangeArrived { first, length, crc: checksum.base64() });
        }
    }

    /// The ranges that are still to be fetched: first byte and end.
    pub(crate) fn missing(&self, size: u64) -> Vec<(u64, u64)> {
        let have: std::collections::BTreeSet<u64> = self.arrived.iter().map(|(first, ..)| *first).collect();
        let step = usize::try_from(self.part_size.max(1)).unwrap_or(usize::MAX);
        let firsts = (0..size).step_by(step).filter(|first| !have.contains(first));
        firsts.map(|first| (first, size.min(first + self.part_size))).collect()
    }

    /// Where it is now.
    pub(crate) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// It stays for a later run, if there is a journal that tells of it.
    pub(crate) fn leave(mut self) {
        if self.journal.is_some() {
            self.temporary.disable_cleanup(true);
        }
    }

    /// It goes, and its journal with it.
    pub(crate) fn give_up(mut self) {
        if let Some(journal) = self.journal.take() {
            journal.remove();
        }
    }

    /// It is whole and checked: it takes the target's name.
    pub(crate) async fn persist(
        self,
        target: &Path,
        times: Option<Vec<(String, String)>>,
    ) -> Result<(), TransferError> {
        let path: PathBuf = target.to_owned();
        let persisted = blocking(move || -> io::Result<()> {
            if let Some(metadata) = times {
                file_time::restore(self.temporary.as_file(), &metadata)?;
            }
            self.temporary.persist(path).map_err(|error| error.error)?;
            if let Some(journal) = self.journal {
                journal.remove();
            }
            Ok(())
        });
        persisted.await?.map_err(|source| write_failed(target, source))
    }
}

/// The content of a small file, by way of a temporary one.
pub(crate) async fn place(
    (target, within): (&Path, Option<&Arc<Path>>),
    content: Vec<Bytes>,
    times: Option<Vec<(String, String)>>,
) -> Result<(), TransferError> {
    let (path, within) = (target.to_owned(), within.cloned());
    let write = move || -> io::Result<()> {
        let mut temporary = create(&path)?;
        for chunk in &content {
            io::Write::write_all(&mut temporary, chunk)?;
        }
        if let Some(metadata) = times {
            file_time::restore(temporary.as_file(), &metadata)?;
        }
        temporary.persist(path).map(drop).map_err(|error| error.error)
    };
    let file = target.to_owned();
    let placed = blocking(move || {
        if let Some(root) = within {
            look_for_links(root.to_path_buf(), &file)?;
        }
        write().map_err(|source| match source.kind() {
            io::ErrorKind::IsADirectory => TransferError::NotAFile { path: file, what: "a folder" },
            _ => write_failed(&file, source),
        })
    });
    placed.await?
}

/// A temporary file without a journal.
pub(crate) async fn begin(target: &Path) -> Result<Partial, TransferError> {
    let path = target.to_owned();
    let begun = blocking(move || -> io::Result<Partial> {
        let temporary = create(&path)?;
        let file = SharedFile::new(temporary.as_file().try_clone()?, &path);
        Ok(Partial { temporary, file, journal: None, arrived: Vec::new(), part_size: 0, algorithm: None })
    });
    begun.await?.map_err(|source| write_failed(target, source))
}

/// A temporary file beside the target, in a folder that is made where it is missing; with the permissions
/// that a new file gets.
fn create(target: &Path) -> io::Result<NamedTempFile> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".wigeon-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    match builder.tempfile_in(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(folder)?;
            builder.tempfile_in(folder)
        }
        other => other,
    }
}

/// The recorded ranges whose bytes are as they were recorded.
fn still_there(
    file: &File,
    ranges: &[RangeArrived],
    algorithm: ChecksumAlgorithm,
    begun: &DownloadBegun,
) -> Vec<Range> {
    let good = |range: &&RangeArrived| {
        begun.part_size > 0
            && range.first.is_multiple_of(begun.part_size)
            && range.first < begun.size
            && range.length == begun.part_size.min(begun.size - range.first)
    };
    let mut arrived: Vec<Range> = Vec::new();
    for range in ranges.iter().filter(good) {
        let checksum = checksum_of(file, range.first, range.length, algorithm);
        let same = checksum.filter(|checksum| checksum.base64() == range.crc);
        if same.is_some() && arrived.iter().all(|(first, ..)| *first != range.first) {
            arrived.push((range.first, range.length, same));
        }
    }
    arrived
}

fn checksum_of(file: &File, first: u64, length: u64, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
    let (mut digest, mut at) = (Digest::new(algorithm), first);
    let mut left = length;
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        let bytes = SharedFile::read_now(file, at, piece).ok()?;
        digest.update(&bytes);
        at += piece as u64;
        left -= piece as u64;
    }
    Some(digest.finish())
}

pub(crate) fn write_failed(path: &Path, source: io::Error) -> TransferError {
    TransferError::File { action: "write", path: path.to_owned(), source }
}
