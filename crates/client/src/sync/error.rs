//! Why a side could not be made like the other.

use std::io;
use std::path::PathBuf;

use crate::s3::S3Error;
use crate::transfer::TransferError;

/// Why the whole ended; what befalls single files is told of them.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// A store could not be listed to its end.
    #[error(transparent)]
    Store(#[from] S3Error),
    /// The transfers ended.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A folder cannot be read at all.
    #[error("cannot read the folder `{}`", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Without order, what is missing cannot be told.
    #[error("`{side}` lists `{after}` after `{before}`: without order nothing can be compared")]
    Order {
        /// Of which side.
        side: String,
        /// The name that came first.
        before: String,
        /// The one that came after it, and is not greater.
        after: String,
    },
    /// A whole side would be removed.
    #[error("the source is empty, and {removals} files would be removed from the target")]
    EmptySource {
        /// How many.
        removals: u64,
    },
    /// More than was allowed.
    #[error("{removals} files would be removed, and {most} are allowed: none was")]
    TooMany {
        /// How many would.
        removals: u64,
        /// How many may.
        most: u64,
    },
    /// What was not copied must not be missing on both sides.
    #[error("{failed} files could not be copied or read, so none of {removals} was removed")]
    NotRemoved {
        /// Copies that failed.
        failed: u64,
        /// Removals that were held back.
        removals: u64,
    },
    /// A plan on its way to a file or from it.
    #[error("cannot {action} the plan `{}`", path.display())]
    PlanFile {
        /// `read` or `write`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file that is no plan, or not a whole one.
    #[error("`{}` is not a whole plan: {what}", path.display())]
    NotAPlan {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The system watches no more folders for this person.
    #[error("the system watches no more folders than {}, and there are more below `{}`", most.as_deref().unwrap_or("these"), path.display())]
    TooManyFolders {
        /// The folder that is watched.
        path: PathBuf,
        /// What the system says is the most.
        most: Option<String>,
    },
    /// It was removed, moved away or unmounted.
    #[error("the folder `{}` is not there any more", .0.display())]
    Gone(PathBuf),
    /// Removals that wait for their turn are kept in a temporary file.
    #[error("cannot keep what is to be removed")]
    Spool(#[source] io::Error),
}
