//! Why a decision fell as it did: the same policies and request walked again, in words.
//!
//! For an allow or an explicit deny, the statement that decided. Where nothing allowed, the statement that
//! came nearest, and everything in it that stood in the way, with what it expects and what the request has.

use std::fmt;

use super::condition::Condition;
use super::context::{Request, Value};
use super::document::Policy;
use super::evaluate::{Decision, Layer, Policies, StatementRef, evaluate};
use super::kind::Effect;
use super::statement::Statement;

/// A decision with its reasons. `Display` says it in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What [`evaluate`] said.
    pub decision: Decision,
    /// The action that was asked for.
    pub action: String,
    /// The resource that it was asked for on.
    pub resource: String,
    /// Who asked.
    pub principal: String,
    /// The statement that allowed or denied.
    pub by: Option<Source>,
    /// Where nothing allowed: the statement that came nearest, if the layer has any that allow.
    pub nearest: Option<Nearest>,
}

/// Which statement of which policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What the policy is to the request.
    pub layer: Layer,
    /// The policy's name.
    pub policy: String,
    /// The statement's Sid, or `Statement[N]`, counted from 0.
    pub statement: String,
}

/// A statement that would have allowed, but for some obstacles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The statement.
    pub source: Source,
    /// What did not fit, all of it.
    pub obstacles: Vec<Obstacle>,
}

/// A part of a statement that did not fit the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Principal or NotPrincipal.
    Principal,
    /// Action or NotAction.
    Action {
        /// The patterns as written.
        expected: Vec<String>,
        /// Whether they are exceptions.
        negated: bool,
    },
    /// Resource or NotResource.
    Resource {
        /// The patterns as written.
        expected: Vec<String>,
        /// Whether they are exceptions.
        negated: bool,
    },
    /// One condition.
    Condition {
        /// The operator as written.
        operator: String,
        /// The condition key as written.
        key: String,
        /// The values as written.
        expected: Vec<String>,
        /// The request's values; `None` if it has no such key.
        actual: Option<Vec<String>>,
        /// Whether the operator lacks the quantifier that a key with many values needs.
        needs_quantifier: bool,
    },
}

/// Decides the request again and says why. Slow: for audit records, error messages and people.
#[must_use]
pub fn explain(policies: &Policies<'_>, request: &Request<'_>) -> Explanation {
    let decision = evaluate(policies, request);
    let source = |at: StatementRef| {
        let (policy, statement) = policies.statement(at)?;
        Some(source(at.layer, policy, statement))
    };
    let (by, nearest) = match decision {
        Decision::Allow(by) => (by.and_then(source), None),
        Decision::ExplicitDeny(by) => (source(by), None),
        Decision::ImplicitDeny(layer) => (None, nearest(policies, layer, request)),
    };
    Explanation {
        decision,
        action: request.action.to_owned(),
        resource: request.resource.to_owned(),
        principal: request.principal.to_string(),
        by,
        nearest,
    }
}

fn source(layer: Layer, policy: &Policy, statement: &Statement) -> Source {
    Source { layer, policy: policy.name.clone(), statement: statement.to_string() }
}

/// The first of the statements that allow with the least in the way. An action that does not fit weighs more
/// than a resource, that more than a principal, and that more than any number of conditions.
fn nearest(policies: &Policies<'_>, layer: Layer, request: &Request<'_>) -> Option<Nearest> {
    let statements = policies.layer(layer).flat_map(|policy| {
        let allowing =
            policy.document.statements().iter().filter(|statement| statement.effect == Effect::Allow);
        allowing.map(move |statement| (policy, statement, obstacles(statement, request)))
    });
    let (policy, statement, obstacles) = statements.min_by_key(|(_, _, obstacles)| {
        let has = |kind: fn(&Obstacle) -> bool| obstacles.iter().any(kind);
        (
            has(|obstacle| matches!(obstacle, Obstacle::Action { .. })),
            has(|obstacle| matches!(obstacle, Obstacle::Resource { .. })),
            has(|obstacle| matches!(obstacle, Obstacle::Principal)),
            obstacles.len(),
        )
    })?;
    Some(Nearest { source: source(layer, policy, statement), obstacles })
}

