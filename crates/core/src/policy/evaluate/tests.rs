use rstest::rstest;
use serde_json::{Value as Json, json};

use super::super::context::Context;
use super::super::document::Document;
use super::*;

const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/reader/alice";
const USER: &str = "arn:aws:iam::111122223333:user/bob";
const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/idp.example";

fn policy(kind: Kind, statement: Json) -> Arc<Policy> {
    let text = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    Arc::new(Document::parse(&text, kind).unwrap().named("p"))
}

/// Allows or denies every action on every resource.
fn all(kind: Kind, effect: &str, principal: Option<Json>) -> Arc<Policy> {
    let action = if kind == Kind::Trust { "sts:*" } else { "*" };
    let mut statement = json!({"Effect": effect, "Action": action});
    if kind != Kind::Trust {
        statement["Resource"] = json!("*");
    }
    if let Some(principal) = principal {
        statement["Principal"] = principal;
    }
    policy(kind, statement)
}

/// One letter per layer: `a` allows, `d` denies, `-` is there and does neither, a space is not there.
fn decide(resource: Option<Arc<Policy>>, layers: &str, principal: Principal<'_>, account: &str) -> Decision {
    let make = |letter: char| match letter {
        'a' => Some(all(Kind::Identity, "Allow", None)),
        'd' => Some(all(Kind::Identity, "Deny", None)),
        '-' => Some(policy(Kind::Identity, json!({"Effect": "Allow", "Action": "other:*", "Resource": "*"}))),
        _ => None,
    };
    let mut layers = layers.chars().map(make);
    let mut next = || layers.next().flatten();
    let (identity, boundary, session) = (next(), next(), next());
    let (identity, session): (Vec<_>, Vec<_>) =
        (identity.into_iter().collect(), session.into_iter().collect());
    let policies = Policies {
        resource: resource.as_deref(),
        identity: &identity,
        boundary: boundary.as_deref(),
        session: &session,
    };
    let context = Context::new();
    let action = match &resource {
        Some(policy) if policy.document.kind() == Kind::Trust => "sts:AssumeRole",
        _ => "s3:GetObject",
    };
    let request = Request { principal, action, resource: "arn:aws:s3:::b/k", account, context: &context };
    evaluate(&policies, &request)
}

fn session() -> Principal<'static> {
    Principal::Session { account: ACCOUNT, role: ROLE, session: SESSION, provider: None }
}

fn by(layer: Layer) -> StatementRef {
    StatementRef { layer, policy: 0, statement: 0 }
}

#[rstest]
#[case("   ", Decision::ImplicitDeny(Layer::Identity))]
#[case("-  ", Decision::ImplicitDeny(Layer::Identity))]
#[case("a  ", Decision::Allow(Some(by(Layer::Identity))))]
#[case("d  ", Decision::ExplicitDeny(by(Layer::Identity)))]
#[case("aa ", Decision::Allow(Some(by(Layer::Identity))))]
#[case("a- ", Decision::ImplicitDeny(Layer::Boundary))]
#[case("ad ", Decision::ExplicitDeny(by(Layer::Boundary)))]
#[case(" a ", Decision::ImplicitDeny(Layer::Identity))]
#[case("a a", Decision::Allow(Some(by(Layer::Identity))))]
#[case("a -", Decision::ImplicitDeny(Layer::Session))]
#[case("a d", Decision::ExplicitDeny(by(Layer::Session)))]
#[case("  a", Decision::ImplicitDeny(Layer::Identity))]
#[case("aaa", Decision::Allow(Some(by(Layer::Identity))))]
fn without_a_bucket_policy(#[case] layers: &str, #[case] expected: Decision) {
    assert_eq!(decide(None, layers, session(), ACCOUNT), expected);
}

const GRANTED: Decision =
    Decision::Allow(Some(StatementRef { layer: Layer::Resource, policy: 0, statement: 0 }));

