//! What the policies of a role, a user, the public or the account say to a request that nobody sends.
//!
//! Enters: whose policies, what a bucket says, an action on a resource and its condition keys. Leaves: the decision
//! with its reasons. It is the engine that decides real requests; what only a living session knows (session policies,
//! tags and claims that came with it) counts where whoever asks says it.

use wigeon_core::policy::{Context, Explanation, Policies, Policy, Principal, Request, explain};

use crate::bucket::{BucketAccess, BucketPolicy};
use crate::directory::{Provider, Role, User};

/// As whom something is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Standing<'a> {
    /// The account itself.
    Account,
    /// Whoever does not sign.
    Public,
    /// A user of the directory.
    User(&'a User),
    /// A session of a role.
    Session {
        /// The role.
        role: &'a Role,
        /// The session's name.
        name: &'a str,
        /// The provider whose token the session was made from, where it was.
        provider: Option<&'a Provider>,
        /// The token's subject.
        subject: Option<&'a str>,
    },
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Such as `s3:GetObject`.
    pub action: &'a str,
    /// An ARN, or `*`.
    pub resource: &'a str,
    /// What the bucket that it is about says of its use.
    pub access: Option<&'a BucketAccess>,
}

impl Standing<'_> {
    /// Enters the condition keys that follow from who asks; what stands there already stays.
    pub fn enter_keys<'c>(&'c self, account: &'c str, context: &mut Context<'c>) {
        let (arn, kind, id) = match self {
            Self::Public => {
                context.set("aws:PrincipalType", "Anonymous");
                context.set("aws:userid", "anonymous");
                return;
            }
            Self::Account => (format!("arn:aws:iam::{account}:root"), "Account", account.to_owned()),
            Self::User(user) => (user.arn.to_string(), "User", user.id.clone()),
            Self::Session { role, name, .. } => {
                (role.arn.to_string(), "AssumedRole", format!("{}:{name}", role.id))
            }
        };
        context.set("aws:PrincipalArn", arn);
        context.set("aws:PrincipalAccount", account);
        context.set("aws:PrincipalType", kind);
        context.set("aws:userid", id);
        let tags = match self {
            Self::Public | Self::Account => return,
            Self::User(user) => {
                context.set("aws:username", user.name.as_str());
                &user.tags
            }
            Self::Session { role, provider, subject, .. } => {
                if let Some(provider) = provider {
                    context.set("aws:FederatedProvider", provider.principal());
                    if let Some(subject) = subject.filter(|_| provider.has_standard_keys()) {
                        let issuer = wigeon_core::arn::without_scheme(&provider.url);
                        context.set(format!("{issuer}:sub"), subject);
                    }
                }
                &role.tags
            }
        };
        for (key, value) in tags {
            context.set(format!("aws:PrincipalTag/{key}"), value.as_str());
        }
    }

    /// The decision and why.
    #[must_use]
    pub fn explain(&self, account: &str, asked: &Asked<'_>, context: &Context<'_>) -> Explanation {
        let resource = asked.access.and_then(|access| self.policy_of(access));
        let of_account = format!("arn:aws:sts::{account}:assumed-role");
        let session_arn = match self {
            Self::Session { role, name, .. } => format!("{of_account}/{}/{name}", role.name),
            _ => String::new(),
        };
        let (principal, policies) = match self {
            Self::Account => (Principal::Root { account }, Policies { resource, ..Policies::default() }),
            Self::Public => (Principal::Anonymous, Policies { resource, ..Policies::default() }),
            Self::User(user) => (
                Principal::User { account, arn: user.arn.as_str() },
                Policies {
                    resource,
                    identity: &user.policies,
                    boundary: user.boundary.as_deref(),
                    ..Policies::default()
                },
            ),
            Self::Session { role, provider, .. } => (
                Principal::Session {
                    account,
                    role: role.arn.as_str(),
                    session: &session_arn,
                    provider: provider.map(Provider::principal),
                },
                Policies {
                    resource,
                    identity: &role.policies,
                    boundary: role.boundary.as_deref(),
                    ..Policies::default()
                },
            ),
        };
        let Asked { action, resource, .. } = *asked;
        explain(&policies, &Request { principal, action, resource, account, context })
    }

    fn policy_of<'a>(&self, access: &'a BucketAccess) -> Option<&'a Policy> {
        match self {
            Self::Public => access.policy_for_the_anonymous(),
            _ => access.policy.as_deref().map(BucketPolicy::policy),
        }
    }
}
