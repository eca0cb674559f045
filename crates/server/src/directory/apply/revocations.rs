//! Sessions that end before their time.
//!
//! A session is ended by its access key id until it would have ended anyway, so the list stays short; a role's
//! or a provider's sessions by the time before which they were issued, which never goes back.

use std::sync::Arc;

use wigeon_core::time::Timestamp;

use super::super::change::ChangeError;
use super::super::entries::Entries;
use super::super::entry::{Entry, EntryKind, RevokedSession, Write};
use super::existing;

pub(super) fn session(entries: &Entries, access_key_id: &str, until: Timestamp, at: Timestamp) -> Vec<Write> {
    let over = entries.revoked.values().filter(|revoked| revoked.until < at);
    let mut writes: Vec<Write> =
        over.map(|revoked| Write::delete(EntryKind::Session, revoked.access_key_id.as_str())).collect();
    let earlier = entries.revoked.get(access_key_id).map_or(until, |revoked| revoked.until.max(until));
    let revoked = RevokedSession { access_key_id: access_key_id.to_owned(), until: earlier };
    writes.retain(|write| write.key != access_key_id);
    writes.push(Write::put(Entry::Session(Arc::new(revoked))));
    writes
}

pub(super) fn role(entries: &Entries, name: &str, before: Timestamp) -> Result<Vec<Write>, ChangeError> {
    let mut role = existing::role(entries, name)?;
    role.revoked_before = role.revoked_before.max(Some(before));
    Ok(vec![Write::put(Entry::Role(Arc::new(role)))])
}

pub(super) fn provider(entries: &Entries, arn: &str, before: Timestamp) -> Result<Vec<Write>, ChangeError> {
    let mut provider = existing::provider(entries, arn)?;
    provider.revoked_before = provider.revoked_before.max(Some(before));
    Ok(vec![Write::put(Entry::Provider(Arc::new(provider)))])
}
