//! What a caller may do: the policies of a session's role and those that came with it, or everything.
//!
//! Enters: a [`Caller`] and the directory's snapshot. Leaves: [`Rights`], and for each thing that is asked a
//! yes or a [`Denial`]. Refused: a session that is over, and whatever the policies do not all allow.

use std::sync::Arc;

use wigeon_core::arn::Arn;
use wigeon_core::policy::{
    Context, Decision, Explanation, Keys, Kind, Policies, Policy, Principal, Request, evaluate, explain,
};

use crate::decided::DecidedBy;
use crate::denial::Denial;
use crate::directory::entry::Tags;
use crate::directory::{Role, Snapshot, User};
use crate::session::{Caller, Session, SessionEnded, UserSession};

/// What a caller may do, as of one snapshot.
#[derive(Debug)]
pub struct Rights {
    account: String,
    holder: Holder,
}

#[derive(Debug)]
enum Holder {
    /// Nobody.
    Anonymous,
    /// The account itself.
    Account { arn: String },
    /// A user, by its own policies and those of its groups.
    User {
        user: Arc<User>,
        /// Where it came with temporary credentials.
        session: Option<Arc<UserSession>>,
    },
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
        if let Caller::RootSession(session) = caller
            && snapshot.is_revoked(&session.access_key_id)
        {
            return Err(SessionEnded::Revoked(session.access_key_id.clone()));
        }
        let holder = match caller {
            Caller::Anonymous => Holder::Anonymous,
            Caller::Root | Caller::RootSession(_) => {
                Holder::Account { arn: format!("arn:aws:iam::{account}:root") }
            }
            Caller::User(user) => Holder::User { user: Arc::clone(user), session: None },
            Caller::UserSession(session) => {
                Holder::User { user: Arc::clone(session.user(snapshot)?), session: Some(Arc::clone(session)) }
            }
            Caller::Session(session) => {
                let role = Arc::clone(session.role(snapshot)?);
                // A policy that is gone by now allows nothing, and takes nothing away.
                let claimed = session.claim_policies.iter().filter_map(|arn| snapshot.policy(arn));
                let with_claimed = (!session.claim_policies.is_empty())
                    .then(|| role.policies.iter().chain(claimed).cloned().collect());
                Holder::Session {
                    arn: session.arn().clone(),
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
            Holder::Anonymous | Holder::Account { .. } | Holder::User { .. } => None,
            Holder::Session { session, .. } => Some(session),
        }
    }

    /// The caller's ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        match &self.holder {
            Holder::Anonymous => "anonymous",
            Holder::Account { arn } => arn,
            Holder::User { user, .. } => user.arn.as_str(),
            Holder::Session { arn, .. } => arn.as_str(),
        }
    }

    /// `AROA…:SESSION` of a session, `AIDA…` of a user; the account's number for the account itself; `anonymous`.
    #[must_use]
    pub fn user_id(&self) -> String {
        match &self.holder {
            Holder::Anonymous => "anonymous".to_owned(),
            Holder::Account { .. } => self.account.clone(),
            Holder::User { user, .. } => user.id.clone(),
            Holder::Session { session, .. } => session.user_id(),
        }
    }

    /// Whether this is the account itself, which needs no policy.
    #[must_use]
    pub fn is_account(&self) -> bool {
        matches!(self.holder, Holder::Account { .. })
    }

    /// Whether one of the caller's policies asks for the tags of objects.
    #[must_use]
    pub fn read_object_tags(&self) -> bool {
        let read = |policy: &Policy| policy.document.reads_object_tags();
        let any = |policies: &[Arc<Policy>]| policies.iter().any(|policy| read(policy));
        match &self.holder {
            Holder::Anonymous | Holder::Account { .. } => false,
            Holder::User { user, .. } => any(&user.policies) || user.boundary.as_deref().is_some_and(read),
            Holder::Session { role, with_claimed, session_policies, .. } => {
                any(with_claimed.as_deref().unwrap_or(&role.policies))
                    || role.boundary.as_deref().is_some_and(read)
                    || any(session_policies)
            }
        }
    }

    /// Whether nobody asks: the request is not signed.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self.holder, Holder::Anonymous)
    }

    /// Enters the condition keys that the caller is the source of; what stands there already stays.
    pub fn enter_keys<'a>(&'a self, context: &mut Context<'a>) {
        match &self.holder {
            Holder::Anonymous => {
                context.set("aws:PrincipalType", "Anonymous");
                context.set("aws:userid", "anonymous");
            }
            Holder::Account { arn } => {
                context.set("aws:PrincipalArn", arn.as_str());
                context.set("aws:PrincipalAccount", self.account.as_str());
                context.set("aws:PrincipalType", "Account");
                context.set("aws:userid", self.account.as_str());
            }
            Holder::User { user, session } => {
                if let Some(session) = session {
                    context.set("aws:TokenIssueTime", session.issued_at);
                    context.set("aws:MultiFactorAuthPresent", false);
                }
                context.set("aws:PrincipalArn", user.arn.as_str());
                context.set("aws:PrincipalAccount", self.account.as_str());
                context.set("aws:PrincipalType", "User");
                context.set("aws:userid", user.id.as_str());
                context.set("aws:username", user.name.as_str());
                enter_tags(&user.tags, context);
            }
            Holder::Session { session, role, .. } => {
                session.enter_keys(context);
                enter_tags(&role.tags, context);
            }
        }
    }

    /// Whether the caller may do something with something of this account. `resource_policy`: the bucket's
    /// policy, or the trust policy of a role that is to be assumed. Says which statement allows; the account's own
    /// doings need none.
    ///
    /// # Errors
    /// The [`Denial`].
    pub fn decide(
        &self,
        action: &str,
        resource: &str,
        resource_policy: Option<&Policy>,
        context: &dyn Keys,
    ) -> Result<Option<DecidedBy>, Box<Denial>> {
        // The account's own doings need no policy; what a policy of the resource says still counts.
        if self.is_account() && resource_policy.is_none() {
            return Ok(None);
        }
        let (principal, policies) = self.judged_by(resource_policy);
        let request = Request { principal, action, resource, account: &self.account, context };
        match evaluate(&policies, &request) {
            Decision::Allow(by) => Ok(by.and_then(|by| DecidedBy::of(&policies, by))),
            Decision::ExplicitDeny(_) | Decision::ImplicitDeny(_) => {
                Err(Box::new(Denial::new(&policies, &request, &self.user_id())))
            }
        }
    }

    /// The same decision with its reasons, for people.
    #[must_use]
    pub fn explain(&self, action: &str, resource: &str, context: &Context<'_>) -> Explanation {
        let (principal, policies) = self.judged_by(None);
        explain(&policies, &Request { principal, action, resource, account: &self.account, context })
    }

    /// As whom, and by which policies, the caller is judged.
    fn judged_by<'a>(&'a self, resource_policy: Option<&'a Policy>) -> (Principal<'a>, Policies<'a>) {
        let of_bucket = resource_policy.is_some_and(|policy| policy.document.kind() == Kind::Resource);
        match &self.holder {
            Holder::Anonymous => {
                (Principal::Anonymous, Policies { resource: resource_policy, ..Policies::default() })
            }
            Holder::Account { .. } => (
                Principal::Root { account: &self.account },
                Policies { resource: resource_policy, ..Policies::default() },
            ),
            Holder::User { user, .. } => (
                Principal::User { account: &self.account, arn: user.arn.as_str() },
                Policies {
                    resource: resource_policy,
                    identity: &user.policies,
                    boundary: user.boundary.as_deref(),
                    ..Policies::default()
                },
            ),
            Holder::Session { session, arn, role, with_claimed, session_policies } => (
                Principal::Session {
                    account: &session.account,
                    role: role.arn.as_str(),
                    session: arn.as_str(),
                    // A trust policy that names a provider speaks of the bearers of its tokens alone.
                    provider: session
                        .web_identity()
                        .filter(|_| of_bucket)
                        .map(|origin| origin.provider.principal.as_str()),
                },
                Policies {
                    resource: resource_policy,
                    identity: with_claimed.as_deref().unwrap_or(&role.policies),
                    boundary: role.boundary.as_deref(),
                    session: session_policies,
                },
            ),
        }
    }
}

/// The tags of a user, or of a session's role; a session's own come first.
fn enter_tags<'a>(tags: &'a Tags, context: &mut Context<'a>) {
    for (key, value) in tags {
        context.set(format!("aws:PrincipalTag/{key}"), value.as_str());
    }
}
