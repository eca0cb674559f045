//! What can go wrong with a request to a store, and what the caller can do about it.

use http::StatusCode;
use wigeon_core::s3::error::ErrorDocument;

use super::credential_source::{CredentialError, CredentialKind};
use super::endpoint::EndpointError;
use crate::connect::SendError;

/// Why an operation has no answer.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The store understood, and said no.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// There is nothing to sign with.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The request cannot be made.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The store could not be reached, or the connection ended before there was an answer.
    #[error("no answer from `{host}` to {operation}")]
    Unreachable {
        /// What was asked.
        operation: &'static str,
        /// Whom.
        host: String,
        /// What the connection says.
        #[source]
        source: SendError,
    },
    /// The answer began and then broke off.
    #[error("the answer of `{host}` broke off")]
    BrokenOff {
        /// Whose.
        host: String,
        /// What the connection says.
        #[source]
        source: SendError,
    },
    /// The answer is not what S3 defines.
    #[error("the answer of `{host}` to {operation} is not understood: {what}")]
    NotUnderstood {
        /// What was asked.
        operation: &'static str,
        /// Whom.
        host: String,
        /// What is wrong with it.
        what: String,
    },
    /// Bytes arrived changed, or not all of them.
    #[error("`{subject}` did not arrive as it was sent: {what}")]
    Corrupt {
        /// `bucket/key`.
        subject: String,
        /// Which checksum or length differs.
        what: String,
    },
    /// A key of the customer's would be readable on its way.
    #[error("a key of your own would travel to `{origin}` in the clear: it takes https")]
    InTheClear {
        /// Where to.
        origin: String,
    },
    /// The store took the wish for encryption in silence.
    #[error("the store did not encrypt `{subject}` when {operation} asked for it")]
    NotEncrypted {
        /// What was asked.
        operation: &'static str,
        /// `bucket/key`.
        subject: String,
    },
    /// A name, value or token that cannot stand in a header.
    #[error("{0} cannot be sent in an HTTP header")]
    Header(&'static str),
}

/// A store's refusal, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} of `{subject}` was refused: {}", self.words())]
pub struct Refusal {
    /// `GetObject`, …
    pub operation: &'static str,
    /// `bucket/key`, `bucket`, or the endpoint.
    pub subject: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// `AccessDenied`, …; made from the status where the answer had no document.
    pub code: String,
    /// The store's sentence; may be empty.
    pub message: String,
    /// To be told to the store's operator.
    pub request_id: Option<String>,
    /// Where the bucket is, if the store said that it is elsewhere.
    pub region: Option<String>,
    /// What the caller can do.
    pub kind: ErrorKind,
    /// For how many seconds the store asks not to be asked.
    pub retry_after: Option<u32>,
}

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The permission policy does not allow it.
    Denied,
    /// No such bucket, key or upload.
    NotFound,
    /// The session has ended.
    Expired,
    /// No credentials: sign in.
    SignInNeeded,
    /// The store does not know the credentials, or computes another signature.
    BadCredentials,
    /// This machine's clock and the store's differ by more than 15 minutes.
    ClockSkew,
    /// Too much at once.
    Throttled,
    /// The store, or the way to it, is down.
    Unavailable,
    /// The store's certificate is not to be trusted.
    Untrusted,
    /// A condition (`If-Match`, `If-None-Match`) does not hold.
    Precondition,
    /// It is there already, or not empty, or being changed.
    Conflict,
    /// The range lies outside the object.
    Range,
    /// The store cannot do this.
    NotSupported,
    /// The bucket is at another address or in another region.
    Elsewhere,
    /// Bytes arrived changed.
    Corrupt,
    /// The store finds the request wrong.
    Invalid,
}

impl S3Error {
    /// What can be done about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(refusal) => refusal.kind,
            Self::Credentials(error) => match error.kind {
                CredentialKind::SignInNeeded => ErrorKind::SignInNeeded,
                CredentialKind::Denied => ErrorKind::Denied,
                CredentialKind::Unavailable => ErrorKind::Unavailable,
                CredentialKind::Other => ErrorKind::BadCredentials,
            },
            Self::Unreachable { source, .. } if source.is_distrust() => ErrorKind::Untrusted,
            Self::Unreachable { .. } | Self::BrokenOff { .. } => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::NotEncrypted { .. } => ErrorKind::NotSupported,
            Self::Endpoint(_) | Self::NotUnderstood { .. } | Self::InTheClear { .. } | Self::Header(_) => {
                ErrorKind::Invalid
            }
        }
    }

    /// The store's error code, where there is one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    /// Whether the store says that it is too much, or its silence does.
    pub(crate) fn is_too_much(&self) -> bool {
        match self {
            Self::Unreachable { source: SendError::Silence(_), .. } => true,
            Self::Refused(refusal) => {
                refusal.kind == ErrorKind::Throttled || refusal.status == StatusCode::SERVICE_UNAVAILABLE
            }
            _ => false,
        }
    }

    /// Whether the same again may work by itself.
    pub(crate) fn is_transient(&self) -> bool {
        match self.kind() {
            ErrorKind::Throttled => true,
            // A renewal that failed has been retried where it happened.
            ErrorKind::Unavailable => !matches!(self, Self::Credentials(_)),
            _ => false,
        }
    }
}

