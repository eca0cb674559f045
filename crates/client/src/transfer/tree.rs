//! Plans for whole trees: a folder into a store, a prefix out of it, a prefix to another, a prefix removed.
//!
//! A plan is a stream that is made while it is carried out: folders and lists are read as they are needed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use tokio::sync::mpsc;
use wigeon_core::s3::ObjectKey;
use wigeon_core::time::Timestamp;

use super::error::TransferError;
use super::file_slice::blocking;
use super::item::{Address, Item, Place, Planned, Prefix, Step};
use super::names::{Placer, relative_key};
use crate::filter::{Cursor, Filter};
use crate::s3::{Client, Entry, ListQuery, ObjectSummary, PutOptions};

/// What is done with symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// They are left out, and told of.
    #[default]
    Skip,
    /// What they point at is taken, as if it stood there.
    Follow,
    /// They become objects with their target as content and [`LINK_SUFFIX`] at the end of the key, as rclone has
    /// it, and links again on the way down.
    Store,
}

/// What of a tree is meant.
#[derive(Debug, Clone, Default)]
pub struct Meant {
    /// Which names, sizes and times; names are keys below the tree's root.
    pub filter: Arc<Filter>,
    /// What is done with symbolic links.
    pub links: Links,
}

impl From<Links> for Meant {
    fn from(links: Links) -> Self {
        Self { links, ..Self::default() }
    }
}

/// The end of the key of an object that holds a link's target.
pub const LINK_SUFFIX: &str = ".rclonelink";

/// Plans the upload of a folder: each file in it that is meant, under its path below the folder.
///
/// # Errors
/// Where the folder cannot be read at all.
pub async fn plan_upload(
    folder: &Path,
    client: &Client,
    to: &Prefix,
    options: &PutOptions,
    meant: Meant,
) -> Result<impl Stream<Item = Result<Planned, TransferError>> + Send + Unpin + use<>, TransferError> {
    let found = walk(folder, meant).await?;
    let (root, client, to, options) =
        (folder.to_owned(), client.clone(), to.clone(), Arc::new(options.clone()));
    let found = stream::unfold(found, |mut found| async { Some((found.recv().await?, found)) });
    let plan = found.map(move |found| {
        Ok(match found {
            Err(error) => Planned::failed("", error),
            Ok(Found { path, kind }) => plan_file(path, kind, &root, &client, &to, &options),
        })
    });
    Ok(Box::pin(plan))
}

fn plan_file(
    path: PathBuf,
    kind: Kind,
    root: &Path,
    client: &Client,
    to: &Prefix,
    options: &Arc<PutOptions>,
) -> Planned {
    let name = path.display().to_string();
    let address = relative_key(root, &path).map_err(TransferError::from).and_then(|below| match kind {
        Kind::Link(_) => to.join(&format!("{below}{LINK_SUFFIX}")),
        _ => to.join(&below),
    });
    let address = match (address, &kind) {
        (_, Kind::Other(why)) => return Planned::skipped(name, *why),
        (Ok(address), _) => address,
        (Err(error), _) => return Planned::failed(name, error),
    };
    let (to, options) = (Place { client: client.clone(), address }, Arc::clone(options));
    match kind {
        Kind::File(size, _) => Planned::item(Item::new(name, size, Step::Upload { from: path, to, options })),
        Kind::Link(target) => {
            let size = target.len() as u64;
            let content = Bytes::from(target);
            Planned::item(Item::new(name, size, Step::Write { from: path, content, to, options }))
        }
        Kind::Other(why) => Planned::skipped(name, why),
    }
}

/// Plans the download of all objects that are meant under a prefix into a folder.
pub fn plan_download(
    client: &Client,
    from: &Prefix,
    folder: &Path,
    meant: Meant,
) -> impl Stream<Item = Result<Planned, TransferError>> + Send + Unpin + use<> {
    let (client, from, mut placer) = (client.clone(), from.clone(), Placer::new(folder));
    let root: Arc<Path> = Arc::from(folder);
    let objects = list_meant(&client, &from, &meant.filter);
    objects.map(move |object| Ok(plan_object(object?, &client, &from, &root, &mut placer, meant.links)))
}

