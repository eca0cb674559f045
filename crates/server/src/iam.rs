//! The IAM API: the directory's administration, as AWS's own tools speak it (version 2010-05-08).
//!
//! ```text
//! parameters + caller ─► action ─► authorize ─► read the snapshot, or change the directory ─► XML
//! ```
//!
//! Enters: the parameters of a signed request and its caller. Leaves: an [`IamResponse`]. Refused: actions that
//! are not here (`InvalidAction`), callers whose policies do not allow `iam:ACTION` on what the action is about,
//! parameters that break a rule of the API, and what the directory refuses. Source: iam-policy.md, "API"; AWS
//! IAM API Reference.

mod xml;

mod fault;

mod input;

mod page;

mod action;

mod tags;

mod providers;

mod roles;

mod policies;

mod attachments;

mod users;

mod account;

mod revocation;

mod simulate;

mod authority;

use std::sync::Arc;

use wigeon_core::sts::Parameters;
use wigeon_core::time::Clock;

pub use authority::Circumstances;
pub use fault::Fault;

use crate::decided::DecidedBy;
use crate::directory::{Change, Directory};
use crate::issue::Sealer;
use crate::session::Caller;
use action::{Action, Answer, Reading, Work};
use input::Input;
use xml::{NAMESPACE, Xml};

/// The version of the API.
pub const API_VERSION: &str = "2010-05-08";

/// One request, signed by `caller`.
#[derive(Debug, Clone, Copy)]
pub struct IamCall<'a> {
    /// From the query string and the form.
    pub parameters: &'a Parameters,
    /// Who signed it.
    pub caller: &'a Caller,
    /// What the server itself knows of the request.
    pub circumstances: Circumstances<'a>,
    /// Goes into the answer.
    pub request_id: &'a str,
}

/// What to answer, as `text/xml`.
pub struct IamResponse {
    /// The HTTP status.
    pub status: u16,
    /// The document; that of `CreateAccessKey` holds a secret.
    pub xml: String,
    /// For the audit: why it was refused.
    pub refused: Option<Fault>,
    /// For the audit: the statement that allowed it; the account's own doings need none.
    pub allowed_by: Option<DecidedBy>,
}

/// The IAM API.
#[derive(Clone)]
pub struct IamService {
    directory: Arc<Directory>,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
}

fn actions() -> impl Iterator<Item = &'static Action> {
    let all = [
        providers::ACTIONS,
        roles::ACTIONS,
        policies::ACTIONS,
        attachments::ACTIONS,
        users::ACTIONS,
        tags::ACTIONS,
        account::ACTIONS,
        revocation::ACTIONS,
        simulate::ACTIONS,
    ];
    all.into_iter().flatten()
}

impl IamService {
    /// Over these parts.
    #[must_use]
    pub fn new(directory: Arc<Directory>, sealer: Arc<Sealer>, clock: Arc<dyn Clock>) -> Self {
        Self { directory, sealer, clock }
    }

    /// The names of all actions.
    pub fn actions() -> impl Iterator<Item = &'static str> {
        actions().map(|action| action.name)
    }

    /// Answers one request.
    pub async fn handle(&self, call: IamCall<'_>) -> IamResponse {
        match self.answer(&call).await {
            Ok((xml, allowed_by)) => IamResponse { status: 200, xml, refused: None, allowed_by },
            Err(fault) => Self::refuse(fault, call.request_id),
        }
    }

    /// The answer to a request that was refused.
    #[must_use]
    pub fn refuse(fault: Fault, request_id: &str) -> IamResponse {
        let (status, xml) = (fault.status, fault.to_xml(request_id));
        IamResponse { status, xml, refused: Some(fault), allowed_by: None }
    }

    async fn answer(&self, call: &IamCall<'_>) -> Result<(String, Option<DecidedBy>), Fault> {
        let name = call.parameters.action().unwrap_or_default();
        let version = call.parameters.value("Version").unwrap_or(API_VERSION);
        let action = actions()
            .find(|action| action.name == name)
            .filter(|_| version == API_VERSION)
            .ok_or_else(|| {
                let cut = |text: &str| text.chars().take(100).collect::<String>();
                let (name, version) = (cut(name), cut(version));
                Fault::new(
                    "InvalidAction",
                    400,
                    format!("Could not find operation {name} for version {version}"),
                )
            })?;
        let snapshot = self.directory.snapshot();
        let at = self.clock.now();
        let of = Reading { snapshot: &snapshot, input: Input(call.parameters), caller: call.caller, at };
        let allowed_by = authority::allow(&of, action, &call.circumstances)?;
        let result = match action.work {
            Work::Read(read) => Some(read(&of)?),
            Work::Write(change) => {
                self.change(&of, &change(&of)?, |_| Ok(Xml::default())).await?;
                None
            }
            Work::WriteAndRead(change, read) => Some(self.change(&of, &change(&of)?, read).await?),
            Work::CreateAccessKey => {
                let made = self.sealer.long_lived().map_err(|error| Fault {
                    reason: Some(error.to_string()),
                    ..Fault::new("ServiceFailure", 500, "The access key could not be made.")
                })?;
                let change = users::create_key(&of, &made)?;
                Some(self.change(&of, &change, |of| users::created_key(of, &made)).await?)
            }
            Work::ReadUse(used, read) => {
                let last = self.directory.last_use(used(&of)?).await;
                Some(read(&of, last.as_ref())?)
            }
        };
        Ok((document(action.name, result.as_ref(), call.request_id), allowed_by))
    }

    /// Makes a change, and reads what there is with it.
    async fn change(
        &self,
        of: &Reading<'_>,
        change: &Change,
        read: impl FnOnce(&Reading<'_>) -> Answer,
    ) -> Answer {
        let snapshot = self.directory.change(change, of.at).await?;
        read(&Reading { snapshot: &snapshot, ..*of })
    }
}

/// `<ActionResponse><ActionResult>…</ActionResult><ResponseMetadata>…`
fn document(action: &str, result: Option<&Xml>, request_id: &str) -> String {
    let root = format!("{action}Response");
    let mut xml = Xml::root(&root, NAMESPACE);
    if let Some(result) = result {
        xml.within(&format!("{action}Result"), |xml| xml.append(result));
    }
    xml.within("ResponseMetadata", |xml| xml.leaf("RequestId", request_id));
    xml.finish(&root)
}

#[cfg(test)]
mod tests {
    use wigeon_core::policy::{Document, Kind, lint};

    use super::*;

    /// What a policy may allow is known to those who look for misspelt actions.
    #[test]
    fn every_action_is_known_to_the_lint() {
        for Action { name, .. } in actions() {
            let text =
                format!(r#"{{"Statement":[{{"Effect":"Allow","Action":"iam:{name}","Resource":"*"}}]}}"#);
            assert_eq!(lint(&Document::parse(&text, Kind::Identity).unwrap(), None), [], "{name}");
        }
    }
}
