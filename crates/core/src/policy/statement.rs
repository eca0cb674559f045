//! Statements: an effect on some actions, on some resources, for some principals, under some conditions.

use std::fmt;

use super::arn_pattern::ArnPattern;
use super::condition::Condition;
use super::context::{Context, Keys, Request};
use super::kind::Effect;
use super::pattern::{Case, Pattern};
use super::principal::{Naming, Principals};

/// One compiled statement.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(super) index: usize,
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    /// `None` where the kind of document knows no principals.
    pub(super) principals: Option<Principals>,
    pub(super) actions: Actions,
    /// `None` where the kind of document knows no resources.
    pub(super) resources: Option<Resources>,
    pub(super) conditions: Box<[Condition]>,
}

/// The Action or NotAction element.
#[derive(Debug, Clone)]
pub(super) struct Actions {
    pub(super) negated: bool,
    pub(super) patterns: Box<[Pattern]>,
}

/// The Resource or NotResource element.
#[derive(Debug, Clone)]
pub(super) struct Resources {
    pub(super) negated: bool,
    pub(super) patterns: Box<[ArnPattern]>,
}

impl Actions {
    pub(super) fn cover(&self, action: &str) -> bool {
        let none = Context::new();
        let listed = self
            .patterns
            .iter()
            .any(|pattern| pattern.matches(action, Case::AsciiIgnored, &none) == Some(true));
        listed != self.negated
    }
}

impl Resources {
    /// A pattern with a variable that has no value covers nothing, and excepts nothing either: a NotResource
    /// with such a pattern covers nothing at all.
    pub(super) fn cover(&self, resource: &str, context: &dyn Keys) -> bool {
        let mut outcomes = self.patterns.iter().map(|pattern| pattern.matches(resource, context));
        if self.negated {
            outcomes.all(|outcome| outcome == Some(false))
        } else {
            outcomes.any(|outcome| outcome == Some(true))
        }
    }
}

impl Statement {
    /// Its identifier, if it has one.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Whether it allows or denies.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Its actions as they were written, and whether they are exceptions (NotAction).
    pub fn actions(&self) -> (impl Iterator<Item = &str>, bool) {
        (self.actions.patterns.iter().map(Pattern::text), self.actions.negated)
    }

    /// Its resources as they were written, and whether they are exceptions (NotResource). None in a trust
    /// policy.
    pub fn resources(&self) -> (impl Iterator<Item = &str>, bool) {
        let patterns = self.resources.iter().flat_map(|resources| resources.patterns.iter());
        (patterns.map(ArnPattern::text), self.resources.as_ref().is_some_and(|resources| resources.negated))
    }

    /// Its conditions, all of which must hold.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Whether a condition or a variable of the statement names a tag of the object.
    pub(super) fn reads_object_tags(&self) -> bool {
        const KEYS: [&str; 2] = ["s3:existingobjecttag/", "s3:resourcetag/"];
        let names = |text: &str| KEYS.iter().any(|key| text.to_ascii_lowercase().contains(key));
        self.resources().0.any(names)
            || self.conditions.iter().any(|condition| {
                names(condition.key()) || condition.values().iter().any(|value| names(value))
            })
    }

    /// Whether something in the statement looks like a variable.
    pub(super) fn may_have_variables(&self) -> bool {
        let variable = |text: &str| text.contains("${");
        self.resources().0.any(variable)
            || self.conditions.iter().any(|condition| condition.values().iter().any(|value| variable(value)))
    }

    /// How the statement names who asks, if all of it applies to the request.
    pub(super) fn applies(&self, request: &Request<'_>) -> Option<Naming> {
        let naming = self.naming(request)?;
        let applies = self.actions.cover(request.action)
            && self.covers_resource(request)
            && self.conditions.iter().all(|condition| condition.holds(request.context));
        applies.then_some(naming)
    }

    /// How the statement names who asks. An identity policy speaks of whom it is attached to.
    pub(super) fn naming(&self, request: &Request<'_>) -> Option<Naming> {
        match &self.principals {
            Some(principals) => principals.naming(&request.principal, self.effect),
            None => Some(Naming::Itself),
        }
    }

    /// Whether the statement speaks of the request's resource. A trust policy speaks of its role alone.
    pub(super) fn covers_resource(&self, request: &Request<'_>) -> bool {
        self.resources.as_ref().is_none_or(|resources| resources.cover(request.resource, request.context))
    }
}

/// The Sid, or the place in the document.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sid {
            Some(sid) => f.write_str(sid),
            None => write!(f, "Statement[{}]", self.index),
        }
    }
}
