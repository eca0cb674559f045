//! A refused S3 request: S3's code, its status, and a sentence for a person.
//!
//! Every error on the way of an S3 request becomes a [`Refusal`], in one place per kind of error, and is answered
//! as S3 answers. Source of codes and statuses: Amazon S3 API Reference, "Error responses".

use std::num::NonZeroU16;

use http::{HeaderMap, StatusCode};
use wigeon_core::s3::error::ErrorDocument;
use wigeon_core::s3::form_policy::FormPolicyError;
use wigeon_core::s3::name::NameError;
use wigeon_core::s3::operation::Unclassified;
use wigeon_core::s3::uri::UriError;
use wigeon_core::sigv4::canonical::QueryError;
use wigeon_core::sigv4::chunked::ChunkError;
use wigeon_core::sigv4::verify::SignatureError;

use crate::decided::DecidedBy;
use crate::denial::Denial;
use crate::limits::Throttled;

/// An S3 error answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// `AccessDenied`, `NoSuchKey`, …
    pub code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// For people.
    pub message: String,
    /// The region to use, where the request was signed for another.
    pub region: Option<Box<str>>,
    /// For the operator only: why, where the requester must not know.
    pub reason: Option<String>,
    /// For an administrator to decode: JSON about a denied request, not yet sealed.
    pub denial: Option<Box<str>>,
    /// For the audit: the statement that denied, where one did.
    pub by: Option<Box<DecidedBy>>,
    /// After how many seconds to try again, where that is known.
    pub retry_after: Option<NonZeroU16>,
    /// Headers that the answer has beside.
    pub headers: Option<Box<HeaderMap>>,
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        let refusal = Self::new("AccessDenied", StatusCode::FORBIDDEN, denial.message());
        Self {
            reason: Some(denial.reason),
            denial: Some(denial.document.into()),
            by: denial.by.map(Box::new),
            ..refusal
        }
    }
}

impl Refusal {
    /// A refusal with a code and its status.
    #[must_use]
    pub fn new(code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: message.into(),
            region: None,
            reason: None,
            denial: None,
            by: None,
            retry_after: None,
            headers: None,
        }
    }

    /// 403 `AccessDenied`; the reason goes to the audit record, not to the requester.
    #[must_use]
    pub fn access_denied(reason: impl Into<String>) -> Self {
        let refusal = Self::new("AccessDenied", StatusCode::FORBIDDEN, "Access Denied");
        Self { reason: Some(reason.into()), ..refusal }
    }

    /// 400 `ExpiredToken`, upon which tools ask for new credentials; the reason goes to the audit record.
    #[must_use]
    pub fn session_over(reason: impl Into<String>) -> Self {
        let refusal = Self::new("ExpiredToken", StatusCode::BAD_REQUEST, "The provided token has expired.");
        Self { reason: Some(reason.into()), ..refusal }
    }

    /// 400 `InvalidArgument`.
    #[must_use]
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new("InvalidArgument", StatusCode::BAD_REQUEST, message)
    }

    /// 400 `InvalidRequest`.
    #[must_use]
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequest", StatusCode::BAD_REQUEST, message)
    }

    /// 400 `MalformedXML`.
    #[must_use]
    pub fn malformed_xml(message: impl Into<String>) -> Self {
        Self::new("MalformedXML", StatusCode::BAD_REQUEST, message)
    }

    /// 400 `BadDigest`: the named digest is not that of the content.
    #[must_use]
    pub fn bad_digest(digest: &str) -> Self {
        let message = format!("The {digest} you specified did not match what we received.");
        Self::new("BadDigest", StatusCode::BAD_REQUEST, message)
    }

    /// 400 `AccessControlListNotSupported`.
    #[must_use]
    pub fn acls_not_supported() -> Self {
        let message = "The bucket does not allow ACLs";
        Self::new("AccessControlListNotSupported", StatusCode::BAD_REQUEST, message)
    }

    /// 400 `RequestHeaderSectionTooLarge`.
    #[must_use]
    pub fn head_too_long() -> Self {
        let message = "Your request header and query parameters used to make the request exceed the maximum allowed size.";
        Self::new("RequestHeaderSectionTooLarge", StatusCode::BAD_REQUEST, message)
    }

    /// 501 `NotImplemented`.
    #[must_use]
    pub fn not_implemented(what: &str) -> Self {
        let message = format!("{what} is not implemented by this server.");
        Self::new("NotImplemented", StatusCode::NOT_IMPLEMENTED, message)
    }

    /// 500 `InternalError`; the cause goes to the log.
    #[must_use]
    pub fn internal(reason: impl Into<String>) -> Self {
        let message = "We encountered an internal error. Please try again.";
        let refusal = Self::new("InternalError", StatusCode::INTERNAL_SERVER_ERROR, message);
        Self { reason: Some(reason.into()), ..refusal }
    }

    /// Whether the server failed, or a store behind it. What is asked for in vain, and what is more than one may use, is no
    /// failure, though S3 says so with 501 and 503.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.status.is_server_error() && !matches!(self.code, "NotImplemented" | "SlowDown")
    }

    /// The body of the answer.
    #[must_use]
    pub fn document(&self, resource: &str, request_id: &str) -> ErrorDocument {
        ErrorDocument {
            code: self.code.to_owned(),
            message: self.message.clone(),
            resource: Some(resource.to_owned()),
            request_id: request_id.to_owned(),
            region: self.region.as_deref().map(str::to_owned),
            endpoint: None,
            encoded_message: None,
        }
    }
}

