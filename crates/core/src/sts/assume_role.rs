//! The request of `AssumeRole`: a signed caller asks for credentials of a role.
//!
//! Enters: parameters. Leaves: an [`AssumeRole`] whose every part keeps the API model's rules. Refused:
//! whatever breaks one, in AWS's words; codes of multi-factor devices and asserted contexts, neither of
//! which exists here. Source: sts.md, "Other actions"; the API model's limits and patterns.

use std::ops::RangeInclusive;

use super::constraint::{Constraints, Member};
use super::fault::{FaultCode, StsError};
use super::parameters::Parameters;
use super::request::{
    ARN_PATTERN, DURATION_SECONDS, POLICY_PATTERN, SESSION_NAME_PATTERN, arn_char, integer, policy_arns,
    policy_char, session_name_char,
};
use super::session_tags::{SessionTags, TagsError};

const EXTERNAL_ID_PATTERN: &str = r"[\w+=,.@:\/-]*";

/// A role to be assumed by whoever signed the request.
#[derive(Debug, Clone)]
pub struct AssumeRole {
    /// The role.
    pub role_arn: String,
    /// 2–64 characters.
    pub role_session_name: String,
    /// What a trust policy may ask of a third party: `sts:ExternalId`.
    pub external_id: Option<String>,
    /// Session tags of this request; those that the caller hands on are not among them.
    pub tags: SessionTags,
    /// Whom the session is for.
    pub source_identity: Option<String>,
    /// An inline session policy.
    pub policy: Option<String>,
    /// Managed session policies.
    pub policy_arns: Vec<String>,
    /// 900–43200.
    pub duration_seconds: Option<u32>,
    /// 0–4096.
    pub minimum_session_token_size: Option<u32>,
}

impl AssumeRole {
    /// The name of the operation.
    pub const ACTION: &'static str = "AssumeRole";

    /// Reads the parameters and checks every rule of the API model.
    pub fn from_parameters(parameters: &Parameters) -> Result<Self, StsError> {
        let mut checks = Constraints::default();
        let mut text = |name: &'static str, parameter: &str, required: bool, range: RangeInclusive<usize>| {
            let Some(value) = parameters.value(parameter) else {
                if required {
                    checks.missing(name);
                }
                return None;
            };
            let member = Member { name, value, sensitive: false };
            checks.length(&member, *range.start(), *range.end());
            match name {
                "roleArn" => checks.pattern(&member, ARN_PATTERN, arn_char),
                "roleSessionName" | "sourceIdentity" => {
                    checks.pattern(&member, SESSION_NAME_PATTERN, session_name_char);
                }
                "externalId" => checks.pattern(&member, EXTERNAL_ID_PATTERN, external_id_char),
                "policy" => checks.pattern(&member, POLICY_PATTERN, policy_char),
                _ => {}
            }
            Some(value.to_owned())
        };
        let role_arn = text("roleArn", "RoleArn", true, 20..=2048);
        let role_session_name = text("roleSessionName", "RoleSessionName", true, 2..=64);
        let external_id = text("externalId", "ExternalId", false, 2..=1224);
        let source_identity = text("sourceIdentity", "SourceIdentity", false, 2..=64);
        let policy = text("policy", "Policy", false, 1..=usize::MAX);
        let policy_arns = policy_arns(parameters, &mut checks);
        let duration_seconds =
            integer(parameters, "DurationSeconds", "durationSeconds", DURATION_SECONDS, &mut checks)?;
        let minimum_session_token_size =
            integer(parameters, "MinimumSessionTokenSize", "minimumSessionTokenSize", 0..=4096, &mut checks)?;
        checks.finish()?;
        let tags = tags(parameters)?;
        if parameters.value("SerialNumber").is_some() || parameters.value("TokenCode").is_some() {
            let message = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
            return Err(StsError::new(FaultCode::AccessDenied, message));
        }
        if !parameters.members("ProvidedContexts", "ProviderArn").is_empty() {
            return Err(StsError::new(FaultCode::ValidationError, "ProvidedContexts are not supported"));
        }
        Ok(Self {
            role_arn: role_arn.unwrap_or_default(),
            role_session_name: role_session_name.unwrap_or_default(),
            external_id,
            tags,
            source_identity,
            policy,
            policy_arns,
            duration_seconds,
            minimum_session_token_size,
        })
    }
}

