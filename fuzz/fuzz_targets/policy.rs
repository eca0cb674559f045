//! A policy document of each kind; what parses is evaluated and explained, and the two agree.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use wigeon_core::policy::{Context, Document, Kind, Policies, Principal, Request, evaluate, explain};

fuzz_target!(|text: &str| {
    for kind in [Kind::Identity, Kind::Trust, Kind::Resource, Kind::Session] {
        let Ok(document) = Document::parse(text, kind) else { continue };
        assert_eq!(document.text(), text);
        let policy = Arc::new(document.named("fuzzed"));
        let mut context = Context::new();
        context.set("s3:prefix", "home/*");
        context.set("aws:username", "alice");
        let request = Request {
            principal: Principal::User { account: "000000000000", arn: "arn:aws:iam::000000000000:user/alice" },
            action: "s3:GetObject",
            resource: "arn:aws:s3:::bucket/key",
            account: "000000000000",
            context: &context,
        };
        let identity = [Arc::clone(&policy)];
        let policies = match kind {
            Kind::Trust | Kind::Resource => Policies { resource: Some(&policy), ..Policies::default() },
            Kind::Identity | Kind::Session => Policies { identity: &identity, ..Policies::default() },
        };
        assert_eq!(evaluate(&policies, &request), explain(&policies, &request).decision);
    }
});
