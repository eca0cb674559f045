//! Trust: whether a role lets somebody assume it.
//!
//! Enters: a [`WebIdentity`](crate::verify::WebIdentity) or the [`Rights`](crate::rights::Rights) of a signed
//! caller, a role's ARN, a session name. Leaves: an [`AssumedRole`], which only [`assume`] and
//! [`assume_as_caller`] can make. Refused: a roles claim that does not list the role, everything that the
//! trust policy does not allow, and a change of what a session hands on; an unknown role and a refused one
//! read alike. Source: docs/sts.md, "Trust".

mod assumed;

mod tags;

mod web_identity;

mod caller;

pub use assumed::{AssumedRole, By, Circumstances, Entry, TrustError};
pub use caller::assume_as_caller;
pub use web_identity::{assume, explain_trust};

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests;
