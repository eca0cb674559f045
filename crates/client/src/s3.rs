//! A client for S3 and what speaks like it.
//!
//! ```text
//! operation ─► Call ─► credentials ─► sign ─► send ─┬─► answer
//!                ▲        (asked per attempt)       └─► refusal ─► remedy: wait · fresh credentials · region
//!                └───────────────────────────────────────────────────┘
//! ```
//!
//! Enters: an [`Endpoint`], a [`CredentialSource`] and typed operations, one file per group. Leaves: typed
//! answers, or an [`S3Error`] with the store's own words. Every attempt asks for credentials and is signed
//! anew, so a session that is renewed in the middle of a long transfer is not an event. What cannot be sent
//! unchanged is refused before it is sent. No ACL header is sent unless somebody asks for one, or an object has one to keep.

mod endpoint;

mod credential_source;

mod error;

mod encryption;

mod checksum;

mod retry;

mod pace;

mod memory;

mod call;

mod client;

mod xml;

mod tagging;

mod lock;

mod acl;

mod state;

mod object;

mod buckets;

mod quota;

mod get;

mod put;

mod copy;

mod delete;

mod pages;

mod list;

mod versions;

mod restore;

mod bucket_settings;

mod multipart;

mod uploads;

mod presign;

pub use acl::{Acl, CannedAcl, Grant, UnknownAcl};
pub use bucket_settings::{BucketSetting, Versioning};
pub use buckets::BucketSummary;
pub use checksum::{Checksum, ChecksumAlgorithm, Digest};
pub use client::Client;
pub use copy::CopyOptions;
pub use credential_source::{CredentialError, CredentialKind, CredentialSource, StaticCredentials};
pub use delete::{Doomed, Governance, NotDeleted};
pub use encryption::{CustomerKey, CustomerKeyError, Encryption, KmsKey, ObjectEncryption};
pub use endpoint::{Addressing, Endpoint, EndpointError, ProfileEndpointError};
pub use error::{ErrorKind, Refusal, S3Error};
pub use get::{GetOptions, Object, ObjectBody};
pub use list::{ListPage, ListQuery, ObjectSummary};
pub use lock::{DefaultRetention, Retention, RetentionMode, RetentionPeriod};
pub use multipart::{MultipartUpload, Part};
pub use object::{ByteRange, Conditions, ETag, ObjectHead};
pub use pages::{Entry, Listed, Page};
pub use presign::{PresignMethod, PresignOptions, Presigned};
pub use put::{PutOptions, Stored, Verified};
pub use quota::BucketQuota;
pub use restore::Restoring;
pub use retry::RetryPolicy;
pub use state::{ObjectState, StoredChecksum};
pub use tagging::Tag;
pub use uploads::{StoredPart, UnfinishedUpload};
pub use versions::VersionSummary;

#[cfg(test)]
pub(crate) mod test_store;

#[cfg(test)]
mod tests;
