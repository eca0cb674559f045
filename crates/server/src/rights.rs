//! What a caller may do: the policies of a session's role and those that came with it, or everything.
//!
//! Enters: a [`Caller`] and the directory's snapshot. Leaves: [`Rights`], and for each thing that is asked a
//! yes or a [`Denial`]. Refused: a session that is over, and whatever the policies do not all allow.

use std::sync::Arc;

use wigeon_core::arn::Arn;
use wigeon_core::policy::{Context, Policies, Policy, Principal, Request, evaluate};

use crate::denial::Denial;
use crate::directory::{Role, Snapshot};
use crate::session::{Caller, Session, SessionEnded};

/// What a caller may do, as of one snapshot.
#[derive(Debug)]
pub struct Rights {
    account: String,
    holder: Holder,
}

#[derive(Debug)]
enum Holder {
    /// The account itself.
    Account { arn: String },
    /// A session, by its role and the policies that came with it.
    Session {
        session: Arc<Session>,
        arn: Arn,
        role: Arc<Role>,
        /// With the role's, those that a claim of the token named; `None` where it named none.
        with_claimed: Option<Vec<Arc<Policy>>>,
        session_policies: Vec<Arc<Policy>>,
    },
}

impl Rights {
    /// Finds out. To be done on every request.
    ///
    /// # Errors
    /// Where the session outlived its role, its provider, a revocation or a session policy.
    pub fn of(caller: &Caller, snapshot: &Snapshot) -> Result<Self, SessionEnded> {
        let account = snapshot.account().to_owned();
        let holder = match caller {
            Caller::Root | Caller::RootSession(_) => {
                Holder::Account { arn: format!("arn:aws:iam::{account}:root") }
            }
            Caller::Session(session) => {
                let role = Arc::clone(session.role(snapshot)?);
                // A policy that is gone by now allows nothing, and takes nothing away.
                let claimed = session.claim_policies.iter().filter_map(|arn| snapshot.policy(arn));
                let with_claimed = (!session.claim_policies.is_empty())
                    .then(|| role.policies.iter().chain(claimed).cloned().collect());
                Holder::Session {
                    arn: session.arn(),
                    role,
                    with_claimed,
                    session_policies: session.policies(snapshot)?,
                    session: Arc::clone(session),
                }
            }
        };
        Ok(Self { account, holder })
    }

    /// The session; `None` for the account itself.
    #[must_use]
    pub fn session(&self) -> Option<&Arc<Session>> {
        match &self.holder {
            Holder::Account { .. } => None,
            Holder::Session { session, .. } => Some(session),
        }
    }

    /// The caller's ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        match &self.holder {
            Holder::Account { arn } => arn,
            Holder::Session { arn, .. } => arn.as_str(),
        }
    }

    /// `AROA…:SESSION` of a session; the account's number for the account itself.
    #[must_use]
    pub fn user_id(&self) -> String {
        self.session().map_or_else(|| self.account.clone(), |session| session.user_id())
    }

    /// Enters the condition keys that the caller is the source of; what stands there already stays.
    pub fn enter_keys<'a>(&'a self, context: &mut Context<'a>) {
        match &self.holder {
            Holder::Account { arn } => {
                context.set("aws:PrincipalArn", arn.as_str());
                context.set("aws:PrincipalAccount", self.account.as_str());
                context.set("aws:PrincipalType", "Account");
                context.set("aws:userid", self.account.as_str());
            }
            Holder::Session { session, .. } => session.enter_keys(context),
        }
    }

    /// Whether the caller may do something with something of this account. `resource_policy`: the bucket's
    /// policy, or the trust policy of a role that is to be assumed.
    ///
    /// # Errors
    /// The [`Denial`].
    pub fn decide(
        &self,
        action: &str,
        resource: &str,
        resource_policy: Option<&Policy>,
        context: &Context<'_>,
    ) -> Result<(), Box<Denial>> {
        let (principal, policies) = match &self.holder {
            // The account's own doings need no policy; what a policy of the resource says still counts.
            Holder::Account { .. } if resource_policy.is_none() => return Ok(()),
            Holder::Account { .. } => (
                Principal::Root { account: &self.account },
                Policies { resource: resource_policy, ..Policies::default() },
            ),
            Holder::Session { session, arn, role, with_claimed, session_policies } => (
                Principal::Session {
                    account: &session.account,
                    role: role.arn.as_str(),
                    session: arn.as_str(),
                },
                Policies {
                    resource: resource_policy,
                    identity: with_claimed.as_deref().unwrap_or(&role.policies),
                    boundary: role.boundary.as_deref(),
                    session: session_policies,
                },
            ),
        };
        let request = Request { principal, action, resource, account: &self.account, context };
        match evaluate(&policies, &request).is_allowed() {
            true => Ok(()),
            false => Err(Box::new(Denial::new(&policies, &request, &self.user_id()))),
        }
    }
}
