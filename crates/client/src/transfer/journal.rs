//! What was begun and can go on, after an interrupt, a crash, a reboot or the end of a session.
//!
//! One small file per transfer, in a folder of the person's own, named by a digest of both its ends and locked while
//! a process works on it. Its first line says what was begun; each line after it is a range of a download that has
//! arrived, with its checksum. A line that a crash has torn ends the reading. Nothing here is believed: parts of an
//! upload are compared with the file's own checksums, ranges of a download are read again.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wigeon_core::sigv4::canonical::hex;

use super::item::Address;
use crate::durable;

/// What nobody went on with for so long is forgotten.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where the journals are.
#[derive(Debug, Clone)]
pub(crate) struct Journals {
    folder: PathBuf,
}

/// A file as it was: another one under its name, or the same one changed, is not it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileIdentity {
    size: u64,
    modified: Option<Duration>,
    inode: u64,
    device: u64,
}

/// An upload in parts that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadBegun {
    pub(crate) source: FileIdentity,
    pub(crate) part_size: u64,
    /// What goes with the object was said when the upload began: another wish is another upload.
    pub(crate) described: String,
    pub(crate) upload_id: String,
    pub(crate) keeps_checksum: bool,
}

/// A download in ranges that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DownloadBegun {
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) temporary: PathBuf,
    pub(crate) inode: u64,
    pub(crate) device: u64,
}

/// A range of a download that has arrived, or its beginning, with its checksum in base64. Longer ones follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RangeArrived {
    pub(crate) first: u64,
    pub(crate) length: u64,
    pub(crate) crc: String,
}

/// The journal of one transfer, which no other process has open.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journals {
    /// In a folder, which is made when it is needed.
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The journal of a transfer between a file and an object; `None` where another process works on it, or where
    /// it cannot be kept: then the transfer is done all the same, and cannot go on later.
    pub(crate) fn open(
        &self,
        direction: &str,
        store: &str,
        object: &Address,
        file: &Path,
    ) -> Option<Journal> {
        let file = std::path::absolute(file).ok()?;
        let ends = [
            direction.as_bytes(),
            store.as_bytes(),
            object.bucket.as_str().as_bytes(),
            object.key.as_str().as_bytes(),
            file.as_os_str().as_encoded_bytes(),
        ]
        .join(&0);
        let name = hex(digest::digest(&digest::SHA256, &ends).as_ref());
        durable::create_private_dir(&self.folder).ok()?;
        let path = self.folder.join(format!("{direction}-{}.jsonl", name.get(..32)?));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).ok()?;
        file.try_lock().is_ok().then_some(Journal { path, file })
    }

    /// Forgets what nobody went on with for a week, temporary files of downloads included.
    pub(crate) fn clean(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.filter_map(Result::ok) {
            let old = entry.metadata().and_then(|metadata| metadata.modified());
            let age = old.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
            if age.is_none_or(|age| age < STALE) {
                continue;
            }
            let Ok(file) = OpenOptions::new().read(true).write(true).open(entry.path()) else { continue };
            if file.try_lock().is_err() {
                continue;
            }
            let mut journal = Journal { path: entry.path(), file };
            if let Some((begun, _)) = journal.read::<DownloadBegun>()
                && begun.open_temporary().is_some()
            {
                let _ = fs::remove_file(&begun.temporary);
            }
            journal.remove();
        }
    }
}

impl Journal {
    /// What was begun, and what has arrived of it.
    pub(crate) fn read<T: DeserializeOwned>(&mut self) -> Option<(T, Vec<RangeArrived>)> {
        self.file.rewind().ok()?;
        let mut lines = BufReader::new(&self.file).lines().map_while(Result::ok);
        let begun = serde_json::from_str(&lines.next()?).ok()?;
        let ranges = lines.map_while(|line| serde_json::from_str(&line).ok()).collect();
        Some((begun, ranges))
    }

