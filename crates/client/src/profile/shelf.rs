//! Profiles kept by name: `NAME.toml` in one directory, each with the answers that were saved with it.

use std::io;
use std::path::{Path, PathBuf};

use super::document::{Bookmark, Document, Profile, ProfileError};
use crate::durable;

/// The directory of the stored profiles.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

/// A profile with its name and its saved answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Short: lower-case letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The profile as it was imported.
    pub profile: Profile,
    /// What wins over it.
    pub bookmark: Bookmark,
}

/// Why a stored profile cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// There is no profile of this name.
    #[error("there is no profile `{name}`")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The name cannot be a file's.
    #[error(
        "`{0}` cannot be a profile's name: use up to 64 lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
    )]
    Name(String),
    /// The name is taken.
    #[error("there is a profile `{0}` already")]
    Taken(String),
    /// The file is damaged.
    #[error(transparent)]
    Damaged(#[from] ProfileError),
    /// The system refuses.
    #[error("cannot access `{}`", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl Shelf {
    /// The profiles of a directory, which need not exist yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The names, sorted.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn names(&self) -> Result<Vec<String>, ShelfError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ShelfError::Io { path: self.dir.clone(), source }),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|file| file.strip_suffix(".toml").map(str::to_owned))
            .filter(|name| is_name(name))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// No such profile, a damaged file, or the system's refusal.
    pub fn load(&self, name: &str) -> Result<Stored, ShelfError> {
        let path = self.path(name)?;
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ShelfError::Unknown { name: name.to_owned(), known: self.names()? });
            }
            Err(source) => return Err(ShelfError::Io { path, source }),
        };
        match Document::parse(&bytes, &path.display().to_string())? {
            Document::Profile(profile, bookmark) => Ok(Stored { name: name.to_owned(), profile, bookmark }),
            Document::Bookmark(_) => Err(ShelfError::Damaged(ProfileError {
                file: path.display().to_string(),
                line: 1,
                problem: "a stored profile needs `protocol` and `vendor`, and there is only a bookmark"
                    .to_owned(),
            })),
        }
    }

    /// Writes a profile; `replace` says whether one of the same name may go.
    ///
    /// # Errors
    /// A name that cannot be, or is taken, or the system's refusal.
    pub fn save(&self, stored: &Stored, replace: bool) -> Result<PathBuf, ShelfError> {
        let path = self.path(&stored.name)?;
        if !replace && path.exists() {
            return Err(ShelfError::Taken(stored.name.clone()));
        }
        let document = Document::Profile(stored.profile.clone(), stored.bookmark.clone());
        durable::replace(&path, document.to_toml().as_bytes())
            .map_err(|source| ShelfError::Io { path: path.clone(), source })?;
        Ok(path)
    }

    /// Removes a profile.
    ///
    /// # Errors
    /// No such profile, or the system's refusal.
    pub fn remove(&self, name: &str) -> Result<(), ShelfError> {
        let path = self.path(name)?;
        match durable::remove(&path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ShelfError::Unknown { name: name.to_owned(), known: self.names()? }),
            Err(source) => Err(ShelfError::Io { path, source }),
        }
    }

    /// The stored profile of a vendor: the one that a bookmark's `Provider` means.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn find_vendor(&self, vendor: &str) -> Result<Option<Stored>, ShelfError> {
        for name in self.names()? {
            let stored = self.load(&name)?;
            if stored.profile.vendor() == vendor {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }

    fn path(&self, name: &str) -> Result<PathBuf, ShelfError> {
        if is_name(name) {
            Ok(self.dir.join(format!("{name}.toml")))
        } else {
            Err(ShelfError::Name(name.to_owned()))
        }
    }

    /// Where the profiles are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// A name made of a text: `AWS S3 (Google)` → `aws-s3-google`. `None` when nothing of it can stand in a name.
#[must_use]
pub fn slug(text: &str) -> Option<String> {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(48);
    let slug = slug.trim_matches('-').to_owned();
    (!slug.is_empty()).then_some(slug)
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    (1..=64).contains(&name.len())
        && name.chars().all(fits)
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().join("profiles"));
        assert_eq!(shelf.names().unwrap(), Vec::<String>::new());
        let mut bookmark = Bookmark::default();
        bookmark.answer("role_arn", "arn:aws:iam::1:role/x");
        let stored = Stored { name: "lab".to_owned(), profile: Profile::of_protocol("s3"), bookmark };
        shelf.save(&stored, false).unwrap();
        assert!(matches!(shelf.save(&stored, false), Err(ShelfError::Taken(_))));
        shelf.save(&stored, true).unwrap();
        assert_eq!(shelf.load("lab").unwrap(), stored);
        assert_eq!(shelf.find_vendor("iterate GmbH").unwrap(), Some(stored));
        assert!(matches!(shelf.load("x"), Err(ShelfError::Unknown { known, .. }) if known == ["lab"]));
        shelf.remove("lab").unwrap();
        assert!(matches!(shelf.remove("lab"), Err(ShelfError::Unknown { .. })));
    }

    #[test]
    fn names_stay_in_the_directory() {
        let shelf = Shelf::new("/nowhere");
        for name in ["", "..", "../x", "a/b", "A", ".hidden", "a\0b", &"a".repeat(65)] {
            assert!(matches!(shelf.load(name), Err(ShelfError::Name(_))), "{name}");
        }
    }

    #[test]
    fn slugs() {
        assert_eq!(slug("AWS S3 (Google OpenID Connect)").as_deref(), Some("aws-s3-google-openid-connect"));
        assert_eq!(slug("…").as_deref(), None);
    }
}
