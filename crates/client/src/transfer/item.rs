//! One thing to do: where it is, where it goes, how; and what is known once it is done.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::error::TransferError;
use crate::s3::{Client, ETag, PutOptions, Verified};

/// An object's place in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
}

/// The objects whose keys begin with a text; usually empty or ending in `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// The bucket.
    pub bucket: BucketName,
    /// What the keys begin with.
    pub prefix: String,
}

/// An object's place, and the way to its store.
#[derive(Debug, Clone)]
pub struct Place {
    /// The store. Two places are in one store where their clients are clones of one.
    pub client: Client,
    /// Where in it.
    pub address: Address,
}

/// One thing to do, as a plan has it.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is called in reports: the source.
    pub name: String,
    /// Of the content, in bytes, as far as the plan knows.
    pub size: u64,
    /// What is done.
    pub step: Step,
    /// What is done once that is done and verified.
    pub after: After,
}

/// What is done with an item.
#[derive(Debug, Clone)]
pub enum Step {
    /// A regular file goes into a store.
    Upload {
        /// The file.
        from: PathBuf,
        /// The object.
        to: Place,
        /// What goes with it.
        options: Arc<PutOptions>,
    },
    /// A text of ours goes into a store: the target of a symbolic link, the mark of a folder.
    Write {
        /// The link or folder that it stands for.
        from: PathBuf,
        /// The text.
        content: Bytes,
        /// The object.
        to: Place,
        /// What goes with it.
        options: Arc<PutOptions>,
    },
    /// An object becomes a file.
    Download {
        /// The object.
        from: Place,
        /// The file.
        to: PathBuf,
        /// The folder that nothing leaves: a symbolic link on the way from it to the file is refused.
        within: Option<Arc<Path>>,
    },
    /// An object that holds the target of a symbolic link becomes one.
    Link {
        /// The object.
        from: Place,
        /// The link.
        to: PathBuf,
        /// The folder that nothing leaves, the link's target included.
        within: Arc<Path>,
    },
    /// A folder is made, with those above it.
    MakeFolder {
        /// The folder.
        to: PathBuf,
        /// The folder that nothing leaves.
        within: Arc<Path>,
    },
    /// An object goes to another place: by the store itself inside one, through here between two.
    Copy {
        /// The object.
        from: Place,
        /// The other place.
        to: Place,
        /// What goes with it in place of what goes with the object.
        options: Arc<PutOptions>,
    },
    /// An object is removed.
    RemoveObject(Place),
    /// A file is removed.
    RemoveFile(PathBuf),
}

/// What is done with the source of an item that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// It stays: a copy.
    Keep,
    /// It is removed, if it is still what was copied: a move.
    RemoveSource {
        /// Folders below this one that are empty then go, too.
        root: Option<Arc<Path>>,
    },
}

/// What a plan says next.
#[derive(Debug)]
pub enum Planned {
    /// Something to do.
    Item(Box<Item>),
    /// Something left out on purpose.
    Skipped {
        /// What.
        name: String,
        /// Why.
        why: String,
    },
    /// Something that cannot be done; the others go on.
    Failed {
        /// What.
        name: String,
        /// Why.
        error: TransferError,
    },
}

/// An item that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its size.
    pub bytes: u64,
    /// What shows that it is the same on both sides.
    pub verified: Verified,
    /// Of which object it was made, where it was one and its entity tag is known.
    pub source: Option<ETag>,
}

/// What came of many items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Files that arrived.
    pub done: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of those that arrived, the ones whose sources went: moves.
    pub moved: u64,
    /// The bytes of these.
    pub moved_bytes: u64,
    /// Objects and files that were removed by a plan; the sources of moves are not counted.
    pub removed: u64,
    /// Items that were not done.
    pub failed: u64,
    /// What was left out on purpose.
    pub skipped: u64,
}

impl Address {
    pub(crate) fn pair(&self) -> (&BucketName, &ObjectKey) {
        (&self.bucket, &self.key)
    }
}

impl Prefix {
    /// The object of a key below the prefix.
    ///
    /// # Errors
    /// Where prefix and name together are no key.
    pub fn join(&self, below: &str) -> Result<Address, TransferError> {
        let key = ObjectKey::parse(format!("{}{below}", self.prefix))?;
        Ok(Address { bucket: self.bucket.clone(), key })
    }
}

impl Item {
    /// A copy.
    #[must_use]
    pub fn new(name: impl Into<String>, size: u64, step: Step) -> Self {
        Self { name: name.into(), size, step, after: After::Keep }
    }

    /// The same as a move.
    #[must_use]
    pub fn moving(mut self) -> Self {
        self.after = After::RemoveSource { root: None };
        self
    }

    /// The same as a move out of a folder: what is empty in it at the end goes, too.
    #[must_use]
    pub fn moving_out_of(mut self, root: Arc<Path>) -> Self {
        self.after = After::RemoveSource { root: Some(root) };
        self
    }
}

impl Planned {
    /// Something to do.
    #[must_use]
    pub fn item(item: Item) -> Self {
        Self::Item(Box::new(item))
    }

    /// Something left out on purpose.
    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Skipped { name: name.into(), why: why.into() }
    }

    /// Something that cannot be done.
    pub fn failed(name: impl Into<String>, error: impl Into<TransferError>) -> Self {
        Self::Failed { name: name.into(), error: error.into() }
    }
}

impl Step {
    /// `upload`, `download`, …: for reports.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Upload { .. } | Self::Write { .. } => "upload",
            Self::Download { .. } => "download",
            Self::Link { .. } => "link",
            Self::MakeFolder { .. } => "make folder",
            Self::Copy { .. } => "copy",
            Self::RemoveObject(_) | Self::RemoveFile(_) => "remove",
        }
    }

    /// Where it goes, for reports: `bucket/key` or a path; `None` for what is removed.
    #[must_use]
    pub fn target(&self) -> Option<String> {
        match self {
            Self::Upload { to, .. } | Self::Write { to, .. } | Self::Copy { to, .. } => {
                Some(to.address.to_string())
            }
            Self::Download { to, .. } | Self::Link { to, .. } | Self::MakeFolder { to, .. } => {
                Some(to.display().to_string())
            }
            Self::RemoveObject(_) | Self::RemoveFile(_) => None,
        }
    }

    /// Whether a file arrives by it, and is to be counted as one.
    pub(crate) fn arrives(&self) -> bool {
        match self {
            Self::Upload { .. }
            | Self::Write { .. }
            | Self::Download { .. }
            | Self::Link { .. }
            | Self::Copy { .. } => true,
            Self::MakeFolder { .. } | Self::RemoveObject(_) | Self::RemoveFile(_) => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}