#[rstest]
// The role's ARN: as good as an identity policy, and limited like one.
#[case(ROLE, "   ", GRANTED)]
#[case(ROLE, "-aa", GRANTED)]
#[case(ROLE, " - ", Decision::ImplicitDeny(Layer::Boundary))]
#[case(ROLE, "a-a", Decision::ImplicitDeny(Layer::Boundary))]
#[case(ROLE, "  -", Decision::ImplicitDeny(Layer::Session))]
#[case(ROLE, "  d", Decision::ExplicitDeny(by(Layer::Session)))]
// The session's ARN: nothing but an explicit deny limits it.
#[case(SESSION, "   ", GRANTED)]
#[case(SESSION, "---", GRANTED)]
#[case(SESSION, "--d", Decision::ExplicitDeny(by(Layer::Session)))]
#[case(SESSION, "-d-", Decision::ExplicitDeny(by(Layer::Boundary)))]
#[case(SESSION, "d--", Decision::ExplicitDeny(by(Layer::Identity)))]
// Everyone: limited like the role.
#[case("*", "   ", GRANTED)]
#[case("*", " - ", Decision::ImplicitDeny(Layer::Boundary))]
#[case("*", "  -", Decision::ImplicitDeny(Layer::Session))]
// The account: its own policies decide.
#[case(ACCOUNT, "   ", Decision::ImplicitDeny(Layer::Identity))]
#[case(ACCOUNT, "a  ", Decision::Allow(Some(by(Layer::Identity))))]
// Someone else.
#[case(USER, "   ", Decision::ImplicitDeny(Layer::Identity))]
#[case(USER, "a  ", Decision::Allow(Some(by(Layer::Identity))))]
fn a_bucket_policy_that_allows(#[case] names: &str, #[case] layers: &str, #[case] expected: Decision) {
    let bucket = all(Kind::Resource, "Allow", Some(json!({"AWS": names})));
    assert_eq!(decide(Some(bucket), layers, session(), ACCOUNT), expected);
}

#[rstest]
#[case(ROLE)]
#[case(SESSION)]
#[case(ACCOUNT)]
#[case("*")]
fn a_bucket_policy_that_denies(#[case] names: &str) {
    let bucket = all(Kind::Resource, "Deny", Some(json!({"AWS": names})));
    assert_eq!(decide(Some(bucket), "aaa", session(), ACCOUNT), Decision::ExplicitDeny(by(Layer::Resource)));
}

#[rstest]
#[case(Some(SESSION), "   ", Decision::ImplicitDeny(Layer::Identity))]
#[case(Some(SESSION), "a  ", Decision::Allow(Some(by(Layer::Identity))))]
#[case(Some(SESSION), "a -", Decision::ImplicitDeny(Layer::Session))]
#[case(Some(ROLE), "a- ", Decision::ImplicitDeny(Layer::Boundary))]
#[case(Some(ACCOUNT), "a  ", Decision::Allow(Some(by(Layer::Identity))))]
#[case(Some(USER), "a  ", Decision::ImplicitDeny(Layer::Resource))]
#[case(None, "aaa", Decision::ImplicitDeny(Layer::Resource))]
fn another_accounts_bucket(#[case] names: Option<&str>, #[case] layers: &str, #[case] expected: Decision) {
    let bucket = names.map(|names| all(Kind::Resource, "Allow", Some(json!({"AWS": names}))));
    assert_eq!(decide(bucket, layers, session(), "999999999999"), expected);
}

#[test]
fn users_and_root() {
    let user = Principal::User { account: ACCOUNT, arn: USER };
    let root = Principal::Root { account: ACCOUNT };
    let named = || Some(all(Kind::Resource, "Allow", Some(json!({"AWS": USER}))));
    assert_eq!(decide(named(), "-- ", user, ACCOUNT), GRANTED);
    assert_eq!(decide(None, "   ", root, ACCOUNT), Decision::Allow(None));
    assert_eq!(decide(None, "   ", root, "999999999999"), Decision::ImplicitDeny(Layer::Resource));
    let denied = all(Kind::Resource, "Deny", Some(json!("*")));
    assert_eq!(decide(Some(denied), "   ", root, ACCOUNT), Decision::ExplicitDeny(by(Layer::Resource)));
}

