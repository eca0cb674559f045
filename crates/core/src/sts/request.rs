//! The exchange request: written by the client, read and checked by the server.
//!
//! Source: sts.md, "AssumeRoleWithWebIdentity", and the API model's limits and patterns.

use std::ops::RangeInclusive;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::constraint::{Constraints, Member};
use super::fault::{FaultCode, StsError};
use super::parameters::Parameters;
use crate::secret::Secret;

/// The version of the API.
pub const API_VERSION: &str = "2011-06-15";

/// What `DurationSeconds` may be; 3600 when it is not sent.
pub const DURATION_SECONDS: RangeInclusive<u32> = 900..=43_200;

/// Inline policy and policy ARNs together, in characters.
pub const MAX_POLICY_LEN: usize = 2048;

/// How many managed policies one session may have.
pub const MAX_POLICY_ARNS: usize = 10;

/// The pattern of session names and source identities, in AWS's words.
pub const SESSION_NAME_PATTERN: &str = r"[\w+=,.@-]*";

pub(super) const POLICY_PATTERN: &str = r"[\u0009\u000A\u000D\u0020-\u00FF]+";
pub(super) const ARN_PATTERN: &str =
    r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+";

/// Spaces become `%20`: Ceph RGW does not read `+` as a space.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An ID token to be exchanged for credentials of a role.
#[derive(Debug, Clone)]
pub struct AssumeRoleWithWebIdentity {
    /// The role. `None` only where the provider names a default one (MinIO).
    pub role_arn: Option<String>,
    /// 2–64 characters of [`SESSION_NAME_PATTERN`].
    pub role_session_name: String,
    /// The token.
    pub web_identity_token: Secret,
    /// With opaque access tokens only.
    pub provider_id: Option<String>,
    /// An inline session policy.
    pub policy: Option<String>,
    /// Managed session policies.
    pub policy_arns: Vec<String>,
    /// 900–43200; the service's default when `None`.
    pub duration_seconds: Option<u32>,
    /// 0–4096: pad the session token to at least this many characters.
    pub minimum_session_token_size: Option<u32>,
}

/// Whether a character may stand in a session name.
pub(super) fn session_name_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || "_+=,.@-".contains(char)
}

pub(super) fn policy_char(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}')
}

pub(super) fn arn_char(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{85}' | '\u{a0}'..)
}

impl AssumeRoleWithWebIdentity {
    /// The name of the operation.
    pub const ACTION: &'static str = "AssumeRoleWithWebIdentity";

    /// The form body to POST with `application/x-www-form-urlencoded`. Secret: it holds the token.
    #[must_use]
    pub fn to_form(&self) -> Secret {
        let mut form = format!("Action={}&Version={API_VERSION}", Self::ACTION);
        let mut add = |name: &str, value: &str| {
            form.push('&');
            form.push_str(name);
            form.push('=');
            form.extend(utf8_percent_encode(value, FORM));
        };
        let optional = [
            ("RoleArn", self.role_arn.as_deref()),
            ("RoleSessionName", Some(self.role_session_name.as_str())),
            ("ProviderId", self.provider_id.as_deref()),
            ("Policy", self.policy.as_deref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                add(name, value);
            }
        }
        for (index, arn) in self.policy_arns.iter().enumerate() {
            add(&format!("PolicyArns.member.{}.arn", index + 1), arn);
        }
        let numbers = [
            ("DurationSeconds", self.duration_seconds),
            ("MinimumSessionTokenSize", self.minimum_session_token_size),
        ];
        for (name, value) in numbers {
            if let Some(value) = value {
                add(name, &value.to_string());
            }
        }
        add("WebIdentityToken", self.web_identity_token.expose());
        Secret::new(form)
    }

    /// MinIO's name for the operation, with the token in `Token`.
    pub const CLIENT_GRANTS: &'static str = "AssumeRoleWithClientGrants";

    /// Reads the parameters and checks every rule of the API model. `RoleArn` is required.
    pub fn from_parameters(parameters: &Parameters) -> Result<Self, StsError> {
        Self::read(parameters, true)
    }

