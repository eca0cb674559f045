//! Each rule with a policy that it speaks of, and good policies that none does.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const PROVIDER: &str = "arn:aws:iam::000000000000:oidc-provider/idp.example/realms/x";
const ISSUERS: &[&str] = &["https://idp.example/realms/x"];

fn found(kind: Kind, statement: Value) -> Vec<Finding> {
    let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    lint(&Document::parse(&text, kind).unwrap(), Some(ISSUERS))
}

fn trusting(condition: Value) -> Vec<Finding> {
    found(
        Kind::Trust,
        json!({"Effect": "Allow", "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}),
    )
}

fn allowing(action: &str, resource: &str, condition: Value) -> Vec<Finding> {
    found(
        Kind::Identity,
        json!({"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition}),
    )
}

#[test]
fn good_policies_have_no_findings() {
    let good = json!({"StringEquals": {"idp.example/realms/x:aud": "app"}, "StringLike": {"idp.example/realms/x:sub": "a-*"}});
    assert_eq!(trusting(good), []);
    assert_eq!(allowing("s3:*Object", "arn:aws:s3:::home/${idp.example/realms/x:sub}/*", json!({})), []);
    assert_eq!(
        allowing("s3:ListBucket", "arn:aws:s3:::home", json!({"StringLike": {"s3:prefix": "a/*"}})),
        []
    );
    assert_eq!(
        allowing("s3:*", "arn:aws:s3:::home", json!({"StringEquals": {"aws:PrincipalTag/a:b": "x"}})),
        []
    );
    assert_eq!(allowing("*", "*", json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "x"}})), []);
}

#[rstest]
#[case("s3:GetObjekt", "`s3:GetObjekt` matches no action: is `s3:GetObject` meant?")]
#[case("s3:Fetch*", "`s3:Fetch*` matches no action")]
#[case("ec2:RunInstances", "`ec2:RunInstances` is an action of a service that is not served here")]
#[case("sts:AssumeRoles", "`sts:AssumeRoles` matches no action: is `sts:AssumeRole` meant?")]
fn actions(#[case] action: &str, #[case] message: &str) {
    let findings = allowing(action, "*", json!({}));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].rule, findings[0].message.as_str()), (Rule::UnknownAction, message));
}

#[rstest]
#[case("aws:SourceIP2", Rule::UnknownKey, "is `aws:SourceIp` meant?")]
#[case("s3:prefx", Rule::UnknownKey, "is `s3:prefix` meant?")]
#[case("sts:RoleSesionName", Rule::UnknownKey, "is `sts:RoleSessionName` meant?")]
#[case("oidc:sub", Rule::UnknownKey, "write the issuer without `https://`")]
#[case("username", Rule::UnknownKey, "needs a service or an issuer")]
#[case("https://idp.example/realms/x:sub", Rule::UnknownIssuer, "write the issuer without its scheme")]
#[case("idp.example/realms/x/:sub", Rule::UnknownIssuer, "is `idp.example/realms/x:sub` meant?")]
#[case("idp.exmaple/realms/x:sub", Rule::UnknownIssuer, "is `idp.example/realms/x:sub` meant?")]
#[case("elsewhere.example:sub", Rule::UnknownIssuer, "no provider is registered as `elsewhere.example`")]
fn keys(#[case] key: &str, #[case] rule: Rule, #[case] part: &str) {
    let findings = allowing("s3:GetObject", "*", json!({"StringEquals": {key: "x"}}));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].rule, rule);
    assert!(findings[0].message.contains(part), "{}", findings[0].message);
}

#[rstest]
#[case(json!({}), &[Rule::NoAudience, Rule::EverySubject])]
#[case(json!({"StringEquals": {"idp.example/realms/x:aud": "app"}}), &[Rule::EverySubject])]
#[case(json!({"StringLike": {"idp.example/realms/x:sub": "*", "idp.example/realms/x:aud": "app"}}), &[Rule::EverySubject])]
#[case(json!({"StringNotEquals": {"idp.example/realms/x:sub": "bob"}, "StringEquals": {"idp.example/realms/x:aud": "app"}}), &[Rule::EverySubject])]
#[case(json!({"StringEquals": {"idp.example/realms/x:sub": "alice"}}), &[Rule::NoAudience])]
fn open_doors(#[case] condition: Value, #[case] rules: &[Rule]) {
    let found: Vec<Rule> = trusting(condition).iter().map(|finding| finding.rule).collect();
    assert_eq!(found, rules);
}

