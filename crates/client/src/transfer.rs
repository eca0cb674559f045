//! Whole files and trees between this machine and a store, and between stores.
//!
//! ```text
//! file or stream ─► parts (in parallel, within a memory budget) ─► object, verified
//! object ─► ranges (in parallel, all of one entity tag) ─► temporary file, verified ─► renamed
//! ```
//!
//! What this promises: a target is either as it was, or whole and verified; what was begun and not finished is
//! given up (multipart uploads are aborted, temporary files removed); a source that changes in the middle is
//! noticed; nothing is written outside the target folder. Memory is bounded by [`Tuning::memory`].

mod names;

mod tuning;

mod item;

mod error;

mod progress;

mod media_type;

mod file_slice;

mod engine;

mod reader;

mod parts;

mod upload;

mod download;

mod copy;

mod rewrite;

mod tree;

pub use engine::Transfers;
pub use error::TransferError;
pub use item::{Address, Done};
pub use names::{NameRefused, local_path};
pub use progress::{Progress, Silent};
pub use rewrite::{as_encrypted, as_written};
pub use tree::{Prefix, TreeReport};
pub use tuning::Tuning;

#[cfg(test)]
mod tests;
