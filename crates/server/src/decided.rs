//! Which statement of which policy decided a request: for the audit.

use serde::Serialize;
use wigeon_core::policy::{Policies, StatementRef};

/// The statement that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecidedBy {
    /// `trust policy`, `bucket policy`, `permission policy`, `permissions boundary` or `session policy`.
    pub layer: &'static str,
    /// The policy's name.
    pub policy: String,
    /// The statement's `Sid`, or its place as `Statement[0]`.
    pub statement: String,
}

impl DecidedBy {
    /// Of the policies that the reference comes from.
    #[must_use]
    pub fn of(policies: &Policies<'_>, at: StatementRef) -> Option<Self> {
        let (policy, statement) = policies.statement(at)?;
        let (policy, statement) = (policy.name.clone(), statement.to_string());
        Some(Self { layer: at.layer.name(), policy, statement })
    }
}
