//! What a store of secrets is: the accounts, the operations, the lock, and what can go wrong.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use wigeon_core::secret::Secret;

/// Whose secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// Keeps secrets. An implementation never half-writes, and never loses what [`SecretStore::save`] has accepted.
pub trait SecretStore: Send + Sync {
    /// The current account's secret.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError>;

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
    pub(super) fn holding(what: impl Any + Send) -> Self {
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
}

/// A name for the account that says nothing of it: 32 hexadecimal digits.
pub(super) fn digest_of(account: &Account) -> String {
    // Each part with its length, so that no two accounts run together.
    let parts = [&account.profile, &account.issuer, &account.client_id, &account.subject];
    let text: String = parts.into_iter().map(|part| format!("{}:{part}", part.len())).collect();
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