impl From<Throttled> for Refusal {
    /// 503 `SlowDown`, which every tool waits for and repeats.
    fn from(throttled: Throttled) -> Self {
        let refusal =
            Self::new("SlowDown", StatusCode::SERVICE_UNAVAILABLE, "Please reduce your request rate.");
        Self { reason: Some(throttled.to_string()), retry_after: Some(throttled.retry_after), ..refusal }
    }
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        let (code, status) = error.code();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        let region = match &error {
            SignatureError::ScopeRegion { expected, .. } => Some(expected.as_str().into()),
            _ => None,
        };
        Self { region, ..Self::new(code, status, sentence(&error)) }
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Encoding => Self::new("InvalidURI", StatusCode::BAD_REQUEST, sentence(&error)),
            QueryError::Duplicate(_) | QueryError::TooMany => Self::invalid_argument(sentence(&error)),
        }
    }
}

impl From<UriError> for Refusal {
    fn from(error: UriError) -> Self {
        match error {
            UriError::Encoding => Self::new("InvalidURI", StatusCode::BAD_REQUEST, sentence(&error)),
            UriError::Name(error) => error.into(),
        }
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Bucket(_) => Self::new("InvalidBucketName", StatusCode::BAD_REQUEST, sentence(&error)),
            NameError::KeyLength(_) => {
                Self::new("KeyTooLongError", StatusCode::BAD_REQUEST, sentence(&error))
            }
            NameError::KeyNul => Self::invalid_argument(sentence(&error)),
        }
    }
}

impl From<Unclassified> for Refusal {
    fn from(error: Unclassified) -> Self {
        match error {
            Unclassified::Method(_) => {
                Self::new("MethodNotAllowed", StatusCode::METHOD_NOT_ALLOWED, sentence(&error))
            }
            Unclassified::Parameter(_) | Unclassified::Refused(_) => {
                Self::new("NotImplemented", StatusCode::NOT_IMPLEMENTED, sentence(&error))
            }
        }
    }
}

impl From<FormPolicyError> for Refusal {
    fn from(error: FormPolicyError) -> Self {
        match error {
            FormPolicyError::Malformed(_) => {
                Self::new("InvalidPolicyDocument", StatusCode::BAD_REQUEST, sentence(&error))
            }
            FormPolicyError::Expired | FormPolicyError::Condition(_) | FormPolicyError::ExtraField(_) => {
                Self::new("AccessDenied", StatusCode::FORBIDDEN, sentence(&error))
            }
        }
    }
}

impl From<ChunkError> for Refusal {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::Malformed(_) | ChunkError::Trailer => Self::invalid_request(sentence(&error)),
            ChunkError::Signature => {
                Self::new("SignatureDoesNotMatch", StatusCode::FORBIDDEN, sentence(&error))
            }
            ChunkError::Length | ChunkError::Incomplete => {
                Self::new("IncompleteBody", StatusCode::BAD_REQUEST, sentence(&error))
            }
        }
    }
}

/// An error's text as a sentence: S3's messages begin with a capital and end with a full stop.
fn sentence(error: &impl std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_region_tells_the_right_one() {
        let error = SignatureError::ScopeRegion { actual: "x".into(), expected: "us-east-1".into() };
        let refusal = Refusal::from(error);
        assert_eq!((refusal.code, refusal.status.as_u16()), ("AuthorizationHeaderMalformed", 400));
        let xml = refusal.document("/b", "1").to_xml();
        assert!(xml.contains("<Region>us-east-1</Region>"), "{xml}");
    }

    #[test]
    fn reasons_are_not_for_the_requester() {
        let xml = Refusal::access_denied("policy `p` statement 1").document("/b/k", "1").to_xml();
        assert!(xml.contains("<Code>AccessDenied</Code>") && !xml.contains("policy"), "{xml}");
    }
}