    /// Reads what MinIO's clients send: no role is needed, nor a session name (which is empty then), and the
    /// token may stand in `Token`.
    pub fn from_minio_parameters(parameters: &Parameters) -> Result<Self, StsError> {
        Self::read(parameters, false)
    }

    fn read(parameters: &Parameters, strict: bool) -> Result<Self, StsError> {
        let token_name = match parameters.value("WebIdentityToken") {
            None if !strict => "Token",
            _ => "WebIdentityToken",
        };
        let mut checks = Constraints::default();
        let mut text = |name: &'static str, parameter: &str, required: bool, range: RangeInclusive<usize>| {
            let Some(value) = parameters.value(parameter) else {
                if required {
                    checks.missing(name);
                }
                return None;
            };
            let member = Member { name, value, sensitive: name == "webIdentityToken" };
            checks.length(&member, *range.start(), *range.end());
            match name {
                "roleArn" => checks.pattern(&member, ARN_PATTERN, arn_char),
                "roleSessionName" => checks.pattern(&member, SESSION_NAME_PATTERN, session_name_char),
                "policy" => checks.pattern(&member, POLICY_PATTERN, policy_char),
                _ => {}
            }
            Some(value.to_owned())
        };
        let role_arn = text("roleArn", "RoleArn", strict, 20..=2048);
        let role_session_name = text("roleSessionName", "RoleSessionName", strict, 2..=64);
        let token = text("webIdentityToken", token_name, true, 4..=20_000);
        let provider_id = text("providerId", "ProviderId", false, 4..=2048);
        let policy = text("policy", "Policy", false, 1..=MAX_POLICY_LEN);

        let policy_arns = policy_arns(parameters, &mut checks);
        let duration_seconds =
            integer(parameters, "DurationSeconds", "durationSeconds", DURATION_SECONDS, &mut checks)?;
        let minimum_session_token_size =
            integer(parameters, "MinimumSessionTokenSize", "minimumSessionTokenSize", 0..=4096, &mut checks)?;
        checks.finish()?;
        Ok(Self {
            role_arn,
            role_session_name: role_session_name.unwrap_or_default(),
            web_identity_token: Secret::new(token.unwrap_or_default()),
            provider_id,
            policy,
            policy_arns,
            duration_seconds,
            minimum_session_token_size,
        })
    }
}

pub(super) fn policy_arns(parameters: &Parameters, checks: &mut Constraints) -> Vec<String> {
    let arns = parameters.members("PolicyArns", "arn");
    if arns.len() > MAX_POLICY_ARNS {
        let count = i64::try_from(arns.len()).unwrap_or(i64::MAX);
        checks.range("policyArns", count, 0, MAX_POLICY_ARNS as u32);
    }
    for arn in &arns {
        let member = Member { name: "policyArns.member.arn", value: arn, sensitive: false };
        checks.length(&member, 20, 2048);
    }
    arns.into_iter().map(str::to_owned).collect()
}

