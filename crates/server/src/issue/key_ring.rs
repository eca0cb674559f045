//! The keys that seal sessions: the newest that may already issue does, all are accepted.
//!
//! A key that is added may have to wait before it issues, until every node that shares the ring has it.
//!
//! Enters: a file with mode 0600, created when it is not there. Leaves: a [`KeyRing`]. Refused: a file that
//! others may read, a file that is not a key ring, an empty ring.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use wigeon_core::secret::Secret;
use wigeon_core::time::{SignedDuration, Timestamp, iso8601};
use zeroize::Zeroizing;

/// The bytes of a key's id in a session token.
pub(super) type KeyId = [u8; 4];

/// Keys by age.
pub struct KeyRing {
    keys: Vec<RingKey>,
    /// Which of them issues.
    issuing: usize,
}

/// What a key ring shows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingEntry {
    /// Eight hex digits.
    pub id: String,
    /// When it was made.
    pub created_at: String,
    /// When it begins to issue, if that was put off.
    pub issues_from: Option<Timestamp>,
    /// Whether it issues now.
    pub issues: bool,
}

/// Why there is no key ring.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The file cannot be read or written.
    #[error("the session keys in `{}` cannot be {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read`, `written`.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error("the session keys in `{}` can be read by others; set its mode to 600, and replace the keys if someone could have seen them", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
    },
    /// Not a key ring, or one without keys.
    #[error("`{}` does not hold session keys", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
    },
    /// No randomness to be had.
    #[error("a session key could not be generated")]
    Generate,
}

pub(super) struct RingKey {
    pub(super) id: KeyId,
    created_at: String,
    issues_from: Option<Timestamp>,
    material: Zeroizing<[u8; 32]>,
    /// Seals session tokens.
    pub(super) sealing: RandomizedNonceKey,
    /// Seals what only administrators may read: why a request was denied.
    pub(super) confiding: RandomizedNonceKey,
    /// Derives secret keys from access key ids.
    deriving: hmac::Key,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileContents {
    keys: Vec<FileKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKey {
    /// Eight hex digits.
    id: String,
    created_at: String,
    /// Until then it is accepted and does not issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issues_from: Option<Timestamp>,
    /// 32 bytes in base64.
    key: Secret,
}

impl KeyRing {
    /// A ring with one new key, in memory only.
    pub fn generate(now: Timestamp) -> Result<Self, KeyRingError> {
        Ok(Self { keys: vec![RingKey::generate(now)?], issuing: 0 })
    }

    /// Reads the ring, or creates it with one new key when the file is not there.
    pub fn open_or_create(path: &Path, now: Timestamp) -> Result<Self, KeyRingError> {
        match fs::metadata(path) {
            Ok(metadata) => {
                if others_may_read(&metadata) {
                    return Err(KeyRingError::Permissions { path: path.to_owned() });
                }
                Self::read(path, now)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let ring = Self::generate(now)?;
                match ring.write(path, false) {
                    // Another process was faster: its keys count.
                    Err(KeyRingError::File { source, .. })
                        if source.kind() == io::ErrorKind::AlreadyExists =>
                    {
                        Self::read(path, now)
                    }
                    written => written.map(|()| ring),
                }
            }
            Err(source) => Err(KeyRingError::File { path: path.to_owned(), what: "read", source }),
        }
    }

    /// Reads a ring that is there.
    ///
    /// # Errors
    /// [`KeyRingError`]
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, KeyRingError> {
        let metadata = fs::metadata(path);
        let metadata =
            metadata.map_err(|source| KeyRingError::File { path: path.to_owned(), what: "read", source })?;
        if others_may_read(&metadata) {
            return Err(KeyRingError::Permissions { path: path.to_owned() });
        }
        Self::read(path, now)
    }

    /// Adds a new key, which issues once `after` has passed; the others are still accepted. Drops the oldest beyond
    /// `keep` keys in all, and with it every session that it sealed, but never the one that issues now.
    pub fn rotate(
        &mut self,
        path: &Path,
        keep: usize,
        now: Timestamp,
        after: SignedDuration,
    ) -> Result<(), KeyRingError> {
        let mut key = RingKey::generate(now)?;
        key.issues_from = (after > SignedDuration::ZERO).then(|| now + after);
        self.keys.push(key);
        let surplus = self.keys.len().saturating_sub(keep.max(1));
        self.keys.drain(..surplus.min(issuing(&self.keys, now)));
        self.issuing = issuing(&self.keys, now);
        self.write(path, true)
    }

    /// What is in it, by age.
    pub fn entries(&self) -> impl Iterator<Item = RingEntry> {
        self.keys.iter().enumerate().map(|(at, key)| RingEntry {
            id: hex(key.id),
            created_at: key.created_at.clone(),
            issues_from: key.issues_from,
            issues: at == self.issuing,
        })
    }

    /// How many keys there are, and since when the one that issues does.
    pub(super) fn standing(&self) -> (usize, Option<Timestamp>) {
        let key = self.keys.get(self.issuing);
        let since = key.and_then(|key| key.issues_from.or_else(|| key.created_at.parse().ok()));
        (self.keys.len(), since)
    }

    /// Whether another key than before issues by now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        issuing(&self.keys, now) != self.issuing
    }

    fn read(path: &Path, now: Timestamp) -> Result<Self, KeyRingError> {
        let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|source| KeyRingError::File {
            path: path.to_owned(),
            what: "read",
            source,
        })?;
        let keys = serde_json::from_str::<FileContents>(&text)
            .ok()
            .and_then(|contents| contents.keys.iter().map(RingKey::from_file).collect::<Option<Vec<_>>>())
            .filter(|keys| !keys.is_empty());
        keys.map(|keys| Self { issuing: issuing(&keys, now), keys })
            .ok_or_else(|| KeyRingError::Contents { path: path.to_owned() })
    }

