//! The requests of `GetSessionToken`, `GetAccessKeyInfo` and `DecodeAuthorizationMessage`.
//!
//! Enters: parameters. Leaves: requests that keep the API model's rules. Refused: whatever breaks one, in
//! AWS's words. Source: sts.md, "Other actions"; the API model's limits and patterns.

use std::ops::RangeInclusive;

use super::constraint::{Constraints, Member};
use super::fault::{FaultCode, StsError};
use super::parameters::Parameters;
use super::request::integer;

/// Temporary credentials for the holder of a long-lived key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSessionToken {
    /// 900–129600.
    pub duration_seconds: Option<u32>,
    /// 0–4096.
    pub minimum_session_token_size: Option<u32>,
}

impl GetSessionToken {
    /// The name of the operation.
    pub const ACTION: &'static str = "GetSessionToken";

    /// What `DurationSeconds` may be.
    pub const DURATION_SECONDS: RangeInclusive<u32> = 900..=129_600;

    /// Reads the parameters.
    pub fn from_parameters(parameters: &Parameters) -> Result<Self, StsError> {
        let mut checks = Constraints::default();
        let duration_seconds =
            integer(parameters, "DurationSeconds", "durationSeconds", Self::DURATION_SECONDS, &mut checks)?;
        let minimum_session_token_size =
            integer(parameters, "MinimumSessionTokenSize", "minimumSessionTokenSize", 0..=4096, &mut checks)?;
        checks.finish()?;
        if parameters.value("SerialNumber").is_some() || parameters.value("TokenCode").is_some() {
            let message = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
            return Err(StsError::new(FaultCode::AccessDenied, message));
        }
        Ok(Self { duration_seconds, minimum_session_token_size })
    }
}

/// To whose account an access key belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetAccessKeyInfo {
    /// 16–128 letters and digits.
    pub access_key_id: String,
}

impl GetAccessKeyInfo {
    /// The name of the operation.
    pub const ACTION: &'static str = "GetAccessKeyInfo";

    /// Reads the parameters.
    pub fn from_parameters(parameters: &Parameters) -> Result<Self, StsError> {
        let word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let mut checks = Constraints::default();
        let value = parameters.value("AccessKeyId");
        match value {
            None => checks.missing("accessKeyId"),
            Some(value) => {
                let member = Member { name: "accessKeyId", value, sensitive: false };
                checks.length(&member, 16, 128);
                checks.pattern(&member, r"[\w]*", word);
            }
        }
        checks.finish()?;
        Ok(Self { access_key_id: value.unwrap_or_default().to_owned() })
    }
}

/// What an `AccessDenied` was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeAuthorizationMessage {
    /// 1–10240 characters.
    pub encoded_message: String,
}

impl DecodeAuthorizationMessage {
    /// The name of the operation.
    pub const ACTION: &'static str = "DecodeAuthorizationMessage";

    /// The longest message, in characters.
    pub const MAX_LEN: usize = 10_240;

    /// Reads the parameters.
    pub fn from_parameters(parameters: &Parameters) -> Result<Self, StsError> {
        let mut checks = Constraints::default();
        let value = parameters.value("EncodedMessage");
        match value {
            None => checks.missing("encodedMessage"),
            Some(value) => {
                // Kept out of the answer: it is long, and of no use there.
                let member = Member { name: "encodedMessage", value, sensitive: true };
                checks.length(&member, 1, Self::MAX_LEN);
            }
        }
        checks.finish()?;
        Ok(Self { encoded_message: value.unwrap_or_default().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(form: &str) -> Parameters {
        Parameters::parse("", form).unwrap()
    }

    #[test]
    fn session_tokens() {
        let read = |form: &str| GetSessionToken::from_parameters(&parameters(form));
        assert_eq!(read("DurationSeconds=129600").unwrap().duration_seconds, Some(129_600));
        assert!(read("DurationSeconds=129601").unwrap_err().message.contains("129600"));
        assert!(read("DurationSeconds=899").is_err());
        assert_eq!(read("TokenCode=123456").unwrap_err().code, FaultCode::AccessDenied);
    }

    #[test]
    fn keys_and_messages() {
        let key = |form: &str| GetAccessKeyInfo::from_parameters(&parameters(form));
        assert!(key("AccessKeyId=ASIA234567ABCDEFGH").is_ok());
        for bad in ["", "AccessKeyId=short", "AccessKeyId=ASIA-34567ABCDEFGH"] {
            assert_eq!(key(bad).unwrap_err().code, FaultCode::ValidationError, "{bad}");
        }
        let message = |form: &str| DecodeAuthorizationMessage::from_parameters(&parameters(form));
        assert!(message("EncodedMessage=x").is_ok());
        let long = format!("EncodedMessage={}", "x".repeat(10_241));
        assert!(message("").is_err() && message("EncodedMessage=").is_err() && message(&long).is_err());
    }
}
