//! Roles.

use std::sync::Arc;

use wigeon_core::policy::Kind;
use wigeon_core::time::Timestamp;

use super::super::change::ChangeError;
use super::super::entries::Entries;
use super::super::entry::{Attachments, Entry, EntryKind, RoleEntry, Tags, Write, key_of};
use super::{attachments, documents, existing, tags};

/// The most that AWS grants for a trust policy.
const LONGEST_TRUST: usize = 8_192;

pub(super) struct NewRole<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a str,
    pub(super) trust: &'a str,
    pub(super) description: Option<&'a str>,
    pub(super) max_session_duration: u32,
    pub(super) boundary: Option<&'a str>,
    pub(super) tags: &'a Tags,
}

pub(super) fn create(entries: &Entries, new: &NewRole<'_>, at: Timestamp) -> Result<Vec<Write>, ChangeError> {
    documents::named("role", new.name, 64, new.path)?;
    check_trust(new.trust)?;
    check_duration(new.max_session_duration)?;
    if entries.role(new.name).is_some() {
        let text = format!("Role with name {} already exists.", new.name);
        return Err(ChangeError::EntityAlreadyExists(text));
    }
    if let Some(arn) = new.boundary {
        attachments::attachable(entries, arn)?;
    }
    Ok(vec![put(RoleEntry {
        name: new.name.to_owned(),
        path: new.path.to_owned(),
        id: documents::new_id("AROA")?,
        created_at: at,
        description: new.description.map(str::to_owned),
        max_session_duration: new.max_session_duration,
        trust: new.trust.to_owned(),
        policies: Attachments { boundary: new.boundary.map(str::to_owned), ..Attachments::default() },
        tags: tags::checked(new.tags, "Role")?,
        revoked_before: None,
    })])
}

pub(super) fn update(
    entries: &Entries,
    name: &str,
    description: Option<&str>,
    max_session_duration: Option<u32>,
) -> Result<Vec<Write>, ChangeError> {
    let mut role = existing::role(entries, name)?;
    if let Some(description) = description {
        role.description = Some(description.to_owned()).filter(|text| !text.is_empty());
    }
    if let Some(seconds) = max_session_duration {
        check_duration(seconds)?;
        role.max_session_duration = seconds;
    }
    Ok(vec![put(role)])
}

pub(super) fn update_trust(entries: &Entries, name: &str, document: &str) -> Result<Vec<Write>, ChangeError> {
    let mut role = existing::role(entries, name)?;
    check_trust(document)?;
    document.clone_into(&mut role.trust);
    Ok(vec![put(role)])
}

pub(super) fn delete(entries: &Entries, name: &str) -> Result<Vec<Write>, ChangeError> {
    let role = existing::role(entries, name)?;
    if !role.policies.attached.is_empty() {
        let text = "Cannot delete entity, must detach all policies first.";
        return Err(ChangeError::DeleteConflict(text.to_owned()));
    }
    if !role.policies.inline.is_empty() {
        let text = "Cannot delete entity, must delete policies first.";
        return Err(ChangeError::DeleteConflict(text.to_owned()));
    }
    Ok(vec![Write::delete(EntryKind::Role, key_of(&role.name))])
}

fn check_trust(document: &str) -> Result<(), ChangeError> {
    documents::within(&documents::parse(document, Kind::Trust)?, "ACLSizePerRole", LONGEST_TRUST)
}

fn check_duration(seconds: u32) -> Result<(), ChangeError> {
    match (3600..=43_200).contains(&seconds) {
        true => Ok(()),
        false => Err(ChangeError::InvalidInput("MaxSessionDuration is 3600 to 43200 seconds.".to_owned())),
    }
}

fn put(role: RoleEntry) -> Write {
    Write::put(Entry::Role(Arc::new(role)))
}