    fn write(&self, path: &Path, replace: bool) -> Result<(), KeyRingError> {
        let failed = |source| KeyRingError::File { path: path.to_owned(), what: "written", source };
        let contents = FileContents { keys: self.keys.iter().map(RingKey::to_file).collect() };
        let text = serde_json::to_string_pretty(&contents).map(Zeroizing::new).map_err(io::Error::from);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A temporary file has mode 0600 from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(text.map_err(failed)?.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        let placed = if replace { file.persist(path) } else { file.persist_noclobber(path) };
        placed.map(drop).map_err(|error| failed(error.error))
    }

    /// The key that issues.
    pub(super) fn newest(&self) -> &RingKey {
        self.keys.get(self.issuing).expect("a ring is never built without a key")
    }

    pub(super) fn key(&self, id: KeyId) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// The newest key that may issue; where none may yet, the oldest.
fn issuing(keys: &[RingKey], now: Timestamp) -> usize {
    keys.iter().rposition(|key| key.issues_from.is_none_or(|from| from <= now)).unwrap_or_default()
}

/// How many keys, and which ids.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| hex(key.id))).finish()
    }
}

impl RingKey {
    fn generate(now: Timestamp) -> Result<Self, KeyRingError> {
        let mut id = KeyId::default();
        let mut material = Zeroizing::new([0; 32]);
        rand::fill(&mut id).map_err(|_| KeyRingError::Generate)?;
        rand::fill(material.as_mut()).map_err(|_| KeyRingError::Generate)?;
        Self::new(id, iso8601(now), None, material).ok_or(KeyRingError::Generate)
    }

    /// Several keys of the one material, by HKDF (RFC 5869), so that what is sealed says nothing about what is
    /// derived.
    fn new(
        id: KeyId,
        created_at: String,
        issues_from: Option<Timestamp>,
        material: Zeroizing<[u8; 32]>,
    ) -> Option<Self> {
        let secret = Salt::new(HKDF_SHA256, b"wigeon session keys 1").extract(material.as_ref());
        let expand = |purpose: &[u8]| {
            let mut key = Zeroizing::new([0_u8; 32]);
            secret.expand(&[purpose], Bytes32).ok()?.fill(key.as_mut()).ok()?;
            Some(key)
        };
        let sealing = RandomizedNonceKey::new(&AES_256_GCM_SIV, expand(b"seal")?.as_ref()).ok()?;
        let confiding =
            RandomizedNonceKey::new(&AES_256_GCM_SIV, expand(b"authorization messages")?.as_ref()).ok()?;
        let deriving = hmac::Key::new(hmac::HMAC_SHA256, expand(b"secret access keys")?.as_ref());
        Some(Self { id, created_at, issues_from, material, sealing, confiding, deriving })
    }

    /// 40 characters, like AWS's: the first 30 bytes of the keyed hash.
    pub(super) fn secret_key(&self, access_key_id: &str) -> Secret {
        let tag = hmac::sign(&self.deriving, access_key_id.as_bytes());
        let bytes = tag.as_ref().get(..30).unwrap_or_default();
        Secret::new(STANDARD.encode(bytes))
    }

    fn from_file(key: &FileKey) -> Option<Self> {
        let id = u32::from_str_radix(&key.id, 16).ok().filter(|_| key.id.len() == 8)?.to_be_bytes();
        let bytes = Zeroizing::new(STANDARD.decode(key.key.expose()).ok()?);
        let material = Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).ok()?);
        Self::new(id, key.created_at.clone(), key.issues_from, material)
    }

    fn to_file(&self) -> FileKey {
        let key = Secret::new(STANDARD.encode(self.material.as_ref()));
        FileKey { id: hex(self.id), created_at: self.created_at.clone(), issues_from: self.issues_from, key }
    }
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

fn hex(id: KeyId) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

#[cfg(unix)]
fn others_may_read(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn others_may_read(_: &fs::Metadata) -> bool {
    false
}
