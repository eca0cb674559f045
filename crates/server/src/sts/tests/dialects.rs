//! MinIO's and Ceph's ways, and that none of them applies where nobody asked for it; built-in providers.

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};
use wigeon_core::arn::Arn;
use wigeon_core::policy::{Context, Document, Kind};
use wigeon_core::sts::{AssumedRole, Fault};

use super::Bench;
use crate::directory::{BuiltIn, Keys, Minio, Provider, Role, Snapshot};
use crate::rights::Rights;
use crate::session::Caller;
use crate::trust::fixture::*;

const READ: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::home/${jwt:preferred_username}/*"}]}"#;

impl Bench {
    fn over(snapshot: Snapshot) -> Self {
        let bench = Self::new();
        bench.directory.replace(snapshot);
        bench
    }

    fn form(&self, form: &str) -> Result<AssumedRole, (u16, String)> {
        let answer = self.send("", form, None);
        match answer.status {
            200 => Ok(AssumedRole::from_xml(&answer.xml.0).unwrap()),
            status => Err((status, Fault::from_xml(&answer.xml.0).unwrap().code)),
        }
    }

    fn may(&self, caller: &Caller, action: &str, resource: &str) -> bool {
        let rights = Rights::of(caller, &self.directory.snapshot()).unwrap();
        let mut context = Context::new();
        rights.enter_keys(&mut context);
        rights.decide(action, resource, None, &context).is_ok()
    }
}

fn minio() -> Snapshot {
    let mut provider = provider();
    provider.minio =
        Some(Minio { default_role: Some(ROLE.parse().unwrap()), policy_claim: Some("policy".to_owned()) });
    let mut snapshot = snapshot_with(provider, role("reader", &any_aud()));
    let policy = Document::parse(READ, Kind::Identity).unwrap().named("own-folder");
    let arn: Arn = "arn:aws:iam::000000000000:policy/own-folder".parse().unwrap();
    snapshot.add_policy(&arn, Arc::new(policy)).unwrap();
    snapshot
}

#[test]
fn minio_needs_no_role_and_takes_policies_from_a_claim() {
    let bench = Bench::over(minio());
    let claims = json!({"policy": "own-folder, nothing", "preferred_username": "al"});
    let token = token(&bench.clock, claims);
    for form in [
        format!("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken={token}"),
        format!("Action=AssumeRoleWithClientGrants&Version=2011-06-15&DurationSeconds=900&Token={token}"),
    ] {
        let role = bench.form(&form).unwrap();
        assert_eq!(role.subject.as_deref(), Some("alice"));
        assert_eq!(role.arn.as_deref(), Some("arn:aws:sts::000000000000:assumed-role/reader/alice"));
        let caller = bench.caller(&role);
        assert!(bench.may(&caller, "s3:GetObject", "arn:aws:s3:::home/al/x"));
        assert!(!bench.may(&caller, "s3:GetObject", "arn:aws:s3:::home/bob/x"));
        assert!(!bench.may(&caller, "s3:PutObject", "arn:aws:s3:::home/al/x"));
    }
    // Without the claim there is nothing but the role; with a list there may be more.
    let without = bench.form(&format!(
        "Action=AssumeRoleWithWebIdentity&WebIdentityToken={}",
        super::token(&bench.clock, json!({"preferred_username": "al"}))
    ));
    assert!(!bench.may(&bench.caller(&without.unwrap()), "s3:GetObject", "arn:aws:s3:::home/al/x"));
}

/// The default is AWS: nothing of MinIO's ways works for a provider that does not ask for them.
#[rstest]
#[case::no_role("Action=AssumeRoleWithWebIdentity&RoleSessionName=ab&WebIdentityToken=", (400, "ValidationError"))]
#[case::no_name("Action=AssumeRoleWithWebIdentity&RoleArn=arn:aws:iam::000000000000:role/reader&WebIdentityToken=", (400, "ValidationError"))]
#[case::grants("Action=AssumeRoleWithClientGrants&Version=2011-06-15&Token=", (400, "InvalidAction"))]
#[case::token("Action=AssumeRoleWithWebIdentity&RoleArn=arn:aws:iam::000000000000:role/reader&RoleSessionName=ab&Token=", (400, "ValidationError"))]
fn without_the_switch_minios_ways_are_errors(#[case] form: &str, #[case] refused: (u16, &str)) {
    let bench = Bench::new();
    let answer = bench.form(&format!("{form}{}", token(&bench.clock, json!({}))));
    assert_eq!(answer.unwrap_err(), (refused.0, refused.1.to_owned()));
    // Nor where another provider has them.
    let mut snapshot = snapshot_with(provider(), role("reader", &any_aud()));
    let mut other = Provider::new(ACCOUNT, "https://minio.example", vec!["x".to_owned()]);
    other.minio = Some(Minio { default_role: None, policy_claim: None });
    snapshot.add_provider(other).unwrap();
    let bench = Bench::over(snapshot);
    assert!(bench.form(&format!("{form}{}", token(&bench.clock, json!({})))).is_err());
}

#[test]
fn without_the_switch_claims_name_no_policies() {
    let mut snapshot = minio();
    let mut plain = provider();
    plain.minio = None;
    let policy = Arc::clone(snapshot.policy("arn:aws:iam::000000000000:policy/own-folder").unwrap());
    snapshot = snapshot_with(plain, role("reader", &any_aud()));
    snapshot.add_policy(&"arn:aws:iam::000000000000:policy/own-folder".parse().unwrap(), policy).unwrap();
    let bench = Bench::over(snapshot);
    let claims = json!({"policy": "own-folder", "preferred_username": "al"});
    let caller = bench.caller(&bench.exchange(&bench.request(claims)).unwrap());
    assert!(!bench.may(&caller, "s3:GetObject", "arn:aws:s3:::home/al/x"));
}

fn ceph(condition: &Value) -> Snapshot {
    let mut provider = provider();
    provider.arn = Arn::oidc_provider("", ISSUER);
    provider.client_ids = Vec::new();
    provider.any_audience = true;
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": ["arn:aws:iam:::oidc-provider/idp.example/realms/x"]},
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"], "Condition": condition}]});
    let document = Document::parse(&trust.to_string(), Kind::Trust).unwrap();
    let mut role = Role::new("", "/", "reader", document.named("reader"));
    let may = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*",
        "Condition":{"StringEquals":{"aws:PrincipalTag/Dept":"eng"}}}]}"#;
    role.policies.push(Arc::new(Document::parse(may, Kind::Identity).unwrap().named("tagged")));
    let mut snapshot = Snapshot::of_ceph(ACCOUNT);
    snapshot.add_provider(provider).unwrap();
    snapshot.add_role(role).unwrap();
    snapshot
}

#[test]
fn ceph_arns_have_no_account_and_audiences_are_the_trust_policys_business() {
    let bench = Bench::over(ceph(&json!({"StringEquals": {"idp.example/realms/x:app_id": "whatever"}})));
    for arn in ["arn:aws:iam:::role/reader", ROLE] {
        let mut request = bench.request(json!({"aud": "whatever"}));
        request.role_arn = Some(arn.to_owned());
        let role = bench.exchange(&request).unwrap();
        assert_eq!(role.arn.as_deref(), Some("arn:aws:sts:::assumed-role/reader/alice@laptop"));
        assert_eq!(role.provider.as_deref(), Some("arn:aws:iam:::oidc-provider/idp.example/realms/x"));
        bench.caller(&role);
    }
    let other = bench.exchange(&bench.request(json!({"aud": "other"})));
    assert_eq!(other.unwrap_err().1, "AccessDenied");
}

#[test]
fn ceph_tags_have_several_values() {
    let tags =
        json!({"aud": "a", "https://aws.amazon.com/tags": {"principal_tags": {"Dept": ["ops", "eng"]}}});
    let bench = Bench::over(ceph(&json!({"StringEquals": {"aws:RequestTag/Dept": "eng"}})));
    let caller = bench.caller(&bench.exchange(&bench.request(tags.clone())).unwrap());
    assert!(bench.may(&caller, "s3:GetObject", "arn:aws:s3:::b/k"));
    let bench = Bench::over(ceph(&json!({"StringNotEquals": {"aws:RequestTag/Dept": "eng"}})));
    assert_eq!(bench.exchange(&bench.request(tags.clone())).unwrap_err().1, "AccessDenied");
    // AWS takes one value.
    let aws = Bench::new();
    let mut strict = tags;
    strict["aud"] = json!("s3-cli");
    assert_eq!(aws.exchange(&aws.request(strict)).unwrap_err().1, "InvalidIdentityToken");
}

#[test]
fn without_the_switch_arns_have_accounts() {
    let bench = Bench::new();
    let mut request = bench.request(json!({}));
    request.role_arn = Some("arn:aws:iam:::role/reader".to_owned());
    assert_eq!(bench.exchange(&request).unwrap_err().1, "AccessDenied");
    let condition = json!({"Null": {"idp.example/realms/x:app_id": "true"}});
    bench.directory.replace(snapshot(&trust(&["sts:AssumeRoleWithWebIdentity"], condition)));
    assert!(bench.exchange(&bench.request(json!({}))).is_ok(), "no app_id");
}

/// `accounts.google.com`: named so by policies, no registration of audiences, `aud` is `azp`.
#[test]
fn google_is_built_in() {
    let mut google = Provider::built_in(ACCOUNT, BuiltIn::Google, Vec::new());
    google.keys = Keys::clone(&provider().keys);
    let trust = |condition: Value| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"Federated": "accounts.google.com"}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition}]})
    };
    let condition = json!({"StringEquals": {
        "accounts.google.com:aud": "party", "accounts.google.com:oaud": "app", "accounts.google.com:sub": "alice"}});
    let bench = Bench::over(snapshot_with(google.clone(), role("reader", &trust(condition))));
    let claims = json!({"iss": "https://accounts.google.com", "aud": "app", "azp": "party"});
    let role = bench.exchange(&bench.request(claims.clone())).unwrap();
    assert_eq!(
        (role.provider.as_deref(), role.audience.as_deref()),
        (Some("accounts.google.com"), Some("party"))
    );
    let Caller::Session(session) = bench.caller(&role) else { panic!() };
    assert!(session.role(&bench.directory.snapshot()).is_ok());
    let without_azp = json!({"iss": "https://accounts.google.com", "aud": "app"});
    assert_eq!(bench.exchange(&bench.request(without_azp)).unwrap_err().1, "AccessDenied");
    // Its ARN is no name of it, and it is not there unless it was asked for.
    let arn = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::000000000000:oidc-provider/accounts.google.com"}}]});
    let by_arn = Bench::over(snapshot_with(google, self::role("reader", &arn)));
    assert_eq!(by_arn.exchange(&by_arn.request(claims.clone())).unwrap_err().1, "AccessDenied");
    let aws = Bench::new();
    assert_eq!(aws.exchange(&aws.request(claims)).unwrap_err().1, "InvalidIdentityToken");
}
