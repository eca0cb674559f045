//! Many files at once: a folder into a store, a prefix out of it, a prefix to another.
//!
//! Files move beside each other, as many as [`Tuning::files`](super::Tuning::files). One that fails does not
//! stop the others: it is told, and counted. Symbolic links are left out on the way up, and never written
//! through on the way down.

use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::stream::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::engine::Transfers;
use super::error::TransferError;
use super::file_slice::blocking;
use super::item::{Address, Done};
use super::names::{local_path, relative_key};
use crate::s3::{Client, Entry, ListQuery, ObjectSummary, PutOptions};

/// The objects whose keys begin with a text; usually empty or ending in `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// The bucket.
    pub bucket: BucketName,
    /// What the keys begin with.
    pub prefix: String,
}

/// What came of a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeReport {
    /// Files that arrived.
    pub done: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that did not.
    pub failed: u64,
    /// Files that were left out on purpose.
    pub skipped: u64,
}

impl Transfers {
    /// Uploads a folder: each regular file in it, under its path below the folder.
    ///
    /// # Errors
    /// Where the folder cannot be read at all, or somebody asked to stop; a file that fails is counted.
    pub async fn upload_tree(
        &self,
        client: &Client,
        folder: &Path,
        to: &Prefix,
        options: &PutOptions,
    ) -> Result<TreeReport, TransferError> {
        let mut crew = Crew::new(self);
        let mut found = walk(folder).await?;
        while let Some(found) = self.unless_stopped(found.recv()).await? {
            let Found { path, kind } = match found {
                Ok(found) => found,
                Err(error) => {
                    crew.fail("", &error);
                    continue;
                }
            };
            let name = path.display().to_string();
            let size = match kind {
                Kind::File(size) => size,
                Kind::Other(why) => {
                    crew.skip(&name, why);
                    continue;
                }
            };
            let key = relative_key(folder, &path)
                .map_err(TransferError::from)
                .and_then(|below| Ok(ObjectKey::parse(format!("{}{below}", to.prefix))?));
            let to = match key {
                Ok(key) => Address { bucket: to.bucket.clone(), key },
                Err(error) => {
                    crew.fail(&name, &error);
                    continue;
                }
            };
            let (transfers, client, options) = (self.clone(), client.clone(), options.clone());
            crew.work(name, size, async move { transfers.upload_file(&client, &path, &to, &options).await })
                .await?;
        }
        crew.finish().await
    }

    /// Downloads all objects under a prefix into a folder.
    ///
    /// # Errors
    /// Where the list cannot be read, or somebody asked to stop; an object that fails is counted.
    pub async fn download_tree(
        &self,
        client: &Client,
        from: &Prefix,
        folder: &Path,
    ) -> Result<TreeReport, TransferError> {
        let mut crew = Crew::new(self);
        let mut listed = list(client, from);
        while let Some(object) = self.unless_stopped(listed.next()).await? {
            let object = object?;
            let below = object.key.strip_prefix(&from.prefix).unwrap_or(&object.key);
            // The empty object that stands for a folder.
            if object.size == 0 && (below.is_empty() || below.ends_with('/')) {
                let made = match below.trim_end_matches('/') {
                    "" => Ok(folder.to_owned()),
                    below => local_path(folder, below).map_err(TransferError::from),
                };
                if let Err(error) = self.make_folder(folder, made).await {
                    crew.fail(&object.key, &error);
                }
                continue;
            }
            let (path, key) = match (local_path(folder, below), ObjectKey::parse(object.key.as_str())) {
                (Ok(path), Ok(key)) => (path, key),
                (Err(error), _) => {
                    crew.fail(&object.key, &error.into());
                    continue;
                }
                (_, Err(error)) => {
                    crew.fail(&object.key, &error.into());
                    continue;
                }
            };
            let from = Address { bucket: from.bucket.clone(), key };
            let (transfers, client, folder) = (self.clone(), client.clone(), folder.to_owned());
            let size = object.size;
            crew.work(object.key, size, async move {
                no_links_below(&folder, &path).await?;
                transfers.download_file(&client, &from, Some(size), &path).await
            })
            .await?;
        }
        crew.finish().await
    }

    /// Copies all objects under a prefix to another, inside one store or across two.
    ///
    /// # Errors
    /// Where the list cannot be read, or somebody asked to stop; an object that fails is counted.
    pub async fn copy_tree(
        &self,
        client: &Client,
        from: &Prefix,
        across: Option<&Client>,
        to: &Prefix,
    ) -> Result<TreeReport, TransferError> {
        let mut crew = Crew::new(self);
        let mut listed = list(client, from);
        while let Some(object) = self.unless_stopped(listed.next()).await? {
            let object = object?;
            let below = object.key.strip_prefix(&from.prefix).unwrap_or(&object.key);
            let keys = ObjectKey::parse(object.key.as_str())
                .and_then(|key| Ok((key, ObjectKey::parse(format!("{}{below}", to.prefix))?)));
            let (source, target) = match keys {
                Ok((source, target)) => (
                    Address { bucket: from.bucket.clone(), key: source },
                    Address { bucket: to.bucket.clone(), key: target },
                ),
                Err(error) => {
                    crew.fail(&object.key, &error.into());
                    continue;
                }
            };
            let (transfers, client, across) = (self.clone(), client.clone(), across.cloned());
            let size = object.size;
            crew.work(object.key, size, async move {
                match across {
                    None => transfers.copy(&client, &source, Some(size), &target).await,
                    Some(other) => transfers.copy_across(&client, &source, &other, &target).await,
                }
            })
            .await?;
        }
        crew.finish().await
    }

