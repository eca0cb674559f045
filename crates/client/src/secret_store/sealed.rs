//! Secrets in files, sealed: `p-PROFILE/DIGEST.sealed`, one for each account, `current` with the digest of the current
//! one, `lock`; `keys/` beside them. Directories 0700, files 0600; each write is a new file that is renamed over the
//! old one. Only the keys are small enough for every keychain, so only they go there: records may have any size.
//!
//! A record says in its first line which key opens it, so it stays where the person put it, and several ways live side
//! by side. Files of earlier versions (`DIGEST.json`, not sealed) are read, and sealed as soon as nobody else is
//! renewing: the sealed one is on the disk before the plain one goes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wigeon_core::secret::Secret;
use zeroize::Zeroizing;

use super::boundary::{Account, Lock, Place, Prepared, Protection, SecretStore, StoreError, digest_of};
use super::disk::{failed, lock, read, read_bytes};
use super::keys::{Keys, Passphrases};
use super::seal::DataKey;
use crate::durable;

const CURRENT: &str = "current";
const LOCK: &str = "lock";
const SEALED: &str = "sealed";
const PLAIN: &str = "json";
const KIND: &str = "wigeon-sealed 1";

/// What a store is made of.
#[derive(Clone)]
pub struct Options {
    /// Whether this system may have a keychain.
    pub keychain: bool,
    /// What tells this machine from others; may be empty.
    pub machine_id: String,
    /// Knows the passphrase.
    pub passphrases: Arc<dyn Passphrases>,
    /// The protection of new sign-ins; by default the keychain where there is one, else the file.
    pub chosen: Option<Protection>,
    /// Whether what is kept already moves to the chosen one: a person signs in anew.
    pub moving: bool,
}

/// Keeps sealed secrets under one directory.
#[derive(Clone)]
pub struct SealedStore {
    dir: PathBuf,
    keys: Keys,
    chosen: Option<Protection>,
    moving: bool,
}

