//! What is asked for beside a role (a duration, session policies, the size of the token), and the session that comes of it.
//!
//! Refused: durations above the role's or, in a chain, above an hour; policies that do not exist or do not
//! parse; more than a session may carry. Looked at only when the role has let the requester in.

use wigeon_core::policy::{Document, Kind};
use wigeon_core::sts::{AssumedRole as Answer, FaultCode, MAX_POLICY_LEN, SessionTags, StsError};
use wigeon_core::time::Timestamp;

use super::call::{Outcome, Refusal, StsCall};
use super::parts::Parts;
use crate::directory::Snapshot;
use crate::issue::{Grant, IssueError, Issued};
use crate::trust::{AssumedRole, By};

/// The default duration of a session, in seconds.
const DEFAULT_DURATION: u32 = 3600;

/// The longest duration of a session that another one made, in seconds.
const CHAINED_DURATION: u32 = 3600;

/// What session policies and tags may take together, in bytes;
/// [`packed_policy_size`](wigeon_core::sts::AssumedRole::packed_policy_size) is a percentage of it.
const PACKED_LIMIT: usize = 4096;

/// The parts of a request that say so.
pub(super) struct Wanted<'a> {
    pub(super) duration_seconds: Option<u32>,
    pub(super) policy: Option<&'a str>,
    pub(super) policy_arns: &'a [String],
    pub(super) minimum_session_token_size: Option<u32>,
}

impl Wanted<'_> {
    /// Issues the session, and answers the operation that asked for it, by its name.
    pub(super) fn issue(
        &self,
        parts: &Parts,
        snapshot: &Snapshot,
        assumed: AssumedRole,
        (call, now, operation): (&StsCall<'_>, Timestamp, &str),
    ) -> Result<(String, Outcome), Refusal> {
        let (grant, packed_policy_size) = self.grant(snapshot, &assumed)?;
        let Issued { session, credentials, allowed_by } =
            parts.sealer.issue(assumed, grant, now).map_err(issue_refused)?;
        // Who came with a token learns whose and for whom it was.
        let origin = session.web_identity();
        let answer = Answer {
            credentials,
            subject: origin.map(|origin| origin.subject.clone()),
            arn: Some(session.arn().to_string()),
            assumed_role_id: Some(session.user_id()),
            provider: origin.map(|origin| origin.provider.principal.clone()),
            audience: origin.map(|origin| origin.audience.clone()),
            source_identity: session.source_identity.clone(),
            packed_policy_size,
            request_id: Some(call.request_id.to_owned()),
        };
        let outcome = Outcome::Exchanged { session: Box::new(session), by: allowed_by };
        Ok((answer.to_xml_of(operation), outcome))
    }

    /// Checks everything and makes the grant of it; with the size of policies and tags in percent, `None`
    /// when there are neither.
    fn grant(&self, snapshot: &Snapshot, assumed: &AssumedRole) -> Result<(Grant, Option<u32>), StsError> {
        let duration = self.duration_seconds.unwrap_or(DEFAULT_DURATION);
        if duration > CHAINED_DURATION && matches!(assumed.by(), By::Session { .. }) {
            return Err(StsError::new(
                FaultCode::ValidationError,
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            ));
        }
        if duration > assumed.role().max_session_duration {
            return Err(StsError::new(
                FaultCode::ValidationError,
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        let policy = session_policy(snapshot, self)?;
        let packed = packed_size(self, assumed.tags())?;
        let grant = Grant {
            duration,
            policy,
            policy_arns: self.policy_arns.to_vec(),
            minimum_token_len: self.minimum_session_token_size.unwrap_or(0) as usize,
        };
        Ok((grant, packed))
    }
}

fn session_policy(snapshot: &Snapshot, request: &Wanted<'_>) -> Result<Option<Document>, StsError> {
    let malformed = |message: String| StsError::new(FaultCode::MalformedPolicyDocument, message);
    if let Some(arn) = request.policy_arns.iter().find(|arn| snapshot.policy(arn).is_none()) {
        return Err(malformed(format!("The session policy {arn} does not exist")));
    }
    let document = request.policy.map(|text| Document::parse(text, Kind::Session));
    document.transpose().map_err(|error| malformed(error.to_string()))
}

/// The size of session policies and tags in percent; `None` when there are neither.
fn packed_size(request: &Wanted<'_>, tags: &SessionTags) -> Result<Option<u32>, StsError> {
    let inline = request.policy.map_or(0, str::len);
    let arns: usize = request.policy_arns.iter().map(String::len).sum();
    let pairs: usize = tags.principal.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    let transitive: usize = tags.transitive.iter().map(|key| key.len() + 1).sum();

    let size = inline + arns + pairs + transitive;
    let percent = (size * 100).div_ceil(PACKED_LIMIT);
    if inline + arns > MAX_POLICY_LEN || size > PACKED_LIMIT {
        let percent = percent.max((inline + arns) * 100 / MAX_POLICY_LEN);
        return Err(StsError::new(
            FaultCode::PackedPolicyTooLarge,
            format!("Packed size of session policies and tags consumes {percent}% of allotted space."),
        ));
    }
    Ok((size > 0).then(|| u32::try_from(percent).unwrap_or(u32::MAX)))
}

/// The answer to a session that cannot be issued.
pub(super) fn issue_refused(cause: IssueError) -> Refusal {
    let error = match cause {
        IssueError::TokenExpired => StsError::new(FaultCode::ExpiredTokenException, "Token expired"),
        IssueError::TooLarge(_) => StsError::new(
            FaultCode::PackedPolicyTooLarge,
            "The claims, session policies and tags do not fit into a session token.",
        ),
        IssueError::Crypto => StsError::new(FaultCode::InternalFailure, "The request could not be processed"),
    };
    Refusal::because(error, &cause)
}
