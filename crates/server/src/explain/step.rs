//! One step of what is explained, and what to change where it does not go on.

use wigeon_core::policy::{Explanation, Obstacle, Source};

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `token`, `issuer`, `signature`, `claims`, `role`, `trust`, `session`, `policies`.
    pub name: &'static str,
    /// Whether the way goes on.
    pub good: bool,
    /// What was found.
    pub found: String,
    /// What to change, where it does not go on.
    pub advice: Option<String>,
}

impl Step {
    pub(super) fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, good: true, found: found.into(), advice: None }
    }

    pub(super) fn bad(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, good: false, found: found.into(), advice: Some(advice.into()) }
    }
}

/// A decision of the policies as a step.
#[must_use]
pub fn judged(explanation: &Explanation) -> Step {
    let found = explanation.to_string();
    match explanation.decision.is_allowed() {
        true => Step::good("policies", found),
        false => Step::bad("policies", found, advice(explanation)),
    }
}

/// One line that says what to change so that a denied request is allowed.
#[must_use]
pub fn advice(explanation: &Explanation) -> String {
    let Explanation { action, resource, by, nearest, .. } = explanation;
    if let Some(Source { policy, statement, .. }) = by {
        return format!("take `{action}` out of the deny in `{statement}` of `{policy}`, if that is meant");
    }
    let Some(nearest) = nearest else {
        return format!("add a statement that allows `{action}` on `{resource}`");
    };
    let at = format!("in `{}` of `{}`", nearest.source.statement, nearest.source.policy);
    match nearest.obstacles.first() {
        Some(Obstacle::Action { .. }) => {
            format!("add a statement that allows `{action}`, or the action {at}")
        }
        Some(Obstacle::Resource { .. }) => format!("add `{resource}` to the resources {at}"),
        Some(Obstacle::Principal) => format!("name `{}` as a principal {at}", explanation.principal),
        Some(Obstacle::Condition { operator, needs_quantifier: true, key, .. }) => {
            format!("write `ForAnyValue:{operator}` for `{key}` {at}")
        }
        Some(Obstacle::Condition { key, actual: None, .. }) => {
            format!("let the token or request carry `{key}`, or drop the condition {at}")
        }
        Some(Obstacle::Condition { key, actual: Some(actual), .. }) => {
            format!("allow {} for `{key}` {at}", list(actual))
        }
        None => format!("look at the statement {at}"),
    }
}

pub(super) fn list(texts: &[impl AsRef<str>]) -> String {
    match texts {
        [] => "none".to_owned(),
        texts => texts.iter().map(|text| format!("`{}`", text.as_ref())).collect::<Vec<_>>().join(", "),
    }
}
