//! The engine against `@cloud-copilot/iam-simulate`. Not an ordinary test: it needs Node and the package;
//! see `tests/policy-oracle/README.md`, which also says what is left out here and why.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "this is a test throughout")]

#[path = "policy_model/engine.rs"]
mod engine;
#[path = "policy_model/generate.rs"]
#[expect(dead_code, reason = "only the tape is used here, not the whole language")]
mod generate;
#[path = "policy_model/naive.rs"]
#[expect(dead_code, reason = "only its types are used here")]
mod naive;

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use engine::with_request;
use generate::Tape;
use naive::{Case, Given, Who, written};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value as Json, json};
use wigeon_core::policy::{Decision, evaluate};

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "999999999999";
const ROLE: &str = "arn:aws:iam::111122223333:role/r";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/r/a";
const USER: &str = "arn:aws:iam::111122223333:user/bob";
const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/idp.example";
const ACTIONS: &[&str] = &["GetObject", "GetObjectAcl", "PutObject", "ListBucket"];
const RESOURCES: &[&str] = &["arn:aws:s3:::b/a", "arn:aws:s3:::b", "arn:aws:s3:::b/a/c", "arn:aws:s3:::b/é"];
const TEXTS: &[&str] = &["a", "*", "b", "A", "ab", "a*", "é", "É", "a/c", "?"];
const TIMES: &[&str] = &["2026-11-23T00:00:00Z", "2026-11-23T00:00:01Z", "2027-01-01T00:00:00Z"];
const NUMBERS: &[&str] = &["1", "2.5", "3", "-1"];
const ADDRESSES: &[&str] = &["10.0.0.1", "10.128.0.1", "2001:db8::1"];
const ARNS: &[&str] = &["arn:aws:iam::111122223333:role/r", "arn:aws:s3:::b", "arn:aws:iam::1:role/a:b", "a"];

/// Each key has values of one kind, and operators of that kind ask for it.
const KEYS: &[(&str, Sort)] = &[
    ("k:one", Sort::Text),
    ("k:Two", Sort::Text),
    ("k:many", Sort::Many),
    ("k:number", Sort::Number),
    ("k:time", Sort::Time),
    ("k:flag", Sort::Flag),
    ("k:address", Sort::Address),
    ("k:arn", Sort::Arn),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    Many,
    Number,
    Time,
    Flag,
    Address,
    Arn,
}

fn case(tape: &mut Tape<'_>) -> Case {
    let is_trust = tape.once_in(4);
    let who = match tape.below(8) {
        0..4 => Who::Session {
            account: ACCOUNT.into(),
            role: ROLE.into(),
            session: SESSION.into(),
            provider: None,
        },
        4 | 5 => Who::User { account: ACCOUNT.into(), arn: USER.into() },
        6 if is_trust => Who::Token { provider: PROVIDER.into() },
        _ => Who::Anonymous,
    };
    let has_own = matches!(who, Who::Session { .. } | Who::User { .. });
    let own = if is_trust { Element::Sts } else { Element::None };
    let boundary = (has_own && tape.once_in(3)).then(|| policy(tape, own));
    let names: &'static [&'static str] =
        &[ROLE, SESSION, USER, OTHER, ACCOUNT, "arn:aws:iam::111122223333:root", "*"];
    let names = match who {
        Who::Token { .. } => &names[..4],
        _ if boundary.is_some() => &names[..6],
        _ => names,
    };
    let action = if is_trust { "sts:AssumeRole".into() } else { format!("s3:{}", tape.pick(ACTIONS)) };
    let identity = if has_own { tape.below(3) } else { 0 };
    Case {
        trust: is_trust.then(|| policy(tape, Element::Trust(names))),
        bucket: (!is_trust && tape.once_in(2)).then(|| policy(tape, Element::Bucket(names))),
        identity: (0..identity).map(|_| policy(tape, own)).collect(),
        boundary,
        session: vec![],
        who,
        action,
        resource: if is_trust { ROLE } else { tape.pick(RESOURCES) }.into(),
        account: if tape.once_in(5) && !is_trust { OTHER } else { ACCOUNT }.into(),
        context: context(tape),
    }
}