    /// Begins anew.
    pub(crate) fn begin<T: Serialize>(&mut self, begun: &T) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.append(begun)?;
        self.file.sync_data()
    }

    /// One more line.
    pub(crate) fn append<T: Serialize>(&mut self, line: &T) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.seek(io::SeekFrom::End(0))?;
        self.file.write_all(&text)
    }

    /// It is done, or given up.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl DownloadBegun {
    /// The temporary file, if it is still the one that was begun.
    pub(crate) fn open_temporary(&self) -> Option<File> {
        let there = fs::symlink_metadata(&self.temporary).ok()?;
        let own = self.temporary.file_name()?.to_str()?;
        if !there.is_file() || !own.starts_with(".wigeon-") || !own.ends_with(".part") {
            return None;
        }
        let file = OpenOptions::new().read(true).write(true).open(&self.temporary).ok()?;
        let identity = FileIdentity::of(&file.metadata().ok()?);
        (identity.inode == self.inode && identity.device == self.device).then_some(file)
    }
}

impl FileIdentity {
    /// What a file's metadata say.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let (device, inode) = place_on_disk(metadata);
        Self {
            size: metadata.len(),
            modified: modified.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()),
            inode,
            device,
        }
    }
}

/// Device and inode; zeros where the system has none.
#[cfg(unix)]
pub(crate) fn place_on_disk(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
pub(crate) fn place_on_disk(_metadata: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use wigeon_core::s3::{BucketName, ObjectKey};

    use super::*;

    fn object() -> Address {
        Address { bucket: BucketName::parse("bucket").unwrap(), key: ObjectKey::parse("k").unwrap() }
    }

    #[test]
    fn a_torn_line_ends_the_reading() {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::in_folder(folder.path().join("journals"));
        let mut journal = journals.open("download", "http://store", &object(), Path::new("f")).unwrap();
        assert!(
            journals.open("download", "http://store", &object(), Path::new("f")).is_none(),
            "it is locked"
        );
        assert!(journals.open("upload", "http://store", &object(), Path::new("f")).is_some());
        let begun =
            DownloadBegun { etag: "e".to_owned(), size: 9, temporary: "t".into(), inode: 1, device: 2 };
        journal.begin(&begun).unwrap();
        let range = |first| RangeArrived { first, length: 3, crc: "c".to_owned() };
        journal.append(&range(0)).unwrap();
        journal.append(&range(6)).unwrap();
        journal.file.write_all(b"{\"first\":3,\"len").unwrap();
        drop(journal);
        let mut journal = journals.open("download", "http://store", &object(), Path::new("f")).unwrap();
        assert_eq!(journal.read(), Some((begun, vec![range(0), range(6)])));
        journal.remove();
        let mut journal = journals.open("download", "http://store", &object(), Path::new("f")).unwrap();
        assert_eq!(journal.read::<DownloadBegun>(), None);
    }

    #[test]
    fn what_is_stale_goes_with_its_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::in_folder(folder.path().join("journals"));
        let temporary = folder.path().join(".wigeon-x.part");
        fs::write(&temporary, "half").unwrap();
        let (device, inode) = place_on_disk(&fs::metadata(&temporary).unwrap());
        let begun =
            DownloadBegun { etag: "e".to_owned(), size: 9, temporary: temporary.clone(), inode, device };
        let mut journal = journals.open("download", "s", &object(), Path::new("f")).unwrap();
        journal.begin(&begun).unwrap();
        drop(journal);
        journals.clean();
        assert!(temporary.exists());
        let entry = fs::read_dir(folder.path().join("journals")).unwrap().next().unwrap().unwrap();
        let old = SystemTime::now() - STALE - Duration::from_secs(60);
        File::options().write(true).open(entry.path()).unwrap().set_modified(old).unwrap();
        journals.clean();
        assert!(!temporary.exists() && !entry.path().exists());
    }
}
