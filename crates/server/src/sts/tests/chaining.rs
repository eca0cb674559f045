//! Signed callers: roles that sessions and the account assume, and what the account's own key may ask.

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};
use wigeon_core::policy::{Document, Kind};
use wigeon_core::secret::Secret;
use wigeon_core::sts::{AssumedRole, CallerIdentity, Fault};
use wigeon_core::time::Clock;

use super::Bench;
use crate::directory::{Role, Snapshot};
use crate::session::{Caller, SessionEnded};
use crate::trust::fixture::*;

const WRITER: &str = "arn:aws:iam::000000000000:role/writer";
const READER_SESSION: &str = "arn:aws:sts::000000000000:assumed-role/reader/alice@laptop";
const ROOT: &str = "arn:aws:iam::000000000000:root";

/// A role that these principals may assume, with everything that goes with it.
fn trusting(name: &str, principal: &Value, condition: &Value) -> Role {
    let actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];
    role(
        name,
        &json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": principal, "Action": actions, "Condition": condition}]}),
    )
}

fn with_policy(mut role: Role, statement: &Value) -> Role {
    let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    role.policies.push(Arc::new(Document::parse(&text, Kind::Identity).unwrap().named("inline")));
    role
}

/// The reader, whom tokens open, and other roles.
fn directory(reader: Role, others: Vec<Role>) -> Snapshot {
    let mut snapshot = snapshot_with(provider(), reader);
    others.into_iter().for_each(|role| snapshot.add_role(role).unwrap());
    snapshot
}

fn reader() -> Role {
    role("reader", &any_aud())
}

struct Chain {
    bench: Bench,
    alice: Caller,
}

impl Chain {
    fn new(snapshot: Snapshot, claims: Value) -> Self {
        let bench = Bench::new();
        bench.directory.replace(snapshot);
        let session = bench.exchange(&bench.request(claims)).unwrap();
        let alice = bench.caller(&session);
        Self { bench, alice }
    }

    fn trusting(principal: Value, condition: Value) -> Self {
        Self::new(directory(reader(), vec![trusting("writer", &principal, &condition)]), json!({}))
    }

    fn assume(&self, caller: &Caller, more: &str) -> Result<AssumedRole, (u16, String, String)> {
        let form = format!("Action=AssumeRole&Version=2011-06-15&RoleArn={WRITER}&RoleSessionName=job{more}");
        let answer = self.bench.send("", &form, Some(caller));
        match answer.status {
            200 => Ok(AssumedRole::from_xml(&answer.xml.0).unwrap()),
            status => {
                let fault = Fault::from_xml(&answer.xml.0).unwrap();
                Err((status, fault.code, fault.message))
            }
        }
    }
}

#[rstest]
#[case::role(json!({"AWS": ROLE}), true)]
#[case::session(json!({"AWS": READER_SESSION}), true)]
#[case::other_session(json!({"AWS": READER_SESSION.replace("alice", "bob")}), false)]
#[case::other_role(json!({"AWS": WRITER}), false)]
#[case::account_without_permission(json!({"AWS": ROOT}), false)]
#[case::account_number(json!({"AWS": ACCOUNT}), false)]
#[case::provider(json!({"Federated": PROVIDER}), false)]
fn principals(#[case] principal: Value, #[case] allowed: bool) {
    let chain = Chain::trusting(principal, json!({}));
    let answer = chain.assume(&chain.alice, "");
    assert_eq!(answer.is_ok(), allowed, "{answer:?}");
}

