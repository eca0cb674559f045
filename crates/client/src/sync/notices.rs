//! What happens in a folder and all below it, as the kernel tells (inotify(7)), noted as names that settle.
//!
//! Each folder has a watch of its own. One that appears is watched first and read then, so nothing in it is missed;
//! one that moves away is forgotten with all below it. Where the kernel had to drop events, everything may have
//! changed, and all folders are watched anew. Folders that the filter keeps out have no watch, and names that it leaves
//! out are not noted. Ends where the folder itself goes, or where the system watches no more.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use super::error::SyncError;
use super::settling::{Notice, Settling};
use super::walk::{DEEPEST, is_ours};
use crate::filter::Filter;
use crate::transfer::{TransferError, relative_key};

/// Room for events that are read at once.
const BUFFER: usize = 64 << 10;
const NO_MORE_INSTANCES: &str = "the system lets nobody watch more (fs.inotify.max_user_instances)";

/// Notices on their way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Notices {
    shared: Arc<Shared>,
    kernel: Arc<OwnedFd>,
    /// The watch of the folder itself.
    root: i32,
}

#[derive(Debug)]
struct Shared {
    settling: Arc<Mutex<Settling>>,
    news: Notify,
    ended: Mutex<Option<SyncError>>,
    /// Nobody wants any more.
    over: AtomicBool,
}

impl Notices {
    /// Watches a folder and all below it.
    ///
    /// # Errors
    /// [`SyncError::Folder`], [`SyncError::TooManyFolders`].
    pub(crate) async fn begin(
        folder: &Path,
        filter: &Arc<Filter>,
        follow_links: bool,
        settling: Arc<Mutex<Settling>>,
    ) -> Result<Self, SyncError> {
        let failed = |source: std::io::Error| SyncError::Folder { path: folder.to_owned(), source };
        let kernel = inotify::init(CreateFlags::CLOEXEC).map_err(|error| match error {
            Errno::MFILE => failed(std::io::Error::other(NO_MORE_INSTANCES)),
            other => failed(other.into()),
        })?;
        let kernel = Arc::new(kernel);
        let mut tree = Tree {
            kernel: Arc::clone(&kernel),
            root: folder.to_owned(),
            filter: Arc::clone(filter),
            follow_links,
            folders: HashMap::new(),
            noted: Vec::new(),
        };
        let watched = spawn_blocking(move || {
            tree.watch(Path::new(""))?;
            Ok::<_, SyncError>(tree)
        });
        let tree = watched.await.map_err(|_| TransferError::Worker)??;
        let (news, ended, over) = (Notify::new(), Mutex::new(None), AtomicBool::new(false));
        let shared = Arc::new(Shared { settling, news, ended, over });
        let (telling, root) = (Arc::clone(&shared), tree.root_watch());
        let reading = std::thread::Builder::new().name("notices".to_owned());
        reading.spawn(move || read(tree, &telling)).map_err(failed)?;
        Ok(Self { shared, kernel, root })
    }

    /// Waits until something happens, or the end.
    pub(crate) async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// Why there will be no more of them.
    pub(crate) fn ended(&self) -> Option<SyncError> {
        self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // The end of a watch is told, too: that ends the thread, if nothing has ended it so far.
        let _ = inotify::remove_watch(&self.kernel, self.root);
    }
}

/// Reads for as long as somebody wants to know.
fn read(mut tree: Tree, shared: &Shared) {
    let kernel = Arc::clone(&tree.kernel);
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    let mut reader = inotify::Reader::new(&kernel, &mut buffer);
    let ended = loop {
        let happened = match reader.next() {
            Ok(event) => {
                let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                tree.happened(event.wd(), event.events(), name)
            }
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(SyncError::Folder { path: tree.root.clone(), source: error.into() }),
        };
        if shared.over.load(Ordering::Acquire) {
            return;
        }
        if happened.is_err() || reader.is_buffer_empty() {
            shared.note(tree.noted.drain(..));
        }
        if let Err(error) = happened {
            break error;
        }
    };
    *shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
    shared.news.notify_one();
}

impl Shared {
    fn note(&self, noted: impl Iterator<Item = Noted>) {
        let (mut settling, now) =
            (self.settling.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        for noted in noted {
            match noted {
                Noted::Name(name, notice) => settling.note(name, notice, now),
                Noted::Everything => settling.note_everything(now),
            }
        }
        drop(settling);
        self.news.notify_one();
    }
}

/// The folders that are watched.
struct Tree {
    kernel: Arc<OwnedFd>,
    root: PathBuf,
    filter: Arc<Filter>,
    follow_links: bool,
    /// By watch, below the root; several where links lead to one.
    folders: HashMap<i32, Vec<PathBuf>>,
    noted: Vec<Noted>,
}

enum Noted {
    Name(String, Notice),
    Everything,
}

impl Tree {
    fn root_watch(&self) -> i32 {
        let of_root = |folders: &Vec<PathBuf>| folders.iter().any(|folder| folder.as_os_str().is_empty());
        self.folders.iter().find(|(_, folders)| of_root(folders)).map_or(-1, |(watch, _)| *watch)
    }

    fn happened(&mut self, watch: i32, what: ReadFlags, name: Option<&OsStr>) -> Result<(), SyncError> {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.noted.push(Noted::Everything);
            self.folders.clear();
            return self.watch(Path::new(""));
        }
        let Some(folders) = self.folders.get(&watch).cloned() else { return Ok(()) };
        let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED;
        if what.intersects(gone) && folders.iter().any(|folder| folder.as_os_str().is_empty()) {
            return Err(SyncError::Gone(self.root.clone()));
        }
        if what.contains(ReadFlags::IGNORED) {
            self.folders.remove(&watch);
        }
        let Some(name) = name else { return Ok(()) };
        for folder in folders {
            let below = folder.join(name);
            if what.contains(ReadFlags::ISDIR) {
                self.folder(&below, what)?
            } else {
                self.file(&below, what)?
            }
        }
        Ok(())
    }

