//! The decision: an explicit deny anywhere wins; then the resource policy, the identity policies, the
//! permissions boundary and the session policies must allow, each where it has a say. What nothing allows is
//! denied.
//!
//! Source: AWS IAM User Guide, "Policy evaluation logic"; "Permissions boundaries for IAM entities";
//! "Session policies".

use std::fmt;
use std::sync::Arc;

use super::context::{Principal, Request};
use super::document::Policy;
use super::kind::{Effect, Kind};
use super::principal::Naming;
use super::statement::Statement;

/// The policies that bear on one request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policies<'a> {
    /// The bucket's policy, or, when a role is being assumed, its trust policy. A trust policy must allow;
    /// nothing else can in its place.
    pub resource: Option<&'a Policy>,
    /// What is attached to the role or user.
    pub identity: &'a [Arc<Policy>],
    /// The role's or user's permissions boundary.
    pub boundary: Option<&'a Policy>,
    /// The policies handed in with the exchange. None means no limit; if there are some, one must allow.
    pub session: &'a [Arc<Policy>],
}

/// Where a policy stands in the order of evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// A role's trust policy.
    Trust,
    /// A bucket policy.
    Resource,
    /// The policies of the role or user.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// The session policies.
    Session,
}

impl Layer {
    /// What people call a policy of this layer.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trust => "trust policy",
            Self::Resource => "bucket policy",
            Self::Identity => "permission policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A statement, by its place in [`Policies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatementRef {
    /// The layer of its policy.
    pub layer: Layer,
    /// Which policy of the layer.
    pub policy: usize,
    /// Which statement of the policy.
    pub statement: usize,
}

/// The outcome, with what decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Allowed, by this statement; `None` for the root of the resource's own account, which needs none.
    Allow(Option<StatementRef>),
    /// Denied by this statement.
    ExplicitDeny(StatementRef),
    /// Denied because this layer would have had to allow and did not.
    ImplicitDeny(Layer),
}

impl Decision {
    /// Whether the request may go ahead.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

impl<'a> Policies<'a> {
    /// The policies of a layer, in the order that [`StatementRef::policy`] counts.
    pub fn layer(&self, layer: Layer) -> impl Iterator<Item = &'a Policy> + use<'a> {
        let (one, many): (Option<&'a Policy>, &'a [Arc<Policy>]) = match layer {
            Layer::Trust | Layer::Resource => (self.resource.filter(|_| layer == self.resource_layer()), &[]),
            Layer::Identity => (None, self.identity),
            Layer::Boundary => (self.boundary, &[]),
            Layer::Session => (None, self.session),
        };
        one.into_iter().chain(many.iter().map(|policy| &**policy))
    }

    /// The statement that a reference from these policies' decisions stands for, and its policy.
    #[must_use]
    pub fn statement(&self, at: StatementRef) -> Option<(&'a Policy, &'a Statement)> {
        let policy = self.layer(at.layer).nth(at.policy)?;
        Some((policy, policy.document.statements().get(at.statement)?))
    }

    fn resource_layer(&self) -> Layer {
        match self.resource {
            Some(policy) if policy.document.kind() == Kind::Trust => Layer::Trust,
            _ => Layer::Resource,
        }
    }

    /// A statement of the layer that applies with the effect, and how it names who asks: the closest naming
    /// if there are several.
    fn find(&self, layer: Layer, effect: Effect, request: &Request<'_>) -> Option<(StatementRef, Naming)> {
        let mut closest: Option<(StatementRef, Naming)> = None;
        for (number, policy) in self.layer(layer).enumerate() {
            for statement in policy.document.candidates(effect, request.action, request.resource) {
                let Some(naming) = statement.applies(request) else { continue };
                if closest.is_none_or(|(_, known)| known < naming) {
                    closest =
                        Some((StatementRef { layer, policy: number, statement: statement.index }, naming));
                }
                if effect == Effect::Deny || naming == Naming::Itself {
                    return closest;
                }
            }
        }
        closest
    }
}

/// Decides one request. Allocates nothing, unless a date operator meets a date in text without a zone.
#[must_use]
pub fn evaluate(policies: &Policies<'_>, request: &Request<'_>) -> Decision {
    let resource = policies.resource_layer();
    for layer in [resource, Layer::Identity, Layer::Boundary, Layer::Session] {
        if let Some((denied, _)) = policies.find(layer, Effect::Deny, request) {
            return Decision::ExplicitDeny(denied);
        }
    }
    let granted = policies.find(resource, Effect::Allow, request);
    let own_account = match request.principal.account() {
        // The anonymous and the bearers of tokens have no policies of their own.
        None => return granted.map_or(Decision::ImplicitDeny(resource), |(by, _)| Decision::Allow(Some(by))),
        Some(account) => account == request.account,
    };
    let is_root = matches!(request.principal, Principal::Root { .. });
    let by = match granted {
        Some((by, Naming::Itself)) if own_account => return Decision::Allow(Some(by)),
        Some((by, Naming::Role)) if own_account => Some(by),
        // Another account's resource, and every role, must let the principal or its account in first.
        None if resource == Layer::Trust || !own_account => return Decision::ImplicitDeny(resource),
        granted if is_root => granted.map(|(by, _)| by),
        _ => match policies.find(Layer::Identity, Effect::Allow, request) {
            Some((by, _)) => Some(by),
            None => return Decision::ImplicitDeny(Layer::Identity),
        },
    };
    if policies.boundary.is_some() && policies.find(Layer::Boundary, Effect::Allow, request).is_none() {
        return Decision::ImplicitDeny(Layer::Boundary);
    }
    if !policies.session.is_empty() && policies.find(Layer::Session, Effect::Allow, request).is_none() {
        return Decision::ImplicitDeny(Layer::Session);
    }
    Decision::Allow(by)
}

#[cfg(test)]
mod tests;