impl Refusal {
    /// What an answer with an error status means.
    pub(crate) fn new(
        operation: &'static str,
        subject: String,
        status: StatusCode,
        document: Option<ErrorDocument>,
    ) -> Self {
        let document = document.unwrap_or_else(|| ErrorDocument {
            code: code_of_status(status).to_owned(),
            ..ErrorDocument::default()
        });
        let kind = kind(status, &document.code);
        let request_id = Some(document.request_id).filter(|id| !id.is_empty());
        Self {
            operation,
            subject,
            status,
            code: document.code,
            message: document.message,
            request_id,
            region: document.region,
            kind,
            retry_after: None,
        }
    }

    fn words(&self) -> String {
        let id = self.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
        match self.message.as_str() {
            "" => format!("{} ({}){id}", self.code, self.status.as_u16()),
            message => format!("{}: {}{id}", self.code, message.trim_end_matches('.')),
        }
    }
}

/// HEAD has no document.
fn code_of_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        301 => "PermanentRedirect",
        304 => "NotModified",
        307 => "TemporaryRedirect",
        400 => "BadRequest",
        401 | 403 => "AccessDenied",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        411 => "MissingContentLength",
        412 => "PreconditionFailed",
        416 => "InvalidRange",
        429 => "TooManyRequests",
        501 => "NotImplemented",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    }
}

fn kind(status: StatusCode, code: &str) -> ErrorKind {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            ErrorKind::Expired
        }
        "AccessDenied" | "Forbidden" | "AllAccessDisabled" | "AccountProblem" => ErrorKind::Denied,
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidClientTokenId" => {
            ErrorKind::BadCredentials
        }
        "RequestTimeTooSkewed" => ErrorKind::ClockSkew,
        "SlowDown" | "Throttling" | "ThrottlingException" | "TooManyRequests" | "RequestLimitExceeded" => {
            ErrorKind::Throttled
        }
        "NoSuchBucket" | "NoSuchKey" | "NoSuchUpload" | "NoSuchVersion" | "NotFound" => ErrorKind::NotFound,
        "PreconditionFailed" | "NotModified" => ErrorKind::Precondition,
        "InvalidRange" => ErrorKind::Range,
        "NotImplemented" | "MethodNotAllowed" => ErrorKind::NotSupported,
        "RequestTimeout" | "OperationAborted" | "ConditionalRequestConflict" => ErrorKind::Unavailable,
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => ErrorKind::Elsewhere,
        "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" | "IncompleteBody" => {
            ErrorKind::Corrupt
        }
        _ => kind_of_status(status),
    }
}

fn kind_of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        301 | 302 | 307 | 308 => ErrorKind::Elsewhere,
        304 | 412 => ErrorKind::Precondition,
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        416 => ErrorKind::Range,
        429 => ErrorKind::Throttled,
        405 | 501 => ErrorKind::NotSupported,
        500 | 502 | 503 | 504 | 507..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(400, "ExpiredToken", ErrorKind::Expired)]
    #[case(403, "AccessDenied", ErrorKind::Denied)]
    #[case(403, "SignatureDoesNotMatch", ErrorKind::BadCredentials)]
    #[case(503, "SlowDown", ErrorKind::Throttled)]
    #[case(503, "ServiceUnavailable", ErrorKind::Unavailable)]
    #[case(500, "InternalError", ErrorKind::Unavailable)]
    #[case(404, "NoSuchKey", ErrorKind::NotFound)]
    #[case(409, "BucketNotEmpty", ErrorKind::Conflict)]
    #[case(409, "BucketAlreadyExists", ErrorKind::Conflict)]
    #[case(412, "PreconditionFailed", ErrorKind::Precondition)]
    #[case(416, "InvalidRange", ErrorKind::Range)]
    #[case(501, "NotImplemented", ErrorKind::NotSupported)]
    #[case(301, "PermanentRedirect", ErrorKind::Elsewhere)]
    #[case(400, "MalformedXML", ErrorKind::Invalid)]
    fn kinds(#[case] status: u16, #[case] code: &str, #[case] expected: ErrorKind) {
        assert_eq!(kind(StatusCode::from_u16(status).unwrap(), code), expected);
    }

    #[test]
    fn the_stores_words_are_shown() {
        let document = ErrorDocument {
            code: "AccessDenied".into(),
            message: "no identity-based policy allows it.".into(),
            request_id: "tx1".into(),
            ..ErrorDocument::default()
        };
        let refusal = Refusal::new("PutObject", "b/k".into(), StatusCode::FORBIDDEN, Some(document));
        assert_eq!(
            refusal.to_string(),
            "PutObject of `b/k` was refused: AccessDenied: no identity-based policy allows it (request tx1)"
        );
        let bare = Refusal::new("HeadObject", "b/k".into(), StatusCode::NOT_FOUND, None);
        assert_eq!(bare.to_string(), "HeadObject of `b/k` was refused: NotFound (404)");
    }
}
