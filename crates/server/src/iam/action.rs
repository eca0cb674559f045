//! An action of the IAM API: its name, what it is about, and what it does.

use wigeon_core::arn::without_scheme;
use wigeon_core::time::Timestamp;

use super::fault::Fault;
use super::input::Input;
use super::xml::Xml;
use crate::directory::{Change, LastUse, Snapshot, Used};
use crate::session::Caller;

/// What an action sees.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) input: Input<'a>,
    pub(super) caller: &'a Caller,
    /// When the request arrived.
    pub(super) at: Timestamp,
}

/// The contents of `…Result`.
pub(super) type Answer = Result<Xml, Fault>;

/// One action.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) on: On,
    pub(super) work: Work,
}

/// What an action does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    /// Reads.
    Read(fn(&Reading<'_>) -> Answer),
    /// Makes a change, and answers nothing.
    Write(fn(&Reading<'_>) -> Result<Change, Fault>),
    /// Makes a change, and answers with what there is now.
    WriteAndRead(fn(&Reading<'_>) -> Result<Change, Fault>, fn(&Reading<'_>) -> Answer),
    /// Makes an access key: the one answer with a secret.
    CreateAccessKey,
    /// Reads, with what the snapshot does not hold: when something was last used.
    ReadUse(
        for<'a> fn(&'a Reading<'_>) -> Result<Used<'a>, Fault>,
        fn(&Reading<'_>, Option<&LastUse>) -> Answer,
    ),
}

/// What an action is about: the resource that policies have to allow it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// The account as a whole: `*`.
    Account,
    /// `RoleName`, with `Path` for a new one.
    Role,
    /// `UserName`, or the caller.
    User,
    /// `GroupName`.
    Group,
    /// `PolicyArn`, or `PolicyName` and `Path` of a new one.
    Policy,
    /// `OpenIDConnectProviderArn`, or `Url` of a new one.
    Provider,
    /// `PolicySourceArn`.
    Source,
}

impl<'a> Reading<'a> {
    /// The ARN of what the action is about. What is not there has the ARN that it would have.
    pub(super) fn resource(&self, on: On) -> String {
        let (snapshot, input) = (self.snapshot, self.input);
        let (account, entries) = (snapshot.account_in_arns(), snapshot.entries());
        let of = |name: &str| input.optional(name).unwrap_or_default();
        let new = |kind: &str, name: &str| {
            format!("arn:aws:iam::{account}:{kind}{}{name}", input.optional("Path").unwrap_or("/"))
        };
        match on {
            On::Account => "*".to_owned(),
            On::Role => {
                let name = of("RoleName");
                entries.role(name).map_or_else(|| new("role", name), |role| role.arn(account))
            }
            On::User => match self.user_name() {
                Ok(name) => entries.user(name).map_or_else(|| new("user", name), |user| user.arn(account)),
                Err(_) => format!("arn:aws:iam::{account}:user/"),
            },
            On::Group => {
                let name = of("GroupName");
                entries.group(name).map_or_else(|| new("group", name), |group| group.arn(account))
            }
            On::Policy => match input.optional("PolicyArn") {
                Some(arn) => arn.to_owned(),
                None => new("policy", of("PolicyName")),
            },
            On::Provider => match input.optional("OpenIDConnectProviderArn") {
                Some(arn) => arn.to_owned(),
                None => format!("arn:aws:iam::{account}:oidc-provider/{}", without_scheme(of("Url"))),
            },
            On::Source => of("PolicySourceArn").to_owned(),
        }
    }

    /// `UserName`, or the calling user's.
    pub(super) fn user_name(&self) -> Result<&'a str, Fault> {
        match (self.input.optional("UserName"), self.caller) {
            (Some(_), _) => self.input.name("UserName", 128),
            (None, Caller::User(user)) => Ok(&user.name),
            (None, _) => {
                Err(Fault::validation("Must specify userName when calling with non-User credentials"))
            }
        }
    }
}
