//! A side: a folder here, or a prefix of a store.

use std::fmt;
use std::path::{Path, PathBuf};

use wigeon_core::s3::ObjectKey;

use crate::s3::Client;
use crate::transfer::{Address, Place, Prefix, TransferError};

/// One of the two that are to be alike.
#[derive(Debug, Clone)]
pub enum Side {
    /// A folder here.
    Folder(PathBuf),
    /// Everything below a prefix.
    Store {
        /// The way there.
        client: Client,
        /// Which objects; empty or ending in `/`.
        prefix: Prefix,
    },
}

impl Side {
    /// The folder, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Store { .. } => None,
        }
    }

    /// The object of a name; `None` in a folder.
    pub(crate) fn place(&self, name: &str) -> Option<Result<Place, TransferError>> {
        let Self::Store { client, prefix } = self else { return None };
        let key = ObjectKey::parse(format!("{}{name}", prefix.prefix));
        Some(key.map_err(TransferError::from).map(|key| Place {
            client: client.clone(),
            address: Address { bucket: prefix.bucket.clone(), key },
        }))
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Store { prefix, .. } => write!(f, "{}/{}", prefix.bucket, prefix.prefix),
        }
    }
}
