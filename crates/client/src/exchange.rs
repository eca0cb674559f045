//! The exchange: a token becomes temporary credentials of a role (`AssumeRoleWithWebIdentity`), and credentials become
//! those of the next one (`AssumeRole`).
//!
//! Enters: a token and who it names, or credentials; the profile's [`Sts`] settings. Leaves: what the STS gave. A
//! refusal keeps the STS's own code and message, says who asked, and what is likely to help; neither token nor key is
//! in any error. Source: docs/sts.md.

mod error;

use http::{Method, header};
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::sts::{
    API_VERSION, AssumeRole, AssumeRoleWithWebIdentity, AssumedRole, Fault, session_name_from,
};
use wigeon_core::time::Timestamp;

use crate::aws_config::RoleStep;
use crate::connect::{self, Connector};
use crate::profile::{Role, Sts};
use crate::sign_in::Identity;
use crate::signed_query::{QueryError, SignedQuery};

pub use error::{Asker, ExchangeError, Refusal};

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// What a step gave.
#[derive(Debug)]
pub(crate) struct Assumption {
    pub(crate) credentials: Credentials,
    /// The session's own ARN, if it is said.
    pub(crate) arn: Option<String>,
}

impl Assumption {
    /// Keys that no STS has given.
    pub(crate) fn plain(credentials: Credentials) -> Self {
        Self { credentials, arn: None }
    }
}

impl From<AssumedRole> for Assumption {
    fn from(assumed: AssumedRole) -> Self {
        Self { credentials: assumed.credentials, arn: assumed.arn }
    }
}

/// A person's second factor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MultiFactor<'a> {
    pub(crate) serial: &'a str,
    pub(crate) code: &'a Secret,
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
        provider_id: sts.provider_id.clone(),
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
    let asker = || Asker::Token {
        issuer: identity.issuer.clone(),
        audience: identity.audience.clone(),
        subject: identity.subject.clone(),
    };
    read(sts, role, status, &String::from_utf8_lossy(&body), asker)
}

/// Assumes a role with credentials.
pub(crate) async fn assume_role(
    connector: &Connector,
    sts: &Sts,
    credentials: &Credentials,
    step: &RoleStep,
    session_name: &str,
    factor: Option<MultiFactor<'_>>,
    at: Timestamp,
) -> Result<Assumption, ExchangeError> {
    let duration = step.duration_seconds.map(|seconds| seconds.to_string());
    let parameters = [
        ("RoleArn", Some(step.role.as_str())),
        ("RoleSessionName", Some(session_name)),
        ("ExternalId", step.external_id.as_deref()),
        ("Policy", step.policy.as_deref()),
        ("DurationSeconds", duration.as_deref()),
        ("SerialNumber", factor.map(|factor| factor.serial)),
        ("TokenCode", factor.map(|factor| factor.code.expose())),
    ];
    let form: Vec<(&str, &str)> = [("Action", AssumeRole::ACTION), ("Version", API_VERSION)]
        .into_iter()
        .chain(parameters.into_iter().filter_map(|(name, value)| Some((name, value?))))
        .collect();
    let query = SignedQuery { connector, endpoint: &sts.endpoint, credentials, service: "sts", at };
    let (status, text) = query.send(&form).await.map_err(|error| match error {
        QueryError::Address(endpoint) => ExchangeError::Endpoint(endpoint),
        QueryError::Unreachable { endpoint, source } => ExchangeError::Unreachable { endpoint, source },
        QueryError::Body { endpoint, source } => ExchangeError::Body { endpoint, source },
    })?;
    let asker =
        || Asker::Keys { access_key_id: credentials.access_key_id.clone(), with_code: factor.is_some() };
    read(sts, Some(step.role.to_string()), status, &text, asker).map(Assumption::from)
}

/// Reads the STS's answer.
fn read(
    sts: &Sts,
    role: Option<String>,
    status: u16,
    text: &str,
    asker: impl Fn() -> Asker,
) -> Result<AssumedRole, ExchangeError> {
    let endpoint = &sts.endpoint;
    if status == 200 {
        return AssumedRole::from_xml(text)
            .map_err(|source| ExchangeError::Unreadable { endpoint: endpoint.clone(), source });
    }
    let Some(fault) = Fault::from_xml(text) else {
        return Err(ExchangeError::NotAnSts { endpoint: endpoint.clone(), status });
    };
    Err(ExchangeError::Refused(Box::new(Refusal {
        endpoint: endpoint.clone(),
        status,
        code: fault.code,
        message: fault.message,
        request_id: fault.request_id,
        role,
        asker: asker(),
    })))
}
