//! What a signed caller asks of the service about itself, its keys and its refusals: `GetCallerIdentity`,
//! `GetSessionToken`, `GetAccessKeyInfo`, `DecodeAuthorizationMessage`. Source: docs/sts.md, "Other actions".

use wigeon_core::policy::Context;
use wigeon_core::sts::{
    CallerIdentity, DecodeAuthorizationMessage, FaultCode, GetAccessKeyInfo, GetSessionToken, StsError,
    access_key_info_xml, decoded_message_xml, session_token_xml,
};

use super::call::{Outcome, Refusal, StsCall};
use super::grant::issue_refused;
use super::parts::Parts;
use crate::directory::Snapshot;
use crate::rights::Rights;
use crate::session::Caller;

/// How long the account's own sessions last, by default and at most, in seconds.
const ROOT_DURATION: u32 = 3600;

/// How long a user's sessions last by default, in seconds.
const USER_DURATION: u32 = 43_200;

/// What the caller may do. A session that outlived its role or a revocation is nobody.
pub(super) fn rights_of(call: &StsCall<'_>, snapshot: &Snapshot) -> Result<Rights, Refusal> {
    let caller = call.caller.ok_or_else(|| {
        StsError::new(FaultCode::MissingAuthenticationToken, "Request is missing Authentication Token")
    })?;
    Rights::of(caller, snapshot).map_err(|ended| {
        let message = "The security token included in the request is invalid.";
        Refusal::because(StsError::new(FaultCode::InvalidClientTokenId, message), &ended)
    })
}

/// Says who the caller is. No permission is needed.
pub(super) fn caller_identity(parts: &Parts, call: &StsCall<'_>) -> Result<(String, Outcome), Refusal> {
    let snapshot = parts.directory.snapshot();
    let rights = rights_of(call, &snapshot)?;
    let identity = CallerIdentity {
        arn: rights.arn().to_owned(),
        user_id: rights.user_id(),
        account: snapshot.account().to_owned(),
        request_id: Some(call.request_id.to_owned()),
    };
    Ok((identity.to_xml(), Outcome::Answered))
}

/// Temporary credentials for the holder of a long-lived key, and for nobody else: a session would otherwise
/// make itself one that lives longer.
pub(super) fn session_token(parts: &Parts, call: &StsCall<'_>) -> Result<(String, Outcome), Refusal> {
    rights_of(call, &parts.directory.snapshot())?;
    let no_session = || {
        let message = "Cannot call GetSessionToken with session credentials";
        Refusal::from(StsError::new(FaultCode::AccessDenied, message))
    };
    let by = call.access_key_id.ok_or_else(no_session)?;
    let user = match call.caller {
        Some(Caller::Root) => None,
        Some(Caller::User(user)) => Some(user),
        _ => return Err(no_session()),
    };
    let request = GetSessionToken::from_parameters(call.parameters)?;
    let minimum = request.minimum_session_token_size.unwrap_or(0) as usize;
    let now = parts.clock.now();
    let issued = match user {
        // AWS: the account's own sessions last an hour at most, whatever was asked for.
        None => {
            let duration = request.duration_seconds.unwrap_or(ROOT_DURATION).min(ROOT_DURATION);
            parts.sealer.issue_for_root(by, duration, minimum, now)
        }
        Some(user) => {
            let duration = request.duration_seconds.unwrap_or(USER_DURATION);
            parts.sealer.issue_for_user(user, by, duration, minimum, now)
        }
    };
    let credentials = issued.map_err(issue_refused)?;
    Ok((session_token_xml(&credentials, call.request_id), Outcome::Answered))
}

/// The account of an access key. All keys that are issued here are this account's; others are not known.
pub(super) fn access_key_info(parts: &Parts, call: &StsCall<'_>) -> Result<(String, Outcome), Refusal> {
    let snapshot = parts.directory.snapshot();
    let rights = rights_of(call, &snapshot)?;
    let request = GetAccessKeyInfo::from_parameters(call.parameters)?;
    allowed(parts, call, &rights, "sts:GetAccessKeyInfo")?;
    let known =
        request.access_key_id.starts_with("ASIA") || Some(&*request.access_key_id) == call.access_key_id;
    if !known {
        let message = format!("The access key {} is not one of this service", request.access_key_id);
        return Err(StsError::new(FaultCode::ValidationError, message).into());
    }
    Ok((access_key_info_xml(snapshot.account(), call.request_id), Outcome::Answered))
}

/// Opens the message that an `AccessDenied` carried.
pub(super) fn decode_message(parts: &Parts, call: &StsCall<'_>) -> Result<(String, Outcome), Refusal> {
    let rights = rights_of(call, &parts.directory.snapshot())?;
    let request = DecodeAuthorizationMessage::from_parameters(call.parameters)?;
    allowed(parts, call, &rights, "sts:DecodeAuthorizationMessage")?;
    let message =
        parts.sealer.open_message(&request.encoded_message, parts.clock.now()).ok_or_else(|| {
            let code = FaultCode::InvalidAuthorizationMessageException;
            StsError::new(code, "The authorization message is not valid, or has expired")
        })?;
    Ok((decoded_message_xml(&message, call.request_id), Outcome::Answered))
}

/// Asks the caller's own policies.
fn allowed(parts: &Parts, call: &StsCall<'_>, rights: &Rights, action: &str) -> Result<(), Refusal> {
    let circumstances = call.circumstances(parts.clock.now());
    let mut context = Context::with_capacity(32);
    circumstances.enter_keys(&mut context);
    rights.enter_keys(&mut context);
    rights.decide(action, "*", None, &context).map(drop).map_err(|denial| Refusal {
        error: StsError::new(FaultCode::AccessDenied, denial.message()),
        reason: denial.reason,
        denial: Some(denial.document),
    })
}