#[test]
fn an_account_leaves_it_to_the_callers_own_policies() {
    let writer = || trusting("writer", &json!({"AWS": ROOT}), &json!({}));
    let may = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": WRITER});
    let chain = Chain::new(directory(with_policy(reader(), &may), vec![writer()]), json!({}));
    let role = chain.assume(&chain.alice, "").unwrap();
    assert_eq!(role.arn.as_deref(), Some("arn:aws:sts::000000000000:assumed-role/writer/job"));
    assert_eq!((role.subject, role.provider, role.audience), (None, None, None));
    // The account itself needs no policy; it still has to be trusted.
    assert!(chain.assume(&Caller::Root, "").is_ok());
    let chain = Chain::trusting(json!({"AWS": ROLE}), json!({}));
    assert_eq!(chain.assume(&Caller::Root, "").unwrap_err().1, "AccessDenied");
}

#[test]
fn an_unknown_role_reads_like_one_that_refuses() {
    let refusing = Chain::trusting(json!({"AWS": WRITER}), json!({}));
    let none = Chain::new(directory(reader(), vec![]), json!({}));
    let text = |chain: &Chain| {
        let (status, code, message) = chain.assume(&chain.alice, "").unwrap_err();
        let (plain, encoded) = message.split_once(". Encoded authorization failure message: ").unwrap();
        (status, code, plain.to_owned(), encoded.len())
    };
    let refused = text(&refusing);
    assert_eq!(refused, text(&none));
    let expected =
        format!("User: {READER_SESSION} is not authorized to perform: sts:AssumeRole on resource: {WRITER}");
    assert_eq!((refused.0, refused.1.as_str(), refused.2), (403, "AccessDenied", expected));
}

#[test]
fn an_external_id() {
    let condition = json!({"StringEquals": {"sts:ExternalId": "x-1"}});
    let chain = Chain::trusting(json!({"AWS": ROLE}), condition);
    assert!(chain.assume(&chain.alice, "&ExternalId=x-1").is_ok());
    assert!(chain.assume(&chain.alice, "&ExternalId=x-2").is_err());
    assert!(chain.assume(&chain.alice, "").is_err());
}

#[test]
fn durations() {
    let mut writer = trusting("writer", &json!({"AWS": [ROLE, ROOT]}), &json!({}));
    writer.max_session_duration = 7200;
    let chain = Chain::new(directory(reader(), vec![writer]), json!({}));
    // A chain: an hour at most, and never longer than the session that it comes from.
    let (status, code, message) = chain.assume(&chain.alice, "&DurationSeconds=3601").unwrap_err();
    assert_eq!((status, code.as_str()), (400, "ValidationError"));
    assert!(message.contains("1 hour session limit for roles assumed by role chaining"), "{message}");
    chain.bench.clock.advance(3000);
    let role = chain.assume(&chain.alice, "").unwrap();
    assert_eq!(role.credentials.expires_at.unwrap().to_string(), "2026-11-23T13:00:00Z");
    let role = chain.assume(&Caller::Root, "&DurationSeconds=7200").unwrap();
    assert_eq!(role.credentials.expires_at.unwrap().to_string(), "2026-11-23T14:50:00Z");
    assert_eq!(chain.assume(&Caller::Root, "&DurationSeconds=7201").unwrap_err().1, "ValidationError");
}

fn tagged() -> Value {
    json!({"https://aws.amazon.com/source_identity": "alice", "https://aws.amazon.com/tags":
        {"principal_tags": {"Team": ["x"], "Cost": ["y"]}, "transitive_tag_keys": ["Team"]}})
}

#[test]
fn tags_and_the_source_identity_go_on() {
    let writer = trusting("writer", &json!({"AWS": ROLE}), &json!({}));
    let chain = Chain::new(directory(reader(), vec![writer]), tagged());
    let new = "&Tags.member.1.Key=Stage&Tags.member.1.Value=z&TransitiveTagKeys.member.1=Stage";
    let role = chain.assume(&chain.alice, new).unwrap();
    assert_eq!(role.source_identity.as_deref(), Some("alice"));
    let Caller::Session(session) = chain.bench.caller(&role) else { panic!() };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(session.principal_tags, [pair("Team", "x"), pair("Stage", "z")]);
    assert_eq!(session.transitive_tag_keys, ["Team", "Stage"]);

    let conflict =
        chain.assume(&chain.alice, "&Tags.member.1.Key=team&Tags.member.1.Value=mine").unwrap_err();
    assert_eq!((conflict.0, conflict.1.as_str()), (400, "InvalidParameterValue"));
    assert!(conflict.2.contains("conflicts with a transitive tag"), "{}", conflict.2);
    assert_eq!(chain.assume(&chain.alice, "&SourceIdentity=bob").unwrap_err().1, "AccessDenied");
    assert!(chain.assume(&chain.alice, "&SourceIdentity=alice").is_ok());
}

