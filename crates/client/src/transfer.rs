//! Whole files and trees between this machine and a store, and between stores.
//!
//! ```text
//! plan (a stream of items: upload, download, copy, remove, …)
//!   └─► Transfers::carry_out ─┬─ file or stream ─► parts (in parallel) ─► object, verified
//!        one budget of memory │  object ─► ranges (in parallel, all of one entity tag) ─► temporary file, verified ─► renamed
//!        and of files at once └─ removals, a thousand at a time
//! ```
//!
//! Whoever moves many things makes a `Stream<Item = Result<Planned, TransferError>>` ([`plan_upload`], [`plan_download`],
//! [`plan_copy`], [`plan_removal`], or one of its own) and hands it to [`Transfers::carry_out`]: the stream is asked for
//! more only when there is room, items begin in its order and end in any, and [`Progress`] is told of each. An error
//! in the stream itself ends the run once what was begun is finished. `Transfers` is cheap to clone, and clones share
//! the budget, so several plans may run beside each other. Dry runs print the same plan that a run carries out.
//!
//! What this promises: a target is either as it was, or whole and verified; what was begun and not finished is
//! given up (multipart uploads are aborted, temporary files removed), or, where [`Transfers::resuming`] says where to
//! note it, kept and gone on with by the next run; a source that changes in the middle is
//! noticed; nothing is written outside the target folder. Memory is bounded by [`Tuning::memory`].

mod names;

mod tuning;

mod width;

mod rates;

mod memory;

mod lists;

mod error;

mod item;

mod progress;

mod media_type;

mod file_slice;

mod folder;

mod file_time;

mod journal;

mod engine;

mod reader;

mod parts;

mod upload;

mod partial;

mod ranges;

mod download;

mod belongings;

mod copy;

mod batch;

mod tree;

pub use belongings::{as_encrypted, as_written};
pub use engine::Transfers;
pub use error::TransferError;
pub(crate) use file_slice::blocking;
pub use file_time::{MTIME, mtime_of, mtime_text};
pub(crate) use folder::remove_emptied;
pub use item::{Address, After, Done, Item, Place, Planned, Prefix, Report, Step};
pub(crate) use names::BESIDE;
pub use names::{NameRefused, Placer, local_path, relative_key};
pub use progress::{Progress, Silent};
pub use tree::{LINK_SUFFIX, Links, Meant, plan_copy, plan_download, plan_removal, plan_upload};
pub use tuning::Tuning;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod resume_tests;
