//! Where sign-ins are kept between commands.
//!
//! Enters and leaves: opaque secret texts, one for each account of a profile, keyed by profile, issuer, client and
//! subject; the one that was saved last is the profile's current one. A save is whole or not at all, and a lock
//! keeps two processes from renewing at once. The boundary is [`SecretStore`]: files ([`FileStore`]), memory
//! ([`MemoryStore`]).

mod boundary;

mod file;

mod memory;

pub use boundary::{Account, Lock, SecretStore, StoreError};
pub use file::FileStore;
pub use memory::MemoryStore;

#[cfg(test)]
mod tests;
