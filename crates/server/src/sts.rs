//! The token service, without HTTP: parameters in, a status and an XML document out.
//!
//! Enters: the parameters of a request and, where it was signed, its caller. Leaves: an [`StsResponse`],
//! with what the audit wants to know. Refused: everything that sts.md refuses, with its code and words;
//! operations that are not here are `InvalidAction`.
//!
//! The order of the checks is part of the contract: nothing that depends on a role is looked at before a
//! token has been verified and the role's trust policy has let it in.

use std::net::IpAddr;
use std::sync::Arc;

use wigeon_core::policy::{Document, Kind};
use wigeon_core::sts::{
    API_VERSION, AssumeRoleWithWebIdentity, AssumedRole, CallerIdentity, FaultCode, MAX_POLICY_LEN,
    Parameters, StsError,
};
use wigeon_core::time::Clock;

use crate::directory::{Directory, Snapshot};
use crate::issue::{Caller, Grant, IssueError, Sealer, Session};
use crate::trust::{self, Circumstances};
use crate::verify::{Verifier, WebIdentity};

/// The default duration of a session, in seconds.
const DEFAULT_DURATION: u32 = 3600;

/// What session policies and tags may take together, in bytes; [`AssumedRole::packed_policy_size`] is a
/// percentage of it.
const PACKED_LIMIT: usize = 4096;

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct StsCall<'a> {
    /// From the query string and the form.
    pub parameters: &'a Parameters,
    /// Who signed it, if anyone did.
    pub caller: Option<&'a Caller>,
    /// Where it came from.
    pub source_ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// Whether it came over TLS.
    pub secure_transport: bool,
    /// Goes into the answer and the audit.
    pub request_id: &'a str,
}

/// What to answer, as `text/xml`.
#[derive(Debug)]
pub struct StsResponse {
    /// The HTTP status.
    pub status: u16,
    /// The document. A successful exchange's holds credentials: it goes to the client and nowhere else.
    pub xml: Answer,
    /// For the audit.
    pub outcome: Outcome,
}

/// The XML document of an answer; it may hold credentials, so `Debug` does not show it.
pub struct Answer(pub String);

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

/// What came of a request.
#[derive(Debug)]
pub enum Outcome {
    /// A token was exchanged for this session.
    Exchanged(Box<Session>),
    /// A caller was told who they are.
    Identified,
    /// Refused.
    Refused {
        /// As on the wire.
        code: FaultCode,
        /// What really was the matter; more than the wire says.
        reason: String,
    },
}

/// A refusal: what the wire gets and what the audit gets.
struct Refusal {
    error: StsError,
    reason: String,
}

impl From<StsError> for Refusal {
    fn from(error: StsError) -> Self {
        Self { reason: error.message.clone(), error }
    }
}

/// The token service.
#[derive(Clone)]
pub struct StsService {
    directory: Arc<Directory>,
    verifier: Arc<Verifier>,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
}

impl StsService {
    /// Over these parts.
    #[must_use]
    pub fn new(
        directory: Arc<Directory>,
        verifier: Arc<Verifier>,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { directory, verifier, sealer, clock }
    }

    /// Whether an operation has to be signed. Only the exchange need not be: its token is its proof.
    #[must_use]
    pub fn needs_signature(action: &str) -> bool {
        action != AssumeRoleWithWebIdentity::ACTION
    }

    /// Answers one request.
    pub async fn handle(&self, call: StsCall<'_>) -> StsResponse {
        let action = call.parameters.action().unwrap_or_default();
        let version = call.parameters.value("Version").unwrap_or(API_VERSION);
        let answered = match action {
            AssumeRoleWithWebIdentity::ACTION if version == API_VERSION => self.exchange(&call).await,
            CallerIdentity::ACTION if version == API_VERSION => self.identify(&call),
            _ => Err(unknown_action(action, version).into()),
        };
        match answered {
            Ok((xml, outcome)) => StsResponse { status: 200, xml: Answer(xml), outcome },
            Err(refusal) => Self::refuse_because(&refusal.error, refusal.reason, call.request_id),
        }
    }

    /// The answer to a request that failed before it came here: unreadable parameters, a wrong signature.
    #[must_use]
    pub fn refuse(error: &StsError, request_id: &str) -> StsResponse {
        Self::refuse_because(error, error.message.clone(), request_id)
    }

    fn refuse_because(error: &StsError, reason: String, request_id: &str) -> StsResponse {
        let outcome = Outcome::Refused { code: error.code, reason };
        StsResponse { status: error.code.status(), xml: Answer(error.to_xml(request_id)), outcome }
    }