#[test]
fn what_goes_on_needs_the_trust_policys_word() {
    let only = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "sts:AssumeRole"}]});
    let plain = Chain::new(directory(reader(), vec![role("writer", &only)]), json!({}));
    assert!(plain.assume(&plain.alice, "").is_ok());
    for more in ["&SourceIdentity=alice", "&Tags.member.1.Key=a&Tags.member.1.Value=b"] {
        assert_eq!(plain.assume(&plain.alice, more).unwrap_err().1, "AccessDenied", "{more}");
    }
    let inheriting = Chain::new(directory(reader(), vec![role("writer", &only)]), tagged());
    assert_eq!(inheriting.assume(&inheriting.alice, "").unwrap_err().1, "AccessDenied");
    let tags = json!({"StringEquals": {"aws:RequestTag/a": "b"}, "StringLike": {"aws:PrincipalArn": ROLE}});
    let asked = Chain::trusting(json!({"AWS": ROLE}), tags);
    assert!(asked.assume(&asked.alice, "&Tags.member.1.Key=a&Tags.member.1.Value=b").is_ok());
    assert!(asked.assume(&asked.alice, "&Tags.member.1.Key=a&Tags.member.1.Value=c").is_err());
}

/// A chain ends with its provider, with each role on the way, and with a revocation of any of them.
#[test]
fn a_chain_ends_with_what_it_came_from() {
    let writer = || trusting("writer", &json!({"AWS": [ROLE, WRITER]}), &json!({}));
    let chain = Chain::new(directory(reader(), vec![writer()]), json!({}));
    let first = chain.bench.caller(&chain.assume(&chain.alice, "").unwrap());
    let second = chain.bench.caller(&chain.assume(&first, "").unwrap());
    let Caller::Session(session) = &second else { panic!() };
    assert!(session.role(&directory(reader(), vec![writer()])).is_ok());
    let ended = |snapshot: Snapshot| session.role(&snapshot).unwrap_err();
    let without_reader = snapshot_with(provider(), writer());
    assert!(matches!(ended(without_reader), SessionEnded::RoleGone(role) if role.as_str() == ROLE));
    let later = Some(chain.bench.clock.now());
    let mut revoked = reader();
    revoked.revoked_before = later;
    assert!(matches!(ended(directory(revoked, vec![writer()])), SessionEnded::RoleRevoked { .. }));
    let mut revoked = provider();
    revoked.revoked_before = later;
    let mut snapshot = snapshot_with(revoked, reader());
    snapshot.add_role(writer()).unwrap();
    assert!(matches!(ended(snapshot), SessionEnded::ProviderRevoked { .. }));
    let mut elsewhere = provider();
    elsewhere.url = "https://idp.example/realms/y".to_owned();
    let mut snapshot = snapshot_with(elsewhere, reader());
    snapshot.add_role(writer()).unwrap();
    assert!(matches!(ended(snapshot), SessionEnded::ProviderGone(_)));
}

