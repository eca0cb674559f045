//! A refused IAM request: the code and status of the IAM API, and a sentence.

use wigeon_core::sts::StsError;

use super::xml::{NAMESPACE, Xml};
use crate::authenticate::AuthenticateError;
use crate::chain::chain;
use crate::decided::DecidedBy;
use crate::denial::Denial;
use crate::directory::ChangeError;

/// An IAM error answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// `NoSuchEntity`, `ValidationError`, …
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// For people.
    pub message: String,
    /// For the operator only, where there is more to say.
    pub reason: Option<String>,
    /// For the audit: the statement that denied, where one did.
    pub by: Option<Box<DecidedBy>>,
}

impl Fault {
    /// A fault.
    #[must_use]
    pub fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), reason: None, by: None }
    }

    /// 400 `ValidationError`: a parameter breaks a rule.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", 400, message)
    }

    /// 400 `InvalidInput`.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidInput", 400, message)
    }

    /// 404 `NoSuchEntity`.
    #[must_use]
    pub fn no_such_entity(message: impl Into<String>) -> Self {
        Self::new("NoSuchEntity", 404, message)
    }

    /// 403 `AccessDenied`.
    #[must_use]
    pub fn denied(denial: &Denial) -> Self {
        Self {
            reason: Some(denial.reason.clone()),
            by: denial.by.clone().map(Box::new),
            ..Self::new("AccessDenied", 403, denial.message())
        }
    }

    /// The error document.
    #[must_use]
    pub fn to_xml(&self, request_id: &str) -> String {
        let mut xml = Xml::root("ErrorResponse", NAMESPACE);
        xml.within("Error", |xml| {
            xml.leaf("Type", if self.status < 500 { "Sender" } else { "Receiver" });
            xml.leaf("Code", self.code);
            xml.leaf("Message", &self.message);
        });
        xml.leaf("RequestId", request_id);
        xml.finish("ErrorResponse")
    }
}

impl From<ChangeError> for Fault {
    fn from(error: ChangeError) -> Self {
        let (code, status) = match &error {
            ChangeError::NoSuchEntity(_) => ("NoSuchEntity", 404),
            ChangeError::EntityAlreadyExists(_) => ("EntityAlreadyExists", 409),
            ChangeError::DeleteConflict(_) => ("DeleteConflict", 409),
            ChangeError::LimitExceeded(_) => ("LimitExceeded", 409),
            ChangeError::InvalidInput(_) => ("InvalidInput", 400),
            ChangeError::MalformedPolicyDocument(_) => ("MalformedPolicyDocument", 400),
            ChangeError::PolicyNotAttachable(_) => ("PolicyNotAttachable", 400),
            ChangeError::Unmodifiable(_) => ("UnmodifiableEntity", 400),
            ChangeError::ReadOnly => ("AccessDenied", 403),
            // 503, so that tools try again.
            ChangeError::Unavailable(_) => ("ServiceFailure", 503),
        };
        let reason = match &error {
            ChangeError::Unavailable(source) => Some(chain(&**source)),
            _ => None,
        };
        Self { reason, ..Self::new(code, status, error.to_string()) }
    }
}

impl From<StsError> for Fault {
    fn from(error: StsError) -> Self {
        Self::new(error.code.as_str(), error.code.status(), error.message)
    }
}

impl From<AuthenticateError> for Fault {
    fn from(error: AuthenticateError) -> Self {
        StsError::from(error).into()
    }
}
