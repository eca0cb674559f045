//! The directory of a store: which file lies where, with what mode, and when it is on disk.
//!
//! A path is made of the store's directory and a number of the store's own; nothing else enters. Directories
//! have mode 0700, files 0600.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::cached;
use super::error::StoreError;

/// The file of the index.
pub(super) const INDEX: &str = "index.sqlite";

/// The number of a content; of one in a file, also the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ContentId(pub(super) i64);

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl ContentId {
    pub(super) fn of_file_name(name: &str) -> Option<Self> {
        let id = Self(i64::from_str_radix(name, 16).ok()?);
        (id.to_string() == name).then_some(id)
    }
}

impl ToSql for ContentId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for ContentId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

/// A store's directory, which no other process has while a clone of this exists.
#[derive(Debug, Clone)]
pub(super) struct Places {
    root: Arc<Path>,
    in_memory: bool,
    _lock: Arc<File>,
}

impl Places {
    /// Makes the directories that are missing and takes the lock.
    pub(super) fn prepare(root: &Path) -> Result<Self, StoreError> {
        make_directory(root, true)?;
        let lock = private_file()
            .create(true)
            .truncate(false)
            .open(root.join("lock"))
            .map_err(StoreError::io("open the lock file"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse(root.display().to_string()),
            TryLockError::Error(error) => StoreError::io("take the lock")(error),
        })?;
        let places = Self::of(root, lock);
        make_directory(&places.incoming_directory(), false)?;
        make_directory(&root.join("content"), false)?;
        for shelf in 0..=u8::MAX {
            make_directory(&places.shelf(ContentId(shelf.into())), false)?;
        }
        // SQLite gives its other files the mode of this one.
        private_file()
            .create(true)
            .truncate(false)
            .open(places.index())
            .map_err(StoreError::io("create the index"))?;
        let content = root.join("content");
        for directory in [Some(content.as_path()), Some(root), root.parent()].into_iter().flatten() {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            sync_directory(directory).map_err(StoreError::io("sync a directory"))?;
        }
        Ok(places)
    }

    /// Looks at a store without changing it. Tells also whether another process has it open.
    pub(super) fn look(root: &Path) -> Result<(Self, bool), StoreError> {
        let lock = File::open(root.join("lock")).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NoStore(root.display().to_string()),
            _ => StoreError::io("open the lock file")(error),
        })?;
        let in_use = match lock.try_lock() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(StoreError::io("take the lock")(error)),
        };
        Ok((Self::of(root, lock), in_use))
    }

    fn of(root: &Path, lock: File) -> Self {
        Self { root: root.into(), in_memory: cached::is_in_memory(root), _lock: Arc::new(lock) }
    }

    /// Whether no disk is behind them.
    pub(super) fn are_in_memory(&self) -> bool {
        self.in_memory
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join(INDEX)
    }

    fn incoming_directory(&self) -> PathBuf {
        self.root.join("incoming")
    }

    pub(super) fn incoming(&self, id: ContentId) -> PathBuf {
        self.incoming_directory().join(id.to_string())
    }

    fn shelf(&self, id: ContentId) -> PathBuf {
        self.root.join("content").join(format!("{:02x}", id.0 & 0xff))
    }

    pub(super) fn settled(&self, id: ContentId) -> PathBuf {
        self.shelf(id).join(id.to_string())
    }

    /// Creates a file in `incoming/`.
    pub(super) fn create(&self, id: ContentId) -> io::Result<File> {
        private_file().create_new(true).open(self.incoming(id))
    }

    /// Bytes of the disk that are free, and all of it.
    pub(super) fn space(&self) -> io::Result<(u64, u64)> {
        let space = fs4::statvfs(&self.root)?;
        Ok((space.available_space(), space.total_space()))
    }

    /// Opens a content file wherever it is. It moves one way only, so that a third look finds what moved
    /// between the first two.
    pub(super) fn open(&self, id: ContentId) -> io::Result<File> {
        File::open(self.settled(id)).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                File::open(self.incoming(id)).or_else(|_| File::open(self.settled(id)))
            }
            _ => Err(error),
        })
    }

    /// Moves a file from `incoming/` to its shelf.
    pub(super) fn settle(&self, id: ContentId) -> io::Result<()> {
        fs::rename(self.incoming(id), self.settled(id))
    }

    /// Unlinks a content file, wherever it is and if it is there.
    pub(super) fn remove(&self, id: ContentId) -> io::Result<()> {
        for path in [self.incoming(id), self.settled(id)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn sync_incoming(&self) -> io::Result<()> {
        sync_directory(&self.incoming_directory())
    }

    /// Syncs the directories from which these contents were unlinked.
    pub(super) fn sync_shelves(&self, ids: &[ContentId]) -> io::Result<()> {
        let shelves: BTreeSet<PathBuf> = ids.iter().map(|id| self.shelf(*id)).collect();
        shelves.iter().try_for_each(|shelf| sync_directory(shelf))
    }

    /// The contents in `incoming/`. Files with other names are not the store's, and left alone.
    pub(super) fn incoming_ids(&self) -> io::Result<Vec<ContentId>> {
        ids_in(&self.incoming_directory())
    }

    /// The contents on one of the 256 shelves.
    pub(super) fn shelf_ids(&self, shelf: u8) -> io::Result<Vec<ContentId>> {
        ids_in(&self.shelf(ContentId(shelf.into())))
    }
}

fn ids_in(directory: &Path) -> io::Result<Vec<ContentId>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(directory)? {
        ids.extend(entry?.file_name().to_str().and_then(ContentId::of_file_name));
    }
    Ok(ids)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn make_directory(path: &Path, with_parents: bool) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).recursive(with_parents).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(StoreError::io("create a directory")(error))
        }
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_round_trip_and_others_are_no_ids() {
        let id = ContentId(0x1ff);
        assert_eq!(ContentId::of_file_name(&id.to_string()), Some(id));
        for name in ["", "1ff", "..", "00000000000001FF", "00000000000001ff.tmp", "+0000000000001ff"] {
            assert_eq!(ContentId::of_file_name(name), None, "{name}");
        }
    }
}