    async fn exchange(&self, call: &StsCall<'_>) -> Result<(String, Outcome), Refusal> {
        // 1. The parameters, all rules at once.
        let request = AssumeRoleWithWebIdentity::from_parameters(call.parameters)?;
        let role_arn = request.role_arn.as_deref().unwrap_or_default();
        if let Some(provider_id) = &request.provider_id {
            return Err(provider_id_refused(provider_id).into());
        }

        // 2. The token.
        let snapshot = self.directory.snapshot();
        let identity = self
            .verifier
            .verify(&snapshot, request.web_identity_token.expose())
            .await
            .map_err(|error| Refusal { error: error.to_sts(), reason: chain(&error) })?;

        // 3. The role and its trust policy.
        let now = self.clock.now();
        let circumstances = Circumstances {
            now,
            source_ip: call.source_ip,
            user_agent: call.user_agent,
            secure_transport: call.secure_transport,
        };
        let assumed =
            trust::assume(&snapshot, identity, role_arn, request.role_session_name.clone(), &circumstances)
                .map_err(|error| Refusal { error: error.to_sts(), reason: chain(&error) })?;

        // 4. What was asked for beside the role.
        let duration = request.duration_seconds.unwrap_or(DEFAULT_DURATION);
        if duration > assumed.role().max_session_duration {
            return Err(StsError::new(
                FaultCode::ValidationError,
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
            .into());
        }
        let policy = session_policy(&snapshot, &request)?;
        let packed_policy_size = packed_size(&request, assumed.identity())?;

        // 5. The session.
        let grant = Grant {
            duration,
            policy,
            policy_arns: request.policy_arns,
            minimum_token_len: request.minimum_session_token_size.unwrap_or(0) as usize,
        };
        let issued = self.sealer.issue(&assumed, grant, now).map_err(issue_refused)?;
        let session = issued.session;
        let answer = AssumedRole {
            credentials: issued.credentials,
            subject: Some(session.subject.clone()),
            arn: Some(session.arn().into()),
            assumed_role_id: Some(session.user_id()),
            provider: Some(session.provider_arn.as_str().to_owned()),
            audience: Some(session.audience.clone()),
            source_identity: session.source_identity.clone(),
            packed_policy_size,
            request_id: Some(call.request_id.to_owned()),
        };
        Ok((answer.to_xml(), Outcome::Exchanged(Box::new(session))))
    }

    fn identify(&self, call: &StsCall<'_>) -> Result<(String, Outcome), Refusal> {
        let snapshot = self.directory.snapshot();
        let request_id = Some(call.request_id.to_owned());
        let identity = match call.caller {
            None => {
                return Err(StsError::new(
                    FaultCode::MissingAuthenticationToken,
                    "Request is missing Authentication Token",
                )
                .into());
            }
            Some(Caller::Root) => {
                let account = snapshot.account().to_owned();
                CallerIdentity {
                    arn: format!("arn:aws:iam::{account}:root"),
                    user_id: account.clone(),
                    account,
                    request_id,
                }
            }
            Some(Caller::User(user)) => CallerIdentity {
                arn: user.arn.as_str().to_owned(),
                user_id: user.id.clone(),
                account: snapshot.account().to_owned(),
                request_id,
            },
            Some(Caller::Session(session)) => {
                // A session that outlived its role or a revocation is nobody.
                session.role(&snapshot).map_err(|ended| Refusal {
                    error: StsError::new(
                        FaultCode::InvalidClientTokenId,
                        "The security token included in the request is invalid.",
                    ),
                    reason: ended.to_string(),
                })?;
                CallerIdentity {
                    arn: session.arn().into(),
                    user_id: session.user_id(),
                    account: session.account.clone(),
                    request_id,
                }
            }
        };
        Ok((identity.to_xml(), Outcome::Identified))
    }
}

fn unknown_action(action: &str, version: &str) -> StsError {
    let cut = |text: &str| text.chars().take(100).collect::<String>();
    StsError::new(
        FaultCode::InvalidAction,
        format!("Could not find operation {} for version {}", cut(action), cut(version)),
    )
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

fn session_policy(
    snapshot: &Snapshot,
    request: &AssumeRoleWithWebIdentity,
) -> Result<Option<Document>, StsError> {
    let malformed = |message: String| StsError::new(FaultCode::MalformedPolicyDocument, message);
    if let Some(arn) = request.policy_arns.iter().find(|arn| snapshot.policy(arn).is_none()) {
        return Err(malformed(format!("The session policy {arn} does not exist")));
    }
    let document = request.policy.as_deref().map(|text| Document::parse(text, Kind::Session));
    document.transpose().map_err(|error| malformed(error.to_string()))
}

/// The size of session policies and tags in percent; `None` when there are neither.
fn packed_size(request: &AssumeRoleWithWebIdentity, identity: &WebIdentity) -> Result<Option<u32>, StsError> {
    let inline = request.policy.as_deref().map_or(0, str::len);
    let arns: usize = request.policy_arns.iter().map(String::len).sum();
    let tags = identity.token().tags();
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

fn issue_refused(error: IssueError) -> Refusal {
    let reason = error.to_string();
    let error = match error {
        IssueError::TokenExpired => StsError::new(FaultCode::ExpiredTokenException, "Token expired"),
        IssueError::TooLarge(_) => StsError::new(
            FaultCode::PackedPolicyTooLarge,
            "The claims, session policies and tags do not fit into a session token.",
        ),
        IssueError::Crypto => StsError::new(FaultCode::InternalFailure, "The request could not be processed"),
    };
    Refusal { error, reason }
}

/// An error with its sources, in one line, for the audit.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text.push_str(": ");
        text.push_str(&next.to_string());
        source = next.source();
    }
    text
}

#[cfg(test)]
mod tests;
