//! Sessions and callers: who sends signed requests, and what later steps need to know of them.
//!
//! Enters: what the token service issued, read back from a session token. Leaves: a [`Caller`], the role and
//! policies of a [`Session`] as they are now, and its condition keys. Refused: a session that outlived its
//! role, its provider, a revocation, or a session policy. Source: docs/threat-model.md, "Sessions".

mod record;

mod keys;

pub(crate) use keys::{claim_value, tag_values};
pub(crate) use record::Prepared;
pub use record::{
    Caller, ChainedOrigin, Link, Origin, ProviderRef, RootSession, Session, SessionEnded, UserSession,
    WebIdentityOrigin,
};
