//! The sign-in as AWS's own tools keep it: `~/.aws/sso/cache/SHA1.json`, where the hash is of the session's name, or of
//! the start URL. Read and written only where the profile says so: the file is not encrypted.

use std::path::PathBuf;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::{Deserialize, Serialize};
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::hex;
use wigeon_core::time::{iso8601, parse_iso8601};

use super::error::CenterError;
use super::token::{SsoClient, SsoSession};
use crate::durable;
use crate::profile::IdentityCenter;
use crate::surroundings::Surroundings;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    start_url: String,
    region: String,
    access_token: Secret,
    expires_at: String,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    registration_expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Secret>,
}

/// What AWS's tools have kept; `None` where there is nothing that can be used.
pub(super) fn load(place: &IdentityCenter, around: &Surroundings) -> Option<SsoSession> {
    let text = Secret::new(std::fs::read_to_string(path(place, around)?).ok()?);
    let kept: Kept = serde_json::from_str(text.expose()).ok()?;
    Some(SsoSession {
        access_token: kept.access_token,
        expires_at: parse_iso8601(&kept.expires_at)?,
        refresh_token: kept.refresh_token,
        client: SsoClient {
            id: kept.client_id.unwrap_or_default(),
            secret: kept.client_secret.unwrap_or_else(|| Secret::new("")),
            expires_at: kept
                .registration_expires_at
                .and_then(|at| parse_iso8601(&at))
                .unwrap_or(wigeon_core::time::Timestamp::UNIX_EPOCH),
        },
    })
}

/// Keeps it for them, whole or not at all.
pub(super) fn save(
    place: &IdentityCenter,
    around: &Surroundings,
    session: &SsoSession,
) -> Result<(), CenterError> {
    let Some(path) = path(place, around) else { return Ok(()) };
    let kept = Kept {
        start_url: place.start_url.clone(),
        region: place.region.clone(),
        access_token: session.access_token.clone(),
        expires_at: iso8601(session.expires_at),
        client_id: Some(session.client.id.clone()),
        client_secret: Some(session.client.secret.clone()),
        registration_expires_at: Some(iso8601(session.client.expires_at)),
        refresh_token: session.refresh_token.clone(),
    };
    let text = Secret::new(serde_json::to_string(&kept).unwrap_or_default());
    durable::replace(&path, text.expose().as_bytes()).map_err(|source| CenterError::Cache { path, source })
}

fn path(place: &IdentityCenter, around: &Surroundings) -> Option<PathBuf> {
    let named = place.session.as_deref().unwrap_or(&place.start_url);
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, named.as_bytes());
    let name = hex(hash.as_ref());
    Some(PathBuf::from(around.variable("HOME")?).join(".aws/sso/cache").join(format!("{name}.json")))
}
