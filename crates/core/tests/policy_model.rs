//! Two independent readings of the policy language agree: the compiled engine, and a plain one that works
//! on the JSON itself. `PROPTEST_CASES` sets how many generated situations they are held against each other
//! in; 100,000 if it is absent.

#[path = "policy_model/generate.rs"]
mod generate;
#[path = "policy_model/naive.rs"]
mod naive;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use generate::Tape;
use naive::{Case, Given, Outcome, Who};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value as Json;
use wigeon_core::policy::{
    Context, Decision, Document, Effect, Kind, Policies, Policy, Principal, Request, StatementRef, Value,
    evaluate, explain,
};

/// The generated policies, compiled.
struct Compiled {
    resource: Option<Arc<Policy>>,
    identity: Vec<Arc<Policy>>,
    boundary: Option<Arc<Policy>>,
    session: Vec<Arc<Policy>>,
}

fn compile(case: &Case) -> Compiled {
    let policy = |kind: Kind| {
        move |document: &Json| {
            let parsed = Document::parse(&document.to_string(), kind);
            Arc::new(parsed.unwrap_or_else(|error| panic!("{error}\n{document:#}")).named("p"))
        }
    };
    Compiled {
        resource: case
            .trust
            .as_ref()
            .map(policy(Kind::Trust))
            .or(case.bucket.as_ref().map(policy(Kind::Resource))),
        identity: case.identity.iter().map(policy(Kind::Identity)).collect(),
        boundary: case.boundary.as_ref().map(policy(Kind::Identity)),
        session: case.session.iter().map(policy(Kind::Session)).collect(),
    }
}

fn context(case: &Case) -> Context<'_> {
    let mut context = Context::with_capacity(case.context.len());
    for (key, given) in &case.context {
        let value = match given {
            Given::Text(text) => text.into(),
            Given::Many(texts) => Value::Texts(texts.iter().map(Into::into).collect()),
            Given::Time(text) => Value::Time(text.parse().unwrap()),
            Given::Number(number) => Value::Number(*number),
            Given::Flag(flag) => Value::Bool(*flag),
            Given::Address(text) => Value::Address(text.parse().unwrap()),
        };
        context.set(key, value);
    }
    context
}

fn principal(who: &Who) -> Principal<'_> {
    match who {
        Who::Anonymous => Principal::Anonymous,
        Who::Token { provider } => Principal::WebIdentity { provider },
        Who::Session { account, role, session } => Principal::Session { account, role, session },
        Who::User { account, arn } => Principal::User { account, arn },
        Who::Root { account } => Principal::Root { account },
    }
}

/// The JSON of the statement that the engine gives as its reason, and its policy's version.
fn reason<'c>(case: &'c Case, at: StatementRef) -> (&'c Json, &'c str) {
    use wigeon_core::policy::Layer;
    let policy = match at.layer {
        Layer::Trust => case.trust.as_ref().unwrap(),
        Layer::Resource => case.bucket.as_ref().unwrap(),
        Layer::Identity => &case.identity[at.policy],
        Layer::Boundary => case.boundary.as_ref().unwrap(),
        Layer::Session => &case.session[at.policy],
    };
    (naive::statements(policy)[at.statement], naive::version(policy))
}

fn check(tape: &[u8], seen: &[AtomicUsize; 3]) -> Result<(), TestCaseError> {
    let case = Tape::new(tape).case();
    let compiled = compile(&case);
    let policies = Policies {
        resource: compiled.resource.as_deref(),
        identity: &compiled.identity,
        boundary: compiled.boundary.as_deref(),
        session: &compiled.session,
    };
    let context = context(&case);
    let request = Request {
        principal: principal(&case.who),
        action: &case.action,
        resource: &case.resource,
        account: &case.account,
        context: &context,
    };
    let decision = evaluate(&policies, &request);
    let (outcome, by, effect) = match decision {
        Decision::Allow(by) => (Outcome::Allow, by, "Allow"),
        Decision::ExplicitDeny(by) => (Outcome::ExplicitDeny, Some(by), "Deny"),
        Decision::ImplicitDeny(_) => (Outcome::ImplicitDeny, None, ""),
    };
    let explanation = explain(&policies, &request);
    prop_assert_eq!(outcome, case.decide(), "{}\n{:#?}", explanation, case);
    if let Some(by) = by {
        let (statement, version) = reason(&case, by);
        prop_assert!(
            case.applies(statement, version, effect),
            "a false reason: {}\n{:#?}",
            explanation,
            case
        );
        let (_, compiled) = policies.statement(by).unwrap();
        prop_assert_eq!(compiled.effect() == Effect::Allow, effect == "Allow");
    }
    // What stands in the way does stand there: a statement without obstacles would have allowed.
    let nearest = explanation.nearest.as_ref();
    prop_assert!(nearest.is_none_or(|nearest| !nearest.obstacles.is_empty()), "{:#?}", explanation);
    seen[outcome as usize].fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[test]
fn the_engine_agrees_with_the_plain_reading() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100_000);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let seen = [const { AtomicUsize::new(0) }; 3];
    let tapes = prop::collection::vec(any::<u8>(), 0..220);
    let result = TestRunner::new(config).run(&tapes, |tape| check(&tape, &seen));
    if let Err(error) = result {
        panic!("{error}");
    }
    // A generator that only ever makes denials would prove little.
    for outcome in &seen {
        let share = outcome.load(Ordering::Relaxed) * 100 / cases as usize;
        assert!(share >= 8 || cases < 1000, "one outcome makes up {share} % only: {seen:?}");
    }
}
