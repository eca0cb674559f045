//! Users and their access keys.

use std::sync::Arc;

use wigeon_core::time::Timestamp;

use super::super::change::ChangeError;
use super::super::entries::Entries;
use super::super::entry::{AccessKeyEntry, Attachments, Entry, EntryKind, Tags, UserEntry, Write, key_of};
use super::{attachments, documents, existing, tags};

const MOST_ACCESS_KEYS: usize = 2;

pub(super) fn create(
    entries: &Entries,
    name: &str,
    path: &str,
    boundary: Option<&str>,
    tags: &Tags,
    at: Timestamp,
) -> Result<Vec<Write>, ChangeError> {
    documents::named("user", name, 64, path)?;
    absent(entries, name)?;
    if let Some(arn) = boundary {
        attachments::attachable(entries, arn)?;
    }
    Ok(vec![put(UserEntry {
        name: name.to_owned(),
        path: path.to_owned(),
        id: documents::new_id("AIDA")?,
        created_at: at,
        policies: Attachments { boundary: boundary.map(str::to_owned), ..Attachments::default() },
        groups: Vec::new(),
        tags: tags::checked(tags, "User")?,
    })])
}

pub(super) fn update(
    entries: &Entries,
    name: &str,
    new_name: Option<&str>,
    new_path: Option<&str>,
) -> Result<Vec<Write>, ChangeError> {
    let mut user = existing::user(entries, name)?;
    let old_key = key_of(&user.name);
    if let Some(path) = new_path {
        path.clone_into(&mut user.path);
    }
    if let Some(name) = new_name {
        if key_of(name) != old_key {
            absent(entries, name)?;
        }
        name.clone_into(&mut user.name);
    }
    documents::named("user", &user.name, 64, &user.path)?;
    let key = key_of(&user.name);
    let mut writes = Vec::new();
    if key != old_key {
        writes.push(Write::delete(EntryKind::User, old_key.clone()));
        let keys = entries.access_keys.values().filter(|access_key| access_key.user == old_key);
        writes.extend(keys.map(|access_key| {
            put_key(AccessKeyEntry { user: key.clone(), ..AccessKeyEntry::clone(access_key) })
        }));
    }
    writes.push(put(user));
    Ok(writes)
}

pub(super) fn delete(entries: &Entries, name: &str) -> Result<Vec<Write>, ChangeError> {
    let user = existing::user(entries, name)?;
    let key = key_of(&user.name);
    let conflict = |text: &str| Err(ChangeError::DeleteConflict(text.to_owned()));
    if entries.access_keys.values().any(|access_key| access_key.user == key) {
        return conflict("Cannot delete entity, must delete access keys first.");
    }
    if !user.policies.attached.is_empty() {
        return conflict("Cannot delete entity, must detach all policies first.");
    }
    if !user.policies.inline.is_empty() {
        return conflict("Cannot delete entity, must delete policies first.");
    }
    if !user.groups.is_empty() {
        return conflict("Cannot delete entity, must remove users from group first.");
    }
    Ok(vec![Write::delete(EntryKind::User, key)])
}

pub(super) fn create_access_key(
    entries: &Entries,
    user: &str,
    id: &str,
    sealed_secret: &str,
    at: Timestamp,
) -> Result<Vec<Write>, ChangeError> {
    let user = key_of(&existing::user(entries, user)?.name);
    if entries.access_keys.values().filter(|key| key.user == user).count() >= MOST_ACCESS_KEYS {
        let text = format!("Cannot exceed quota for AccessKeysPerUser: {MOST_ACCESS_KEYS}");
        return Err(ChangeError::LimitExceeded(text));
    }
    if entries.access_keys.contains_key(id) {
        return Err(ChangeError::EntityAlreadyExists(format!("The access key {id} already exists.")));
    }
    Ok(vec![put_key(AccessKeyEntry {
        id: id.to_owned(),
        user,
        sealed_secret: sealed_secret.to_owned(),
        plain_secret: None,
        active: true,
        created_at: at,
    })])
}

pub(super) fn update_access_key(
    entries: &Entries,
    user: &str,
    id: &str,
    active: bool,
) -> Result<Vec<Write>, ChangeError> {
    let key = access_key(entries, user, id)?;
    Ok(vec![put_key(AccessKeyEntry { active, ..key })])
}

pub(super) fn delete_access_key(entries: &Entries, user: &str, id: &str) -> Result<Vec<Write>, ChangeError> {
    let key = access_key(entries, user, id)?;
    Ok(vec![Write::delete(EntryKind::AccessKey, key.id)])
}

pub(super) fn reseal(entries: &Entries, sealed: &[(String, String)]) -> Vec<Write> {
    let present = sealed.iter().filter_map(|(id, secret)| Some((entries.access_keys.get(id)?, secret)));
    present
        .map(|(key, secret)| {
            put_key(AccessKeyEntry { sealed_secret: secret.clone(), ..AccessKeyEntry::clone(key) })
        })
        .collect()
}

fn access_key(entries: &Entries, user: &str, id: &str) -> Result<AccessKeyEntry, ChangeError> {
    let user = key_of(&existing::user(entries, user)?.name);
    let key = entries.access_keys.get(id).filter(|key| key.user == user);
    let missing = || ChangeError::NoSuchEntity(format!("The Access Key with id {id} cannot be found."));
    key.map(|key| AccessKeyEntry::clone(key)).ok_or_else(missing)
}

fn absent(entries: &Entries, name: &str) -> Result<(), ChangeError> {
    match entries.user(name) {
        None => Ok(()),
        Some(_) => Err(ChangeError::EntityAlreadyExists(format!("User with name {name} already exists."))),
    }
}

fn put(user: UserEntry) -> Write {
    Write::put(Entry::User(Arc::new(user)))
}

fn put_key(key: AccessKeyEntry) -> Write {
    Write::put(Entry::AccessKey(Arc::new(key)))
}
