//! What a change is about: a copy of the entry, or AWS's words that it is not there.

use super::super::change::ChangeError;
use super::super::entries::Entries;
use super::super::entry::{GroupEntry, PolicyEntry, ProviderEntry, RoleEntry, UserEntry};

fn missing<E: Clone>(
    found: Option<&std::sync::Arc<E>>,
    text: impl FnOnce() -> String,
) -> Result<E, ChangeError> {
    found.map(|entry| E::clone(entry)).ok_or_else(|| ChangeError::NoSuchEntity(text()))
}

pub(super) fn role(entries: &Entries, name: &str) -> Result<RoleEntry, ChangeError> {
    missing(entries.role(name), || format!("The role with name {name} cannot be found."))
}

pub(super) fn user(entries: &Entries, name: &str) -> Result<UserEntry, ChangeError> {
    missing(entries.user(name), || format!("The user with name {name} cannot be found."))
}

pub(super) fn group(entries: &Entries, name: &str) -> Result<GroupEntry, ChangeError> {
    missing(entries.group(name), || format!("The group with name {name} cannot be found."))
}

pub(super) fn provider(entries: &Entries, arn: &str) -> Result<ProviderEntry, ChangeError> {
    missing(entries.provider(arn), || format!("OpenIDConnect Provider not found for arn {arn}"))
}

/// A managed policy of the account itself.
pub(super) fn policy(entries: &Entries, arn: &str) -> Result<PolicyEntry, ChangeError> {
    let policy = missing(entries.policy(arn), || format!("Policy {arn} was not found."))?;
    match policy.built_in {
        false => Ok(policy),
        true => Err(ChangeError::Unmodifiable(format!("Policy {arn} cannot be changed: it is built in."))),
    }
}
