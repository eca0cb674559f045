//! The profile of a directory: `.wigeon.toml` here or above, with the one line `profile = "NAME"`.
//!
//! Such a file may come with somebody's archive or repository, so it can do nothing but name a profile that the
//! person has installed. Refused: anything else in it. Passed over: a file of another user (root's is taken), which
//! anyone could put into a directory like `/tmp`.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::Deserialize;

use crate::environment::Environment;
use crate::errors::Failure;

const FILE: &str = ".wigeon.toml";

/// It names a profile, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfDirectory {
    profile: String,
}

/// The name in the nearest file.
pub(crate) fn of_directory(environment: &Environment) -> Result<Option<String>, Failure> {
    let us = rustix::process::getuid().as_raw();
    for dir in environment.directories() {
        if let Some(name) = read(&dir.join(FILE), us)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn read(file: &Path, us: u32) -> Result<Option<String>, Failure> {
    let wrong = |why: String| {
        let mut failure = Failure::error(format!("`{}` is not understood", file.display()));
        failure.causes.push(why);
        failure.hint("it may hold one line: profile = \"NAME\"")
    };
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.uid() != us && metadata.uid() != 0 => {
            tracing::warn!(file = %file.display(), "passed over: it belongs to another user");
            return Ok(None);
        }
        Ok(_) => {}
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(wrong(error.to_string())),
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let found: OfDirectory = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
    Ok(Some(found.profile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_a_profile_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let us = rustix::process::getuid().as_raw();
        assert_eq!(read(&file, us).unwrap(), None);
        std::fs::write(&file, "profile = 'lab'\n").unwrap();
        assert_eq!(read(&file, us).unwrap().as_deref(), Some("lab"));
        for text in ["", "profile = 1", "profile = 'lab'\nca_file = 'x'", "[profile]\nname = 'x'", "x"] {
            std::fs::write(&file, text).unwrap();
            assert!(read(&file, us).is_err(), "{text}");
        }
    }

    #[test]
    fn another_users_file_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        std::fs::write(&file, "profile = 'lab'\n").unwrap();
        let owner = std::fs::metadata(&file).unwrap().uid();
        // Root's own files are everyone's; otherwise ours are not another's.
        let seen = read(&file, owner + 1).unwrap();
        assert_eq!(seen.is_some(), owner == 0);
    }
}
