//! What a side holds: a file or an object, by its name below the root, as far as a list tells.

use std::hash::{Hash as _, Hasher};

use serde::{Deserialize, Serialize};
use wigeon_core::time::Timestamp;

use crate::transfer::TransferError;

/// A file or an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Below the root, with `/` between segments: what both sides call it.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// When the file was changed, or the object written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub modified: Option<Timestamp>,
    /// The object's entity tag, without quotes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub etag: Option<String>,
    /// Where the file lies below the folder, where that is not its name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
}

impl Found {
    /// What a list tells of it, for a sum over all.
    pub(crate) fn hash_into(&self, sum: &mut impl Hasher) {
        (&self.name, self.size, self.modified, &self.etag).hash(sum);
    }

    /// Where the file lies below its folder.
    pub(crate) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.name)
    }

    /// Whether this is still what it was.
    pub(crate) fn is_still(&self, now: &Self) -> bool {
        self.size == now.size
            && match (&self.etag, &now.etag) {
                (Some(before), Some(now)) => before == now,
                _ => self.modified == now.modified,
            }
    }

    /// The MD5 digest of its content in hexadecimal, where the entity tag has the form of one.
    pub(crate) fn md5(&self) -> Option<&str> {
        let tag = self.etag.as_deref()?;
        (tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(tag)
    }
}

/// Something that has no part in it, and why.
#[derive(Debug)]
pub enum Trouble {
    /// Left out on purpose: a link, a device.
    Skipped {
        /// What.
        name: String,
        /// Why.
        why: String,
    },
    /// It cannot be read, so nothing may be removed.
    Failed {
        /// What.
        name: String,
        /// Why.
        error: TransferError,
    },
}

/// A piece of a side, in the order of names.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) found: Vec<Found>,
    pub(crate) troubles: Vec<Trouble>,
}