#[test]
fn providers_that_are_not_there_and_keys_of_others() {
    let of = |principal: &str, action: &str, key: &str| {
        let principal = format!("arn:aws:iam::000000000000:oidc-provider/{principal}");
        let condition = json!({"StringEquals": {"idp.example/realms/x:aud": "app", key: "alice"}});
        let statement = json!({"Effect": "Allow", "Principal": {"Federated": principal}, "Action": action,
            "Condition": condition});
        found(Kind::Trust, statement).iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    let (ours, web) = ("idp.example/realms/x", "sts:AssumeRoleWithWebIdentity");
    assert_eq!(of(ours, web, "idp.example/realms/x:sub"), []);
    assert_eq!(of(ours, "sts:AssumeRole", "idp.example/realms/x:sub"), [Rule::WrongAction]);
    assert!(of("idp.example/realms/y", web, "idp.example/realms/x:sub").contains(&Rule::UnknownIssuer));
    assert!(of("idp.example/realms/y", web, "idp.example/realms/x:sub").contains(&Rule::ForeignKey));
    assert!(of(ours, web, "other.example:sub").contains(&Rule::ForeignKey));
    assert!(!of(ours, web, "aws:RequestTag/a:b").contains(&Rule::ForeignKey));
    // Nobody says which providers there are.
    let statement = json!({"Statement": [{"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": web,
        "Condition": {"StringEquals": {"idp.example/realms/x:aud": "app", "idp.example/realms/x:sub": "a"}}}]});
    assert_eq!(lint(&Document::parse(&statement.to_string(), Kind::Trust).unwrap(), None), []);
}

#[test]
fn everyone() {
    let findings =
        found(Kind::Trust, json!({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}));
    assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [Rule::Everyone]);
    let denied = found(Kind::Trust, json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}));
    assert_eq!(denied, []);
}

#[rstest]
#[case("StringEquals", "aws:TagKeys", "x", Rule::NoQuantifier)]
#[case("StringEquals", "idp.example/realms/x:amr", "otp", Rule::NoQuantifier)]
#[case("ForAllValues:StringEquals", "aws:TagKeys", "x", Rule::HoldsWhenAbsent)]
#[case("StringEquals", "aws:userid", "AROA*", Rule::LiteralWildcard)]
fn operators(#[case] operator: &str, #[case] key: &str, #[case] value: &str, #[case] rule: Rule) {
    let findings = allowing("s3:GetObject", "*", json!({operator: {key: value}}));
    assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [rule]);
}

#[rstest]
#[case("s3:GetObject", "arn:aws:s3:::home", "write `arn:aws:s3:::home/*`")]
#[case("s3:ListBucket", "arn:aws:s3:::home/*", "write `arn:aws:s3:::home`")]
fn objects_and_buckets(#[case] action: &str, #[case] resource: &str, #[case] part: &str) {
    let findings = allowing(action, resource, json!({}));
    assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [Rule::WrongResource]);
    assert!(findings[0].message.contains(part));
}

#[test]
fn variables_need_the_version() {
    let text = r#"{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:userid}"}}"#;
    let findings = lint(&Document::parse(text, Kind::Identity).unwrap(), None);
    assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [Rule::NoVariables]);
}

#[test]
fn services_with_opaque_tokens_have_keys_of_their_own() {
    let trusting = |provider: &str, condition: Value| {
        let statement = json!({"Effect": "Allow", "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition});
        let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let issuers = ["https://www.amazon.com", "https://graph.facebook.com"];
        lint(&Document::parse(&text, Kind::Trust).unwrap(), Some(&issuers))
    };
    let good = json!({"StringEquals": {"www.amazon.com:app_id": "amzn1.application.1", "www.amazon.com:user_id": "u"}});
    assert_eq!(trusting("www.amazon.com", good), []);
    let good = json!({"StringEquals": {"graph.facebook.com:app_id": "1", "graph.facebook.com:id": "2"}});
    assert_eq!(trusting("graph.facebook.com", good), []);
    let open = trusting("graph.facebook.com", json!({}));
    assert_eq!(open[0].rule, Rule::NoAudience);
    assert!(open[0].message.contains("`\"StringEquals\": {\"graph.facebook.com:app_id\""), "{open:?}");
    assert!(open[1].message.contains("`graph.facebook.com:id`"), "{open:?}");
    let odd = json!({"StringEquals": {"www.amazon.com:app_id": "a", "www.amazon.com:sub": "u"}});
    let odd = trusting("www.amazon.com", odd);
    assert_eq!(odd[0].rule, Rule::UnknownKey);
    assert!(odd[0].message.contains("`www.amazon.com:app_id` and `www.amazon.com:user_id`"), "{odd:?}");
}
