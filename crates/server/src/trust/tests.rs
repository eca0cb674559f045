//! Trust policies as AWS's administrators write them, held against tokens.

use rstest::rstest;
use serde_json::{Value as Json, json};

use wigeon_core::sts::StsError;

use super::fixture::*;
use super::*;

const EXCHANGE: &str = "sts:AssumeRoleWithWebIdentity";

fn allowed(condition: Json, claims: Json) -> bool {
    let clock = TestClock::new();
    assumed(&snapshot(&trust(&[EXCHANGE], condition)), &clock, claims).is_ok()
}

#[rstest]
#[case::audience(json!({"StringEquals": {"idp.example/realms/x:aud": "s3-cli"}}), json!({}), true)]
#[case::other_audience(json!({"StringEquals": {"idp.example/realms/x:aud": "s3-cli"}}), json!({"aud": "s3-web"}), false)]
#[case::party_is_the_audience(json!({"StringEquals": {"idp.example/realms/x:aud": "s3-cli"}}), json!({"aud": "x", "azp": "s3-cli"}), true)]
#[case::original_audience(json!({"StringEquals": {"idp.example/realms/x:oaud": "x"}}), json!({"aud": "x", "azp": "s3-cli"}), true)]
#[case::subject(json!({"StringLike": {"idp.example/realms/x:sub": "al*"}}), json!({}), true)]
#[case::other_subject(json!({"StringLike": {"idp.example/realms/x:sub": "al*"}}), json!({"sub": "bob"}), false)]
#[case::subject_of_digits(json!({"StringEquals": {"idp.example/realms/x:sub": "123"}}), json!({"sub": 123}), true)]
#[case::amr(json!({"ForAnyValue:StringEquals": {"idp.example/realms/x:amr": "otp"}}), json!({"amr": ["pwd", "otp"]}), true)]
#[case::no_amr(json!({"ForAnyValue:StringEquals": {"idp.example/realms/x:amr": "otp"}}), json!({}), false)]
#[case::groups(json!({"ForAnyValue:StringEquals": {"idp.example/realms/x:groups": "s3-admins"}}), json!({"groups": ["x", "s3-admins"]}), true)]
#[case::other_groups(json!({"ForAnyValue:StringEquals": {"idp.example/realms/x:groups": "s3-admins"}}), json!({"groups": ["x"]}), false)]
#[case::boolean(json!({"Bool": {"idp.example/realms/x:email_verified": "true"}}), json!({"email_verified": true}), true)]
#[case::nested_never_takes_a_name(json!({"StringEquals": {"idp.example/realms/x:role": "admin"}}), json!({"user": {"role": "admin"}}), false)]
#[case::nested_is_no_key(json!({"Null": {"idp.example/realms/x:user": "true"}}), json!({"user": {"role": "admin"}}), true)]
#[case::session_name(json!({"StringEquals": {"sts:RoleSessionName": "alice@laptop"}}), json!({}), true)]
#[case::principal_account(json!({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}), json!({}), true)]
#[case::principal_type(json!({"StringEquals": {"aws:PrincipalType": "User"}}), json!({}), true)]
#[case::user_id(json!({"StringEquals": {"aws:userid": PROVIDER}}), json!({}), true)]
#[case::no_principal_arn(json!({"Null": {"aws:PrincipalArn": "true"}}), json!({}), true)]
#[case::address(json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), json!({}), true)]
#[case::other_address(json!({"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), json!({}), false)]
#[case::roles_claim(json!({"Bool": {"sts:RoleAuthorizedByIdp": "true"}}), json!({"https://aws.amazon.com/roles": [ROLE]}), true)]
#[case::no_roles_claim(json!({"Bool": {"sts:RoleAuthorizedByIdp": "true"}}), json!({}), false)]
fn conditions(#[case] condition: Json, #[case] claims: Json, #[case] expected: bool) {
    assert_eq!(allowed(condition, claims), expected);
}

#[rstest]
#[case("iam:ResourceTag/team", "x", true)]
#[case("aws:ResourceTag/Team", "x", true)]
#[case("aws:ResourceTag/team", "y", false)]
#[case("aws:RequestTag/team", "x", false)]
fn tags_of_the_role(#[case] key: &str, #[case] value: &str, #[case] expected: bool) {
    let clock = TestClock::new();
    let mut role = role("reader", &trust(&[EXCHANGE], json!({"StringEquals": {key: value}})));
    role.tags = vec![("team".to_owned(), "x".to_owned())];
    assert_eq!(assumed(&snapshot_with(provider(), role), &clock, json!({})).is_ok(), expected);
}

/// Of several keys an operator without a quantifier takes none; with Ceph RGW's ways it would take any.
#[test]
fn keys_of_tags_without_a_quantifier() {
    let tags = json!({"https://aws.amazon.com/tags": {"principal_tags": {"team": ["x"], "site": ["y"]}}});
    let trust = trust(&[EXCHANGE, "sts:TagSession"], json!({"StringEquals": {"aws:TagKeys": "team"}}));
    let clock = TestClock::new();
    assert!(assumed(&snapshot(&trust), &clock, tags).is_err());
}

