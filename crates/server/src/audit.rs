//! The audit record: one JSON line per request, with who, what, whether, why, and how much.
//!
//! The wire answer says what AWS's says; the reason of a refusal stands here, under the same request id.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use wigeon_core::time::{Timestamp, iso8601_millis};

use crate::session::{Caller, Origin, Session};

/// What is recorded of a request. Never a token, a key or a signature.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// When it arrived.
    pub time: String,
    /// As in the answer.
    pub request_id: String,
    /// `s3`, `sts` or `iam`.
    pub service: &'static str,
    /// The peer's address.
    pub source_ip: String,
    /// Who, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// `GetObject`, `AssumeRoleWithWebIdentity`, …; what the method and path were where it is no operation.
    pub operation: String,
    /// What it was about: bucket and key, or a role.
    pub resource: String,
    /// The HTTP status.
    pub status: u16,
    /// The error code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until the answer's head was ready, in microseconds.
    pub micros: u64,
}

/// A caller, as a person would name it.
#[derive(Debug, Clone, Serialize)]
pub struct Who {
    /// The ARN of the assumed role and session; `root` for the administrator's key.
    pub principal: String,
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
    /// The session's access key, which is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
}

impl Who {
    /// Of an authenticated caller.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        let named = |principal: &str, access_key_id| Self {
            principal: principal.to_owned(),
            issuer: None,
            subject: None,
            name: None,
            by: None,
            access_key_id,
        };
        match caller {
            Caller::Anonymous => named("anonymous", None),
            Caller::Root => named("root", None),
            Caller::RootSession(session) => named("root", Some(session.access_key_id.clone())),
            Caller::Session(session) => Self::of_session(session),
            Caller::UserSession(session) => Self {
                by: Some(session.by.clone()),
                ..named(&session.user_id, Some(session.access_key_id.clone()))
            },
            Caller::User(user) => Self {
                principal: user.arn.to_string(),
                issuer: None,
                subject: None,
                by: None,
                name: Some(user.name.clone()),
                access_key_id: None,
            },
        }
    }

    /// Of a session, just issued or used.
    #[must_use]
    pub fn of_session(session: &Session) -> Self {
        let by = match &session.origin {
            Origin::WebIdentity(_) => None,
            Origin::Chained(origin) => Some(origin.by.to_string()),
        };
        Self {
            principal: session.arn().to_string(),
            issuer: session.provider().map(|provider| provider.issuer.clone()),
            subject: session.web_identity().map(|origin| origin.subject.clone()),
            name: Some(session.display_name().to_owned()),
            by,
            access_key_id: Some(session.access_key_id.clone()),
        }
    }
}

/// Where records go.
#[derive(Debug, Default)]
pub struct Audit {
    /// Open for appending: the kernel puts each write behind the one before, so a record, which is one write,
    /// stays whole without a lock.
    file: Option<File>,
}

impl Audit {
    /// To the log only.
    #[must_use]
    pub fn log_only() -> Self {
        Self::default()
    }

    /// Also to a file, as JSON lines, appended.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: Some(options.open(path)?) })
    }

    /// Writes a record.
    pub fn write(&self, record: &Record) {
        tracing::info!(
            target: "wigeon::audit",
            id = record.request_id,
            who = record.who.as_ref().map(|who| who.principal.as_str()),
            operation = record.operation,
            resource = record.resource,
            status = record.status,
            code = record.code,
            reason = record.reason,
            micros = record.micros,
        );
        let Some(mut file) = self.file.as_ref() else { return };
        let Ok(mut line) = serde_json::to_vec(record) else { return };
        line.push(b'\n');
        if let Err(error) = file.write_all(&line) {
            tracing::error!(%error, "the audit record could not be written");
        }
    }
}

/// The form of a record's time.
#[must_use]
pub fn time_of(at: Timestamp) -> String {
    iso8601_millis(at)
}
