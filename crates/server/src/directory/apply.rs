//! From a change to the rows that it writes: the rules of the directory.
//!
//! Enters: the entries as they are, a [`Change`], the time. Leaves: rows, to be written in one transaction.
//! Refused: whatever [`ChangeError`] names. Nothing here writes. Source of limits and refusals: AWS IAM API
//! Reference and "IAM and STS quotas".

mod documents;

mod existing;

mod tags;

mod attachments;

mod providers;

mod roles;

mod policies;

mod users;

mod groups;

mod revocations;

use wigeon_core::time::Timestamp;

use super::change::{Change, ChangeError};
use super::entries::Entries;
use super::entry::Write;

/// The rows that a change writes; none where things are already as they should be.
pub(super) fn apply(entries: &Entries, change: &Change, at: Timestamp) -> Result<Vec<Write>, ChangeError> {
    // Times are kept in whole seconds, as AWS keeps them.
    let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    match change {
        Change::CreateProvider { url, client_ids, thumbprints, tags } => {
            providers::create(entries, url, client_ids, thumbprints, tags, at)
        }
        Change::DeleteProvider { arn } => providers::delete(entries, arn),
        Change::SetThumbprints { arn, thumbprints } => providers::set_thumbprints(entries, arn, thumbprints),
        Change::AddClientId { arn, client_id } => providers::add_client_id(entries, arn, client_id),
        Change::RemoveClientId { arn, client_id } => providers::remove_client_id(entries, arn, client_id),

        Change::CreateRole { name, path, trust, description, max_session_duration, boundary, tags } => {
            let plan = roles::NewRole {
                name,
                path,
                trust,
                description: description.as_deref(),
                max_session_duration: *max_session_duration,
                boundary: boundary.as_deref(),
                tags,
            };
            roles::create(entries, &plan, at)
        }
        Change::UpdateRole { name, description, max_session_duration } => {
            roles::update(entries, name, description.as_deref(), *max_session_duration)
        }
        Change::UpdateTrust { name, document } => roles::update_trust(entries, name, document),
        Change::DeleteRole { name } => roles::delete(entries, name),

        Change::CreatePolicy { name, path, document, description, tags } => {
            policies::create(entries, name, path, document, description.as_deref(), tags, at)
        }
        Change::DeletePolicy { arn } => policies::delete(entries, arn),
        Change::CreatePolicyVersion { arn, document, set_as_default } => {
            policies::create_version(entries, arn, document, *set_as_default, at)
        }
        Change::DeletePolicyVersion { arn, version } => policies::delete_version(entries, arn, version),
        Change::SetDefaultPolicyVersion { arn, version } => policies::set_default(entries, arn, version, at),

        Change::CreateUser { name, path, boundary, tags } => {
            users::create(entries, name, path, boundary.as_deref(), tags, at)
        }
        Change::UpdateUser { name, new_name, new_path } => {
            users::update(entries, name, new_name.as_deref(), new_path.as_deref())
        }
        Change::DeleteUser { name } => users::delete(entries, name),
        Change::CreateAccessKey { user, id, sealed_secret } => {
            users::create_access_key(entries, user, id, sealed_secret, at)
        }
        Change::UpdateAccessKey { user, id, active } => users::update_access_key(entries, user, id, *active),
        Change::DeleteAccessKey { user, id } => users::delete_access_key(entries, user, id),
        Change::ResealAccessKeys { sealed } => Ok(users::reseal(entries, sealed)),

        Change::CreateGroup { name, path } => groups::create(entries, name, path, at),
        Change::UpdateGroup { name, new_name, new_path } => {
            groups::update(entries, name, new_name.as_deref(), new_path.as_deref())
        }
        Change::DeleteGroup { name } => groups::delete(entries, name),
        Change::AddToGroup { group, user } => groups::add(entries, group, user),
        Change::RemoveFromGroup { group, user } => groups::remove(entries, group, user),

        Change::PutPolicy { owner, name, document } => attachments::put(entries, owner, name, document),
        Change::RemovePolicy { owner, name } => attachments::remove(entries, owner, name),
        Change::Attach { owner, arn } => attachments::attach(entries, owner, arn),
        Change::Detach { owner, arn } => attachments::detach(entries, owner, arn),
        Change::SetBoundary { owner, arn } => attachments::set_boundary(entries, owner, arn.as_deref()),
        Change::Tag { what, tags } => tags::tag(entries, what, tags),
        Change::Untag { what, keys } => tags::untag(entries, what, keys),

        Change::RevokeSession { access_key_id, until } => {
            Ok(revocations::session(entries, access_key_id, *until, at))
        }
        Change::RevokeRole { name, before } => revocations::role(entries, name, *before),
        Change::RevokeProvider { arn, before } => revocations::provider(entries, arn, *before),
    }
}
