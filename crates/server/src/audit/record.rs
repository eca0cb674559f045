//! What is recorded of a request: when, who, what, whether and why, how much, how long.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use wigeon_core::time::{Timestamp, iso8601_millis};

use crate::decided::DecidedBy;
use crate::request_id::RequestId;
use crate::session::{Caller, Origin, Session};

/// The record of one request. Never a token, a key, a signature or the query of an address.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// When it arrived.
    #[serde(serialize_with = "in_milliseconds")]
    pub time: Timestamp,
    /// As in the answer.
    pub request_id: RequestId,
    /// `s3`, `sts` or `iam`.
    pub service: &'static str,
    /// The peer's address.
    pub source_ip: IpAddr,
    /// The `User-Agent` header, cut to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Who, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// `GetObject`, `AssumeRoleWithWebIdentity`, …; what the method was where it is no operation.
    pub operation: Cow<'static, str>,
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

/// A caller. What a person would name it by is looked up when it is written.
#[derive(Debug, Clone)]
pub enum Who {
    /// The bearer of a session's credentials.
    Session(Arc<Session>),
    /// Anybody else.
    Other(Named),
}

/// A caller that is no session of a role.
#[derive(Debug, Clone)]
pub struct Named {
    principal: String,
    name: Option<String>,
    by: Option<String>,
    access_key_id: Option<String>,
}

/// A caller, as a person would name it.
#[derive(Serialize)]
struct Shown<'a> {
    /// The ARN of the assumed role and session, or of the user; `root` for the administrator's key.
    principal: &'a str,
    /// The ARN of the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    /// The name of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    /// The token's issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    /// The token's subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    /// The name that the provider shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// Who assumed the role, where that was no token's bearer.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    /// The access key that signed, or that was issued; it is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<&'a str>,
}

impl Who {
    /// Of an authenticated caller, and the access key that signed.
    #[must_use]
    pub fn of(caller: &Caller, access_key_id: &str) -> Self {
        let named = |principal: &str| Named {
            principal: principal.to_owned(),
            name: None,
            by: None,
            access_key_id: Some(access_key_id.to_owned()),
        };
        Self::Other(match caller {
            Caller::Session(session) => return Self::Session(Arc::clone(session)),
            Caller::Anonymous => Named { access_key_id: None, ..named("anonymous") },
            Caller::Root | Caller::RootSession(_) => named("root"),
            Caller::UserSession(session) => Named { by: Some(session.by.clone()), ..named(&session.user_id) },
            Caller::User(user) => Named { name: Some(user.name.clone()), ..named(user.arn.as_str()) },
        })
    }

    /// Of a session that was just issued.
    #[must_use]
    pub fn issued(session: Session) -> Self {
        Self::Session(Arc::new(session))
    }

    /// The ARN of the assumed role and session, or of the user; `root` for the administrator's key.
    #[must_use]
    pub fn principal(&self) -> &str {
        match self {
            Self::Session(session) => session.arn().as_str(),
            Self::Other(named) => &named.principal,
        }
    }

    /// Whether a key signed, whose ever it is.
    #[must_use]
    pub fn is_somebody(&self) -> bool {
        self.shown().access_key_id.is_some()
    }

    /// Whom limits are about: the subject of a provider, whatever number of sessions it has; nobody, for strangers.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        let shown = self.shown();
        match (shown.issuer, shown.subject) {
            (Some(issuer), Some(subject)) => Some(format!("{issuer} {subject}")),
            _ => shown.access_key_id.map(|_| shown.principal.to_owned()),
        }
    }

    fn shown(&self) -> Shown<'_> {
        match self {
            Self::Session(session) => Shown {
                principal: session.arn().as_str(),
                role: Some(session.role_arn.as_str()),
                session: Some(&session.session_name),
                issuer: session.provider().map(|provider| provider.issuer.as_str()),
                subject: session.web_identity().map(|origin| origin.subject.as_str()),
                name: Some(session.display_name()),
                by: match &session.origin {
                    Origin::WebIdentity(_) => None,
                    Origin::Chained(origin) => Some(origin.by.as_str()),
                },
                access_key_id: Some(&session.access_key_id),
            },
            Self::Other(named) => Shown {
                principal: &named.principal,
                role: None,
                session: None,
                issuer: None,
                subject: None,
                name: named.name.as_deref(),
                by: named.by.as_deref(),
                access_key_id: named.access_key_id.as_deref(),
            },
        }
    }
}

impl Serialize for Who {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(serializer)
    }
}

/// The form of a record's time.
fn in_milliseconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso8601_millis(*at))
}
