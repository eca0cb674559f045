//! What can be told of a store without reading it: for those who watch a server.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::commit::Commits;
use super::places::Places;

/// A store from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Whether it takes writes: not after a commit failed for another reason than a full disk.
    pub writable: bool,
    /// Transactions since it was opened.
    pub commits: u64,
    /// Changes in them.
    pub changes: u64,
    /// Bytes of the index and its log.
    pub index_bytes: Option<u64>,
    /// Free and all bytes of the file system that it lies on.
    pub volume: Option<(u64, u64)>,
}

/// As things stand.
pub(super) fn of(places: &Places, commits: Option<&Commits>) -> Figures {
    let index = places.index();
    let size = |path: &Path| fs::metadata(path).ok().map(|file| file.len());
    let log = {
        let mut name = index.clone().into_os_string();
        name.push("-wal");
        size(Path::new(&name)).unwrap_or_default()
    };
    let volume = rustix::fs::statvfs(&index).ok();
    Figures {
        writable: commits.is_some_and(|commits| !commits.stopped.load(Ordering::Relaxed)),
        commits: commits.map_or(0, |commits| commits.commits.load(Ordering::Relaxed)),
        changes: commits.map_or(0, |commits| commits.changes.load(Ordering::Relaxed)),
        index_bytes: size(&index).map(|bytes| bytes + log),
        // Blocks that only root may fill are not free.
        volume: volume.map(|volume| (volume.f_bavail * volume.f_frsize, volume.f_blocks * volume.f_frsize)),
    }
}
