//! The write model: everything that can be done to a directory, and every way in which it can be refused.

use super::entry::Tags;
use wigeon_core::time::Timestamp;

/// What has policies of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A role, by name.
    Role(String),
    /// A user, by name.
    User(String),
    /// A group, by name.
    Group(String),
}

/// What has tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tagged {
    /// A role, by name.
    Role(String),
    /// A user, by name.
    User(String),
    /// A managed policy, by ARN.
    Policy(String),
    /// A provider, by ARN.
    Provider(String),
}

/// One change. Each is applied whole or not at all.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are those of the parameters of the IAM API")]
pub enum Change {
    /// Makes a provider.
    CreateProvider { url: String, client_ids: Vec<String>, thumbprints: Vec<String>, tags: Tags },
    /// Removes a provider; its sessions are over.
    DeleteProvider { arn: String },
    /// Replaces a provider's thumbprints.
    SetThumbprints { arn: String, thumbprints: Vec<String> },
    /// Adds an audience; one that is there already stays.
    AddClientId { arn: String, client_id: String },
    /// Removes an audience; one that is not there is no error.
    RemoveClientId { arn: String, client_id: String },

    /// Makes a role.
    CreateRole {
        name: String,
        path: String,
        trust: String,
        description: Option<String>,
        max_session_duration: u32,
        boundary: Option<String>,
        tags: Tags,
    },
    /// Changes what is given.
    UpdateRole { name: String, description: Option<String>, max_session_duration: Option<u32> },
    /// Replaces a trust policy.
    UpdateTrust { name: String, document: String },
    /// Removes a role without policies; its sessions are over.
    DeleteRole { name: String },

    /// Makes a managed policy with its version 1.
    CreatePolicy { name: String, path: String, document: String, description: Option<String>, tags: Tags },
    /// Removes a managed policy that has one version and is attached to nothing.
    DeletePolicy { arn: String },
    /// Adds a version.
    CreatePolicyVersion { arn: String, document: String, set_as_default: bool },
    /// Removes a version that is not the default.
    DeletePolicyVersion { arn: String, version: String },
    /// Makes a version the one that counts.
    SetDefaultPolicyVersion { arn: String, version: String },

    /// Makes a user.
    CreateUser { name: String, path: String, boundary: Option<String>, tags: Tags },
    /// Changes name or path.
    UpdateUser { name: String, new_name: Option<String>, new_path: Option<String> },
    /// Removes a user without policies, keys and groups.
    DeleteUser { name: String },
    /// Makes a group.
    CreateGroup { name: String, path: String },
    /// Changes name or path.
    UpdateGroup { name: String, new_name: Option<String>, new_path: Option<String> },
    /// Removes a group without policies and members.
    DeleteGroup { name: String },
    /// Makes a user a member; one that is already stays one.
    AddToGroup { group: String, user: String },
    /// Ends a membership.
    RemoveFromGroup { group: String, user: String },
    /// Adds a key, whose secret was encrypted by the caller.
    CreateAccessKey { user: String, id: String, sealed_secret: String },
    /// Switches a key on or off.
    UpdateAccessKey { user: String, id: String, active: bool },
    /// Removes a key.
    DeleteAccessKey { user: String, id: String },
    /// Replaces encrypted secrets, by key id: after a rotation of the key ring.
    ResealAccessKeys { sealed: Vec<(String, String)> },

    /// Sets an inline policy.
    PutPolicy { owner: Owner, name: String, document: String },
    /// Removes an inline policy.
    RemovePolicy { owner: Owner, name: String },
    /// Attaches a managed policy; one that is attached already stays.
    Attach { owner: Owner, arn: String },
    /// Detaches a managed policy.
    Detach { owner: Owner, arn: String },
    /// Sets or removes a permissions boundary.
    SetBoundary { owner: Owner, arn: Option<String> },
    /// Sets tags, replacing those of the same keys.
    Tag { what: Tagged, tags: Tags },
    /// Removes tags; keys that are not there are no error.
    Untag { what: Tagged, keys: Vec<String> },

    /// Ends one session. `until` is when it would have ended anyway.
    RevokeSession { access_key_id: String, until: Timestamp },
    /// Ends a role's sessions that were issued before a time.
    RevokeRole { name: String, before: Timestamp },
    /// Ends a provider's sessions that were issued before a time.
    RevokeProvider { arn: String, before: Timestamp },
}

/// Why a change was not made. The texts are for the wire.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// What it is about is not there.
    #[error("{0}")]
    NoSuchEntity(String),
    /// It is there already.
    #[error("{0}")]
    EntityAlreadyExists(String),
    /// Something else depends on it.
    #[error("{0}")]
    DeleteConflict(String),
    /// There would be too much of it.
    #[error("{0}")]
    LimitExceeded(String),
    /// A value cannot be.
    #[error("{0}")]
    InvalidInput(String),
    /// A policy document does not parse.
    #[error("{0}")]
    MalformedPolicyDocument(String),
    /// Attached was something that is not a managed policy.
    #[error("{0}")]
    PolicyNotAttachable(String),
    /// It belongs to the service.
    #[error("{0}")]
    Unmodifiable(String),
    /// The directory is a file, and files are changed by people.
    #[error("the directory is kept in a file and is read-only here; change the file")]
    ReadOnly,
    /// The home of the directory cannot be written to now; nothing was changed, as far as is known.
    #[error("the directory cannot be changed now; try again")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
