//! What is recorded of a request: when, who, what, whether and why, how much, how long.

use serde::Serialize;
use wigeon_core::time::{Timestamp, iso8601_millis};

use crate::decided::DecidedBy;
use crate::request_id::RequestId;
use crate::session::{Caller, Origin, Session};

/// The record of one request. Never a token, a key, a signature or the query of an address.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// When it arrived.
    pub time: String,
    /// As in the answer.
    pub request_id: RequestId,
    /// `s3`, `sts` or `iam`.
    pub service: &'static str,
    /// The peer's address.
    pub source_ip: String,
    /// The `User-Agent` header, cut to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Who, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// `GetObject`, `AssumeRoleWithWebIdentity`, …; what the method was where it is no operation.
    pub operation: String,
    /// What it was about: the ARN of a bucket or object, a role; the path where that is not known.
    pub resource: String,
    /// The bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The version that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Whether it was allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Verdict>,
    /// The statement that allowed or denied it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<DecidedBy>,
    /// The HTTP status; none where there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The error code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes of the request's body that arrived, as on the wire.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were sent.
    pub bytes_out: u64,
    /// How the answer ended.
    pub ended: Ended,
    /// Until the answer's head was ready, in microseconds.
    pub micros: u64,
    /// Until the answer's last byte was handed on, in microseconds.
    pub total_micros: u64,
    /// The trace that the request is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// Whether a request was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Policies allow it. It may have failed all the same.
    Allowed,
    /// It was not carried out: nobody who may, or nothing that there is.
    Denied,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All of it was handed to the network.
    Complete,
    /// The peer went before its end.
    Cut,
    /// The server could not read what it was sending.
    Failed,
    /// The peer went before there was an answer.
    Unanswered,
}

/// A caller, as a person would name it.
#[derive(Debug, Clone, Serialize)]
pub struct Who {
    /// The ARN of the assumed role and session, or of the user; `root` for the administrator's key.
    pub principal: String,
    /// The ARN of the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The name of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The token's issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The token's subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The name that the provider shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who assumed the role, where that was no token's bearer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The access key that signed, or that was issued; it is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
}

impl Who {
    /// Of an authenticated caller, and the access key that signed.
    #[must_use]
    pub fn of(caller: &Caller, access_key_id: &str) -> Self {
        match caller {
            Caller::Anonymous => Self { access_key_id: None, ..Self::named("anonymous".to_owned(), "") },
            Caller::Root | Caller::RootSession(_) => Self::named("root".to_owned(), access_key_id),
            Caller::Session(session) => Self::of_session(session),
            Caller::UserSession(session) => {
                Self { by: Some(session.by.clone()), ..Self::named(session.user_id.clone(), access_key_id) }
            }
            Caller::User(user) => {
                Self { name: Some(user.name.clone()), ..Self::named(user.arn.to_string(), access_key_id) }
            }
        }
    }

    /// Of a session that was just issued: nothing else is done with it here.
    #[must_use]
    pub fn issued(session: Session) -> Self {
        let principal = session.arn().to_string();
        let name = Some(session.display_name().to_owned());
        let (issuer, subject, by) = match session.origin {
            Origin::WebIdentity(origin) => (Some(origin.provider.issuer), Some(origin.subject), None),
            Origin::Chained(origin) => {
                (origin.provider.map(|provider| provider.issuer), None, Some(origin.by.into()))
            }
        };
        Self {
            principal,
            role: Some(session.role_arn.into()),
            session: Some(session.session_name),
            issuer,
            subject,
            name,
            by,
            access_key_id: Some(session.access_key_id),
        }
    }

    fn of_session(session: &Session) -> Self {
        let by = match &session.origin {
            Origin::WebIdentity(_) => None,
            Origin::Chained(origin) => Some(origin.by.to_string()),
        };
        Self {
            role: Some(session.role_arn.to_string()),
            session: Some(session.session_name.clone()),
            issuer: session.provider().map(|provider| provider.issuer.clone()),
            subject: session.web_identity().map(|origin| origin.subject.clone()),
            name: Some(session.display_name().to_owned()),
            by,
            ..Self::named(session.arn().to_string(), &session.access_key_id)
        }
    }

    /// Whom limits are about: the subject of a provider, whatever number of sessions it has; nobody, for strangers.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        match (&self.issuer, &self.subject) {
            (Some(issuer), Some(subject)) => Some(format!("{issuer} {subject}")),
            _ => self.access_key_id.as_ref().map(|_| self.principal.clone()),
        }
    }

    fn named(principal: String, access_key_id: &str) -> Self {
        Self {
            principal,
            role: None,
            session: None,
            issuer: None,
            subject: None,
            name: None,
            by: None,
            access_key_id: Some(access_key_id.to_owned()),
        }
    }
}

/// The form of a record's time.
#[must_use]
pub fn time_of(at: Timestamp) -> String {
    iso8601_millis(at)
}
