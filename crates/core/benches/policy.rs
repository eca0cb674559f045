//! How long a decision takes: for a typical role, and as a document grows from 10 to 10,000 statements.
//!
//! `cargo bench -p wigeon-core --bench policy`. What to look at is the ratio between the sizes, and whether
//! the typical decision stays under a microsecond.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serde_json::{Value as Json, json};
use wigeon_core::policy::{Context, Document, Kind, Policies, Policy, Principal, Request, evaluate};
use wigeon_core::time::Timestamp;

const SESSION: Principal<'_> = Principal::Session {
    account: "111122223333",
    role: "arn:aws:iam::111122223333:role/people",
    session: "arn:aws:sts::111122223333:assumed-role/people/alice",
    provider: None,
};

fn policy(name: &str, statements: Json) -> Arc<Policy> {
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    Arc::new(Document::parse(&text, Kind::Identity).expect("the policies here are well formed").named(name))
}

/// The keys that a gateway enters for each request.
fn context() -> Context<'static> {
    let mut context = Context::with_capacity(20);
    context.set("aws:SourceIp", IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)));
    context.set("aws:SecureTransport", true);
    context.set("aws:CurrentTime", Timestamp::UNIX_EPOCH);
    context.set("aws:EpochTime", 0);
    context.set("aws:TokenIssueTime", Timestamp::UNIX_EPOCH);
    context.set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/people");
    context.set("aws:PrincipalAccount", "111122223333");
    context.set("aws:PrincipalType", "AssumedRole");
    context.set("aws:userid", "AROAEXAMPLE:alice");
    context.set("aws:FederatedProvider", "arn:aws:iam::111122223333:oidc-provider/idp.example");
    context.set("idp.example:sub", "alice");
    context.set("idp.example:aud", "wigeon");
    context.set("idp.example:amr", vec!["pwd", "mfa"]);
    context.set("s3:authType", "REST-HEADER");
    context.set("s3:signatureversion", "AWS4-HMAC-SHA256");
    context.set("s3:x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    context.set("s3:ResourceAccount", "111122223333");
    context.set("aws:UserAgent", "aws-cli/2.0");
    context
}

/// A home under one's name, a shared bucket, and three guard rails.
fn typical() -> Vec<Arc<Policy>> {
    vec![
        policy(
            "homes",
            json!([
                {"Sid": "Buckets", "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
                {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::home",
                 "Condition": {"StringLike": {"s3:prefix": "${idp.example:sub}/*"}}},
                {"Sid": "Home", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                 "Resource": "arn:aws:s3:::home/${idp.example:sub}/*"},
                {"Sid": "Shared", "Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::shared/*"},
            ]),
        ),
        policy(
            "rails",
            json!([
                {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
                {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]}}},
                {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"aws:TokenIssueTime": "1969-01-01T00:00:00Z"}}},
            ]),
        ),
    ]
}

fn decide(
    bench: &mut criterion::Bencher<'_>,
    identity: &[Arc<Policy>],
    action: &str,
    resource: &str,
    allowed: bool,
) {
    let policies = Policies { identity, ..Policies::default() };
    let context = context();
    let request =
        Request { principal: SESSION, action, resource, account: "111122223333", context: &context };
    assert_eq!(evaluate(&policies, &request).is_allowed(), allowed);
    bench.iter(|| evaluate(black_box(&policies), black_box(&request)));
}

fn roles(criterion: &mut Criterion) {
    let role = typical();
    let mut group = criterion.benchmark_group("typical role");
    group.bench_function("allowed", |bench| {
        decide(bench, &role, "s3:GetObject", "arn:aws:s3:::home/alice/2026/notes.txt", true);
    });
    group.bench_function("denied", |bench| {
        decide(bench, &role, "s3:GetObject", "arn:aws:s3:::home/bob/2026/notes.txt", false);
    });
    group.bench_function("building the context", |bench| bench.iter(context));
    group.finish();
}

/// One statement per person: reading and writing below a prefix, in a hundred buckets.
fn by_resource(count: usize) -> Arc<Policy> {
    let statements: Vec<Json> = (0..count)
        .map(|number| {
            let (bucket, person) = (number % 100, number);
            json!({"Effect": if number % 10 == 9 { "Deny" } else { "Allow" },
                   "Action": ["s3:GetObject", "s3:PutObject"],
                   "Resource": format!("arn:aws:s3:::bucket-{bucket}/person-{person}/*"),
                   "Condition": {"StringEquals": {"idp.example:aud": "wigeon"}}})
        })
        .collect();
    policy("by resource", json!(statements))
}

/// The same resource everywhere, another action in each statement.
fn by_action(count: usize) -> Arc<Policy> {
    let statements: Vec<Json> = (0..count)
        .map(|number| json!({"Effect": "Allow", "Action": format!("s3:Action{number}"), "Resource": "*"}))
        .collect();
    policy("by action", json!(statements))
}

fn sizes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("statements");
    for count in [10, 100, 1_000, 10_000] {
        let person = count / 2;
        let resource = format!("arn:aws:s3:::bucket-{}/person-{person}/2026/notes.txt", person % 100);
        let document = [by_resource(count)];
        group.bench_with_input(
            BenchmarkId::new("by resource, allowed", count),
            &document,
            |bench, document| {
                decide(bench, document, "s3:GetObject", &resource, true);
            },
        );
        group.bench_with_input(
            BenchmarkId::new("by resource, denied", count),
            &document,
            |bench, document| {
                decide(bench, document, "s3:GetObject", "arn:aws:s3:::bucket-7/nobody/notes.txt", false);
            },
        );
        let action = format!("s3:Action{person}");
        let document = [by_action(count)];
        group.bench_with_input(
            BenchmarkId::new("by action, allowed", count),
            &document,
            |bench, document| {
                decide(bench, document, &action, "arn:aws:s3:::b/k", true);
            },
        );
    }
    group.finish();
}

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parsing");
    group.sample_size(20);
    for count in [10, 10_000] {
        let text = by_resource(count).document.text().to_owned();
        group.bench_with_input(BenchmarkId::new("statements", count), &text, |bench, text| {
            bench.iter(|| Document::parse(text, Kind::Identity));
        });
    }
    group.finish();
}

criterion_group!(benches, roles, sizes, parsing);
criterion_main!(benches);