fn plan_object(
    object: ObjectSummary,
    client: &Client,
    from: &Prefix,
    root: &Arc<Path>,
    placer: &mut Placer,
    links: Links,
) -> Planned {
    let below = object.key.strip_prefix(&from.prefix).unwrap_or(&object.key);
    // The empty object that stands for a folder.
    if object.size == 0 && (below.is_empty() || below.ends_with('/')) {
        let folder = match below.trim_end_matches('/') {
            "" => Ok(root.to_path_buf()),
            _ => placer.place_folder(below),
        };
        return match folder {
            Ok(to) => {
                Planned::item(Item::new(object.key, 0, Step::MakeFolder { to, within: Arc::clone(root) }))
            }
            Err(error) => Planned::failed(object.key, error),
        };
    }
    let link = below.strip_suffix(LINK_SUFFIX).filter(|_| links == Links::Store);
    let (to, key) = match (placer.place(link.unwrap_or(below)), ObjectKey::parse(object.key.as_str())) {
        (Ok(to), Ok(key)) => (to, key),
        (Err(error), _) => return Planned::failed(object.key, error),
        (_, Err(error)) => return Planned::failed(object.key, error),
    };
    let place = Place { client: client.clone(), address: Address { bucket: from.bucket.clone(), key } };
    let within = Arc::clone(root);
    let step = match link {
        Some(_) => Step::Link { from: place, to, within },
        None => Step::Download { from: place, to, within: Some(within) },
    };
    Planned::item(Item::new(object.key, object.size, step))
}

/// Plans the copy of all objects that are meant under a prefix to another, inside one store or across two.
pub fn plan_copy(
    client: &Client,
    from: &Prefix,
    to_client: &Client,
    to: &Prefix,
    filter: &Arc<Filter>,
    options: &PutOptions,
) -> impl Stream<Item = Result<Planned, TransferError>> + Send + Unpin + use<> {
    let (client, from, to_client, to) = (client.clone(), from.clone(), to_client.clone(), to.clone());
    let options = Arc::new(options.clone());
    list_meant(&client, &from, filter).map(move |object| {
        let object = object?;
        let below = object.key.strip_prefix(&from.prefix).unwrap_or(&object.key);
        let addresses = ObjectKey::parse(object.key.as_str()).map_err(TransferError::from);
        let addresses = addresses.and_then(|key| Ok((key, to.join(below)?)));
        Ok(match addresses {
            Ok((key, target)) => {
                let source = Address { bucket: from.bucket.clone(), key };
                let step = Step::Copy {
                    from: Place { client: client.clone(), address: source },
                    to: Place { client: to_client.clone(), address: target },
                    options: Arc::clone(&options),
                };
                Planned::item(Item::new(format!("{}/{}", from.bucket, object.key), object.size, step))
            }
            Err(error) => Planned::failed(object.key, error),
        })
    })
}

/// Plans the removal of all objects that are meant under a prefix.
pub fn plan_removal(
    client: &Client,
    from: &Prefix,
    filter: &Arc<Filter>,
) -> impl Stream<Item = Result<Planned, TransferError>> + Send + Unpin + use<> {
    let (client, from) = (client.clone(), from.clone());
    list_meant(&client, &from, filter).map(move |object| {
        let object = object?;
        Ok(match ObjectKey::parse(object.key.as_str()) {
            Ok(key) => {
                let address = Address { bucket: from.bucket.clone(), key };
                let step = Step::RemoveObject(Place { client: client.clone(), address });
                Planned::item(Item::new(object.key, object.size, step))
            }
            Err(error) => Planned::failed(object.key, error),
        })
    })
}

/// The objects that a filter means. The empty objects that stand for folders have no names to be meant by: they come
/// where all is meant.
fn list_meant(
    client: &Client,
    from: &Prefix,
    filter: &Arc<Filter>,
) -> impl Stream<Item = Result<ObjectSummary, TransferError>> + Send + Unpin + use<> {
    let (prefix, mut cursor, all) = (from.prefix.clone(), filter.shared_cursor(), filter.is_everything());
    list(client, from).filter(move |object| {
        let Ok(object) = object else { return std::future::ready(true) };
        let name = object.key.strip_prefix(&prefix).unwrap_or(&object.key);
        let is_file = object.size > 0 || !(name.is_empty() || name.ends_with('/'));
        std::future::ready(all || (is_file && cursor.admits(name, object.size, object.last_modified)))
    })
}