fn context(tape: &mut Tape<'_>) -> Vec<(String, Given)> {
    let mut context = vec![];
    for (key, sort) in KEYS {
        if tape.once_in(4) {
            continue;
        }
        let key = if tape.once_in(4) { key.to_uppercase() } else { (*key).to_owned() };
        let value = match sort {
            Sort::Text => Given::Text(tape.pick(TEXTS).into()),
            Sort::Many => Given::Many((0..=tape.below(2)).map(|_| tape.pick(TEXTS).into()).collect()),
            Sort::Number => Given::Text(tape.pick(NUMBERS).into()),
            Sort::Time => Given::Time(tape.pick(TIMES).into()),
            Sort::Flag => Given::Flag(tape.once_in(2)),
            Sort::Address => Given::Address(tape.pick(ADDRESSES).into()),
            Sort::Arn => Given::Text(tape.pick(ARNS).into()),
        };
        context.push((key, value));
    }
    context
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    None,
    Sts,
    /// Whom its statements may name.
    Trust(&'static [&'static str]),
    Bucket(&'static [&'static str]),
}

fn policy(tape: &mut Tape<'_>, element: Element) -> Json {
    let count = 1 + tape.below(3);
    let statements: Vec<Json> = (0..count).map(|_| statement(tape, element)).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn statement(tape: &mut Tape<'_>, element: Element) -> Json {
    let mut statement = Map::new();
    statement.insert("Effect".into(), json!(if tape.once_in(4) { "Deny" } else { "Allow" }));
    if let Element::Trust(names) | Element::Bucket(names) = element {
        let federated = matches!(element, Element::Trust(_)) && tape.once_in(4);
        let principal = if federated {
            json!({"Federated": tape.pick(&[PROVIDER, "accounts.google.com"])})
        } else {
            json!({"AWS": tape.list(2, |tape| json!(tape.pick(names)))})
        };
        statement.insert("Principal".into(), principal);
    }
    let name = if tape.once_in(6) { "NotAction" } else { "Action" };
    let actions = tape.list(3, |tape| match element {
        Element::Trust(_) | Element::Sts => {
            json!(tape.pick(&["sts:AssumeRole", "sts:*", "sts:TagSession"]))
        }
        _ if tape.once_in(6) => json!("*"),
        _ => {
            let action = tape.pick(ACTIONS);
            json!(format!("s3:{}", tape.blurred(action)))
        }
    });
    statement.insert(name.into(), actions);
    if !matches!(element, Element::Trust(_)) {
        let negated = tape.once_in(6);
        let name = if negated { "NotResource" } else { "Resource" };
        let resources = tape.list(3, |tape| json!(resource(tape, element, negated)));
        statement.insert(name.into(), resources);
    }
    let mut conditions = Map::new();
    for _ in 0..tape.below(3) {
        let (operator, key, values) = condition(tape);
        conditions.insert(operator, json!({key: values}));
    }
    if !conditions.is_empty() {
        statement.insert("Condition".into(), Json::Object(conditions));
    }
    Json::Object(statement)
}

fn resource(tape: &mut Tape<'_>, element: Element, negated: bool) -> String {
    let whole = ["*", "arn:aws:s3:::*", "arn:*:s3:*:*:b/*", "arn:aws:*:*:*:*", "arn:aws:s3"];
    if element == Element::Sts {
        return tape
            .pick(&["*", ROLE, "arn:aws:iam::111122223333:role/*", "arn:aws:iam::*:role/other"])
            .into();
    }
    match tape.below(4) {
        0 => {
            let short = element == Element::None && !negated;
            tape.pick(if short { &whole } else { &whole[..whole.len() - 1] }).into()
        }
        1 => {
            let variable = variable(tape, true);
            tape.pick(&["arn:aws:s3:::b/V", "arn:aws:s3:::b/V/*", "arn:aws:s3:::*V"]).replace('V', &variable)
        }
        _ => {
            let resource = tape.pick(RESOURCES).trim_start_matches("arn:aws:s3:::");
            format!("arn:aws:s3:::{}", tape.blurred(resource))
        }
    }
}

fn variable(tape: &mut Tape<'_>, escapes: bool) -> String {
    let key = tape.pick(&["k:one", "K:TWO", "k:many", "missing"]);
    match tape.below(6) {
        0..3 => format!("${{{key}}}"),
        3 if key != "k:many" => format!("${{{key}, '{}'}}", tape.pick(&["a", "*", "b"])),
        _ if escapes => tape.pick(&["${*}", "${?}", "${$}"]).into(),
        _ => "${missing}".into(),
    }
}

fn condition(tape: &mut Tape<'_>) -> (String, &'static str, Json) {
    let (key, sort) = tape.pick(KEYS);
    if tape.once_in(8) {
        return ("Null".into(), key, json!(tape.pick(&["true", "false"])));
    }
    let bases: &[&str] = match sort {
        Sort::Text | Sort::Many => &[
            "StringEquals",
            "StringLike",
            "StringNotEquals",
            "StringNotLike",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
        ],
        Sort::Number => &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        Sort::Time => &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        Sort::Flag => &["Bool"],
        Sort::Address => &["IpAddress", "NotIpAddress"],
        Sort::Arn => &["ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"],
    };
    let base = tape.pick(bases);
    let quantifier = tape.pick(&["", "", "ForAllValues:", "ForAnyValue:"]);
    let suffix = if quantifier != "ForAnyValue:" && tape.once_in(4) { "IfExists" } else { "" };
    let values = tape.list(2, |tape| match sort {
        Sort::Text | Sort::Many if tape.once_in(3) => {
            let variable = variable(tape, base.ends_with("Like"));
            json!(format!("{}{variable}", tape.pick(&["", "a", "*"])))
        }
        Sort::Text | Sort::Many => {
            let text = tape.pick(TEXTS);
            json!(tape.blurred(text))
        }
        Sort::Number => json!(tape.pick(NUMBERS)),
        Sort::Time => json!(tape.pick(TIMES)),
        Sort::Flag => json!(tape.pick(&["true", "FALSE"])),
        Sort::Address => {
            json!(tape.pick(&["10.0.0.0/9", "0.0.0.0/1", "2001:db8::/32", "::/0", "10.0.0.1/32"]))
        }
        Sort::Arn => {
            json!(tape.pick(&[ROLE, "arn:aws:iam::*:role/*", "arn:*:*:*:*:*", "arn:aws:iam:*", "*"]))
        }
    });
    (format!("{quantifier}{base}{suffix}"), key, values)
}

/// The case as the package takes it.
fn simulation(case: &Case) -> Json {
    let variables: Map<String, Json> = case
        .context
        .iter()
        .map(|(key, given)| match given {
            Given::Many(texts) => (key.clone(), json!(texts)),
            one => (key.clone(), json!(written(one))),
        })
        .collect();
    let principal = match &case.who {
        Who::Anonymous => None,
        Who::Token { provider } => Some(provider.clone()),
        Who::Session { session, .. } => Some(session.clone()),
        Who::User { arn, .. } => Some(arn.clone()),
        Who::Root { account } => Some(format!("arn:aws:iam::{account}:root")),
    };
    json!({
        "request": {
            "principal": principal,
            "action": case.action,
            "resource": case.resource,
            "account": case.account,
            "context": variables,
        },
        "identity": case.identity,
        "resource": case.trust.as_ref().or(case.bucket.as_ref()),
        "boundary": case.boundary,
    })
}

fn answers(questions: String) -> Vec<String> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/policy-oracle");
    let mut node = Command::new("node")
        .arg("answer.mjs")
        .current_dir(place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("needs node");
    let mut stdin = node.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "run `npm install --prefix tests/policy-oracle` first");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs node and `npm install --prefix tests/policy-oracle`"]
fn the_engine_agrees_with_iam_simulate() {
    let setting = |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().unwrap());
    let seed = [setting("ORACLE_SEED", 0).to_le_bytes(); 4].concat();
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), random);
    let tapes = prop::collection::vec(any::<u8>(), 300);
    let cases: Vec<Case> = (0..setting("ORACLE_CASES", 20_000))
        .map(|_| case(&mut Tape::new(&tapes.new_tree(&mut runner).unwrap().current())))
        .collect();
    let questions: String = cases.iter().map(|case| format!("{}\n", simulation(case))).collect();
    let answers = answers(questions);
    assert_eq!(answers.len(), cases.len());
    let mut seen = [0; 3];
    for (case, answer) in cases.iter().zip(&answers) {
        let (ours, said) = with_request(case, |policies, request| {
            (evaluate(policies, request), wigeon_core::policy::explain(policies, request).to_string())
        });
        let (ours, place) = match ours {
            Decision::Allow(_) => ("Allowed", 0),
            Decision::ExplicitDeny(_) => ("ExplicitlyDenied", 1),
            Decision::ImplicitDeny(_) => ("ImplicitlyDenied", 2),
        };
        assert_eq!(ours, answer, "{said}\n{:#}", simulation(case));
        seen[place] += 1;
    }
    assert!(seen.iter().all(|count| *count * 12 >= cases.len()), "too few of one outcome: {seen:?}");
}
