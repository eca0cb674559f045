//! The exchange: an ID token becomes temporary credentials of a role (`AssumeRoleWithWebIdentity`).
//!
//! Enters: a token and who it names, the profile's [`Sts`] settings. Leaves: what the STS gave. A refusal keeps the
//! STS's own code and message, says what the token's `iss`, `aud` and `sub` were, and what is likely to help; the
//! token itself is in no error. Source: sts.md.

use std::fmt;

use http::{Method, header};
use url::Url;
use wigeon_core::secret::Secret;
use wigeon_core::sts::{AssumeRoleWithWebIdentity, AssumedRole, Fault, XmlError, session_name_from};

use crate::connect::{self, BodyError, Connector};
use crate::profile::{Role, Sts};
use crate::sign_in::Identity;

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The profile asks for a role, and none was given.
    #[error("no role was chosen; run: wigeon login --role-arn ARN")]
    RoleNeeded,
    /// The STS said no.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// It cannot be reached.
    #[error("cannot reach the STS at `{endpoint}`")]
    Unreachable {
        /// The endpoint.
        endpoint: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The body breaks off or is endless.
    #[error("cannot read the answer of the STS at `{endpoint}`")]
    Body {
        /// The endpoint.
        endpoint: Url,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// It says yes, and nothing that can be used.
    #[error("the STS at `{endpoint}` gave an answer without usable credentials")]
    Unreadable {
        /// The endpoint.
        endpoint: Url,
        /// What is wrong with it.
        #[source]
        source: XmlError,
    },
    /// It does not answer as an STS does.
    #[error(
        "`{endpoint}` answered with status {status} and nothing that an STS says; is it the STS endpoint?"
    )]
    NotAnSts {
        /// The endpoint.
        endpoint: Url,
        /// The HTTP status.
        status: u16,
    },
}

/// What the STS said, and what of the token matters for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The endpoint.
    pub endpoint: Url,
    /// The HTTP status.
    pub status: u16,
    /// Its code.
    pub code: String,
    /// Its message; empty at Ceph RGW.
    pub message: String,
    /// Its request id.
    pub request_id: Option<String>,
    /// The role that was asked for.
    pub role: Option<String>,
    /// `iss` of the token.
    pub issuer: String,
    /// `aud` of the token.
    pub audience: Vec<String>,
    /// `sub` of the token.
    pub subject: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the STS at `{}` refuses the exchange: {}", self.endpoint, self.code)?;
        if !self.message.is_empty() {
            write!(f, " ({})", self.message)?;
        }
        if let Some(role) = &self.role {
            write!(f, "; role `{role}`")?;
        }
        let audience = self.audience.join("`, `");
        write!(f, "; token of `{}`, for `{audience}`, subject `{}`", self.issuer, self.subject)?;
        match &self.request_id {
            Some(id) => write!(f, "; request id {id}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// What is likely to help.
    #[must_use]
    pub fn hint(&self) -> String {
        let issuer = &self.issuer;
        let audience = self.audience.first().map_or("", String::as_str);
        match self.code.as_str() {
            "AccessDenied" => format!(
                "the role does not exist, or its trust policy does not admit this token: it needs \
                 `sts:AssumeRoleWithWebIdentity` for the provider `{issuer}`, whose client ids must include `{audience}`, \
                 and conditions that the token meets"
            ),
            "InvalidIdentityToken" => format!(
                "the STS does not accept the token: the provider `{issuer}` must be registered there with the client id \
                 `{audience}`, and its keys must be reachable from there"
            ),
            "ExpiredTokenException" | "ExpiredToken" => {
                "the token is too old for the STS: sign in again, and compare the clocks of both machines".to_owned()
            }
            "IDPCommunicationError" => {
                format!("the STS cannot reach the provider `{issuer}`: try again, then check its network")
            }
            "IDPRejectedClaim" => "the provider no longer accepts the token: sign in again".to_owned(),
            "MalformedPolicyDocument" => "correct the session policy (`s3.assumerole.policy`)".to_owned(),
            "PackedPolicyTooLarge" => "shorten the session policy (`s3.assumerole.policy`)".to_owned(),
            "ValidationError" | "InvalidParameterValue" | "InvalidArgument" | "MissingParameter" => {
                "check the role's ARN, the session name and the duration; a duration above the role's maximum is refused"
                    .to_owned()
            }
            "InvalidAction" | "NotImplemented" | "MethodNotAllowed" => {
                "the address answers, but does not do the exchange: check `STS Endpoint`".to_owned()
            }
            _ => "ask the operator of the STS; the request id and the code help them".to_owned(),
        }
    }
}

impl ExchangeError {
    /// Whether the same again may work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Body { .. } => true,
            Self::Refused(refusal) => {
                refusal.status >= 500
                    || refusal.status == 429
                    || matches!(refusal.code.as_str(), "IDPCommunicationError" | "Throttling" | "SlowDown")
            }
            Self::NotAnSts { status, .. } => *status >= 500 || *status == 429,
            Self::RoleNeeded | Self::Unreadable { .. } => false,
        }
    }

    /// Whether a newer token may be accepted.
    #[must_use]
    pub fn wants_newer_token(&self) -> bool {
        let code = match self {
            Self::Refused(refusal) => refusal.code.as_str(),
            _ => "",
        };
        matches!(code, "ExpiredTokenException" | "ExpiredToken" | "IDPRejectedClaim")
    }
}

/// Exchanges a token.
///
/// # Errors
/// See [`ExchangeError`].
pub async fn exchange(
    connector: &Connector,
    sts: &Sts,
    token: &Secret,
    identity: &Identity,
) -> Result<AssumedRole, ExchangeError> {
    let role = match &sts.role {
        Role::Given(arn) => Some(arn.to_string()),
        Role::None => None,
        Role::Ask => return Err(ExchangeError::RoleNeeded),
    };
    let request = AssumeRoleWithWebIdentity {
        role_arn: role.clone(),
        role_session_name: sts.session_name.clone().unwrap_or_else(|| session_name_from(&identity.subject)),
        web_identity_token: token.clone(),
        provider_id: None,
        policy: sts.policy.clone(),
        policy_arns: Vec::new(),
        duration_seconds: sts.duration_seconds,
        minimum_session_token_size: None,
    };
    let endpoint = &sts.endpoint;
    let answer = connector
        .request(Method::POST, endpoint)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
        .header(header::ACCEPT, "application/xml, text/xml")
        .body(request.to_form().expose().to_owned())
        .send()
        .await
        .map_err(|source| ExchangeError::Unreachable {
            endpoint: endpoint.clone(),
            source: source.without_url(),
        })?;
    let status = answer.status().as_u16();
    let body = connect::body(answer, ANSWER_LIMIT)
        .await
        .map_err(|source| ExchangeError::Body { endpoint: endpoint.clone(), source })?;
    let text = String::from_utf8_lossy(&body);
    if status == 200 {
        return AssumedRole::from_xml(&text)
            .map_err(|source| ExchangeError::Unreadable { endpoint: endpoint.clone(), source });
    }
    let Some(fault) = Fault::from_xml(&text) else {
        return Err(ExchangeError::NotAnSts { endpoint: endpoint.clone(), status });
    };
    Err(ExchangeError::Refused(Box::new(Refusal {
        endpoint: endpoint.clone(),
        status,
        code: fault.code,
        message: fault.message,
        request_id: fault.request_id,
        role,
        issuer: identity.issuer.clone(),
        audience: identity.audience.clone(),
        subject: identity.subject.clone(),
    })))
}
