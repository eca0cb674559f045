//! The two sides of `sync`, `diff` and `check`: folders and prefixes, and how they are read.

use std::sync::Arc;

use wigeon_client::sync::{Comparison, Reading, Side, SyncError};

use super::address::{Place, StorePlace};
use super::filters::FilterArgs;
use super::store::Stores;
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What makes two the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CompareOption {
    /// Size, and not written later at the source; content where it was
    Modified,
    /// Size, and the file's own time (rclone's mtime metadata; one request for each object)
    Mtime,
    /// Size and checksum (files are read)
    Checksum,
    /// Size alone
    Size,
}

impl From<CompareOption> for Comparison {
    fn from(option: CompareOption) -> Self {
        match option {
            CompareOption::Modified => Self::Modified,
            CompareOption::Mtime => Self::Mtime,
            CompareOption::Checksum => Self::Checksum,
            CompareOption::Size => Self::Size,
        }
    }
}

/// A folder, or a prefix of a store.
pub(crate) fn side(address: &str, stores: &Stores, context: &Context) -> Result<Side, Failure> {
    match Place::parse(address)? {
        Place::Stream => Err(Failure::usage("`-` has no names to compare")),
        Place::Local(folder) => Ok(Side::Folder(folder)),
        Place::Store(place) => {
            let prefix = place.folder()?;
            Ok(Side::Store { client: stores.open(context, &place)?, prefix })
        }
    }
}

/// An address that means the same in another folder and another profile.
pub(crate) fn whole(address: &str, context: &Context) -> Result<String, Failure> {
    Ok(match Place::parse(address)? {
        Place::Store(place) => {
            let profile = context.profile_name(place.profile.as_deref())?;
            StorePlace { profile: Some(profile), ..place }.to_string()
        }
        Place::Local(path) => {
            let path = std::path::absolute(&path).unwrap_or(path);
            path.to_str().ok_or_else(|| Failure::usage(format!("`{address}` is not UTF-8")))?.to_owned()
        }
        Place::Stream => address.to_owned(),
    })
}

/// Both sides; one of them at least in a store, and neither inside the other.
pub(crate) fn sides(
    source: &str,
    target: &str,
    stores: &Stores,
    context: &Context,
) -> Result<(Side, Side), Failure> {
    let sides = (side(source, stores, context)?, side(target, stores, context)?);
    match &sides {
        (Side::Folder(_), Side::Folder(_)) => {
            Err(Failure::usage("neither the source nor the target is in a store")
                .hint("write s3://BUCKET/PREFIX, or PROFILE:BUCKET/PREFIX"))
        }
        (one, other) if overlap(one, other) => {
            Err(Failure::usage(format!("`{source}` and `{target}` lie in each other")))
        }
        _ => Ok(sides),
    }
}

/// Whether a file of one can be a file of the other.
pub(crate) fn overlap(one: &Side, other: &Side) -> bool {
    match (one, other) {
        (Side::Folder(one), Side::Folder(other)) => {
            let whole =
                |path: &std::path::Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let (one, other) = (whole(one), whole(other));
            one.starts_with(&other) || other.starts_with(&one)
        }
        (Side::Store { client, prefix }, Side::Store { client: other_client, prefix: other }) => {
            client.is_same(other_client)
                && prefix.bucket == other.bucket
                && (prefix.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&prefix.prefix))
        }
        _ => false,
    }
}

/// How both sides are read.
pub(crate) fn reading(
    filters: &FilterArgs,
    follow_links: bool,
    (source, target): (&Side, &Side),
    context: &Context,
) -> Result<Reading, Failure> {
    let folder_marks = source.folder().is_none() && target.folder().is_none();
    Ok(Reading {
        filter: Arc::new(filters.filter(context.clock.now())?),
        follow_links,
        folder_marks,
        ..Reading::default()
    })
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Store(error) => error.into(),
            SyncError::Transfer(error) => error.into(),
            SyncError::EmptySource { .. } => Self::because(Kind::Error, &error)
                .hint("look at the source's address; if it is meant, add --allow-empty-source"),
            SyncError::TooMany { .. } => Self::because(Kind::Error, &error)
                .hint("look at them with --dry-run; --max-delete allows more"),
            SyncError::NotRemoved { .. } => {
                Self::because(Kind::Partial, &error).hint("the same command again tries the rest again")
            }
            SyncError::TooManyFolders { .. } => Self::because(Kind::Error, &error)
                .hint("allow more: sysctl fs.inotify.max_user_watches=1048576 (docs/sync.md)")
                .hint("keep folders out that need not be watched, with --exclude FOLDER/")
                .hint("or look every --interval instead, with --poll"),
            SyncError::Gone(_) => Self::because(Kind::Retry, &error),
            SyncError::Folder { .. }
            | SyncError::Order { .. }
            | SyncError::PlanFile { .. }
            | SyncError::NotAPlan { .. }
            | SyncError::Spool(_) => Self::because(Kind::Error, &error),
        }
    }
}
