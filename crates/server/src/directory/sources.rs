//! The files that a directory's state is read from: one that names others, relative to its own folder.
//!
//! Enters: the path of the first. Leaves: their texts, and a [`Fingerprint`] of all of them, by which a change is seen.
//! A fault names the file, the place and the cause.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Why a directory file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not the TOML that is expected.
    #[error("`{}` is not a directory file: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and cause.
        message: String,
    },
    /// An entry breaks a rule.
    #[error("`{}`, {place}: {reason}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Which entry: ``role `reader`, trust policy``.
        place: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
}

/// Every file that a state was read from, with its time of change and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Fingerprint {
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let look = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Self(paths.into_iter().map(|path| (path.clone(), look(&path))).collect())
    }

    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self::of(self.0.iter().map(|(path, _)| path.clone()))
    }
}

/// A file, and those that were read because it names them.
#[derive(Debug)]
pub(super) struct Sources {
    path: PathBuf,
    /// The fingerprints are taken before the contents are read, so a change in between is seen next time.
    seen: Fingerprint,
}

impl Sources {
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: Fingerprint::of([path.to_owned()]) }
    }

    /// A file that was read already, by somebody who does not want to know of its changes.
    pub(super) fn named_by(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: Fingerprint::of([]) }
    }

    /// Of everything that was read.
    pub(super) fn into_seen(self) -> Fingerprint {
        self.seen
    }

    /// Where a file lies that is named relative to the first.
    pub(super) fn beside(&self, file: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(file)
    }

    pub(super) fn read(&mut self, file: &Path) -> Result<String, DirectoryError> {
        let path = self.beside(file);
        self.seen.0.extend(Fingerprint::of([path.clone()]).0);
        fs::read_to_string(&path).map_err(|source| DirectoryError::Read { path, source })
    }

    pub(super) fn fault(&self, place: &str, reason: impl ToString) -> DirectoryError {
        DirectoryError::Entry { path: self.path.clone(), place: place.to_owned(), reason: reason.to_string() }
    }
}
