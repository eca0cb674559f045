//! A request to the token service, and what comes of it.

use std::net::IpAddr;

use wigeon_core::sts::{FaultCode, Parameters, StsError};
use wigeon_core::time::Timestamp;

use crate::chain::chain;
use crate::decided::DecidedBy;
use crate::session::{Caller, Session};
use crate::trust::Circumstances;

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct StsCall<'a> {
    /// From the query string and the form.
    pub parameters: &'a Parameters,
    /// Who signed it, if anyone did.
    pub caller: Option<&'a Caller>,
    /// With which access key.
    pub access_key_id: Option<&'a str>,
    /// Where it came from.
    pub source_ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// Whether it came over TLS.
    pub secure_transport: bool,
    /// The region that the server answers for.
    pub region: Option<&'a str>,
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
    /// This session was issued.
    Exchanged {
        /// The session.
        session: Box<Session>,
        /// The statement that let its bearer in; a session of a caller's own needs none.
        by: Option<DecidedBy>,
    },
    /// Something else was answered.
    Answered,
    /// Refused.
    Refused {
        /// As on the wire.
        code: FaultCode,
        /// What really was the matter; more than the wire says.
        reason: String,
    },
}

impl<'a> StsCall<'a> {
    /// What the server itself knows of it.
    pub(super) fn circumstances(&self, now: Timestamp) -> Circumstances<'a> {
        Circumstances {
            now,
            source_ip: self.source_ip,
            user_agent: self.user_agent,
            secure_transport: self.secure_transport,
            region: self.region,
        }
    }
}

/// A refusal: what the wire gets and what the audit gets.
pub(super) struct Refusal {
    pub(super) error: StsError,
    pub(super) reason: String,
    /// For an administrator to decode; not yet sealed.
    pub(super) denial: Option<String>,
}

impl Refusal {
    /// A refusal whose cause goes to the audit alone.
    pub(super) fn because(error: StsError, cause: &dyn std::error::Error) -> Self {
        Self { error, reason: chain(cause), denial: None }
    }
}

impl From<StsError> for Refusal {
    fn from(error: StsError) -> Self {
        Self { reason: error.message.clone(), error, denial: None }
    }
}
