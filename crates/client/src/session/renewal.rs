//! New credentials: from the root of the plan through its roles.
//!
//! Enters: the plan, the record, a person's code where a role wants one. Leaves: a record with a session, kept and warm.

use wigeon_core::secret::Secret;
use wigeon_core::sts::session_name_from;

use super::error::SessionError;
use super::held::Session;
use super::plan::{Plan, Root};
use super::record::{AssumedSession, Record};
use crate::access_keys;
use crate::exchange::{Assumption, MultiFactor, assume_role, exchange};
use crate::sign_in::Identity;
use crate::workload;

impl Session {
    /// New credentials, from the root of the plan on.
    pub(super) async fn renew(
        &self,
        plan: &Plan,
        record: Option<Record>,
        code: Option<&Secret>,
    ) -> Result<Record, SessionError> {
        if let Some(serial) = plan.mfa_serial().filter(|_| code.is_none()) {
            return Err(self.sign_in_needed(&format!("the role wants a code of the device `{serial}`")));
        }
        let now = self.clock.now();
        let (record, first) = match &plan.root {
            Root::Person => {
                let record = record.ok_or_else(|| self.nobody())?;
                self.enter_as_person(plan, record).await?
            }
            Root::Workload(source) => {
                let found = workload::token(source, &self.around, self.sign_in()?).await?;
                let assumed = exchange(self.connector()?, &plan.sts, &found.token, &found.identity).await?;
                let record = Record { id_token: Some(found.token), ..Record::of(found.identity, now) };
                (record, assumed.into())
            }
            Root::IdentityCenter(place) => {
                let record = record.ok_or_else(|| self.nobody())?;
                self.enter_by_center(place, record).await?
            }
            Root::Kept => {
                let record = record.ok_or_else(|| self.nobody())?;
                let keys = record.keys.clone().ok_or_else(|| self.nobody())?;
                (record, Assumption::plain(keys))
            }
            Root::Keys(source) => {
                let keys = access_keys::keys(source, &self.around, self.connector()?)
                    .await?
                    .ok_or_else(|| self.nobody())?;
                (
                    Record::of(Identity::of_keys("access-keys", &keys.access_key_id, now), now),
                    Assumption::plain(keys),
                )
            }
            Root::Given(keys) => {
                let identity = Identity::of_keys("access-keys", &keys.access_key_id, now);
                (Record::of(identity, now), Assumption::plain(keys.clone()))
            }
        };
        self.through_roles(plan, record, first, code).await
    }

    /// Assumes the roles of the plan, one with the credentials of the other, and keeps what comes of it.
    async fn through_roles(
        &self,
        plan: &Plan,
        mut record: Record,
        first: Assumption,
        code: Option<&Secret>,
    ) -> Result<Record, SessionError> {
        let obtained_at = self.clock.now();
        let mut last = first;
        for step in &plan.roles {
            let factor = match (&step.mfa_serial, code) {
                (Some(serial), Some(code)) => Some(MultiFactor { serial, code }),
                _ => None,
            };
            let name =
                step.session_name.clone().unwrap_or_else(|| session_name_from(&record.identity.subject));
            last = assume_role(
                self.connector()?,
                &plan.sts,
                &last.credentials,
                step,
                &name,
                factor,
                obtained_at,
            )
            .await?;
        }
        let way = plan.way();
        record.session = Some(AssumedSession {
            endpoint: plan.sts.endpoint.clone(),
            role: way.last().filter(|role| role.starts_with("arn:")).cloned(),
            way: if way.len() > 1 || way.iter().any(|role| !role.starts_with("arn:")) {
                way
            } else {
                Vec::new()
            },
            arn: last.arn,
            obtained_at,
            credentials: last.credentials,
        });
        record.failure = None;
        self.save(&record)?;
        if let Some(session) = &record.session {
            self.keep_warm(&record, session);
        }
        Ok(record)
    }
}
