//! Issue: from an assumed role to a sealed session and its credentials, and back.
//!
//! Enters: an [`AssumedRole`](crate::trust::AssumedRole) and what was asked for. Leaves: credentials whose
//! session token holds the whole [`Session`](crate::session::Session), encrypted and authenticated; later,
//! the caller again.
//! Refused: tokens that this key ring did not seal, expired ones, tokens under another access key.
//!
//! The secret key is derived from a server secret and the random access key id, never from anything that
//! the token shows (docs/threat-model.md, "Sessions"). Nothing is stored: any node with the key ring can serve any
//! session.

mod key_ring;

mod envelope;

mod origin;

mod version_1;

mod seal;

mod long_lived;

mod ring_file;

pub use key_ring::{KeyRing, KeyRingError, RingEntry};
pub use long_lived::LongLived;
pub use ring_file::RingFile;
pub use seal::{Grant, IssueError, Issued, Sealer, UnsealError, Unsealed};

#[cfg(test)]
mod tests;