fn external_id_char(char: char) -> bool {
    session_name_char(char) || char == ':' || char == '/'
}

fn tags(parameters: &Parameters) -> Result<SessionTags, StsError> {
    let invalid = |message: &str| StsError::new(FaultCode::InvalidParameterValue, message);
    let owned = |text: &str| text.to_owned();
    let pairs = parameters
        .pairs("Tags", "Key", "Value")
        .ok_or_else(|| invalid("Each of the Tags needs a Key and a Value"))?;
    let principal = pairs.into_iter().map(|(key, value)| (owned(key), owned(value))).collect();
    let transitive = parameters.list("TransitiveTagKeys").into_iter().map(owned).collect();
    SessionTags::from_request(principal, transitive).map_err(|error| match error {
        TagsError::Duplicate(_) => {
            invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        }
        TagsError::Transitive(_) => {
            invalid("The specified transitive tag key must be included in the requested tags.")
        }
        TagsError::TooMany(_) | TagsError::Tag(_) | TagsError::Format(_) => {
            StsError::new(FaultCode::ValidationError, format!("1 validation error detected: {error}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: &str = "RoleArn=arn:aws:iam::000000000000:role/reader&RoleSessionName=ab";

    fn read(more: &str) -> Result<AssumeRole, StsError> {
        AssumeRole::from_parameters(&Parameters::parse(GOOD, more).unwrap())
    }

    #[test]
    fn everything_at_once() {
        let request = read(
            "ExternalId=a:b/c&SourceIdentity=alice&Tags.member.1.Key=Team&Tags.member.1.Value=x\
             &TransitiveTagKeys.member.1=team&DurationSeconds=900&Policy={}&PolicyArns.member.1.arn=arn:aws:iam::1:policy/a",
        )
        .unwrap();
        assert_eq!(request.external_id.as_deref(), Some("a:b/c"));
        assert_eq!(request.source_identity.as_deref(), Some("alice"));
        assert_eq!(request.tags.value("TEAM"), Some("x"));
        assert_eq!(request.tags.transitive, ["team"]);
        assert_eq!((request.duration_seconds, request.policy_arns.len()), (Some(900), 1));
    }

    #[rstest]
    #[case("ExternalId=a", FaultCode::ValidationError, "at 'externalId'")]
    #[case("ExternalId=a%20b", FaultCode::ValidationError, "at 'externalId'")]
    #[case("SourceIdentity=a/b", FaultCode::ValidationError, "at 'sourceIdentity'")]
    #[case("DurationSeconds=899", FaultCode::ValidationError, "at 'durationSeconds'")]
    #[case("Tags.member.1.Key=k", FaultCode::InvalidParameterValue, "a Key and a Value")]
    #[case(
        "Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.2.Key=K&Tags.member.2.Value=v",
        FaultCode::InvalidParameterValue,
        "Duplicate tag keys"
    )]
    #[case("Tags.member.1.Key=aws:k&Tags.member.1.Value=v", FaultCode::ValidationError, "breaks the rules")]
    #[case("TransitiveTagKeys.member.1=k", FaultCode::InvalidParameterValue, "must be included")]
    #[case("SerialNumber=123456789&TokenCode=123456", FaultCode::AccessDenied, "MultiFactor")]
    #[case("ProvidedContexts.member.1.ProviderArn=arn:aws:x", FaultCode::ValidationError, "ProvidedContexts")]
    fn refused(#[case] more: &str, #[case] code: FaultCode, #[case] part: &str) {
        let error = read(more).unwrap_err();
        assert_eq!(error.code, code);
        assert!(error.message.contains(part), "{}", error.message);
    }
}
