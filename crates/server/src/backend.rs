//! Where buckets and objects are: the local store, and S3's protocol over it.
//!
//! A backend takes a [`Permit`](crate::authorize::Permit), never a bare request.

pub mod local;

pub mod protocol;

pub mod upstream;

mod missing;

pub mod stores;
