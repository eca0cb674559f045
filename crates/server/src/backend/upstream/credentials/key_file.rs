//! A secret key in a file that only its owner can read.

use std::io;
use std::path::Path;

use wigeon_core::secret::Secret;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("the secret key in `{0}` cannot be read")]
    Read(String, #[source] io::Error),
    /// Others can read it too.
    #[error("`{0}` holds a secret and others can read it; run: chmod 600 `{0}`")]
    Exposed(String),
    /// Nothing is in it.
    #[error("`{0}` is empty")]
    Empty(String),
}

/// Reads it, without white space around it.
pub(super) fn read(path: &Path) -> Result<Secret, KeyFileError> {
    let name = path.display().to_string();
    let metadata = std::fs::metadata(path).map_err(|source| KeyFileError::Read(name.clone(), source))?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(KeyFileError::Exposed(name));
    }
    let text = std::fs::read_to_string(path).map_err(|source| KeyFileError::Read(name.clone(), source))?;
    let secret = Secret::new(text.trim());
    if secret.is_empty() { Err(KeyFileError::Empty(name)) } else { Ok(secret) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        assert!(matches!(read(&file), Err(KeyFileError::Read(..))));
        std::fs::write(&file, "secret\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        assert!(matches!(read(&file), Err(KeyFileError::Exposed(_))));
        mode(0o600);
        assert_eq!(read(&file).unwrap().expose(), "secret");
        std::fs::write(&file, " \n").unwrap();
        assert!(matches!(read(&file), Err(KeyFileError::Empty(_))));
    }
}
