//! Secrets in files: `PROFILE/DIGEST.json`, one for each account, `PROFILE/current` with the digest of the current
//! one, `PROFILE/lock`. Directories 0700, files 0600; each write is a new file that is renamed over the old one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use wigeon_core::secret::Secret;
use zeroize::Zeroizing;

use super::boundary::{Account, Lock, SecretStore, StoreError, digest_of};
use crate::durable;

const CURRENT: &str = "current";
const LOCK: &str = "lock";

/// Keeps secrets under one directory.
#[derive(Debug, Clone)]
pub struct FileStore {
    dir: PathBuf,
}

impl FileStore {
    /// The directory need not exist yet. One that others can enter is refused when it is used.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn place(&self, profile: &str) -> PathBuf {
        // Profile names are checked where they are made; here nothing may leave the directory all the same.
        let name: String = profile
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
            .collect();
        self.dir.join(format!("p-{name}"))
    }

    fn private(&self) -> Result<(), StoreError> {
        let path = &self.dir;
        durable::create_private_dir(path).map_err(failed("create", path))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path).map_err(failed("read", path))?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(StoreError::Open { path: path.clone(), mode });
            }
        }
        Ok(())
    }
}

impl SecretStore for FileStore {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        let place = self.place(profile);
        let Some(current) = read(&place.join(CURRENT))? else { return Ok(None) };
        self.private()?;
        Ok(read(&place.join(format!("{}.json", current.trim())))?.map(|text| Secret::new(text.as_str())))
    }

    fn save(&self, account: &Account, secret: &Secret) -> Result<(), StoreError> {
        self.private()?;
        let place = self.place(&account.profile);
        let digest = digest_of(account);
        let path = place.join(format!("{digest}.json"));
        durable::replace(&path, secret.expose().as_bytes()).map_err(failed("write", &path))?;
        let current = place.join(CURRENT);
        if read(&current)?.as_deref() != Some(&digest) {
            durable::replace(&current, digest.as_bytes()).map_err(failed("write", &current))?;
        }
        Ok(())
    }

    fn remove(&self, profile: &str) -> Result<bool, StoreError> {
        let place = self.place(profile);
        let current = place.join(CURRENT);
        let had = durable::remove(&current).map_err(failed("remove", &current))?;
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(had),
            Err(error) => return Err(failed("read", &place)(error)),
        };
        for entry in entries {
            let path = entry.map_err(failed("read", &place))?.path();
            // The lock's file stays: whoever waits for it must wait for the same one as those who come.
            if path.file_name().is_some_and(|name| name != LOCK) {
                durable::remove(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(had)
    }

    fn profiles(&self) -> Result<Vec<String>, StoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &self.dir)(error)),
        };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join(CURRENT).exists())
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("p-").map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }

    fn try_lock(&self, profile: &str) -> Result<Option<Lock>, StoreError> {
        self.private()?;
        let place = self.place(profile);
        durable::create_private_dir(&place).map_err(failed("create", &place))?;
        let path = place.join(LOCK);
        let file = open(&path).map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock::holding(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}
