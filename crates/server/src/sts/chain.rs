//! `AssumeRole`: a signed caller takes on a role.

use wigeon_core::sts::AssumeRole;

use super::call::{Outcome, Refusal, StsCall};
use super::caller::rights_of;
use super::grant::Wanted;
use super::parts::Parts;
use crate::trust::{TrustError, assume_as_caller};

/// Assumes a role. The session ends no later than the caller's own.
pub(super) fn assume_role(parts: &Parts, call: &StsCall<'_>) -> Result<(String, Outcome), Refusal> {
    // 1. Who calls, and what they may do.
    let snapshot = parts.directory.snapshot();
    let rights = rights_of(call, &snapshot)?;
    // 2. The parameters, all rules at once.
    let request = AssumeRole::from_parameters(call.parameters)?;

    // 3. The role's trust policy, and the caller's own.
    let now = parts.clock.now();
    let assumed =
        assume_as_caller(&snapshot, &rights, &request, &call.circumstances(now)).map_err(|error| {
            let denial = match &error {
                TrustError::Denied { denial, .. } => Some(denial.document.clone()),
                _ => None,
            };
            Refusal { denial, ..Refusal::because(error.to_sts(), &error) }
        })?;

    // 4. What was asked for beside the role, and the session.
    let wanted = Wanted {
        duration_seconds: request.duration_seconds,
        policy: request.policy.as_deref(),
        policy_arns: &request.policy_arns,
        minimum_session_token_size: request.minimum_session_token_size,
    };
    wanted.issue(parts, &snapshot, assumed, (call, now, AssumeRole::ACTION))
}