/// A claim cannot shadow what the server knows, whatever it is called.
#[test]
fn claims_shadow_nothing() {
    for claim in ["aud", "sub", "oaud", "amr"] {
        let condition =
            json!({"ForAnyValue:StringEquals": {format!("idp.example/realms/x:{claim}"): "admin"}});
        let upper = claim.to_uppercase();
        assert!(!allowed(condition, json!({upper: "admin"})), "{claim}");
    }
    let condition = json!({"StringEquals": {"aws:userid": "admin"}});
    assert!(!allowed(condition, json!({"aws:userid": "admin", "userid": "admin"})));
}

#[rstest]
#[case::star(json!({"AWS": "*"}), false)]
#[case::any(json!("*"), false)]
#[case::other_provider(json!({"Federated": "arn:aws:iam::000000000000:oidc-provider/idp.example"}), false)]
#[case::google(json!({"Federated": "accounts.google.com"}), false)]
#[case::ours(json!({"Federated": PROVIDER}), true)]
#[case::among_others(json!({"Federated": ["accounts.google.com", PROVIDER]}), true)]
fn principals(#[case] principal: Json, #[case] expected: bool) {
    let clock = TestClock::new();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": EXCHANGE}]});
    let snapshot = snapshot(&policy);
    assert_eq!(assumed(&snapshot, &clock, json!({})).is_ok(), expected);
}

#[test]
fn an_explicit_deny_wins() {
    let clock = TestClock::new();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": EXCHANGE},
        {"Effect": "Deny", "Principal": {"Federated": PROVIDER}, "Action": "sts:*",
         "Condition": {"StringEquals": {"idp.example/realms/x:sub": "mallory"}}}]});
    let snapshot = snapshot(&policy);
    assert!(assumed(&snapshot, &clock, json!({})).is_ok());
    assert!(assumed(&snapshot, &clock, json!({"sub": "mallory"})).is_err());
}

#[test]
fn tags_and_source_identity_need_their_own_actions() {
    let clock = TestClock::new();
    let tagged = json!({"https://aws.amazon.com/tags": {"principal_tags": {"team": ["x"]}}});
    let identified = json!({"https://aws.amazon.com/source_identity": "alice"});
    for (claims, action) in [(tagged, "sts:TagSession"), (identified, "sts:SetSourceIdentity")] {
        let without = snapshot(&trust(&[EXCHANGE], json!({})));
        let refused = assumed(&without, &clock, claims.clone()).unwrap_err();
        assert!(matches!(&refused, TrustError::Refused { action: missing, .. } if *missing == action));
        assert_eq!(refused.to_sts(), StsError::not_authorized());
        let with = snapshot(&trust(&[EXCHANGE, action], json!({})));
        assert!(assumed(&with, &clock, claims).is_ok(), "{action}");
    }
    let condition = json!({"StringEquals": {"aws:RequestTag/team": "x"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}});
    let snapshot = snapshot(&trust(&[EXCHANGE, "sts:TagSession"], condition));
    let tags = |tags: Json| json!({"https://aws.amazon.com/tags": {"principal_tags": tags}});
    assert!(assumed(&snapshot, &clock, tags(json!({"team": ["x"]}))).is_ok());
    assert!(assumed(&snapshot, &clock, tags(json!({"team": ["y"]}))).is_err());
    assert!(assumed(&snapshot, &clock, tags(json!({"team": ["x"], "more": ["z"]}))).is_err());
}

#[test]
fn an_unknown_role_and_a_refusing_one_read_alike() {
    let clock = TestClock::new();
    let snapshot = snapshot(&trust(&["sts:AssumeRole"], json!({})));
    let refused = assumed(&snapshot, &clock, json!({})).unwrap_err();
    let identity = identity(&snapshot, &clock, json!({}));
    let other = "arn:aws:iam::000000000000:role/other";
    let unknown = assume(&snapshot, identity, other, "s1".to_owned(), &circumstances(&clock)).unwrap_err();
    assert!(matches!(unknown, TrustError::UnknownRole(_)) && matches!(refused, TrustError::Refused { .. }));
    assert_eq!(unknown.to_sts(), refused.to_sts());
    assert_eq!(unknown.to_sts().message, "Not authorized to perform sts:AssumeRoleWithWebIdentity");
}

/// The roles claim is judged before the directory is: it tells nothing about which roles there are.
#[test]
fn the_roles_claim_limits_and_does_not_reveal() {
    let clock = TestClock::new();
    let snapshot = snapshot(&any_aud());
    let claims = json!({"https://aws.amazon.com/roles": ["arn:aws:iam::000000000000:role/other"]});
    let known = assumed(&snapshot, &clock, claims).unwrap_err().to_sts();
    let claims = json!({"https://aws.amazon.com/roles": [ROLE]});
    let missing = "arn:aws:iam::000000000000:role/missing";
    let identity = identity(&snapshot, &clock, claims);
    let unknown = assume(&snapshot, identity, missing, "s1".to_owned(), &circumstances(&clock));
    assert_eq!(unknown.unwrap_err().to_sts(), known);
    assert_eq!(known.code.as_str(), "InvalidIdentityToken");
}
