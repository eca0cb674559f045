//! Tags: set, removed, and counted.

use super::super::change::{ChangeError, Tagged};
use super::super::entries::Entries;
use super::super::entry::{Entry, Tags, Write};
use super::super::rules::is_tag_char;
use super::existing;

/// The most tags of one entity.
const MOST_TAGS: usize = 50;

/// Checks tags by themselves: characters, lengths, keys that come twice.
pub(super) fn check(tags: &Tags) -> Result<(), ChangeError> {
    let invalid = |text: String| Err(ChangeError::InvalidInput(text));
    for (index, (key, value)) in tags.iter().enumerate() {
        if !(1..=128).contains(&key.chars().count()) || !key.chars().all(is_tag_char) {
            return invalid(format!("`{key}` cannot be the key of a tag."));
        }
        if value.chars().count() > 256 || !value.chars().all(is_tag_char) {
            return invalid(format!("`{value}` cannot be the value of a tag."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return invalid("aws: prefixed tag key names are not allowed for external use.".to_owned());
        }
        if tags.iter().take(index).any(|(other, _)| other.eq_ignore_ascii_case(key)) {
            let text = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return invalid(text.to_owned());
        }
    }
    Ok(())
}

/// Checks the tags of something new.
pub(super) fn checked(tags: &Tags, kind: &str) -> Result<Tags, ChangeError> {
    check(tags)?;
    counted(tags.clone(), kind)
}

fn counted(tags: Tags, kind: &str) -> Result<Tags, ChangeError> {
    match tags.len() <= MOST_TAGS {
        true => Ok(tags),
        false => {
            Err(ChangeError::LimitExceeded(format!("Cannot exceed quota for TagsPer{kind}: {MOST_TAGS}")))
        }
    }
}

pub(super) fn tag(entries: &Entries, what: &Tagged, tags: &Tags) -> Result<Vec<Write>, ChangeError> {
    check(tags)?;
    change(entries, what, |present| {
        for (key, value) in tags {
            match present.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
                Some(entry) => *entry = (key.clone(), value.clone()),
                None => present.push((key.clone(), value.clone())),
            }
        }
    })
}

pub(super) fn untag(entries: &Entries, what: &Tagged, keys: &[String]) -> Result<Vec<Write>, ChangeError> {
    change(entries, what, |present| {
        present.retain(|(name, _)| !keys.iter().any(|key| key.eq_ignore_ascii_case(name)));
    })
}

fn change(entries: &Entries, what: &Tagged, edit: impl FnOnce(&mut Tags)) -> Result<Vec<Write>, ChangeError> {
    macro_rules! edited {
        ($entry:expr, $variant:ident, $kind:literal) => {{
            let mut entry = $entry;
            edit(&mut entry.tags);
            entry.tags = counted(entry.tags, $kind)?;
            Entry::$variant(entry.into())
        }};
    }
    let entry = match what {
        Tagged::Role(name) => edited!(existing::role(entries, name)?, Role, "Role"),
        Tagged::User(name) => edited!(existing::user(entries, name)?, User, "User"),
        Tagged::Policy(arn) => edited!(existing::policy(entries, arn)?, Policy, "Policy"),
        Tagged::Provider(arn) => {
            edited!(existing::provider(entries, arn)?, Provider, "OpenIDConnectProvider")
        }
    };
    Ok(vec![Write::put(entry)])
}
