//! Which names are meant: rclone's filter rules, lists of names, bounds of size and age, and wildcards in addresses.
//!
//! ```text
//! rules, lists, bounds ─► FilterBuilder ─► Filter ─► Cursor ─► admits a file? enters a folder?
//! s3://bucket/logs/*.gz ─► Wildcard ─► prefix to list, keys that match
//! ```
//!
//! Names are paths below the root of what is listed, with `/` between their segments and none at the ends. The
//! grammar and its meaning are rclone's, to the letter (<https://rclone.org/filtering/>): a file is admitted where
//! each folder above it is entered and the first rule that matches it includes it. What a folder's rules keep out
//! need not be listed at all. Refused: a pattern that rclone refuses.

mod error;

mod re2;

mod glob;

mod folders;

mod rules;

mod bounds;

mod selection;

mod cursor;

mod wildcard;

pub use bounds::{Age, Size};
pub use cursor::Cursor;
pub use error::FilterError;
pub use selection::{Filter, FilterBuilder};
pub use wildcard::Wildcard;

#[cfg(test)]
mod tests;
