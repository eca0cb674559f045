//! Two independent readings of the policy language agree: the compiled engine, and a plain one that works
//! on the JSON itself. `PROPTEST_CASES` sets how many generated situations they are held against each other
//! in; 100,000 if it is absent.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "this is a test throughout")]

#[path = "policy_model/engine.rs"]
mod engine;
#[path = "policy_model/generate.rs"]
mod generate;
#[path = "policy_model/naive.rs"]
mod naive;

use std::sync::atomic::{AtomicUsize, Ordering};

use engine::with_request;
use generate::Tape;
use naive::{Case, Outcome};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value as Json;
use wigeon_core::policy::{Decision, Effect, Layer, Policies, Request, StatementRef, evaluate, explain};

/// The JSON of the statement that the engine gives as its reason, and its policy's version.
fn reason(case: &Case, at: StatementRef) -> (&Json, &str) {
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
    with_request(&case, |policies, request| agree(&case, policies, request, seen))
}

fn agree(
    case: &Case,
    policies: &Policies<'_>,
    request: &Request<'_>,
    seen: &[AtomicUsize; 3],
) -> Result<(), TestCaseError> {
    let decision = evaluate(policies, request);
    let (outcome, by, effect) = match decision {
        Decision::Allow(by) => (Outcome::Allow, by, "Allow"),
        Decision::ExplicitDeny(by) => (Outcome::ExplicitDeny, Some(by), "Deny"),
        Decision::ImplicitDeny(_) => (Outcome::ImplicitDeny, None, ""),
    };
    let explanation = explain(policies, request);
    prop_assert_eq!(outcome, case.decide(), "{}\n{:#?}", explanation, case);
    if let Some(by) = by {
        let (statement, version) = reason(case, by);
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
