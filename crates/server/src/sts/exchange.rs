//! `AssumeRoleWithWebIdentity`: a token for credentials.

use wigeon_core::sts::{AssumeRoleWithWebIdentity, AssumedRole, FaultCode, StsError};

use super::call::{Outcome, Refusal, StsCall};
use super::grant::{Wanted, issue_refused};
use super::parts::Parts;
use crate::trust;

/// Exchanges a token. The order of the checks is part of the contract: nothing that depends on a role is
/// looked at before a token has been verified and the role's trust policy has let it in.
pub(super) async fn exchange(parts: &Parts, call: &StsCall<'_>) -> Result<(String, Outcome), Refusal> {
    // 1. The parameters, all rules at once.
    let request = AssumeRoleWithWebIdentity::from_parameters(call.parameters)?;
    let role_arn = request.role_arn.as_deref().unwrap_or_default();
    if let Some(provider_id) = &request.provider_id {
        return Err(provider_id_refused(provider_id).into());
    }

    // 2. The token.
    let snapshot = parts.directory.snapshot();
    let identity = parts
        .verifier
        .verify(&snapshot, request.web_identity_token.expose())
        .await
        .map_err(|error| Refusal::because(error.to_sts(), &error))?;

    // 3. The role and its trust policy.
    let now = parts.clock.now();
    let session_name = request.role_session_name.clone();
    let assumed = trust::assume(&snapshot, identity, role_arn, session_name, &call.circumstances(now))
        .map_err(|error| Refusal::because(error.to_sts(), &error))?;

    // 4. What was asked for beside the role.
    let wanted = Wanted {
        duration_seconds: request.duration_seconds,
        policy: request.policy.as_deref(),
        policy_arns: &request.policy_arns,
        minimum_session_token_size: request.minimum_session_token_size,
    };
    let (grant, packed_policy_size) = wanted.grant(&snapshot, &assumed)?;

    // 5. The session.
    let issued = parts.sealer.issue(&assumed, grant, now).map_err(issue_refused)?;
    let session = issued.session;
    let origin = session.web_identity();
    let answer = AssumedRole {
        credentials: issued.credentials,
        subject: origin.map(|origin| origin.subject.clone()),
        arn: Some(session.arn().into()),
        assumed_role_id: Some(session.user_id()),
        provider: origin.map(|origin| origin.provider.principal.clone()),
        audience: origin.map(|origin| origin.audience.clone()),
        source_identity: session.source_identity.clone(),
        packed_policy_size,
        request_id: Some(call.request_id.to_owned()),
    };
    Ok((answer.to_xml(), Outcome::Exchanged(Box::new(session))))
}

/// A provider id goes with an opaque access token of one of two services, neither of which is asked here.
fn provider_id_refused(provider_id: &str) -> StsError {
    match provider_id {
        "www.amazon.com" => {
            StsError::new(FaultCode::InvalidIdentityToken, "The web identity token could not be validated")
        }
        "graph.facebook.com" => {
            StsError::new(FaultCode::IDPRejectedClaim, "The identity provider rejected the token")
        }
        _ => StsError::not_authorized(),
    }
}
