//! Inline policies, managed policies and boundaries of roles, users and groups.

use std::sync::Arc;

use wigeon_core::policy::Kind;

use super::super::change::{ChangeError, Owner};
use super::super::entries::Entries;
use super::super::entry::{Attachments, Entry, Write};
use super::super::rules::is_name;
use super::{documents, existing};

/// The most managed policies of a role or user, as AWS grants it at most, and of a group.
const MOST_ATTACHED: usize = 20;
const MOST_ATTACHED_TO_GROUP: usize = 10;

pub(super) fn put(
    entries: &Entries,
    owner: &Owner,
    name: &str,
    document: &str,
) -> Result<Vec<Write>, ChangeError> {
    if !is_name(name, 128) {
        let text = "The name of a policy has 1 to 128 characters of [\\w+=,.@-].";
        return Err(ChangeError::InvalidInput(text.to_owned()));
    }
    edit(entries, owner, |policies| {
        documents::parse(document, Kind::Identity)?;
        policies.inline.insert(name.to_owned(), document.to_owned());
        let size: usize = policies.inline.values().map(|text| size(text)).sum();
        let (kind, owner, limit) = match owner {
            Owner::Role(name) => ("role", name, 10_240),
            Owner::User(name) => ("user", name, 2_048),
            Owner::Group(name) => ("group", name, 5_120),
        };
        if size > limit {
            let text = format!("Maximum policy size of {limit} bytes exceeded for {kind} {owner}");
            return Err(ChangeError::LimitExceeded(text));
        }
        Ok(())
    })
}

/// The characters that count: all but white space.
fn size(text: &str) -> usize {
    text.chars().filter(|char| !char.is_whitespace()).count()
}

pub(super) fn remove(entries: &Entries, owner: &Owner, name: &str) -> Result<Vec<Write>, ChangeError> {
    edit(entries, owner, |policies| match policies.inline.remove(name) {
        Some(_) => Ok(()),
        None => {
            let kind = kind(owner);
            let text = format!("The {kind} policy with name {name} cannot be found.");
            Err(ChangeError::NoSuchEntity(text))
        }
    })
}

pub(super) fn attach(entries: &Entries, owner: &Owner, arn: &str) -> Result<Vec<Write>, ChangeError> {
    attachable(entries, arn)?;
    edit(entries, owner, |policies| {
        if policies.attached.iter().any(|attached| attached == arn) {
            return Ok(());
        }
        policies.attached.push(arn.to_owned());
        let (quota, limit) = match owner {
            Owner::Role(_) => ("PoliciesPerRole", MOST_ATTACHED),
            Owner::User(_) => ("PoliciesPerUser", MOST_ATTACHED),
            Owner::Group(_) => ("PoliciesPerGroup", MOST_ATTACHED_TO_GROUP),
        };
        match policies.attached.len() <= limit {
            true => Ok(()),
            false => Err(ChangeError::LimitExceeded(format!("Cannot exceed quota for {quota}: {limit}"))),
        }
    })
}

pub(super) fn detach(entries: &Entries, owner: &Owner, arn: &str) -> Result<Vec<Write>, ChangeError> {
    edit(entries, owner, |policies| {
        let count = policies.attached.len();
        policies.attached.retain(|attached| attached != arn);
        match policies.attached.len() < count {
            true => Ok(()),
            false => Err(ChangeError::NoSuchEntity(format!("Policy {arn} was not found."))),
        }
    })
}

pub(super) fn set_boundary(
    entries: &Entries,
    owner: &Owner,
    arn: Option<&str>,
) -> Result<Vec<Write>, ChangeError> {
    if let Some(arn) = arn {
        attachable(entries, arn)?;
    }
    edit(entries, owner, |policies| {
        if arn.is_none() && policies.boundary.is_none() {
            let (kind, name) = (kind(owner), name(owner));
            let text = format!("The {kind} {name} has no permissions boundary.");
            return Err(ChangeError::NoSuchEntity(text));
        }
        policies.boundary = arn.map(str::to_owned);
        Ok(())
    })
}

/// Whether there is a managed policy of this ARN.
pub(super) fn attachable(entries: &Entries, arn: &str) -> Result<(), ChangeError> {
    if arn.parse::<wigeon_core::arn::Arn>().is_err() {
        return Err(ChangeError::InvalidInput(format!("ARN {arn} is not valid.")));
    }
    let missing = || format!("Policy {arn} does not exist or is not attachable.");
    entries.policy(arn).map(|_| ()).ok_or_else(|| ChangeError::NoSuchEntity(missing()))
}

fn kind(owner: &Owner) -> &'static str {
    match owner {
        Owner::Role(_) => "role",
        Owner::User(_) => "user",
        Owner::Group(_) => "group",
    }
}

fn name(owner: &Owner) -> &str {
    match owner {
        Owner::Role(name) | Owner::User(name) | Owner::Group(name) => name,
    }
}

/// The owner with its policies changed; no row where nothing is different.
fn edit(
    entries: &Entries,
    owner: &Owner,
    change: impl FnOnce(&mut Attachments) -> Result<(), ChangeError>,
) -> Result<Vec<Write>, ChangeError> {
    macro_rules! edited {
        ($entry:expr, $variant:ident) => {{
            let mut entry = $entry;
            let before = entry.policies.clone();
            change(&mut entry.policies)?;
            let same = entry.policies == before;
            (Entry::$variant(Arc::new(entry)), same)
        }};
    }
    let (entry, same) = match owner {
        Owner::Role(name) => edited!(existing::role(entries, name)?, Role),
        Owner::User(name) => edited!(existing::user(entries, name)?, User),
        Owner::Group(name) => edited!(existing::group(entries, name)?, Group),
    };
    Ok(if same { Vec::new() } else { vec![Write::put(entry)] })
}
