//! Where sign-ins are kept between commands.
//!
//! Enters and leaves: opaque secret texts, one for each account of a profile, keyed by profile, issuer, client and
//! subject; the one that was saved last is the profile's current one. A save is whole or not at all, and a lock
//! keeps two processes from renewing at once. The boundary is [`SecretStore`]: sealed files ([`SealedStore`]), memory
//! ([`MemoryStore`]). Refused: a place that would lose what it is given, which is known before tokens are asked for.
//!
//! ```text
//! record ─► seal (AES-256-GCM-SIV) ─► file
//!            ▲ one small key: in the keychain · on this machine · under a passphrase
//! ```

mod seal;

mod keychain;

mod boundary;

mod disk;

mod passphrase;

mod keys;

mod sealed;

mod memory;

pub use boundary::{Account, Lock, Place, Prepared, Protection, SecretStore, StoreError};
pub use keychain::KeychainError;
pub use keys::{NoPassphrase, Passphrases};
pub use memory::MemoryStore;
pub use sealed::{Options, SealedStore};

#[cfg(test)]
mod tests;
