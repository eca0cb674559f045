//! What trust is asked with, and what it answers.

use std::net::IpAddr;
use std::sync::Arc;

use wigeon_core::arn::Arn;
use wigeon_core::policy::Context;
use wigeon_core::sts::{FaultCode, IdentityError, SessionTags, StsError};
use wigeon_core::time::Timestamp;

use crate::decided::DecidedBy;
use crate::denial::Denial;
use crate::directory::Role;
use crate::session::Session;
use crate::verify::WebIdentity;

/// What the server itself knows of a request.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// When it came.
    pub now: Timestamp,
    /// Where it came from.
    pub source_ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// Whether it came over TLS.
    pub secure_transport: bool,
    /// The region that the server answers for.
    pub region: Option<&'a str>,
}

impl<'a> Circumstances<'a> {
    /// Enters them as condition keys.
    pub fn enter_keys(&self, context: &mut Context<'a>) {
        context.set("aws:CurrentTime", self.now);
        context.set("aws:EpochTime", self.now.as_second());
        context.set("aws:SecureTransport", self.secure_transport);
        if let Some(region) = self.region {
            context.set("aws:RequestedRegion", region);
        }
        if let Some(address) = self.source_ip {
            context.set("aws:SourceIp", address);
        }
        if let Some(agent) = self.user_agent {
            context.set("aws:UserAgent", agent);
        }
    }
}

/// Somebody whom a role lets in, under a session name. Only trust makes one.
#[derive(Debug, Clone)]
pub struct AssumedRole(pub(super) Entry);

/// Whom a role let in.
#[derive(Debug, Clone)]
pub enum By {
    /// The bearer of a provider's token.
    WebIdentity(Box<WebIdentity>),
    /// A session.
    Session {
        /// Its ARN.
        arn: Arn,
        /// The session.
        session: Arc<Session>,
    },
    /// The account itself.
    Account {
        /// Its ARN.
        arn: Arn,
    },
}

/// What a role gives somebody whom it lets in, to make a session of.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "as the accessors of `AssumedRole` say")]
pub struct Entry {
    pub account: String,
    pub by: By,
    pub role: Arc<Role>,
    pub session_name: String,
    pub tags: SessionTags,
    pub source_identity: Option<String>,
    pub claim_policies: Vec<String>,
    pub ceph: bool,
    pub allowed_by: Option<DecidedBy>,
}

impl AssumedRole {
    /// What a session is made of; who has it back has no proof any more.
    #[must_use]
    pub fn into_entry(self) -> Entry {
        self.0
    }

    /// The account that the role is of, also where its ARN does not say so.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.0.account
    }

    /// Managed policies that a claim of the token named, by ARN.
    #[must_use]
    pub fn claim_policies(&self) -> &[String] {
        &self.0.claim_policies
    }

    /// Whether Ceph RGW's ways apply.
    #[must_use]
    pub fn is_ceph(&self) -> bool {
        self.0.ceph
    }

    /// The statement that let them in.
    #[must_use]
    pub fn allowed_by(&self) -> Option<&DecidedBy> {
        self.0.allowed_by.as_ref()
    }

    /// Who.
    #[must_use]
    pub fn by(&self) -> &By {
        &self.0.by
    }

    /// As what.
    #[must_use]
    pub fn role(&self) -> &Arc<Role> {
        &self.0.role
    }

    /// Under which name.
    #[must_use]
    pub fn session_name(&self) -> &str {
        &self.0.session_name
    }

    /// The tags of the session, inherited ones among them.
    #[must_use]
    pub fn tags(&self) -> &SessionTags {
        &self.0.tags
    }

    /// The source identity of the session, inherited or new.
    #[must_use]
    pub fn source_identity(&self) -> Option<&str> {
        self.0.source_identity.as_deref()
    }
}

/// Why a role does not let somebody in. For the audit; the wire gets [`TrustError::to_sts`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The roles claim.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No such role, and somebody with a token asked.
    #[error("there is no role `{0}`")]
    UnknownRole(String),
    /// The trust policy does not let a token in.
    #[error("the trust policy of `{role}` does not allow {action}: {reason}")]
    Refused {
        /// The role.
        role: String,
        /// `sts:AssumeRoleWithWebIdentity`, `sts:TagSession` or `sts:SetSourceIdentity`.
        action: &'static str,
        /// What decided it.
        reason: String,
    },
    /// The policies do not let a signed caller in, or there is no such role.
    #[error("`{role}` may not be assumed: {}", denial.reason)]
    Denied {
        /// The role.
        role: String,
        /// What was denied.
        denial: Box<Denial>,
    },
    /// A tag of the request stands in the way of one that the caller hands on.
    #[error("the tag `{0}` is handed on by the caller's session and cannot be set anew")]
    InheritedTag(String),
    /// The request names another source identity than the caller has.
    #[error("the source identity `{0}` of the caller's session cannot be changed")]
    InheritedSourceIdentity(String),
    /// The chain goes through too many roles.
    #[error("a chain of sessions goes through at most {0} roles")]
    LongChain(usize),
}

impl TrustError {
    /// The answer on the wire: the same for a role that is not there and one that refuses.
    #[must_use]
    pub fn to_sts(&self) -> StsError {
        match self {
            Self::Identity(error) => StsError::from(error),
            Self::UnknownRole(_) | Self::Refused { .. } => StsError::not_authorized(),
            Self::Denied { denial, .. } => {
                let Denial { principal, action, resource, .. } = &**denial;
                let message = format!(
                    "User: {principal} is not authorized to perform: {action} on resource: {resource}"
                );
                StsError::new(FaultCode::AccessDenied, message)
            }
            Self::InheritedTag(_) => StsError::new(
                FaultCode::InvalidParameterValue,
                "One of the specified tags cannot be set because it conflicts with a transitive tag from the \
                 calling session.",
            ),
            Self::InheritedSourceIdentity(_) => StsError::new(
                FaultCode::AccessDenied,
                "The source identity of the calling session cannot be changed",
            ),
            Self::LongChain(_) => StsError::new(FaultCode::AccessDenied, self.to_string()),
        }
    }
}