fn obstacles(statement: &Statement, request: &Request<'_>) -> Vec<Obstacle> {
    let mut obstacles = vec![];
    if statement.naming(request).is_none() {
        obstacles.push(Obstacle::Principal);
    }
    if !statement.actions.cover(request.action) {
        let (patterns, negated) = statement.actions();
        obstacles.push(Obstacle::Action { expected: patterns.map(str::to_owned).collect(), negated });
    }
    if !statement.covers_resource(request) {
        let (patterns, negated) = statement.resources();
        obstacles.push(Obstacle::Resource { expected: patterns.map(str::to_owned).collect(), negated });
    }
    let failed = statement.conditions.iter().filter(|condition| !condition.holds(request.context));
    obstacles.extend(failed.map(|condition| unmet(condition, request)));
    obstacles
}

fn unmet(condition: &Condition, request: &Request<'_>) -> Obstacle {
    let value = request.context.value(condition.key());
    let needs_quantifier = matches!(value, Some(Value::Texts(texts)) if !texts.is_empty())
        && !condition.operator().contains(':')
        && !condition.operator().eq_ignore_ascii_case("null");
    Obstacle::Condition {
        operator: condition.operator().to_owned(),
        key: condition.key().to_owned(),
        expected: condition.values().to_vec(),
        actual: value.map(Value::texts),
        needs_quantifier,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decision, action, resource, principal, by, nearest } = self;
        match (decision, by, nearest) {
            (Decision::Allow(_), Some(by), _) => write!(f, "allowed by {by}"),
            (Decision::Allow(_), None, _) => write!(f, "allowed: `{principal}` owns the account"),
            (Decision::ExplicitDeny(_), Some(by), _) => {
                write!(f, "denied by {by}: an explicit deny wins over every allow")
            }
            (Decision::ExplicitDeny(_), None, _) => f.write_str("denied by an explicit deny"),
            (Decision::ImplicitDeny(layer), _, None) => {
                write!(f, "denied: there is no {layer} that could allow `{action}` on `{resource}`")
            }
            (Decision::ImplicitDeny(layer), _, Some(Nearest { source, obstacles })) => {
                write!(
                    f,
                    "denied: no {layer} allows `{action}` on `{resource}`; {source} comes nearest, but "
                )?;
                for (number, obstacle) in obstacles.iter().enumerate() {
                    let separator = if number == 0 { "" } else { "; and " };
                    write!(f, "{separator}{obstacle}")?;
                    if *obstacle == Obstacle::Principal {
                        write!(f, " `{principal}`")?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of the {} `{}`", self.statement, self.layer, self.policy)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal => f.write_str("it does not speak of"),
            Self::Action { expected, negated: false } => write!(f, "its actions are {}", List(expected)),
            Self::Action { expected, negated: true } => write!(f, "its actions except {}", List(expected)),
            Self::Resource { expected, negated: false } => write!(f, "its resources are {}", List(expected)),
            Self::Resource { expected, negated: true } => {
                write!(f, "its resources except {}", List(expected))
            }
            Self::Condition { operator, key, expected, actual, needs_quantifier } => {
                write!(f, "`{operator}` on `{key}` expects {}", List(expected))?;
                match actual {
                    None => f.write_str(" and the request has no such key"),
                    Some(actual) => write!(f, " and the request has {}", List(actual)),
                }?;
                if *needs_quantifier {
                    f.write_str(" (the key may have many values: write `ForAnyValue:` before the operator)")?;
                }
                Ok(())
            }
        }
    }
}

struct List<'l>(&'l [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nothing"),
            [first, rest @ ..] => {
                write!(f, "`{first}`")?;
                rest.iter().try_for_each(|item| write!(f, ", `{item}`"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