    async fn make_folder(
        &self,
        root: &Path,
        folder: Result<PathBuf, TransferError>,
    ) -> Result<(), TransferError> {
        let folder = folder?;
        no_links_below(root, &folder.join("x")).await?;
        let made = tokio::fs::create_dir_all(&folder).await;
        made.map_err(|source| TransferError::File { action: "make", path: folder, source })
    }
}

/// The files on their way, and the count of those that came.
struct Crew<'a> {
    transfers: &'a Transfers,
    tasks: JoinSet<(String, Result<Done, TransferError>)>,
    report: TreeReport,
}

impl<'a> Crew<'a> {
    fn new(transfers: &'a Transfers) -> Self {
        Self { transfers, tasks: JoinSet::new(), report: TreeReport::default() }
    }

    /// Starts on one more file, once there is room for it.
    async fn work(
        &mut self,
        name: String,
        size: u64,
        work: impl Future<Output = Result<Done, TransferError>> + Send + 'static,
    ) -> Result<(), TransferError> {
        self.transfers.progress.expected(1, size);
        while self.tasks.len() >= self.transfers.tuning.files.max(1) {
            self.one().await;
        }
        if self.transfers.is_stopped() {
            return self.stop().await;
        }
        self.tasks.spawn(async move { (name, work.await) });
        Ok(())
    }

    async fn one(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok((name, Ok(done)))) => {
                self.report.done += 1;
                self.report.bytes += done.bytes;
                self.transfers.progress.done(&name, &done);
            }
            Some(Ok((name, Err(error)))) => self.fail(&name, &error),
            Some(Err(_)) => self.fail("", &TransferError::Worker),
            None => {}
        }
    }

    fn fail(&mut self, name: &str, error: &TransferError) {
        self.report.failed += 1;
        self.transfers.progress.failed(name, error);
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.report.skipped += 1;
        self.transfers.progress.skipped(name, why);
    }

    /// Each file on its way sees the wish to stop by itself, and cleans up.
    async fn stop(&mut self) -> Result<(), TransferError> {
        while !self.tasks.is_empty() {
            self.one().await;
        }
        Err(TransferError::Interrupted)
    }

    async fn finish(mut self) -> Result<TreeReport, TransferError> {
        while !self.tasks.is_empty() {
            self.one().await;
        }
        if self.transfers.is_stopped() { Err(TransferError::Interrupted) } else { Ok(self.report) }
    }
}

fn list(
    client: &Client,
    from: &Prefix,
) -> impl Stream<Item = Result<ObjectSummary, TransferError>> + Send + Unpin + use<> {
    let query = ListQuery { prefix: from.prefix.clone(), ..ListQuery::default() };
    let entries = client.list(&from.bucket, query);
    entries.filter_map(|entry| {
        std::future::ready(match entry {
            Ok(Entry::Object(object)) => Some(Ok(object)),
            Ok(Entry::Prefix(_)) => None,
            Err(error) => Some(Err(error.into())),
        })
    })
}

struct Found {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    File(u64),
    Other(&'static str),
}

/// All files below a folder, in the order of their names; folders are read as they are needed.
async fn walk(folder: &Path) -> Result<mpsc::Receiver<Result<Found, TransferError>>, TransferError> {
    let (sender, receiver) = mpsc::channel(1024);
    let root = folder.to_owned();
    let first = blocking(move || read_folder(&root)).await??;
    tokio::task::spawn_blocking(move || {
        let mut pending: Vec<PathBuf> = first.into_iter().rev().collect();
        while let Some(path) = pending.pop() {
            let found = match look(&path) {
                Ok(None) => match read_folder(&path) {
                    Ok(inside) => {
                        pending.extend(inside.into_iter().rev());
                        continue;
                    }
                    Err(error) => Err(error),
                },
                Ok(Some(kind)) => Ok(Found { path, kind }),
                Err(error) => Err(error),
            };
            if sender.blocking_send(found).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// What stands at a path, without following a link; `None` for a folder.
fn look(path: &Path) -> Result<Option<Kind>, TransferError> {
    let metadata = std::fs::symlink_metadata(path).map_err(|source| read_failed(path, source))?;
    let kind = metadata.file_type();
    Ok(if kind.is_dir() {
        None
    } else if kind.is_file() {
        Some(Kind::File(metadata.len()))
    } else if kind.is_symlink() {
        Some(Kind::Other("it is a symbolic link"))
    } else {
        Some(Kind::Other("it is a device, a socket or a pipe"))
    })
}

fn read_folder(path: &Path) -> Result<Vec<PathBuf>, TransferError> {
    let entries = std::fs::read_dir(path).map_err(|source| read_failed(path, source))?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(|source| read_failed(path, source))?;
    paths.sort_unstable();
    Ok(paths)
}

fn read_failed(path: &Path, source: std::io::Error) -> TransferError {
    TransferError::File { action: "read", path: path.to_owned(), source }
}

/// Refuses a path with a symbolic link among the folders between the root and the file.
async fn no_links_below(root: &Path, file: &Path) -> Result<(), TransferError> {
    let (root, file) = (root.to_owned(), file.to_owned());
    let check = move || {
        let between = file.parent().and_then(|folder| folder.strip_prefix(&root).ok().map(Path::to_owned));
        let mut path = root;
        for name in between.unwrap_or_default().components() {
            path.push(name);
            if std::fs::symlink_metadata(&path).is_ok_and(|there| there.is_symlink()) {
                return Err(TransferError::Link(path));
            }
        }
        Ok(())
    };
    blocking(check).await?
}