#[test]
fn the_anonymous_need_everyone_to_be_let_in() {
    let decide = |names: Option<Json>| {
        let bucket = names.map(|names| all(Kind::Resource, "Allow", Some(names)));
        decide(bucket, "   ", Principal::Anonymous, ACCOUNT)
    };
    assert_eq!(decide(None), Decision::ImplicitDeny(Layer::Resource));
    assert_eq!(decide(Some(json!({"AWS": ACCOUNT}))), Decision::ImplicitDeny(Layer::Resource));
    assert_eq!(decide(Some(json!("*"))), GRANTED);
}

#[rstest]
#[case(json!({"Federated": PROVIDER}), Principal::WebIdentity { provider: PROVIDER }, "   ", true)]
#[case(json!({"Federated": "accounts.google.com"}), Principal::WebIdentity { provider: "accounts.google.com" }, "   ", true)]
#[case(json!({"Federated": PROVIDER}), Principal::WebIdentity { provider: "accounts.google.com" }, "   ", false)]
#[case(json!("*"), Principal::WebIdentity { provider: PROVIDER }, "   ", false)]
#[case(json!({"AWS": "*"}), Principal::WebIdentity { provider: PROVIDER }, "   ", false)]
#[case(json!({"AWS": ACCOUNT}), Principal::WebIdentity { provider: PROVIDER }, "   ", false)]
#[case(json!({"Federated": PROVIDER}), Principal::Anonymous, "   ", false)]
#[case(json!({"Federated": PROVIDER}), session(), "a  ", false)]
// A role in the same account: named itself it is let in; by the account, its own policies must allow too.
#[case(json!({"AWS": SESSION}), session(), "---", true)]
#[case(json!({"AWS": ROLE}), session(), "   ", true)]
#[case(json!({"AWS": ROLE}), session(), "  -", false)]
#[case(json!({"AWS": ACCOUNT}), session(), "   ", false)]
#[case(json!({"AWS": ACCOUNT}), session(), "a  ", true)]
#[case(json!({"AWS": ACCOUNT}), Principal::Root { account: ACCOUNT }, "   ", true)]
#[case(json!({"AWS": USER}), session(), "a  ", false)]
#[case(json!({"AWS": USER}), Principal::Root { account: ACCOUNT }, "a  ", false)]
fn trust(
    #[case] names: Json,
    #[case] principal: Principal<'_>,
    #[case] layers: &str,
    #[case] expected: bool,
) {
    let trust = all(Kind::Trust, "Allow", Some(names));
    assert_eq!(decide(Some(trust), layers, principal, ACCOUNT).is_allowed(), expected);
}

#[test]
fn a_trust_policy_must_allow_explicitly() {
    let other = policy(
        Kind::Trust,
        json!({"Effect": "Allow", "Action": "sts:TagSession", "Principal": {"Federated": PROVIDER}}),
    );
    let token = Principal::WebIdentity { provider: PROVIDER };
    assert_eq!(decide(Some(other), "aaa", token, ACCOUNT), Decision::ImplicitDeny(Layer::Trust));
    let denied = policy(
        Kind::Trust,
        json!([
            {"Effect": "Allow", "Action": "sts:*", "Principal": {"Federated": PROVIDER}},
            {"Effect": "Deny", "Action": "sts:*", "Principal": {"Federated": PROVIDER}},
        ]),
    );
    let deny = StatementRef { layer: Layer::Trust, policy: 0, statement: 1 };
    assert_eq!(decide(Some(denied), "aaa", token, ACCOUNT), Decision::ExplicitDeny(deny));
}

#[test]
fn the_closest_naming_counts() {
    let bucket = policy(
        Kind::Resource,
        json!([
            {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": {"AWS": ACCOUNT}},
            {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::*", "Principal": {"AWS": SESSION}},
            {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*", "Principal": {"AWS": ROLE}},
        ]),
    );
    let named = StatementRef { layer: Layer::Resource, policy: 0, statement: 1 };
    assert_eq!(decide(Some(bucket), "---", session(), ACCOUNT), Decision::Allow(Some(named)));
}
