//! Runs the corpus in `policies/`: each decision and each explanation, word for word.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "this is a test throughout")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;
use wigeon_core::arn::Arn;
use wigeon_core::policy::{
    Context, Decision, Document, Kind, Policies, Policy, Principal, Request, Value, evaluate, explain,
};

const ACCOUNT: &str = "111122223333";

fn files() -> Vec<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies");
    let mut files: Vec<PathBuf> = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "json") && !file.ends_with("refused.json"));
    files.sort();
    files
}

fn read(file: &Path) -> Json {
    serde_json::from_str(&fs::read_to_string(file).unwrap())
        .unwrap_or_else(|error| panic!("{file:?}: {error}"))
}

fn policy(name: &str, kind: Kind, document: &Json) -> Arc<Policy> {
    let document =
        Document::parse(&document.to_string(), kind).unwrap_or_else(|error| panic!("{name}: {error}"));
    Arc::new(document.named(name))
}

fn principal(written: &Json) -> Principal<'_> {
    let text = |key: &str| written[key].as_str();
    let account = |arn: &str| arn.parse::<Arn>().unwrap().account().to_owned().leak() as &str;
    if let Some(session) = text("session") {
        Principal::Session { account: account(session), role: text("role").unwrap(), session, provider: None }
    } else if let Some(arn) = text("user") {
        Principal::User { account: account(arn), arn }
    } else if let Some(account) = text("root") {
        Principal::Root { account }
    } else if let Some(provider) = text("token") {
        Principal::WebIdentity { provider }
    } else {
        assert_eq!(written, "anonymous");
        Principal::Anonymous
    }
}

fn value(written: &Json) -> Value<'_> {
    match written {
        Json::String(text) => text.into(),
        Json::Bool(flag) => (*flag).into(),
        Json::Number(number) => number.as_i64().unwrap().into(),
        Json::Array(items) => items.iter().map(|item| item.as_str().unwrap()).collect::<Vec<_>>().into(),
        Json::Object(object) => match (object.get("time"), object.get("address")) {
            (Some(time), _) => Value::Time(time.as_str().unwrap().parse().unwrap()),
            (_, Some(address)) => Value::Address(address.as_str().unwrap().parse().unwrap()),
            _ => panic!("{written}"),
        },
        Json::Null => panic!("null"),
    }
}

#[test]
fn every_decision_of_the_corpus() {
    let files = files();
    assert!(files.len() >= 6, "the corpus is not where it should be");
    for file in files {
        let case = read(&file);
        let named = |layer: &str, kind| -> Vec<Arc<Policy>> {
            let policies = case["policies"][layer].as_object();
            policies.into_iter().flatten().map(|(name, document)| policy(name, kind, document)).collect()
        };
        let single = |layer: &str, kind| {
            Some(&case["policies"][layer])
                .filter(|document| !document.is_null())
                .map(|document| policy(layer, kind, document))
        };
        let resource = single("trust", Kind::Trust).or_else(|| single("bucket", Kind::Resource));
        let (identity, session) = (named("identity", Kind::Identity), named("session", Kind::Session));
        let boundary = single("boundary", Kind::Identity);
        let policies = Policies {
            resource: resource.as_deref(),
            identity: &identity,
            boundary: boundary.as_deref(),
            session: &session,
        };
        for wanted in case["requests"].as_array().unwrap() {
            let mut context = Context::new();
            for (key, written) in wanted["context"].as_object().unwrap() {
                assert!(context.set(key, value(written)));
            }
            let request = Request {
                principal: principal(&wanted["principal"]),
                action: wanted["action"].as_str().unwrap(),
                resource: wanted["resource"].as_str().unwrap(),
                account: wanted["account"].as_str().unwrap_or(ACCOUNT),
                context: &context,
            };
            let decision = match evaluate(&policies, &request) {
                Decision::Allow(_) => "allow",
                Decision::ExplicitDeny(_) => "explicit deny",
                Decision::ImplicitDeny(_) => "implicit deny",
            };
            let said = explain(&policies, &request).to_string();
            assert_eq!(decision, wanted["decision"], "{file:?}: {wanted:#}\n{said}");
            if let Some(because) = wanted["because"].as_str() {
                assert_eq!(said, because, "{file:?}: {wanted:#}");
            }
        }
    }
}

#[test]
fn every_refusal_of_the_corpus() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/refused.json");
    for case in read(&file).as_array().unwrap() {
        let kind = match case["kind"].as_str().unwrap() {
            "identity" => Kind::Identity,
            "session" => Kind::Session,
            "trust" => Kind::Trust,
            "bucket" => Kind::Resource,
            other => panic!("{other}"),
        };
        let error = Document::parse(&case["policy"].to_string(), kind).unwrap_err();
        assert_eq!(error.path, case["path"], "{error}");
        assert!(error.reason.contains(case["reason"].as_str().unwrap()), "{error}");
    }
}
