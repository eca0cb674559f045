//! Why there are no credentials: the STS's own words, who asked, and what is likely to help.

use std::fmt;

use url::Url;
use wigeon_core::sts::XmlError;

use crate::connect::BodyError;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The profile asks for a role, and none was given.
    #[error("no role was chosen; run: wigeon login --role-arn ARN")]
    RoleNeeded,
    /// The endpoint's name cannot be signed.
    #[error("requests to the STS at `{0}` cannot be signed")]
    Endpoint(Url),
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
    /// Who asked.
    pub asker: Asker,
}

/// Who asked the STS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// The bearer of a token.
    Token {
        /// `iss` of the token.
        issuer: String,
        /// `aud` of the token.
        audience: Vec<String>,
        /// `sub` of the token.
        subject: String,
    },
    /// The owner of keys.
    Keys {
        /// The access key id.
        access_key_id: String,
        /// Whether a code of a multi-factor device came with the request.
        with_code: bool,
    },
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
        match &self.asker {
            Asker::Token { issuer, audience, subject } => {
                let audience = audience.join("`, `");
                write!(f, "; token of `{issuer}`, for `{audience}`, subject `{subject}`")?;
            }
            Asker::Keys { access_key_id, .. } => write!(f, "; access key `{access_key_id}`")?,
        }
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
        let (issuer, audience) = match &self.asker {
            Asker::Token { issuer, audience, .. } => (issuer, audience.first().map_or("", String::as_str)),
            Asker::Keys { with_code, .. } => return self.hint_for_keys(*with_code),
        };
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

impl Refusal {
    fn hint_for_keys(&self, with_code: bool) -> String {
        match self.code.as_str() {
            "AccessDenied" if with_code => {
                "the code was wrong or has been used, or the role's trust policy does not admit these keys".to_owned()
            }
            "AccessDenied" => "the role does not exist, or its trust policy does not admit these keys (it may want an \
                               external id, `external_id`, or a code, `mfa_serial`), or the keys' own policy lacks \
                               `sts:AssumeRole`"
                .to_owned(),
            "InvalidClientTokenId" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "UnrecognizedClientException" => {
                "the keys are not those of this STS: check them, and `STS Endpoint`".to_owned()
            }
            "ExpiredToken" | "ExpiredTokenException" => "the keys have ended: get new ones".to_owned(),
            "MalformedPolicyDocument" | "PackedPolicyTooLarge" => {
                "correct the session policy (`s3.assumerole.policy`)".to_owned()
            }
            "ValidationError" => {
                "check the role's ARN, the session name and the duration; chained roles last an hour at most".to_owned()
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
            Self::RoleNeeded | Self::Endpoint(_) | Self::Unreadable { .. } => false,
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
