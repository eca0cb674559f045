//! S3's names, addresses and operations, without any input or output.

pub mod name;

pub mod uri;

mod refused;

mod retention;

pub mod control;

pub mod operation;

pub mod form_policy;

pub mod error;

pub use name::{BucketName, ObjectKey};
pub use retention::RetentionMode;
