//! OpenID Connect providers.

use std::sync::Arc;

use wigeon_core::time::Timestamp;

use super::super::change::ChangeError;
use super::super::entries::Entries;
use super::super::entry::{Entry, EntryKind, ProviderEntry, Tags, Write};
use super::super::rules::{RESERVED, check_address, is_thumbprint};
use super::{existing, tags};

const MOST_CLIENT_IDS: usize = 100;
const MOST_THUMBPRINTS: usize = 5;

pub(super) fn create(
    entries: &Entries,
    url: &str,
    client_ids: &[String],
    thumbprints: &[String],
    tags: &Tags,
    at: Timestamp,
) -> Result<Vec<Write>, ChangeError> {
    let invalid =
        |reason: String| ChangeError::InvalidInput(format!("Invalid Open ID Connect Provider URL: {reason}"));
    check_address(url, entries.ceph).map_err(invalid)?;
    if url.contains('?') || url.chars().count() > 255 {
        return Err(invalid(format!("`{url}` has a query, or more than 255 characters")));
    }
    let mut provider = ProviderEntry::new(url.to_owned(), Vec::new(), at);
    if RESERVED.contains(&provider.key()) {
        return Err(invalid(format!("the condition keys of `{url}` would be those of a service")));
    }
    if entries.providers.contains_key(provider.key()) {
        return Err(ChangeError::EntityAlreadyExists(format!("Provider with url {url} already exists.")));
    }
    for client_id in client_ids {
        check_client_id(client_id)?;
        if !provider.client_ids.contains(client_id) {
            provider.client_ids.push(client_id.clone());
        }
    }
    provider.client_ids = counted(provider.client_ids)?;
    provider.thumbprints = checked_thumbprints(thumbprints)?;
    provider.tags = tags::checked(tags, "OpenIDConnectProvider")?;
    Ok(vec![put(entries, provider)])
}

pub(super) fn delete(entries: &Entries, arn: &str) -> Result<Vec<Write>, ChangeError> {
    // AWS answers to the deletion of what is not there with success; the ARN has to be one, though.
    match entries.provider(arn) {
        Some(provider) => Ok(vec![Write::delete(EntryKind::Provider, provider.key())]),
        None if arn.contains(":oidc-provider/") => Ok(Vec::new()),
        None => Err(ChangeError::InvalidInput(format!("Invalid ARN: {arn}"))),
    }
}

pub(super) fn set_thumbprints(
    entries: &Entries,
    arn: &str,
    thumbprints: &[String],
) -> Result<Vec<Write>, ChangeError> {
    let mut provider = existing::provider(entries, arn)?;
    provider.thumbprints = checked_thumbprints(thumbprints)?;
    Ok(vec![put(entries, provider)])
}

pub(super) fn add_client_id(
    entries: &Entries,
    arn: &str,
    client_id: &str,
) -> Result<Vec<Write>, ChangeError> {
    let mut provider = existing::provider(entries, arn)?;
    check_client_id(client_id)?;
    if provider.client_ids.iter().any(|present| present == client_id) {
        return Ok(Vec::new());
    }
    provider.client_ids.push(client_id.to_owned());
    provider.client_ids = counted(provider.client_ids)?;
    Ok(vec![put(entries, provider)])
}

pub(super) fn remove_client_id(
    entries: &Entries,
    arn: &str,
    client_id: &str,
) -> Result<Vec<Write>, ChangeError> {
    let mut provider = existing::provider(entries, arn)?;
    provider.client_ids.retain(|present| present != client_id);
    Ok(vec![put(entries, provider)])
}

fn check_client_id(client_id: &str) -> Result<(), ChangeError> {
    match (1..=255).contains(&client_id.chars().count()) {
        true => Ok(()),
        false => Err(ChangeError::InvalidInput("A client id has 1 to 255 characters.".to_owned())),
    }
}

fn counted(client_ids: Vec<String>) -> Result<Vec<String>, ChangeError> {
    let text = || format!("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENT_IDS}");
    match client_ids.len() <= MOST_CLIENT_IDS {
        true => Ok(client_ids),
        false => Err(ChangeError::LimitExceeded(text())),
    }
}

fn checked_thumbprints(thumbprints: &[String]) -> Result<Vec<String>, ChangeError> {
    if thumbprints.len() > MOST_THUMBPRINTS {
        let text = format!("Thumbprint list must contain fewer than {MOST_THUMBPRINTS} entries.");
        return Err(ChangeError::InvalidInput(text));
    }
    match thumbprints.iter().find(|text| !is_thumbprint(text)) {
        Some(odd) => Err(ChangeError::InvalidInput(format!("Invalid thumbprint {odd}."))),
        None => Ok(thumbprints.to_vec()),
    }
}

/// With Ceph's ways a provider without client ids leaves it to the trust policies which audience is meant.
fn put(entries: &Entries, mut provider: ProviderEntry) -> Write {
    provider.any_audience = entries.ceph && provider.client_ids.is_empty();
    Write::put(Entry::Provider(Arc::new(provider)))
}
