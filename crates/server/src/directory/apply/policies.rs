//! Managed policies and their versions.

use std::sync::Arc;

use wigeon_core::policy::Kind;
use wigeon_core::time::Timestamp;

use super::super::change::ChangeError;
use super::super::entries::Entries;
use super::super::entry::{Entry, EntryKind, PolicyEntry, PolicyVersion, Tags, Write, key_of};
use super::{documents, existing, tags};

const LONGEST_POLICY: usize = 6_144;
const MOST_VERSIONS: usize = 5;

pub(super) fn create(
    entries: &Entries,
    name: &str,
    path: &str,
    document: &str,
    description: Option<&str>,
    tags: &Tags,
    at: Timestamp,
) -> Result<Vec<Write>, ChangeError> {
    documents::named("policy", name, 128, path)?;
    check(document)?;
    if entries.policies.contains_key(&key_of(name)) {
        let text = format!("A policy called {name} already exists. Duplicate names are not allowed.");
        return Err(ChangeError::EntityAlreadyExists(text));
    }
    let version = PolicyVersion { number: 1, document: document.to_owned(), created_at: at };
    Ok(vec![put(PolicyEntry {
        name: name.to_owned(),
        path: path.to_owned(),
        id: documents::new_id("ANPA")?,
        created_at: at,
        updated_at: at,
        description: description.map(str::to_owned),
        versions: vec![version],
        default_version: 1,
        next_version: 2,
        tags: tags::checked(tags, "Policy")?,
        built_in: false,
    })])
}

pub(super) fn delete(entries: &Entries, arn: &str) -> Result<Vec<Write>, ChangeError> {
    let policy = existing::policy(entries, arn)?;
    if entries.attachment_count(arn) > 0 || entries.boundary_count(arn) > 0 {
        let text = "Cannot delete a policy attached to entities.";
        return Err(ChangeError::DeleteConflict(text.to_owned()));
    }
    if policy.versions.len() > 1 {
        let text = "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.";
        return Err(ChangeError::DeleteConflict(text.to_owned()));
    }
    Ok(vec![Write::delete(EntryKind::Policy, key_of(&policy.name))])
}

pub(super) fn create_version(
    entries: &Entries,
    arn: &str,
    document: &str,
    set_as_default: bool,
    at: Timestamp,
) -> Result<Vec<Write>, ChangeError> {
    let mut policy = existing::policy(entries, arn)?;
    check(document)?;
    if policy.versions.len() >= MOST_VERSIONS {
        let text = format!(
            "A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you must delete an existing version."
        );
        return Err(ChangeError::LimitExceeded(text));
    }
    let number = policy.next_version;
    policy.versions.push(PolicyVersion { number, document: document.to_owned(), created_at: at });
    policy.next_version += 1;
    policy.updated_at = at;
    if set_as_default {
        policy.default_version = number;
    }
    Ok(vec![put(policy)])
}

pub(super) fn delete_version(entries: &Entries, arn: &str, version: &str) -> Result<Vec<Write>, ChangeError> {
    let mut policy = existing::policy(entries, arn)?;
    let number = numbered(&policy, arn, version)?;
    if number == policy.default_version {
        let text = "Cannot delete the default version of a policy.";
        return Err(ChangeError::DeleteConflict(text.to_owned()));
    }
    policy.versions.retain(|version| version.number != number);
    Ok(vec![put(policy)])
}

pub(super) fn set_default(
    entries: &Entries,
    arn: &str,
    version: &str,
    at: Timestamp,
) -> Result<Vec<Write>, ChangeError> {
    let mut policy = existing::policy(entries, arn)?;
    policy.default_version = numbered(&policy, arn, version)?;
    policy.updated_at = at;
    Ok(vec![put(policy)])
}

fn numbered(policy: &PolicyEntry, arn: &str, version: &str) -> Result<u32, ChangeError> {
    let missing = || format!("Policy {arn} version {version} does not exist or is not attachable.");
    let found = policy.version(version).map(|version| version.number);
    found.ok_or_else(|| ChangeError::NoSuchEntity(missing()))
}

fn check(document: &str) -> Result<(), ChangeError> {
    documents::within(&documents::parse(document, Kind::Identity)?, "PolicySize", LONGEST_POLICY)
}

fn put(policy: PolicyEntry) -> Write {
    Write::put(Entry::Policy(Arc::new(policy)))
}
