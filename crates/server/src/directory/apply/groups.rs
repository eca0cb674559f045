//! Groups and their members.

use std::sync::Arc;

use wigeon_core::time::Timestamp;

use super::super::change::ChangeError;
use super::super::entries::Entries;
use super::super::entry::{Attachments, Entry, EntryKind, GroupEntry, UserEntry, Write, key_of};
use super::{documents, existing};

const MOST_GROUPS: usize = 10;

pub(super) fn create(
    entries: &Entries,
    name: &str,
    path: &str,
    at: Timestamp,
) -> Result<Vec<Write>, ChangeError> {
    documents::named("group", name, 128, path)?;
    absent(entries, name)?;
    Ok(vec![put(GroupEntry {
        name: name.to_owned(),
        path: path.to_owned(),
        id: documents::new_id("AGPA")?,
        created_at: at,
        policies: Attachments::default(),
    })])
}

pub(super) fn update(
    entries: &Entries,
    name: &str,
    new_name: Option<&str>,
    new_path: Option<&str>,
) -> Result<Vec<Write>, ChangeError> {
    let mut group = existing::group(entries, name)?;
    let old_key = key_of(&group.name);
    if let Some(path) = new_path {
        path.clone_into(&mut group.path);
    }
    if let Some(name) = new_name {
        if key_of(name) != old_key {
            absent(entries, name)?;
        }
        name.clone_into(&mut group.name);
    }
    documents::named("group", &group.name, 128, &group.path)?;
    let key = key_of(&group.name);
    let mut writes = Vec::new();
    if key != old_key {
        writes.push(Write::delete(EntryKind::Group, old_key.clone()));
        for user in entries.users.values().filter(|user| user.groups.contains(&old_key)) {
            let mut user = UserEntry::clone(user);
            for member_of in user.groups.iter_mut().filter(|group| **group == old_key) {
                member_of.clone_from(&key);
            }
            writes.push(Write::put(Entry::User(Arc::new(user))));
        }
    }
    writes.push(put(group));
    Ok(writes)
}

pub(super) fn delete(entries: &Entries, name: &str) -> Result<Vec<Write>, ChangeError> {
    let group = existing::group(entries, name)?;
    let key = key_of(&group.name);
    let conflict = |text: &str| Err(ChangeError::DeleteConflict(text.to_owned()));
    if entries.users.values().any(|user| user.groups.contains(&key)) {
        return conflict("Cannot delete entity, must remove users from group first.");
    }
    if !group.policies.attached.is_empty() {
        return conflict("Cannot delete entity, must detach all policies first.");
    }
    if !group.policies.inline.is_empty() {
        return conflict("Cannot delete entity, must delete policies first.");
    }
    Ok(vec![Write::delete(EntryKind::Group, key)])
}

pub(super) fn add(entries: &Entries, group: &str, user: &str) -> Result<Vec<Write>, ChangeError> {
    let key = key_of(&existing::group(entries, group)?.name);
    let mut user = existing::user(entries, user)?;
    if user.groups.contains(&key) {
        return Ok(Vec::new());
    }
    user.groups.push(key);
    if user.groups.len() > MOST_GROUPS {
        let text = format!("Cannot exceed quota for GroupsPerUser: {MOST_GROUPS}");
        return Err(ChangeError::LimitExceeded(text));
    }
    Ok(vec![Write::put(Entry::User(Arc::new(user)))])
}

pub(super) fn remove(entries: &Entries, group: &str, user: &str) -> Result<Vec<Write>, ChangeError> {
    let key = key_of(&existing::group(entries, group)?.name);
    let mut user = existing::user(entries, user)?;
    let count = user.groups.len();
    user.groups.retain(|member_of| *member_of != key);
    Ok(if user.groups.len() == count { Vec::new() } else { vec![Write::put(Entry::User(Arc::new(user)))] })
}

fn absent(entries: &Entries, name: &str) -> Result<(), ChangeError> {
    match entries.group(name) {
        None => Ok(()),
        Some(_) => Err(ChangeError::EntityAlreadyExists(format!("Group with name {name} already exists."))),
    }
}

fn put(group: GroupEntry) -> Write {
    Write::put(Entry::Group(Arc::new(group)))
}
