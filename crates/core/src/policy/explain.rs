//! Why a decision fell as it did: the same policies and request walked again, in words.

use std::fmt;

use super::context::Request;
use super::evaluate::{Decision, Policies, evaluate};

/// A decision with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What [`evaluate`] said.
    pub decision: Decision,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decision {
            Decision::Allow(_) => f.write_str("allowed"),
            Decision::ExplicitDeny(_) => f.write_str("denied explicitly"),
            Decision::ImplicitDeny(_) => f.write_str("nothing allows it"),
        }
    }
}

/// Decides the request again and says why. Slow: for audit records, error messages and people.
#[must_use]
pub fn explain(policies: &Policies<'_>, request: &Request<'_>) -> Explanation {
    Explanation { decision: evaluate(policies, request) }
}
