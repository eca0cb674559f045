//! What a caller may do, whichever service is asked: the policies that bear on it, and the decision in words.
//!
//! Enters: an authenticated [`Caller`] and the directory's snapshot. Leaves: [`Rights`], which answer for one
//! action on one resource. Refused: a session whose role or provider is gone or that was revoked, and whatever
//! the policies do not all allow.

use std::sync::Arc;

use wigeon_core::arn::Arn;
use wigeon_core::policy::{
    Context, Decision, Layer, Policies, Policy, Principal, Request, evaluate, explain,
};

use crate::directory::{Role, Snapshot, User};
use crate::issue::{Caller, Session, SessionEnded};

/// What a caller may do.
#[derive(Debug)]
pub enum Rights {
    /// The administrator's key: everything.
    All,
    /// A user, by its own policies and those of its groups.
    User(Arc<User>),
    /// A session, by its role and the policies that came with it.
    Role {
        /// The session.
        session: Arc<Session>,
        /// Its ARN.
        arn: Arn,
        /// Its role as it is now.
        role: Arc<Role>,
        /// Limits that came with the exchange.
        session_policies: Vec<Arc<Policy>>,
    },
}

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// For the caller, in AWS's words.
    pub message: String,
    /// For the operator: which statement, which condition.
    pub reason: String,
}

impl Rights {
    /// The rights of a caller, as of the snapshot.
    ///
    /// # Errors
    /// Where the session is over.
    pub fn of(caller: &Caller, snapshot: &Snapshot) -> Result<Self, SessionEnded> {
        match caller {
            Caller::Root => Ok(Self::All),
            Caller::User(user) => Ok(Self::User(Arc::clone(user))),
            Caller::Session(session) => Ok(Self::Role {
                arn: session.arn(),
                role: Arc::clone(session.role(snapshot)?),
                session_policies: session.policies(snapshot)?,
                session: Arc::clone(session),
            }),
        }
    }

    /// Enters the condition keys that the caller is the source of. What stands there already stays.
    pub fn enter_keys<'a>(&'a self, context: &mut Context<'a>) {
        let tags = match self {
            Self::All => return,
            Self::User(user) => {
                context.set("aws:PrincipalArn", user.arn.as_str());
                context.set("aws:PrincipalAccount", user.arn.account());
                context.set("aws:PrincipalType", "User");
                context.set("aws:userid", user.id.as_str());
                context.set("aws:username", user.name.as_str());
                &user.tags
            }
            Self::Role { session, role, .. } => {
                session.enter_keys(context);
                &role.tags
            }
        };
        for (key, value) in tags {
            context.set(format!("aws:PrincipalTag/{key}"), value.as_str());
        }
    }

    /// Decides one action on one resource of an account.
    ///
    /// # Errors
    /// [`Denial`]
    pub fn decide(
        &self,
        action: &str,
        resource: &str,
        account: &str,
        context: &Context<'_>,
    ) -> Result<(), Denial> {
        let (policies, principal) = match self {
            Self::All => return Ok(()),
            Self::User(user) => {
                let policies = Policies {
                    identity: &user.policies,
                    boundary: user.boundary.as_deref(),
                    ..Policies::default()
                };
                (policies, Principal::User { account: user.arn.account(), arn: user.arn.as_str() })
            }
            Self::Role { session, arn, role, session_policies } => {
                let policies = Policies {
                    identity: &role.policies,
                    boundary: role.boundary.as_deref(),
                    session: session_policies,
                    ..Policies::default()
                };
                let (role, session) = ((role.arn.as_str(), session.account.as_str()), arn.as_str());
                (policies, Principal::Session { account: role.1, role: role.0, session })
            }
        };
        let question = Request { principal, action, resource, account, context };
        let decision = evaluate(&policies, &question);
        if decision.is_allowed() {
            return Ok(());
        }
        let because = match decision {
            Decision::ExplicitDeny(statement) => {
                format!("with an explicit deny in {}", layer(statement.layer))
            }
            Decision::ImplicitDeny(at) => format!("because no {} allows the {action} action", layer(at)),
            Decision::Allow(_) => "for an unknown reason".to_owned(),
        };
        let on = if resource == "*" { String::new() } else { format!(" on resource: \"{resource}\"") };
        Err(Denial {
            message: format!("User: {principal} is not authorized to perform: {action}{on} {because}"),
            reason: explain(&policies, &question).to_string(),
        })
    }
}

fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Trust => "trust policy",
        Layer::Resource => "resource-based policy",
        Layer::Identity => "identity-based policy",
        Layer::Boundary => "permissions boundary",
        Layer::Session => "session policy",
    }
}