fn list(
    client: &Client,
    from: &Prefix,
) -> impl Stream<Item = Result<ObjectSummary, TransferError>> + Send + Unpin + use<> {
    let query = ListQuery { prefix: from.prefix.clone(), ..ListQuery::default() };
    let entries = client.list(&from.bucket, query);
    entries.filter_map(|entry| {
        std::future::ready(match entry {
            Ok(Entry::Item(object)) => Some(Ok(object)),
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
    /// Its size, and when it was changed.
    File(u64, Option<Timestamp>),
    Link(String),
    Other(&'static str),
}

/// All files that are meant below a folder, in the order of their names; folders are read as they are needed.
async fn walk(
    folder: &Path,
    Meant { filter, links }: Meant,
) -> Result<mpsc::Receiver<Result<Found, TransferError>>, TransferError> {
    let (sender, receiver) = mpsc::channel(1024);
    let root = folder.to_owned();
    let first = blocking({
        let root = root.clone();
        move || read_folder(&root)
    })
    .await??;
    tokio::task::spawn_blocking(move || {
        let mut cursor = filter.cursor();
        let mut pending: Vec<(PathBuf, usize)> = first.into_iter().rev().map(|path| (path, 1)).collect();
        while let Some((path, depth)) = pending.pop() {
            let found = match look(&path, links, depth) {
                Ok(None) if !enters(&mut cursor, &root, &path) => continue,
                Ok(None) => match read_folder(&path) {
                    Ok(inside) => {
                        pending.extend(inside.into_iter().rev().map(|path| (path, depth + 1)));
                        continue;
                    }
                    Err(error) => Err(error),
                },
                Ok(Some(kind)) if !admits(&mut cursor, &root, &path, &kind) => continue,
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

/// Whether a folder may hold what is meant.
fn enters(cursor: &mut Cursor<'_>, root: &Path, folder: &Path) -> bool {
    // Its key is what the keys of its files begin with. What has none is told as the error that it is.
    let inside = relative_key(root, &folder.join("x"));
    inside.map_or(true, |inside| cursor.enters(inside.strip_suffix("/x").unwrap_or(&inside)))
}

fn admits(cursor: &mut Cursor<'_>, root: &Path, path: &Path, kind: &Kind) -> bool {
    let Ok(name) = relative_key(root, path) else { return true };
    match kind {
        Kind::File(size, modified) => cursor.admits(&name, *size, *modified),
        Kind::Link(target) => cursor.admits(&format!("{name}{LINK_SUFFIX}"), target.len() as u64, None),
        Kind::Other(_) => cursor.admits_name(&name),
    }
}

/// Folders in folders; no key has more of them, and so followed links go round in a circle.
const DEEPEST: usize = 513;

/// What stands at a path; `None` for a folder.
fn look(path: &Path, links: Links, depth: usize) -> Result<Option<Kind>, TransferError> {
    let failed = |source| read_failed(path, source);
    let mut metadata = std::fs::symlink_metadata(path).map_err(failed)?;
    if metadata.is_symlink() {
        match links {
            Links::Skip => return Ok(Some(Kind::Other("it is a symbolic link"))),
            Links::Follow => metadata = std::fs::metadata(path).map_err(failed)?,
            Links::Store => {
                let target = std::fs::read_link(path).map_err(failed)?;
                let text = target.to_str().map(|target| Kind::Link(target.to_owned()));
                return Ok(Some(text.unwrap_or(Kind::Other("its target is not UTF-8"))));
            }
        }
    }
    let kind = metadata.file_type();
    Ok(if kind.is_dir() && depth > DEEPEST {
        Some(Kind::Other("it lies too deep: links may go round in a circle"))
    } else if kind.is_dir() {
        None
    } else if kind.is_file() {
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        Some(Kind::File(metadata.len(), modified))
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
