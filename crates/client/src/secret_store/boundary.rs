//! What a store of secrets is: the accounts, the operations, the lock, and what can go wrong.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::hex;

use super::keychain::KeychainError;
use super::seal::NoRandom;

/// Whose secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The profile's name.
    pub profile: String,
    /// The provider.
    pub issuer: String,
    /// The client id there.
    pub client_id: String,
    /// The person there.
    pub subject: String,
}

/// What keeps a record from being read by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// A key in the keychain.
    Keychain,
    /// A key in a file of this machine.
    File,
    /// A key under a passphrase.
    Passphrase,
}

impl Protection {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Keychain, Self::File, Self::Passphrase];

    /// As it is written in files and options.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keychain => "keychain",
            Self::File => "file",
            Self::Passphrase => "passphrase",
        }
    }
}

/// Where a profile's secrets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In a file, sealed.
    Sealed(Protection),
    /// In a file of an earlier version, which others than the person cannot read, and root and backups can.
    Plain,
    /// In a process's memory.
    Memory,
}

impl Place {
    /// For programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sealed(protection) => protection.name(),
            Self::Plain => "plain",
            Self::Memory => "memory",
        }
    }

    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Sealed(Protection::Keychain) => "in a file whose key is in the keychain",
            Self::Sealed(Protection::File) => "in an encrypted file whose key is on this machine",
            Self::Sealed(Protection::Passphrase) => "in a file under a passphrase",
            Self::Plain => "in a plain file of an earlier version, to be encrypted with the next renewal",
            Self::Memory => "in the agent's memory alone",
        }
    }
}

/// What [`SecretStore::prepare`] has seen to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Where the secrets will be.
    pub place: Place,
    /// Why a better place was passed over.
    pub passed_over: Option<String>,
}

/// Keeps secrets. An implementation never half-writes, and never loses what [`SecretStore::save`] has accepted.
pub trait SecretStore: Send + Sync {
    /// The current account's secret.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError>;

    /// The secrets of all accounts of a profile that can be opened, the current one among them.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn accounts(&self, profile: &str) -> Result<Vec<Secret>, StoreError>;

    /// Sees to it that a [`SecretStore::save`] for the profile will work, before tokens come that must not be lost.
    ///
    /// # Errors
    /// A store that cannot be written.
    fn prepare(&self, profile: &str) -> Result<Prepared, StoreError>;

    /// Where the current account's secret is.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn place(&self, profile: &str) -> Result<Option<Place>, StoreError>;

    /// Keeps an account's secret and makes it the profile's current one.
    ///
    /// # Errors
    /// A store that cannot be written; what was there before is then still there.
    fn save(&self, account: &Account, secret: &Secret) -> Result<(), StoreError>;

    /// Forgets all accounts of a profile; `false` when there were none.
    ///
    /// # Errors
    /// A store that cannot be written.
    fn remove(&self, profile: &str) -> Result<bool, StoreError>;

    /// The profiles that have a current account, sorted.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn profiles(&self) -> Result<Vec<String>, StoreError>;

    /// Takes the profile's lock, across processes; `None` while someone else has it.
    ///
    /// # Errors
    /// A store that cannot be locked.
    fn try_lock(&self, profile: &str) -> Result<Option<Lock>, StoreError>;
}

/// Held until it is dropped, or the process ends in whichever way.
pub struct Lock(
    #[expect(dead_code, reason = "it is kept for what happens when it is dropped")] Box<dyn Any + Send>,
);

impl Lock {
    pub(crate) fn holding(what: impl Any + Send) -> Self {
        Self(Box::new(what))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// Why the store does not work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refuses.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// `read`, `write`, …
        what: &'static str,
        /// File or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Someone else can read the secrets.
    #[error("`{}` can be read by others (mode {mode:o}); run: chmod 700 {}", path.display(), path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The keychain.
    #[error(transparent)]
    Keychain(#[from] KeychainError),
    /// Nobody says the passphrase.
    #[error("the sign-ins here are under a passphrase, and there is nobody to ask for it")]
    NoPassphrase,
    /// It is another one.
    #[error("the passphrase is another one")]
    WrongPassphrase,
    /// The key is gone, or the record has been changed.
    #[error("what was kept cannot be opened: its key is not in the {0} any more")]
    Unopened(&'static str),
    /// Somebody else is making a key, and does not finish.
    #[error("another process has been making a key for a minute")]
    Busy,
    /// No key can be made.
    #[error("the system gives no random numbers")]
    NoRandom,
    /// The place is a process's memory, and there is no such process.
    #[error("nothing is kept but in the agent's memory, and no agent answers: {0}")]
    NoAgent(String),
}

impl From<NoRandom> for StoreError {
    fn from(NoRandom: NoRandom) -> Self {
        Self::NoRandom
    }
}

/// A name for the account that says nothing of it: 32 hexadecimal digits.
pub(super) fn digest_of(account: &Account) -> String {
    // Each part with its length, so that no two accounts run together.
    let parts = [&account.profile, &account.issuer, &account.client_id, &account.subject];
    let text: String = parts.into_iter().map(|part| format!("{}:{part}", part.len())).collect();
    hex(digest(&SHA256, text.as_bytes()).as_ref().get(..16).unwrap_or_default())
}
