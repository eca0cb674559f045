//! A request that policies do not allow: the decision, its reasons, and what an administrator may decode.
//!
//! Enters: the policies and the request that were judged. Leaves: a [`Denial`] with a sentence for the
//! requester, one for the audit, and the JSON document that AWS's `DecodeAuthorizationMessage` answers with.
//! Source: AWS STS API Reference, "DecodeAuthorizationMessage"; IAM User Guide, "Troubleshoot access denied
//! error messages".

use serde_json::{Value as Json, json};
use wigeon_core::policy::{Decision, Effect, Layer, Policies, Request, Statement, explain};

use crate::decided::DecidedBy;

/// The longest document; conditions beyond it are left out, the requester's own claims first.
const MAX_DOCUMENT_LEN: usize = 6 * 1024;

/// Why policies do not allow a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Who asked.
    pub principal: String,
    /// For what.
    pub action: String,
    /// On what; `*` for an action that has no resource.
    pub resource: String,
    /// `because no identity-based policy allows the s3:GetObject action`.
    pub because: String,
    /// For the audit: which statement, or what stood in the way of the nearest one.
    pub reason: String,
    /// What an administrator may decode: JSON in AWS's shape.
    pub document: String,
    /// The statement that denied, where one did.
    pub by: Option<DecidedBy>,
}

impl Denial {
    /// Judges a request that was denied once more, for its reasons. `user_id` is the caller's unique id.
    #[must_use]
    pub fn new(policies: &Policies<'_>, request: &Request<'_>, user_id: &str) -> Self {
        let explanation = explain(policies, request);
        let action = request.action;
        let because = match explanation.decision {
            Decision::ExplicitDeny(statement) => {
                let article = if statement.layer == Layer::Identity { "an" } else { "a" };
                format!("with an explicit deny in {article} {}", layer(statement.layer))
            }
            Decision::ImplicitDeny(at) => format!("because no {} allows the {action} action", layer(at)),
            Decision::Allow(_) => "for an unknown reason".to_owned(),
        };
        Self {
            principal: request.principal.to_string(),
            action: action.to_owned(),
            resource: request.resource.to_owned(),
            because,
            reason: explanation.to_string(),
            document: document(policies, request, explanation.decision, user_id),
            by: match explanation.decision {
                Decision::ExplicitDeny(statement) => DecidedBy::of(policies, statement),
                Decision::ImplicitDeny(_) | Decision::Allow(_) => None,
            },
        }
    }

    /// `User: … is not authorized to perform: …`, as the services say it.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { principal, action, resource, because, .. } = self;
        let on = if resource == "*" { String::new() } else { format!(" on resource: \"{resource}\"") };
        format!("User: {principal} is not authorized to perform: {action}{on} {because}")
    }
}

/// A layer, as AWS's messages call it.
fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Trust => "role trust policy",
        Layer::Resource => "resource-based policy",
        Layer::Identity => "identity-based policy",
        Layer::Boundary => "permissions boundary",
        Layer::Session => "session policy",
    }
}

fn document(policies: &Policies<'_>, request: &Request<'_>, decision: Decision, user_id: &str) -> String {
    let (explicit, matched) = match decision {
        Decision::ExplicitDeny(at) => (true, policies.statement(at).map(|(_, statement)| statement)),
        Decision::Allow(_) | Decision::ImplicitDeny(_) => (false, None),
    };
    let mut conditions: Vec<Json> =
        request.context.all().iter().map(|(key, value)| condition(key, &value.texts())).collect();
    loop {
        let text = json!({
            "allowed": false,
            "explicitDeny": explicit,
            "matchedStatements": items(matched.map(|statement| stated(statement, user_id)).into_iter().collect()),
            "failures": items(vec![]),
            "context": {
                "principal": { "id": user_id, "arn": request.principal.to_string() },
                "action": request.action,
                "resource": request.resource,
                "conditions": items(conditions.clone()),
            },
        })
        .to_string();
        if text.len() <= MAX_DOCUMENT_LEN || conditions.is_empty() {
            return text;
        }
        conditions.truncate(conditions.len() * 3 / 4);
    }
}

fn stated(statement: &Statement, user_id: &str) -> Json {
    let effect = match statement.effect() {
        Effect::Allow => "ALLOW",
        Effect::Deny => "DENY",
    };
    let texts = |texts: Vec<&str>| items(texts.into_iter().map(value).collect());
    let conditions = statement.conditions().iter();
    json!({
        "statementId": statement.sid().unwrap_or_default(),
        "effect": effect,
        "principals": items(vec![value(user_id)]),
        "principalGroups": items(vec![]),
        "actions": texts(statement.actions().0.collect()),
        "resources": texts(statement.resources().0.collect()),
        "conditions": items(conditions.map(|known| condition(known.key(), known.values())).collect()),
    })
}

fn condition(key: &str, values: &[String]) -> Json {
    json!({ "key": key, "values": items(values.iter().map(|text| value(text)).collect()) })
}

fn value(text: &str) -> Json {
    json!({ "value": text })
}

fn items(items: Vec<Json>) -> Json {
    json!({ "items": items })
}
