//! Whether a bucket policy is public: whether it lets in anybody at all.
//!
//! Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage", "The meaning of 'public'": a
//! statement that allows everyone makes a policy public, unless a condition confines it to fixed values (without
//! wildcards or variables) of a key that only some have.

use super::condition::Condition;
use super::document::Document;
use super::kind::Effect;
use super::statement::Statement;

/// Keys of which a fixed value keeps the public out.
const CONFINING: [&str; 14] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];

impl Document {
    /// Whether the policy of a bucket lets in anybody at all.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.statements().iter().any(is_public)
    }
}

fn is_public(statement: &Statement) -> bool {
    let everyone =
        statement.principals.as_ref().is_some_and(|principals| principals.everyone() != principals.negated());
    statement.effect() == Effect::Allow && everyone && !statement.conditions().iter().any(confines)
}

fn confines(condition: &Condition) -> bool {
    let operator = condition.operator().to_ascii_lowercase();
    let operator = operator.strip_prefix("foranyvalue:").unwrap_or(&operator);
    let key = condition.key().to_ascii_lowercase();
    let fixed = |value: &String| !value.contains(['*', '?']) && !value.contains("${");
    let values = condition.values();
    match operator {
        _ if !CONFINING.contains(&key.as_str()) || values.is_empty() => false,
        "ipaddress" => values.iter().all(|value| is_narrow(value)),
        "stringequals" | "stringequalsignorecase" | "stringlike" | "arnequals" | "arnlike" => {
            values.iter().all(fixed)
        }
        _ => false,
    }
}

/// Networks as wide as these are the public: an IPv4 one wider than `/8`, an IPv6 one wider than `/32`.
fn is_narrow(network: &str) -> bool {
    let Some((base, bits)) = network.split_once('/') else { return true };
    let narrowest = if base.contains(':') { 32 } else { 8 };
    bits.parse::<u8>().is_ok_and(|bits| bits >= narrowest)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::kind::Kind;
    use super::*;

    #[rstest]
    #[case(r#""Effect":"Allow","Principal":"*""#, true)]
    #[case(r#""Effect":"Allow","Principal":{"AWS":"*"}"#, true)]
    #[case(r#""Effect":"Allow","NotPrincipal":{"AWS":"111122223333"}"#, true)]
    #[case(r#""Effect":"Deny","Principal":"*""#, false)]
    #[case(r#""Effect":"Allow","Principal":{"AWS":"111122223333"}"#, false)]
    #[case(
        r#""Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#,
        false
    )]
    #[case(
        r#""Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.7"}}"#,
        false
    )]
    #[case(r#""Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","0.0.0.0/1"]}}"#, true)]
    #[case(r#""Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"::/0"}}"#, true)]
    #[case(
        r#""Effect":"Allow","Principal":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#,
        true
    )]
    #[case(r#""Effect":"Allow","Principal":"*","Condition":{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::1:role/*"}}"#, true)]
    #[case(r#""Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"111122223333"}}"#, false)]
    #[case(r#""Effect":"Allow","Principal":"*","Condition":{"StringEqualsIfExists":{"aws:PrincipalAccount":"111122223333"}}"#, true)]
    #[case(
        r#""Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"aws:UserAgent":"secret"}}"#,
        true
    )]
    #[case(
        r#""Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"aws:userid":"${aws:userid}"}}"#,
        true
    )]
    fn the_meaning_of_public(#[case] statement: &str, #[case] expected: bool) {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{{statement},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}}}"#
        );
        assert_eq!(Document::parse(&text, Kind::Resource).unwrap().is_public(), expected);
    }
}
