//! A generated case as the engine takes it.

use std::sync::Arc;

use serde_json::Value as Json;
use wigeon_core::policy::{Context, Document, Kind, Policies, Policy, Principal, Request, Value};

use super::naive::{Case, Given, Who};

/// The generated policies, compiled.
struct Compiled {
    resource: Option<Arc<Policy>>,
    identity: Vec<Arc<Policy>>,
    boundary: Option<Arc<Policy>>,
    session: Vec<Arc<Policy>>,
}

/// Compiles a case's policies; all of them are well formed.
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
        Who::Session { account, role, session, provider } => {
            Principal::Session { account, role, session, provider: provider.as_deref() }
        }
        Who::User { account, arn } => Principal::User { account, arn },
        Who::Root { account } => Principal::Root { account },
    }
}

impl Compiled {
    fn policies(&self) -> Policies<'_> {
        Policies {
            resource: self.resource.as_deref(),
            identity: &self.identity,
            boundary: self.boundary.as_deref(),
            session: &self.session,
        }
    }
}

/// Hands the case to `ask` as the engine takes it.
pub(crate) fn with_request<R>(case: &Case, ask: impl FnOnce(&Policies<'_>, &Request<'_>) -> R) -> R {
    let compiled = compile(case);
    let context = context(case);
    let request = Request {
        principal: principal(&case.who),
        action: &case.action,
        resource: &case.resource,
        account: &case.account,
        context: &context,
    };
    ask(&compiled.policies(), &request)
}