pub(super) fn integer(
    parameters: &Parameters,
    parameter: &str,
    name: &'static str,
    range: RangeInclusive<u32>,
    checks: &mut Constraints,
) -> Result<Option<u32>, StsError> {
    let Some(text) = parameters.value(parameter) else { return Ok(None) };
    let number: i64 = text.parse().map_err(|_| {
        StsError::new(
            FaultCode::InvalidParameterValue,
            format!("The parameter {parameter} is not an integer"),
        )
    })?;
    checks.range(name, number, *range.start(), *range.end());
    Ok(u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ROLE: &str = "arn:aws:iam::000000000000:role/reader";

    fn request() -> AssumeRoleWithWebIdentity {
        AssumeRoleWithWebIdentity {
            role_arn: Some(ROLE.to_owned()),
            role_session_name: "alice@example.org".to_owned(),
            web_identity_token: Secret::new("a.b.c"),
            provider_id: None,
            policy: Some(r#"{"Version": "2012-10-17", "Statement": []}"#.to_owned()),
            policy_arns: vec!["arn:aws:iam::000000000000:policy/a".to_owned()],
            duration_seconds: Some(900),
            minimum_session_token_size: Some(4096),
        }
    }

    fn read(form: &str) -> Result<AssumeRoleWithWebIdentity, StsError> {
        AssumeRoleWithWebIdentity::from_parameters(&Parameters::parse("", form)?)
    }

    #[test]
    fn what_the_client_writes_the_server_reads() {
        let sent = request();
        let form = sent.to_form();
        assert!(form.expose().starts_with("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&"));
        assert!(!form.expose().contains('+'), "RGW reads no plus");
        let got = read(form.expose()).unwrap();
        assert_eq!(format!("{got:?}"), format!("{sent:?}"));
        assert_eq!(got.web_identity_token.expose(), "a.b.c");
        assert!(!format!("{got:?}").contains("a.b.c"));
    }

    #[test]
    fn optional_parts_stay_away() {
        let form = format!("RoleArn={ROLE}&RoleSessionName=ab&WebIdentityToken=abcd&PolicyArns=");
        let got = read(&form).unwrap();
        assert!(got.policy.is_none() && got.policy_arns.is_empty() && got.duration_seconds.is_none());
    }

    #[rstest]
    #[case(
        "RoleArn",
        "short",
        "1 validation error detected: Value 'short' at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20"
    )]
    #[case(
        "RoleSessionName",
        "a",
        "1 validation error detected: Value 'a' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2"
    )]
    #[case(
        "RoleSessionName",
        "a%20b",
        "1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
    )]
    #[case(
        "RoleSessionName",
        "a%2Fb",
        "1 validation error detected: Value 'a/b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
    )]
    #[case(
        "RoleSessionName",
        "%20",
        "2 validation errors detected: Value ' ' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2; Value ' ' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
    )]
    #[case(
        "WebIdentityToken",
        "abc",
        "1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: Member must have length greater than or equal to 4"
    )]
    #[case(
        "DurationSeconds",
        "899",
        "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"
    )]
    #[case(
        "DurationSeconds",
        "43201",
        "1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200"
    )]
    #[case(
        "MinimumSessionTokenSize",
        "4097",
        "1 validation error detected: Value '4097' at 'minimumSessionTokenSize' failed to satisfy constraint: Member must have value less than or equal to 4096"
    )]
    #[case(
        "ProviderId",
        "abc",
        "1 validation error detected: Value 'abc' at 'providerId' failed to satisfy constraint: Member must have length greater than or equal to 4"
    )]
    #[case(
        "Policy",
        "",
        "1 validation error detected: Value '' at 'policy' failed to satisfy constraint: Member must have length greater than or equal to 1"
    )]
    fn each_rule_in_awss_words(#[case] parameter: &str, #[case] value: &str, #[case] message: &str) {
        let mut form = format!("{parameter}={value}");
        for (name, good) in [("RoleArn", ROLE), ("RoleSessionName", "ab"), ("WebIdentityToken", "abcd")] {
            if name != parameter {
                form.push_str(&format!("&{name}={good}"));
            }
        }
        let error = read(&form).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (FaultCode::ValidationError, message));
    }

    #[test]
    fn over_long_and_missing() {
        let all_missing = read("").unwrap_err();
        assert!(all_missing.message.starts_with("3 validation errors detected: Value null at 'roleArn'"));
        let long = "x".repeat(20_001);
        let error = read(&format!("RoleArn={ROLE}&RoleSessionName=ab&WebIdentityToken={long}")).unwrap_err();
        assert!(error.message.ends_with("less than or equal to 20000") && !error.message.contains("xxxx"));
        let arns: String = (1..=11)
            .map(|n| format!("&PolicyArns.member.{n}.arn=arn:aws:iam::1:policy/policy-{n}"))
            .collect();
        let error =
            read(&format!("RoleArn={ROLE}&RoleSessionName=ab&WebIdentityToken=abcd{arns}")).unwrap_err();
        assert!(error.message.contains("'policyArns'"), "{}", error.message);
        let error =
            read(&format!("RoleArn={ROLE}&RoleSessionName=ab&WebIdentityToken=abcd&DurationSeconds=1h"));
        assert_eq!(error.unwrap_err().code, FaultCode::InvalidParameterValue);
    }
}