    fn folder(&mut self, below: &Path, what: ReadFlags) -> Result<(), SyncError> {
        if what.contains(ReadFlags::ATTRIB) {
            return Ok(());
        }
        if what.contains(ReadFlags::MOVED_FROM) {
            self.forget(below);
        }
        if what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
            self.watch(below)?;
        }
        self.note_folder(below);
        Ok(())
    }

    fn file(&mut self, below: &Path, what: ReadFlags) -> Result<(), SyncError> {
        let notice = if what.contains(ReadFlags::MODIFY) {
            Notice::Open
        } else if what.contains(ReadFlags::CREATE) {
            let path = self.root.join(below);
            if self.follow_links && path.is_dir() {
                self.watch(below)?;
                self.note_folder(below);
                return Ok(());
            }
            // A link that was made is whole; anything else is made to be written.
            let whole = path.symlink_metadata().is_ok_and(|made| made.is_symlink() || made.nlink() > 1);
            if whole { Notice::Closed } else { Notice::Open }
        } else if what.contains(ReadFlags::ATTRIB) {
            Notice::Touched
        } else {
            Notice::Closed
        };
        self.note_file(below, notice);
        Ok(())
    }

    fn note_file(&mut self, below: &Path, notice: Notice) {
        let name = match relative_key(&self.root, &self.root.join(below)) {
            Ok(name) => name,
            // It is no key, and whoever reads the folder says so.
            Err(_) => below.to_string_lossy().into_owned(),
        };
        let ours = below.file_name().and_then(OsStr::to_str).is_some_and(is_ours);
        if !ours && self.filter.cursor().admits_name(&name) {
            self.noted.push(Noted::Name(name, notice));
        }
    }

    fn note_folder(&mut self, below: &Path) {
        match self.folder_key(below) {
            Some(name) if self.filter.cursor().enters(&name) => {
                self.noted.push(Noted::Name(name, Notice::Closed));
            }
            Some(_) => {}
            // A piece of a long name, or no name for a key.
            None => self.noted.push(Noted::Everything),
        }
    }

    /// What the keys of a folder's files begin with, without the slash.
    fn folder_key(&self, below: &Path) -> Option<String> {
        let inside = relative_key(&self.root, &self.root.join(below).join("x")).ok()?;
        inside.strip_suffix("/x").map(str::to_owned)
    }

    /// Watches a folder and all below it, and notes the files in it; the root's are known.
    fn watch(&mut self, below: &Path) -> Result<(), SyncError> {
        let is_root = below.as_os_str().is_empty();
        let mut pending = vec![(below.to_owned(), below.components().count())];
        while let Some((folder, depth)) = pending.pop() {
            let kept_out = self.folder_key(&folder).is_some_and(|name| !self.filter.cursor().enters(&name));
            if (!folder.as_os_str().is_empty() && kept_out) || depth > DEEPEST || !self.add(&folder)? {
                continue;
            }
            // What cannot be read is told by whoever reads it to send it.
            let Ok(entries) = std::fs::read_dir(self.root.join(&folder)) else { continue };
            for entry in entries.flatten() {
                let (inside, kind) = (folder.join(entry.file_name()), entry.file_type());
                let is_link = kind.as_ref().is_ok_and(std::fs::FileType::is_symlink);
                if kind.is_ok_and(|kind| kind.is_dir())
                    || (is_link && self.follow_links && entry.path().is_dir())
                {
                    pending.push((inside, depth + 1));
                } else if !is_root {
                    self.note_file(&inside, Notice::Touched);
                }
            }
        }
        Ok(())
    }

    /// Watches one folder; `false` where it is none, or has been seen on the way to itself.
    fn add(&mut self, below: &Path) -> Result<bool, SyncError> {
        let path = self.root.join(below);
        let mut flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK;
        if !self.follow_links && !below.as_os_str().is_empty() {
            flags |= WatchFlags::DONT_FOLLOW;
        }
        let watch = match inotify::add_watch(&self.kernel, &path, flags) {
            Ok(watch) => watch,
            Err(Errno::NOSPC) => {
                let most = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches");
                let most = most.ok().map(|most| most.trim().to_owned());
                return Err(SyncError::TooManyFolders { path: self.root.clone(), most });
            }
            Err(error) if below.as_os_str().is_empty() => {
                return Err(SyncError::Folder { path: self.root.clone(), source: error.into() });
            }
            // It went away, or nobody may read it: the kernel tells of the former, a run of the latter.
            Err(_) => return Ok(false),
        };
        let folders = self.folders.entry(watch).or_default();
        if folders.iter().any(|folder| *folder != below && below.starts_with(folder)) {
            return Ok(false);
        }
        if !folders.iter().any(|folder| folder == below) {
            folders.push(below.to_owned());
        }
        Ok(true)
    }

    /// Watches a folder and what was below it no more.
    fn forget(&mut self, below: &Path) {
        let kernel = &self.kernel;
        self.folders.retain(|watch, folders| {
            folders.retain(|folder| !folder.starts_with(below));
            if folders.is_empty() {
                // Where it is gone already there is nothing to end.
                let _ = inotify::remove_watch(kernel, *watch);
            }
            !folders.is_empty()
        });
    }
}