impl SealedStore {
    /// The directory need not exist yet. One that others can enter is refused when it is used.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, options: Options) -> Self {
        let dir = dir.into();
        let Options { keychain, machine_id, passphrases, chosen, moving } = options;
        let keys = Keys { dir: dir.join("keys"), keychain, machine_id, passphrases, known: Arc::default() };
        Self { dir, keys, chosen, moving }
    }

    fn place_of(&self, profile: &str) -> PathBuf {
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

    /// The current account's file, without its extension.
    fn current(&self, profile: &str) -> Result<Option<PathBuf>, StoreError> {
        let place = self.place_of(profile);
        Ok(read(&place.join(CURRENT))?.map(|digest| place.join(digest.trim())))
    }

    /// The key for what is saved next, and why a better one was passed over. What is kept stays with its key, unless
    /// a person signs in anew; a passphrase that was chosen once is never given up for less by itself.
    fn key(&self, profile: &str) -> Result<(Protection, DataKey, Option<String>), StoreError> {
        let kept = match self.place(profile)? {
            Some(Place::Sealed(protection)) => Some(protection),
            _ => None,
        };
        let stays =
            kept.filter(|kept| !self.moving || (self.chosen, *kept) == (None, Protection::Passphrase));
        if let Some(protection) = stays.or(self.chosen) {
            return Ok((protection, self.keys.ready(protection)?, None));
        }
        match self.keys.ready(Protection::Keychain) {
            Ok(key) => Ok((Protection::Keychain, key, None)),
            Err(StoreError::Keychain(why)) => {
                Ok((Protection::File, self.keys.ready(Protection::File)?, Some(why.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    fn open(&self, profile: &str, file: &Path, sealed: &[u8]) -> Result<Secret, StoreError> {
        let damaged = || StoreError::Unopened("file");
        let (head, body) = split(sealed).ok_or_else(damaged)?;
        let (protection, id) = read_head(head).ok_or_else(damaged)?;
        let gone = || StoreError::Unopened(protection.name());
        let key = self.keys.existing(protection)?.filter(|key| key.id() == id).ok_or_else(gone)?;
        let mut text = key.open(&about(head, profile, file), body).ok_or_else(gone)?;
        // The buffer itself becomes the secret: no copy is left behind.
        String::from_utf8(std::mem::take(&mut *text)).map(Secret::new).map_err(|_| gone())
    }

    fn write(&self, file: &Path, profile: &str, secret: &Secret) -> Result<(), StoreError> {
        let (protection, key, _) = self.key(profile)?;
        let head = format!("{KIND} {} {}", protection.name(), key.id());
        let body = key.seal(&about(&head, profile, file), secret.expose().as_bytes())?;
        let content = [head.as_bytes(), b"\n", &body].concat();
        let path = file.with_extension(SEALED);
        durable::replace(&path, &content).map_err(failed("write", &path))
    }

    /// Seals what an earlier version has kept, if nobody is about to write something newer.
    fn migrate(&self, profile: &str, file: &Path) -> Result<(), StoreError> {
        let Some(_lock) = self.try_lock(profile)? else { return Ok(()) };
        let plain = file.with_extension(PLAIN);
        if let Some(text) = read(&plain)?.filter(|_| !file.with_extension(SEALED).exists()) {
            self.write(file, profile, &Secret::new(text.as_str()))?;
        }
        durable::remove(&plain).map(|_| ()).map_err(failed("remove", &plain))
    }
}

impl SecretStore for SealedStore {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        let Some(file) = self.current(profile)? else { return Ok(None) };
        self.private()?;
        if let Some(sealed) = read_bytes(&file.with_extension(SEALED))? {
            return self.open(profile, &file, &sealed).map(Some);
        }
        let Some(text) = read(&file.with_extension(PLAIN))? else { return Ok(None) };
        if let Err(error) = self.migrate(profile, &file) {
            tracing::warn!(%error, profile, "the sign-in cannot be encrypted yet");
        }
        Ok(Some(Secret::new(text.as_str())))
    }

    fn accounts(&self, profile: &str) -> Result<Vec<Secret>, StoreError> {
        let place = self.place_of(profile);
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &place)(error)),
        };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == SEALED));
        files.sort();
        let mut secrets = Vec::new();
        for file in files {
            let Some(sealed) = read_bytes(&file)? else { continue };
            match self.open(profile, &file.with_extension(""), &sealed) {
                Ok(secret) => secrets.push(secret),
                Err(error) => tracing::info!(%error, file = %file.display(), "an account cannot be opened"),
            }
        }
        Ok(secrets)
    }

    fn prepare(&self, profile: &str) -> Result<Prepared, StoreError> {
        self.private()?;
        let (protection, _, passed_over) = self.key(profile)?;
        // A disk that is full, or that nobody may write to, is found now.
        let trial = self.place_of(profile).join("trial");
        durable::replace(&trial, &[0; 1 << 16]).map_err(failed("write", &trial))?;
        durable::remove(&trial).map_err(failed("remove", &trial))?;
        Ok(Prepared { place: Place::Sealed(protection), passed_over })
    }

    fn place(&self, profile: &str) -> Result<Option<Place>, StoreError> {
        let Some(file) = self.current(profile)? else { return Ok(None) };
        match read_bytes(&file.with_extension(SEALED))? {
            Some(sealed) => {
                let protection = split(&sealed).and_then(|(head, _)| read_head(head)).map(|(found, _)| found);
                Ok(protection.map(Place::Sealed))
            }
            None => Ok(file.with_extension(PLAIN).exists().then_some(Place::Plain)),
        }
    }

    fn save(&self, account: &Account, secret: &Secret) -> Result<(), StoreError> {
        self.private()?;
        let place = self.place_of(&account.profile);
        let digest = digest_of(account);
        let file = place.join(&digest);
        self.write(&file, &account.profile, secret)?;
        let current = place.join(CURRENT);
        if read(&current)?.as_ref().is_none_or(|current| **current != digest) {
            durable::replace(&current, digest.as_bytes()).map_err(failed("write", &current))?;
        }
        let plain = file.with_extension(PLAIN);
        durable::remove(&plain).map(|_| ()).map_err(failed("remove", &plain))
    }

    fn remove(&self, profile: &str) -> Result<bool, StoreError> {
        let place = self.place_of(profile);
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
        lock(&self.place_of(profile).join(LOCK), Duration::ZERO)
    }
}

/// The first line, and what is sealed.
fn split(sealed: &[u8]) -> Option<(&str, &[u8])> {
    let end = sealed.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = sealed.split_at_checked(end)?;
    Some((std::str::from_utf8(head).ok()?, body.get(1..)?))
}

fn read_head(head: &str) -> Option<(Protection, &str)> {
    let (name, id) = head.strip_prefix(KIND)?.strip_prefix(' ')?.split_once(' ')?;
    Some((Protection::ALL.into_iter().find(|protection| protection.name() == name)?, id))
}

/// What a record is bound to: its key, its profile, its account.
fn about(head: &str, profile: &str, file: &Path) -> Zeroizing<Vec<u8>> {
    let digest = file.file_name().unwrap_or_default().to_string_lossy();
    Zeroizing::new(format!("{head}\0{profile}\0{digest}").into_bytes())
}
