//! JSON Web Tokens (RFC 7515, 7517, 7518, 8037): what is signed, by which key, and nothing else.
//!
//! ```text
//! text ─► UnverifiedToken ─► SignedToken        KeySet: the keys of one provider
//! ```
//!
//! Enters: a compact JWS and one provider's key set. Leaves: a [`SignedToken`], which only a signature
//! that holds can make. Refused: `alg: none`, every HMAC algorithm, a critical header, encrypted tokens,
//! algorithms outside the caller's list, keys that do not say clearly that they are this token's (docs/sts.md,
//! "The token"). What the claims say is judged elsewhere.

mod algorithm;

mod der;

mod key_set;

mod token;

pub mod signing;

pub use algorithm::{Algorithm, AllowedAlgorithms, UnknownAlgorithm, at_hash};
pub use key_set::{KeyError, KeySet, KeySetError};
pub use token::{MAX_TOKEN_LEN, SignedToken, TokenError, UnverifiedToken};

#[cfg(test)]
mod tests;
