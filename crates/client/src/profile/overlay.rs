//! The values of the provider that was chosen among several, under the names that they have elsewhere.

use plist::Value;

use super::document;
use super::keys::{self, PROFILE, SHORT_NAMES};
use super::toml_form::PROVIDER;

/// What a provider may have of its own: how to sign in there, and what to exchange for. Nothing that would run a program
/// or read a file of this machine.
const OWN: [&str; 20] = [
    "title",
    "issuer",
    "oauth_authorization_url",
    "oauth_token_url",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_redirect_url",
    "oauth_pkce",
    "scopes",
    "audience",
    "prompt",
    "resource",
    "exchange",
    "provider_id",
    "sts_endpoint",
    "role_arn",
    "role_chain",
    "role_session_name",
    "duration_seconds",
    "oauth.username.claims",
];

/// The chosen provider's values under their own names, to lie over the profile's.
pub(super) fn overlay(answers: &[(String, Value)], properties: &[(String, Value)]) -> Vec<(String, Value)> {
    let chosen = answers.iter().chain(properties).find(|(name, _)| name == keys::PROVIDER_CHOICE);
    let Some(chosen) = chosen.and_then(|(_, value)| document::text(Some(value))) else { return Vec::new() };
    properties
        .iter()
        .filter_map(|(name, value)| part(name, value))
        .filter(|(id, ..)| *id == chosen)
        .map(|(_, key, value)| (key, value.clone()))
        .collect()
}

/// `wigeon.provider.NAME.KEY`: the name, and the key under the name that it has elsewhere.
pub(super) fn part<'a>(name: &'a str, value: &'a Value) -> Option<(&'a str, String, &'a Value)> {
    let (id, key) = name.strip_prefix(PROVIDER)?.split_once('.')?;
    if !OWN.contains(&key) {
        return None;
    }
    let own = PROFILE.iter().find(|known| known.toml == key).map(|known| known.plist);
    let short = SHORT_NAMES.iter().find(|(short, _)| *short == key).map(|(_, property)| *property);
    Some((id, own.or(short).unwrap_or(key).to_owned(), value))
}

/// The property that says this of that provider.
pub(super) fn property_name(id: &str, key: &str) -> String {
    format!("{PROVIDER}{id}.{key}")
}
