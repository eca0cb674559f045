//! What decisions rest on: the directory, providers' keys, session keys, certificates.

use std::path::Path;

use wigeon_core::time::Timestamp;

use super::page::Page;
use crate::directory::Directory;
use crate::issue::Sealer;
use crate::verify::Verifier;

/// Adds the directory.
pub(super) fn add_directory(page: &mut Page, directory: &Directory) {
    let standing = directory.standing();
    let mut loads = page
        .counter("wigeon_directory_loads_total", "Looks at the directory that found a change, or failed.");
    loads.value(&[("outcome", "changed")], standing.changes);
    loads.value(&[("outcome", "failed")], standing.failures);
    page.gauge(
        "wigeon_directory_current",
        "1 while the directory can be read; 0 while its last state is used.",
    )
    .value(&[], u8::from(standing.current));
    let snapshot = directory.snapshot();
    page.gauge("wigeon_directory_revision", "The number of the last change, where the home is a database.")
        .value(&[], snapshot.revision());
    let entries = snapshot.entries();
    let mut counts = page.gauge("wigeon_directory_entries", "Entries of the directory.");
    for (kind, count) in [
        ("provider", entries.providers.len()),
        ("role", entries.roles.len()),
        ("policy", entries.policies.len()),
        ("user", entries.users.len()),
        ("group", entries.groups.len()),
        ("access_key", entries.access_keys.len()),
        ("revoked_session", entries.revoked.len()),
    ] {
        counts.value(&[("kind", kind)], count);
    }
}

/// Adds the keys of providers.
pub(super) fn add_providers(page: &mut Page, verifier: &Verifier, now: Timestamp) {
    let providers = verifier.standing();
    let mut fetches = page.counter("wigeon_provider_key_fetches_total", "Fetches of a provider's keys.");
    for of in &providers {
        fetches.value(&[("issuer", &of.issuer), ("outcome", "ok")], of.fetched);
        fetches.value(&[("issuer", &of.issuer), ("outcome", "failed")], of.failed);
    }
    let mut ages =
        page.gauge("wigeon_provider_keys_age_seconds", "How long ago a provider's keys were fetched.");
    for of in &providers {
        if let Some(at) = of.fetched_at {
            ages.value(&[("issuer", &of.issuer)], now.duration_since(at).as_secs().max(0));
        }
    }
}

/// Adds the keys that seal sessions.
pub(super) fn add_keys(page: &mut Page, sealer: &Sealer, now: Timestamp) {
    let (count, since) = sealer.standing();
    page.gauge("wigeon_session_keys", "Keys whose sessions are taken.").value(&[], count);
    if let Some(since) = since {
        page.gauge("wigeon_session_key_age_seconds", "How long the key that issues has been doing so.")
            .value(&[], now.duration_since(since).as_secs().max(0));
    }
}

/// Adds the certificates of listeners.
pub(super) fn add_certificates<'c>(
    page: &mut Page,
    certificates: impl Iterator<Item = (&'c Path, Option<Timestamp>)>,
) {
    let mut ends =
        page.gauge("wigeon_certificate_expires_seconds", "When a certificate ends, in seconds since 1970.");
    for (file, expires_at) in certificates {
        if let Some(at) = expires_at {
            ends.value(&[("file", &file.display().to_string())], at.as_second());
        }
    }
}
