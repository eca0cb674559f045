//! The parts of a request that a signature covers, and why a signature is refused.

use http::{HeaderMap, Method};

use super::canonical::{ALGORITHM, Query};

/// The parts of a request that a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The Host header or `:authority`.
    pub host: &'a str,
    /// The raw path of the request line.
    pub path: &'a str,
    /// The parsed query.
    pub query: &'a Query,
    /// All headers.
    pub headers: &'a HeaderMap,
}

/// Why a signature is refused. S3's code and status: [`SignatureError::code`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The Authorization header cannot be read.
    #[error("the authorization header is malformed: {0}")]
    Malformed(&'static str),
    /// A presigned address that cannot be read.
    #[error("the query of the presigned address is malformed: {0}")]
    MalformedQuery(&'static str),
    /// Signature version 2 in a header.
    #[error("the authorization mechanism is not supported: please use {ALGORITHM}")]
    UnsupportedMechanism,
    /// Both a header and a query signature.
    #[error("only one authentication mechanism is allowed")]
    TwoMechanisms,
    /// A date that cannot be read, or none.
    #[error("AWS authentication requires a valid date, in `x-amz-date` or `date`")]
    NoDate,
    /// Over 15 minutes off.
    #[error("the difference between the request time and the server's time is too large")]
    Skewed,
    /// After the end of a presigned address.
    #[error("request has expired")]
    Expired,
    /// Before the beginning of a presigned address.
    #[error("request is not valid yet")]
    NotYetValid,
    /// The scope's date is not the request's.
    #[error("the date `{0}` of the credential scope is not the date of the request")]
    ScopeDate(String),
    /// The scope's region is not this server's.
    #[error("the region `{actual}` of the credential scope is wrong; expecting `{expected}`")]
    ScopeRegion {
        /// In the request.
        actual: String,
        /// This server's.
        expected: String,
    },
    /// The scope's service is another.
    #[error("the service `{0}` of the credential scope is wrong")]
    ScopeService(String),
    /// A header that must be signed and is not.
    #[error("there were headers present in the request which were not signed: `{0}`")]
    UnsignedHeader(String),
    /// A query parameter that a version 2 signature does not cover.
    #[error("there were parameters present in the request which were not signed: `{0}`")]
    UnsignedParameter(String),
    /// A header that may stand only once.
    #[error("the header `{0}` is given more than once")]
    DuplicateHeader(String),
    /// No `x-amz-content-sha256`.
    #[error("the header `x-amz-content-sha256` is missing")]
    NoPayloadHash,
    /// `x-amz-content-sha256` is none of the known forms.
    #[error(
        "`x-amz-content-sha256` must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
         STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value"
    )]
    PayloadHash,
    /// The signature is not the one that the secret key makes.
    #[error(
        "the request signature we calculated does not match the signature you provided. check your key and \
         signing method"
    )]
    Mismatch,
}

impl SignatureError {
    /// S3's error code and HTTP status.
    #[must_use]
    pub fn code(&self) -> (&'static str, u16) {
        match self {
            Self::Malformed(_) | Self::ScopeDate(_) | Self::ScopeRegion { .. } | Self::ScopeService(_) => {
                ("AuthorizationHeaderMalformed", 400)
            }
            Self::MalformedQuery(_) => ("AuthorizationQueryParametersError", 400),
            Self::UnsupportedMechanism
            | Self::TwoMechanisms
            | Self::DuplicateHeader(_)
            | Self::PayloadHash => ("InvalidArgument", 400),
            Self::NoPayloadHash => ("MissingSecurityHeader", 400),
            Self::Skewed => ("RequestTimeTooSkewed", 403),
            Self::NoDate
            | Self::Expired
            | Self::NotYetValid
            | Self::UnsignedHeader(_)
            | Self::UnsignedParameter(_) => ("AccessDenied", 403),
            Self::Mismatch => ("SignatureDoesNotMatch", 403),
        }
    }
}
