//! Faults: the codes of STS, their HTTP status, and the error document both ways.
//!
//! Source: docs/sts.md, "Errors" and "Protocol". Reading is lenient: Ceph RGW answers with a bare `<Error>`
//! whose message is empty.

use std::fmt;
use std::str::FromStr;

use super::xml::{Leaves, NAMESPACE, Writer};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// A code of the STS API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FaultCode { $($(#[$doc])* $name,)* }

        impl FaultCode {
            /// All of them; each stands at the place that its number says.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it stands on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }

        impl FromStr for FaultCode {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($text => Ok(Self::$name),)* _ => Err(()) }
            }
        }
    };
}

codes! {
    /// A parameter breaks a rule of the API.
    ValidationError = "ValidationError", 400;
    /// A parameter is not there.
    MissingParameter = "MissingParameter", 400;
    /// No such operation.
    InvalidAction = "InvalidAction", 400;
    /// A parameter cannot be read.
    InvalidParameterValue = "InvalidParameterValue", 400;
    /// The token is not acceptable.
    InvalidIdentityToken = "InvalidIdentityToken", 400;
    /// The token has expired.
    ExpiredTokenException = "ExpiredTokenException", 400;
    /// The provider could not be reached. Worth retrying.
    IDPCommunicationError = "IDPCommunicationError", 400;
    /// The provider says that the token is not good.
    IDPRejectedClaim = "IDPRejectedClaim", 403;
    /// A session policy is not one.
    MalformedPolicyDocument = "MalformedPolicyDocument", 400;
    /// Session policies and tags are too much together.
    PackedPolicyTooLarge = "PackedPolicyTooLarge", 400;
    /// Not allowed, or no such role: the same answer.
    AccessDenied = "AccessDenied", 403;
    /// The signed request's access key is unknown.
    InvalidClientTokenId = "InvalidClientTokenId", 403;
    /// The signed request's signature is wrong.
    SignatureDoesNotMatch = "SignatureDoesNotMatch", 403;
    /// The signed request's signature cannot be read.
    IncompleteSignature = "IncompleteSignature", 400;
    /// A request that has to be signed is not.
    MissingAuthenticationToken = "MissingAuthenticationToken", 403;
    /// The signed request's session has expired.
    ExpiredToken = "ExpiredToken", 403;
    /// The message to decode is not one of this service, or too old.
    InvalidAuthorizationMessageException = "InvalidAuthorizationMessageException", 400;
    /// Too many requests. Worth retrying.
    Throttling = "Throttling", 400;
    /// Our own failure.
    InternalFailure = "InternalFailure", 500;
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the service answers in place of a result: a code and a message, both for the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct StsError {
    /// The code.
    pub code: FaultCode,
    /// AWS's words where they are known.
    pub message: String,
}

impl StsError {
    /// A fault with this message.
    #[must_use]
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The one answer to an unknown role and to a role that does not trust the caller.
    #[must_use]
    pub fn not_authorized() -> Self {
        Self::new(FaultCode::AccessDenied, "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    }

    /// The error document.
    #[must_use]
    pub fn to_xml(&self, request_id: &str) -> String {
        let kind = if self.code.status() < 500 { "Sender" } else { "Receiver" };
        let fault = Fault {
            kind: Some(kind.to_owned()),
            code: self.code.as_str().to_owned(),
            message: self.message.clone(),
            request_id: Some(request_id.to_owned()),
        };
        fault.to_xml()
    }
}

/// An error document of some STS service, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `Sender` or `Receiver`.
    pub kind: Option<String>,
    /// The code, known or not.
    pub code: String,
    /// The service's own words; may be empty.
    pub message: String,
    /// For the service's operator.
    pub request_id: Option<String>,
}

impl Fault {
    /// The code, if it is one of the API's.
    #[must_use]
    pub fn known_code(&self) -> Option<FaultCode> {
        self.code.parse().ok()
    }

    /// Reads an error document: AWS's form, or a top-level `<Error>` as S3 services write it. `None` when
    /// the text is no error document.
    #[must_use]
    pub fn from_xml(text: &str) -> Option<Self> {
        let leaves = Leaves::read(text).ok()?;
        let within = |name: &str| {
            leaves.text(&["ErrorResponse", "Error", name]).or_else(|| leaves.text(&["Error", name]))
        };
        let request_id = leaves.text(&["ErrorResponse", "RequestId"]).or_else(|| within("RequestId"));
        Some(Self {
            kind: within("Type").map(str::to_owned),
            code: within("Code")?.to_owned(),
            message: within("Message").unwrap_or_default().to_owned(),
            request_id: request_id.map(str::to_owned),
        })
    }

    /// AWS's form of the document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut to = Writer::new("ErrorResponse", NAMESPACE);
        to.open("Error");
        to.optional("Type", self.kind.as_deref());
        to.leaf("Code", &self.code);
        to.leaf("Message", &self.message);
        to.close("Error");
        to.optional("RequestId", self.request_id.as_deref());
        to.finish("ErrorResponse")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_round_trip() {
        let error = StsError::new(FaultCode::ValidationError, "a < b & 'c'");
        let xml = error.to_xml("rid-1");
        assert!(xml.contains("<Type>Sender</Type>"), "{xml}");
        let fault = Fault::from_xml(&xml).unwrap();
        assert_eq!(fault.message, "a < b & 'c'");
        assert_eq!(fault.known_code(), Some(FaultCode::ValidationError));
        assert_eq!(fault.request_id.as_deref(), Some("rid-1"));
        assert!(StsError::new(FaultCode::InternalFailure, "x").to_xml("r").contains("Receiver"));
    }

    #[test]
    fn ceph_and_others() {
        let ceph = r#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message></Message><RequestId>tx01</RequestId><HostId>1-default</HostId></Error>"#;
        let fault = Fault::from_xml(ceph).unwrap();
        assert_eq!((fault.code.as_str(), fault.message.as_str()), ("AccessDenied", ""));
        assert_eq!(fault.request_id.as_deref(), Some("tx01"));
        assert_eq!(Fault::from_xml("<html><body>502</body></html>"), None);
        assert_eq!(Fault::from_xml("bad gateway"), None);
        assert_eq!(Fault::from_xml(""), None);
        let unknown = Fault::from_xml("<Error><Code>Teapot</Code></Error>").unwrap();
        assert_eq!(unknown.known_code(), None);
    }
}
