//! `AssumeRoleWithWebIdentity`: a token for credentials.

use wigeon_core::sts::{AssumeRoleWithWebIdentity, StsError, session_name_from};

use super::call::{Outcome, Refusal, StsCall};
use super::grant::Wanted;
use super::parts::Parts;
use crate::trust;
use crate::verify::WebIdentity;

/// Exchanges a token. The order of the checks is part of the contract: nothing that depends on a role is
/// looked at before a token has been verified and the role's trust policy has let it in.
pub(super) async fn exchange(parts: &Parts, call: &StsCall<'_>) -> Result<(String, Outcome), Refusal> {
    // 1. The parameters, all rules at once; where a provider has MinIO's ways, its rules first.
    let snapshot = parts.directory.snapshot();
    let lenient = snapshot.knows_minio();
    let request = match lenient {
        true => AssumeRoleWithWebIdentity::from_minio_parameters(call.parameters)?,
        false => AssumeRoleWithWebIdentity::from_parameters(call.parameters)?,
    };

    // 2. The token: signed, or, with a provider id, opaque.
    let token = request.web_identity_token.expose();
    let verified = match &request.provider_id {
        None => parts.verifier.verify(&snapshot, token).await,
        Some(service) => Box::pin(parts.verifier.verify_opaque(&snapshot, service, token)).await,
    };
    let identity = verified.map_err(|error| Refusal::because(error.to_sts(), &error))?;

    // 3. The role and its trust policy.
    let now = parts.clock.now();
    let (role_arn, session_name) = asked_for(call, &request, lenient, &identity)?;
    let assumed = trust::assume(&snapshot, identity, &role_arn, session_name, &call.circumstances(now))
        .map_err(|error| Refusal::because(error.to_sts(), &error))?;

    // 4. What was asked for beside the role, and the session.
    let wanted = Wanted {
        duration_seconds: request.duration_seconds,
        policy: request.policy.as_deref(),
        policy_arns: &request.policy_arns,
        minimum_session_token_size: request.minimum_session_token_size,
    };
    let action = call.parameters.action().unwrap_or(AssumeRoleWithWebIdentity::ACTION);
    wanted.issue(parts, &snapshot, assumed, (call, now, action))
}

/// The role and the session's name. Without MinIO's ways the request names both; with them, the provider's
/// default role and the subject stand in.
fn asked_for(
    call: &StsCall<'_>,
    request: &AssumeRoleWithWebIdentity,
    lenient: bool,
    identity: &WebIdentity,
) -> Result<(String, String), StsError> {
    if !lenient {
        let role_arn = request.role_arn.clone().unwrap_or_default();
        return Ok((role_arn, request.role_session_name.clone()));
    }
    let Some(minio) = &identity.provider().minio else {
        if call.parameters.action() == Some(AssumeRoleWithWebIdentity::CLIENT_GRANTS) {
            return Err(StsError::not_authorized());
        }
        let strict = AssumeRoleWithWebIdentity::from_parameters(call.parameters)?;
        return Ok((strict.role_arn.unwrap_or_default(), strict.role_session_name));
    };
    // MinIO's clients send the ARN of no role, or of one that means the same.
    let named = request.role_arn.clone().filter(|arn| !arn.is_empty());
    let role_arn = named
        .or_else(|| minio.default_role.as_ref().map(ToString::to_string))
        .ok_or_else(StsError::not_authorized)?;
    let session_name = match request.role_session_name.as_str() {
        "" => session_name_from(identity.token().subject()),
        name => name.to_owned(),
    };
    Ok((role_arn, session_name))
}
