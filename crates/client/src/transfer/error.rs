//! Why a file did not arrive.

use std::io;
use std::path::PathBuf;

use wigeon_core::s3::name::NameError;

use super::names::NameRefused;
use crate::s3::{ErrorKind, NotDeleted, S3Error};

/// Why a file did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store.
    #[error(transparent)]
    Store(#[from] S3Error),
    /// This machine.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// `read`, `write`, …
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The standard input or output, or another stream.
    #[error("the stream broke off")]
    Stream(#[source] io::Error),
    /// A file with the name of a folder, a device, a socket.
    #[error("`{}` is {what}, not a regular file", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A link in the way could lead anywhere.
    #[error("`{}` is a symbolic link: nothing is written through it", .0.display())]
    Link(PathBuf),
    /// A link that would lead out of the folder.
    #[error("the link `{}` would point out of the folder, to `{target}`", link.display())]
    Outside {
        /// The link.
        link: PathBuf,
        /// Where to.
        target: String,
    },
    /// The store kept an object that was to be removed.
    #[error(transparent)]
    NotRemoved(NotDeleted),
    /// One request for many objects failed.
    #[error("removed together with others: {0}")]
    WithOthers(String),
    /// A key without a place among files.
    #[error(transparent)]
    Name(#[from] NameRefused),
    /// A file without a place among keys.
    #[error(transparent)]
    Key(#[from] NameError),
    /// It is not what it was when the transfer began; the target is as it was before.
    #[error("`{0}` changed while it was being transferred; try again")]
    Changed(String),
    /// It is not what it was when a plan was made of it; it was left as it is.
    #[error("`{0}` is not what it was when the plan was made")]
    Outdated(String),
    /// It arrived, and it is not the same.
    #[error("`{subject}` did not arrive as it is: its {what} differs")]
    Corrupt {
        /// Which.
        subject: String,
        /// `size`, `CRC64NVME`, …
        what: &'static str,
    },
    /// A stream with more than 10,000 parts of the largest size.
    #[error("the stream is longer than an object can be")]
    TooLong,
    /// To lose it silently would open or unlock the object.
    #[error(
        "`{0}` has an access control list or a lock, which its new form would lose: writing them is denied"
    )]
    Guarded(String, #[source] S3Error),
    /// What was asked for cannot be planned.
    #[error("{0}")]
    Plan(String),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A worker ended without an answer.
    #[error("a worker of the transfer ended unexpectedly")]
    Worker,
}

impl TransferError {
    /// Whether what was begun is worth keeping: the same again may go on from here, now or once somebody has signed in.
    pub(crate) fn may_go_on(&self) -> bool {
        match self {
            Self::Interrupted => true,
            Self::Store(error) => matches!(
                error.kind(),
                ErrorKind::Throttled
                    | ErrorKind::Unavailable
                    | ErrorKind::Expired
                    | ErrorKind::SignInNeeded
                    | ErrorKind::BadCredentials
                    | ErrorKind::ClockSkew
            ),
            Self::File { .. }
            | Self::Stream(_)
            | Self::NotAFile { .. }
            | Self::Link(_)
            | Self::Outside { .. }
            | Self::NotRemoved(_)
            | Self::WithOthers(_)
            | Self::Outdated(_)
            | Self::Name(_)
            | Self::Key(_)
            | Self::Changed(_)
            | Self::Corrupt { .. }
            | Self::TooLong
            | Self::Guarded(..)
            | Self::Plan(_)
            | Self::Worker => false,
        }
    }

    /// What can be done about it, where the store is the cause.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Store(error) | Self::Guarded(_, error) => Some(error.kind()),
            _ => None,
        }
    }
}
