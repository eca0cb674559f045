//! From keys to file names, and back.
//!
//! A key's segments become folders and a file. Refused: whatever would leave the target folder or mean another
//! file there: empty segments, `.` and `..`, and on Windows its separators and drive letters.

use std::path::{Component, Path, PathBuf};

/// Why a key has no place among files, or a file none among keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// The key would leave the folder, or has no name in it.
    #[error("the key `{key}` has the segment `{segment}`, which is no file name")]
    Segment {
        /// The whole key.
        key: String,
        /// The part of it.
        segment: String,
    },
    /// Keys are UTF-8.
    #[error("the file name `{0}` is not UTF-8, and keys are")]
    NotUtf8(String),
}

/// The path of a key below a folder; `relative` is the key without the prefix that the folder stands for.
///
/// # Errors
/// [`NameRefused::Segment`] where a segment is empty, `.` or `..`, or cannot be a name on this system.
pub fn local_path(folder: &Path, relative: &str) -> Result<PathBuf, NameRefused> {
    let mut path = folder.to_owned();
    for segment in relative.split('/') {
        let refused = matches!(segment, "" | "." | "..")
            || segment.contains('\0')
            || (cfg!(windows) && segment.contains(['\\', ':']));
        if refused {
            return Err(NameRefused::Segment { key: relative.to_owned(), segment: segment.to_owned() });
        }
        path.push(segment);
    }
    Ok(path)
}

/// The key of a file below a folder: its names joined by `/`.
pub(crate) fn relative_key(folder: &Path, file: &Path) -> Result<String, NameRefused> {
    let below = file.strip_prefix(folder).unwrap_or(file);
    let mut names = Vec::new();
    for component in below.components() {
        if let Component::Normal(name) = component {
            let name = name.to_str();
            names.push(name.ok_or_else(|| NameRefused::NotUtf8(file.to_string_lossy().into_owned()))?);
        }
    }
    Ok(names.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_leaves_the_folder() {
        let folder = Path::new("/target");
        assert_eq!(local_path(folder, "a/b c/ü").unwrap(), Path::new("/target/a/b c/ü"));
        for bad in ["", "/", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a/", "..", ".", "a/\0"] {
            assert!(local_path(folder, bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_path_stays_below_and_leads_back(key in "\\PC{0,40}|[a./\\\\~-]{0,12}") {
            let folder = Path::new("/target");
            if let Ok(path) = local_path(folder, &key) {
                prop_assert!(path.starts_with(folder) && path != folder);
                prop_assert!(path.components().all(|part| part != Component::ParentDir));
                prop_assert_eq!(relative_key(folder, &path).unwrap(), key);
            }
        }
    }
}
