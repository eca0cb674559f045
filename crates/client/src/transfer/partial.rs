//! A file that is not whole yet: temporary, beside its target, under a name of its own, until it takes the target's.
//!
//! With a journal it outlives an end that passes: the next run that wants the same object (the same entity tag) in the
//! same place finds it, reads again what the journal says has arrived, and keeps what has the recorded checksum.
//! Ranges are of any length; of one that did not arrive to its end, as much is kept as was noted.

use std::collections::BTreeMap;
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

/// By their first bytes: lengths and checksums.
type Arrived = BTreeMap<u64, (u64, Option<Checksum>)>;

/// A piece that is read at once to be checked.
const PIECE: usize = 1 << 20;

/// A file in the making.
#[derive(Debug)]
pub(crate) struct Partial {
    temporary: NamedTempFile,
    pub(crate) file: SharedFile,
    journal: Option<Journal>,
    arrived: Arrived,
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
                    let arrived = still_there(&file, &ranges, algorithm, size);
                    let (file, algorithm) = (SharedFile::new(file, &target), Some(algorithm));
                    return Ok(Partial { temporary, file, journal, arrived, algorithm });
                }
                // Of another object: it goes when it is dropped.
            }
            let temporary = create(&target)?;
            let file = temporary.as_file().try_clone()?;
            if let (Some(kept), Some(etag)) = (&mut journal, etag) {
                let (device, inode) = place_on_disk(&file.metadata()?);
                let path = std::path::absolute(temporary.path())?;
                let begun = DownloadBegun { etag, size, temporary: path, inode, device };
                if kept.begin(&begun).is_err() {
                    journal = None;
                }
            }
            let file = SharedFile::new(file, &target);
            Ok(Partial { temporary, file, journal, arrived: Arrived::new(), algorithm })
        };
        let partial = blocking(prepare).await?.map_err(|source| write_failed(to, source))?;
        let there: u64 = partial.ranges().map(|(_, length, _)| length).sum();
        if there > 0 {
            self.progress.resumed(there);
        }
        Ok(partial)
    }
}

impl Partial {
    /// A range has arrived, or more of one that was told of before.
    pub(crate) fn arrive(&mut self, range: Range) {
        let (first, length, checksum) = range;
        self.arrived.insert(first, (length, checksum));
        if let (Some(journal), Some(checksum)) = (&mut self.journal, checksum) {
            // A line that is not written costs a range, no more.
            let _ = journal.append(&RangeArrived { first, length, crc: checksum.base64() });
        }
    }

    /// What has arrived, in order.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range> {
        self.arrived.iter().map(|(first, (length, checksum))| (*first, *length, *checksum))
    }

    /// What is still to be fetched of so many bytes: first bytes and ends, in order.
    pub(crate) fn missing(&self, size: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = 0;
        for (first, length, _) in self.ranges() {
            if first > at {
                gaps.push((at, first));
            }
            at = first + length;
        }
        if at < size {
            gaps.push((at, size));
        }
        gaps
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
        Ok(Partial { temporary, file, journal: None, arrived: Arrived::new(), algorithm: None })
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

/// The recorded ranges whose bytes are as they were recorded, or the longest beginnings that are.
fn still_there(file: &File, noted: &[RangeArrived], algorithm: ChecksumAlgorithm, size: u64) -> Arrived {
    let mut by_first: BTreeMap<u64, BTreeMap<u64, &str>> = BTreeMap::new();
    for range in noted {
        if range.length > 0 && range.first.checked_add(range.length).is_some_and(|end| end <= size) {
            by_first.entry(range.first).or_default().insert(range.length, &range.crc);
        }
    }
    let mut arrived = Arrived::new();
    let mut end = 0;
    for (first, lengths) in by_first {
        // Another run has cut what was lost otherwise.
        if first < end {
            continue;
        }
        if let Some((length, checksum)) = longest(file, first, lengths, algorithm) {
            arrived.insert(first, (length, Some(checksum)));
            end = first + length;
        }
    }
    arrived
}

/// Of the lengths that were noted of a range, the longest with its checksum: the bytes are read once, until one differs.
fn longest(
    file: &File,
    first: u64,
    lengths: BTreeMap<u64, &str>,
    algorithm: ChecksumAlgorithm,
) -> Option<(u64, Checksum)> {
    let (mut digest, mut read, mut good) = (Digest::new(algorithm), 0, None);
    let mut bytes = Vec::new();
    for (length, noted) in lengths {
        while read < length {
            let piece = usize::try_from(length - read).unwrap_or(usize::MAX).min(PIECE);
            bytes.clear();
            if SharedFile::read_into(file, first + read, piece, &mut bytes).is_err() {
                return good;
            }
            digest.update(&bytes);
            read += piece as u64;
        }
        let checksum = digest.clone().finish();
        if checksum.base64() != noted {
            break;
        }
        good = Some((length, checksum));
    }
    good
}

pub(crate) fn write_failed(path: &Path, source: io::Error) -> TransferError {
    TransferError::File { action: "write", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALGORITHM: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

    #[test]
    fn as_much_is_kept_as_is_still_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut bytes: Vec<u8> = (0..100).collect();
        let note = |first: usize, length: usize| {
            let crc = Checksum::of(ALGORITHM, &bytes[first..first + length]).base64();
            RangeArrived { first: first as u64, length: length as u64, crc }
        };
        // One range in three steps, one in two, one inside the first, one that is cut off, one too long.
        let mut noted = vec![note(0, 10), note(0, 20), note(0, 40), note(50, 5), note(50, 10), note(15, 5)];
        noted.push(RangeArrived { first: 80, length: u64::MAX, crc: String::new() });
        noted.push(RangeArrived { first: 90, length: 11, crc: String::new() });
        let there = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let arrived = still_there(&File::open(&path).unwrap(), &noted, ALGORITHM, 100);
            arrived.into_iter().map(|(first, (length, _))| (first, length)).collect::<Vec<_>>()
        };
        assert_eq!(there(&bytes), [(0, 40), (50, 10)]);
        assert_eq!(there(&bytes[..57]), [(0, 40), (50, 5)], "the disk has lost the end");
        bytes[25] ^= 1;
        assert_eq!(there(&bytes), [(0, 20), (50, 10)]);
        bytes[5] ^= 1;
        assert_eq!(there(&bytes), [(15, 5), (50, 10)]);
    }
}
