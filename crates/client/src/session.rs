//! The session: the one place that gives valid credentials, and renews them ahead of their end.
//!
//! Enters: a profile's settings, a store, once a [`TokenSet`](crate::sign_in::TokenSet) from a sign-in. Leaves: credentials, for as long as
//! the sign-in lives; then [`SessionError::SignInNeeded`], never a browser window.
//!
//! ```text
//! memory ─► store ─► (lock) store again ─► a person's token, while it is valid ────────────┐
//!                                          ├─► refresh ─► keep the new tokens ─────────────┼─► exchange ─► roles
//!                                          ├─► a workload's token, read anew ──────────────┘               ▲
//!                                          └─► access keys · IAM Identity Center ──────────────────────────┘
//! ```
//!
//! Many callers in a process, and many processes, cause one renewal. A renewal that fails for the moment leaves
//! credentials in use that are still valid, and makes the next one wait a little.
mod error;

mod record;

mod plan;

mod held;

mod validity;

mod person;

mod renewal;

mod credentials;

mod beginning;

mod accounts;

pub use error::SessionError;
pub use held::Session;
pub use record::{AssumedSession, Record};

#[cfg(test)]
mod tests;
