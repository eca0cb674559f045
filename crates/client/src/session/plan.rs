//! Where a profile's credentials come from, step by step: one root, then roles, each assumed with what came before.
//!
//! Enters: the profile's settings and the surroundings. Leaves: a [`Plan`]. Refused: a profile of AWS's files that
//! is not there or cannot be used.

use wigeon_core::credentials::Credentials;

use super::error::SessionError;
use crate::aws_config::{AwsRoot, RoleStep, aws_profile};
use crate::profile::{Flow, IdentityCenter, KeySource, Role, Settings, Sts, TokenSource};
use crate::surroundings::Surroundings;

/// The first step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    /// A person signs in at an OpenID provider; their token is exchanged for the first role.
    Person,
    /// A token of the machine or the job is exchanged for the first role.
    Workload(TokenSource),
    /// A person signs in at IAM Identity Center, which gives the credentials of a role.
    IdentityCenter(IdentityCenter),
    /// Keys that a person has given, kept with the sign-in.
    Kept,
    /// Keys that are asked for.
    Keys(KeySource),
    /// Keys that stand in AWS's files.
    Given(Credentials),
}

/// All steps.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) root: Root,
    /// For the exchange of a token, and for where the STS is.
    pub(super) sts: Sts,
    pub(super) roles: Vec<RoleStep>,
}

impl Plan {
    /// Looks the profile's steps up; AWS's files are read where the profile refers to them.
    pub(super) fn of(settings: &Settings, around: &Surroundings) -> Result<Self, SessionError> {
        let mut sts = settings.sts()?;
        let mut roles = Vec::new();
        let root = match settings.flow().value {
            Flow::AuthorizationCode | Flow::PasswordGrant => Root::Person,
            Flow::Workload => {
                let token = settings.token_source()?.map(|token| token.value);
                Root::Workload(token.unwrap_or(TokenSource::Environment))
            }
            Flow::IdentityCenter => match settings.identity_center()? {
                Some(center) => {
                    roles.extend(own_role(&sts));
                    Root::IdentityCenter(center)
                }
                None => {
                    let name = settings.aws_profile().unwrap_or_else(|| "default".to_owned());
                    from_aws(&name, around, &mut sts, &mut roles)?
                }
            },
            Flow::AccessKeys => {
                let root = match settings.key_source()?.value {
                    KeySource::Kept => Root::Kept,
                    KeySource::AwsProfile(name) => from_aws(&name, around, &mut sts, &mut roles)?,
                    source => Root::Keys(source),
                };
                if !matches!(root, Root::Workload(_)) {
                    roles.extend(own_role(&sts));
                }
                root
            }
        };
        let next = sts.chain.iter().map(|role| RoleStep {
            role: role.clone(),
            session_name: sts.session_name.clone(),
            external_id: sts.external_id.clone(),
            mfa_serial: None,
            duration_seconds: None,
            policy: None,
        });
        roles.extend(next);
        Ok(Self { root, sts, roles })
    }

    /// The roles on the way, for comparing: kept credentials are good only for the same way.
    pub(super) fn way(&self) -> Vec<String> {
        let first = match &self.root {
            Root::Person | Root::Workload(_) => match &self.sts.role {
                Role::Given(arn) => Some(arn.to_string()),
                Role::Ask | Role::None => None,
            },
            Root::IdentityCenter(center) => Some(format!(
                "sso:{}/{}",
                center.account_id.as_deref().unwrap_or_default(),
                center.role_name.as_deref().unwrap_or_default()
            )),
            Root::Kept | Root::Keys(_) | Root::Given(_) => None,
        };
        first.into_iter().chain(self.roles.iter().map(|step| step.role.to_string())).collect()
    }

    /// The device whose code a role on the way wants.
    pub(super) fn mfa_serial(&self) -> Option<&str> {
        self.roles.iter().find_map(|step| step.mfa_serial.as_deref())
    }

    /// Whether the root needs nobody.
    pub(super) fn is_unattended(&self) -> bool {
        match self.root {
            Root::Workload(_) | Root::Keys(_) | Root::Given(_) => true,
            Root::Person | Root::IdentityCenter(_) | Root::Kept => false,
        }
    }
}

/// The profile's own role, for keys: a person's and a workload's is that of the exchange.
fn own_role(sts: &Sts) -> Option<RoleStep> {
    let Role::Given(role) = &sts.role else { return None };
    Some(RoleStep {
        role: role.clone(),
        session_name: sts.session_name.clone(),
        external_id: sts.external_id.clone(),
        mfa_serial: sts.mfa_serial.clone(),
        duration_seconds: sts.duration_seconds,
        policy: sts.policy.clone(),
    })
}

fn from_aws(
    name: &str,
    around: &Surroundings,
    sts: &mut Sts,
    roles: &mut Vec<RoleStep>,
) -> Result<Root, SessionError> {
    let profile = aws_profile(name, around)?;
    roles.extend(profile.roles);
    Ok(match profile.root {
        AwsRoot::Given(keys) => Root::Given(keys),
        AwsRoot::Keys(source) => Root::Keys(source),
        AwsRoot::IdentityCenter(center) => Root::IdentityCenter(center),
        AwsRoot::WebIdentity { token, role, session_name } => {
            sts.role = Role::Given(role);
            sts.session_name = session_name.or(sts.session_name.take());
            Root::Workload(token)
        }
    })
}