#[test]
fn a_session_policy_limits_whom_the_session_may_become() {
    let writer = trusting("writer", &json!({"AWS": ROOT}), &json!({}));
    let may = json!({"Effect": "Allow", "Action": "sts:*", "Resource": "*"});
    let bench = Bench::new();
    bench.directory.replace(directory(with_policy(reader(), &may), vec![writer]));
    let mut request = bench.request(json!({}));
    request.policy = Some(super::POLICY.to_owned());
    let limited = bench.caller(&bench.exchange(&request).unwrap());
    let chain = Chain { alice: limited, bench };
    assert_eq!(chain.assume(&chain.alice, "").unwrap_err().1, "AccessDenied");
}

#[test]
fn session_tokens_are_for_long_lived_keys() {
    let chain = Chain::trusting(json!({"AWS": ROLE}), json!({}));
    let ask =
        |caller: &Caller| chain.bench.send("", "Action=GetSessionToken&DurationSeconds=7200", Some(caller));
    let answer = ask(&Caller::Root);
    assert_eq!(answer.status, 200);
    let leaf = |name: &str| {
        let (_, rest) = answer.xml.0.split_once(&format!("<{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    assert_eq!(leaf("Expiration"), "2026-11-23T13:00:00Z");
    let (token, id) = (Secret::new(leaf("SessionToken")), leaf("AccessKeyId"));
    let root =
        chain.bench.sealer.unseal(token.expose(), &id, chain.bench.clock.now()).unwrap().caller.clone();
    assert!(matches!(&root, Caller::RootSession(session) if session.by == "AKIAROOT"));
    let identity = chain.bench.send("", "Action=GetCallerIdentity", Some(&root));
    assert_eq!(CallerIdentity::from_xml(&identity.xml.0).unwrap().arn, ROOT);
    // A session, the account's own among them, makes none.
    for caller in [&chain.alice, &root] {
        let refused = ask(caller);
        let fault = Fault::from_xml(&refused.xml.0).unwrap();
        assert_eq!((refused.status, fault.code.as_str()), (403, "AccessDenied"));
    }
}

#[test]
fn session_tokens_of_users() {
    let at = "2026-11-23T12:00:00Z";
    let mut entries = crate::directory::Entries::new(ACCOUNT);
    let user = json!({"name": "bob", "path": "/", "id": "AIDABOB", "created_at": at, "policies": {}});
    let key = json!({"id": "AKIAUSER", "user": "bob", "sealed_secret": "", "active": true, "created_at": at});
    use crate::directory::entry::{Entry, EntryKind, Write};
    let row = |kind, json: &Value| Write::put(Entry::from_json(kind, &json.to_string()).unwrap());
    entries.write(&row(EntryKind::User, &user));
    entries.write(&row(EntryKind::AccessKey, &key));
    let bench = Bench::new();
    bench.directory.replace(Snapshot::of(entries.clone(), 0));
    let bob = Caller::User(Arc::clone(bench.directory.snapshot().user("bob").unwrap()));
    let answer = bench.send("", "Action=GetSessionToken&DurationSeconds=129600", Some(&bob));
    assert_eq!(answer.status, 200, "{}", answer.xml.0);
    let leaf = |name: &str| {
        let (_, rest) = answer.xml.0.split_once(&format!("<{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    assert_eq!(leaf("Expiration"), "2026-11-25T00:00:00Z");
    let unsealed =
        bench.sealer.unseal(&leaf("SessionToken"), &leaf("AccessKeyId"), bench.clock.now()).unwrap();
    let session = unsealed.caller.clone();
    let whoami = || bench.send("", "Action=GetCallerIdentity", Some(&session));
    let arn = CallerIdentity::from_xml(&whoami().xml.0).unwrap().arn;
    assert_eq!(arn, "arn:aws:iam::000000000000:user/bob");
    // It makes no other one, and ends with its key, its user and a revocation.
    assert_eq!(bench.send("", "Action=GetSessionToken", Some(&session)).status, 403);
    let off = row(
        EntryKind::AccessKey,
        &json!({"id": "AKIAUSER", "user": "bob", "sealed_secret": "", "active": false, "created_at": at}),
    );
    let another = row(
        EntryKind::User,
        &json!({"name": "bob", "path": "/", "id": "AIDAOTHER", "created_at": at, "policies": {}}),
    );
    let revoked = row(
        EntryKind::Session,
        &json!({"access_key_id": leaf("AccessKeyId"), "until": "2026-11-26T00:00:00Z"}),
    );
    for write in [off, another, revoked] {
        let mut changed = entries.clone();
        changed.write(&write);
        bench.directory.replace(Snapshot::of(changed, 0));
        assert_eq!(whoami().status, 403, "{write:?}");
    }
}

#[test]
fn denials_are_decoded_by_those_who_may() {
    let may = json!({"Effect": "Allow", "Action": "sts:DecodeAuthorizationMessage", "Resource": "*"});
    let admin = with_policy(trusting("admin", &json!({"AWS": ROOT}), &json!({})), &may);
    let deny = json!({"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"});
    let writer = trusting("writer", &json!({"AWS": ROLE}), &json!({}));
    let chain = Chain::new(directory(with_policy(reader(), &deny), vec![writer, admin]), json!({}));
    let (_, _, message) = chain.assume(&chain.alice, "&ExternalId=x-1").unwrap_err();
    let encoded = message.rsplit(' ').next().unwrap();
    assert!(encoded.len() <= 10_240 && !message.contains("x-1"), "{message}");

    let form = "Action=AssumeRole&RoleArn=arn:aws:iam::000000000000:role/admin&RoleSessionName=root";
    let admin = chain.bench.send("", form, Some(&Caller::Root));
    let admin = chain.bench.caller(&AssumedRole::from_xml(&admin.xml.0).unwrap());
    let decode = |caller: &Caller, message: &str| {
        chain.bench.send(
            "",
            &format!("Action=DecodeAuthorizationMessage&EncodedMessage={message}"),
            Some(caller),
        )
    };
    let answer = decode(&admin, encoded);
    assert_eq!(answer.status, 200, "{}", answer.xml.0);
    let text = answer.xml.0.replace("&quot;", "\"");
    let json = text.split_once("<DecodedMessage>").unwrap().1.split_once("</DecodedMessage>").unwrap().0;
    let decoded: Value = serde_json::from_str(json).unwrap();
    assert_eq!((&decoded["allowed"], &decoded["explicitDeny"]), (&json!(false), &json!(true)));
    assert_eq!(decoded["matchedStatements"]["items"][0]["effect"], "DENY");
    assert_eq!(decoded["context"]["principal"]["arn"], READER_SESSION);
    assert_eq!(
        (&decoded["context"]["action"], &decoded["context"]["resource"]),
        (&json!("sts:AssumeRole"), &json!(WRITER))
    );
    let conditions = decoded["context"]["conditions"]["items"].as_array().unwrap();
    assert!(conditions.contains(&json!({"key": "sts:ExternalId", "values": {"items": [{"value": "x-1"}]}})));

    assert_eq!(decode(&chain.alice, encoded).status, 403);
    let broken = decode(&Caller::Root, &encoded.replace('A', "B"));
    let code = Fault::from_xml(&broken.xml.0).unwrap().code;
    assert_eq!((broken.status, code.as_str()), (400, "InvalidAuthorizationMessageException"));
}

#[test]
fn whose_an_access_key_is() {
    let chain = Chain::trusting(json!({"AWS": ROLE}), json!({}));
    let ask = |caller: &Caller, key: &str| {
        chain.bench.send("", &format!("Action=GetAccessKeyInfo&AccessKeyId={key}"), Some(caller)).status
    };
    let Caller::Session(session) = &chain.alice else { panic!() };
    assert_eq!(ask(&Caller::Root, &session.access_key_id), 200);
    assert_eq!(ask(&Caller::Root, "AKIASOMEBODYELSES000"), 400);
    assert_eq!(ask(&chain.alice, &session.access_key_id), 403);
}
