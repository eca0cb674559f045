//! One thing to transfer: where it is in a store, and what is known once it has arrived.

use std::fmt;

use wigeon_core::s3::{BucketName, ObjectKey};

use crate::s3::Verified;

/// An object's place in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
}

impl Address {
    pub(crate) fn pair(&self) -> (&BucketName, &ObjectKey) {
        (&self.bucket, &self.key)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

/// A file that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Its size.
    pub bytes: u64,
    /// What shows that it is the same on both sides.
    pub verified: Verified,
}
