//! What a directory's homes keep: one entry per provider, role, policy, user, group, access key and revoked
//! session, as plain data.
//!
//! Entries are what administrators wrote: names, texts, tags. What requests are decided with is compiled from
//! them ([`Snapshot`](super::model::Snapshot)). In a database an entry is one row: its kind, its key, and the
//! entry as JSON. Unknown fields are refused, so an older server never drops what a newer one wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wigeon_core::arn::Arn;
use wigeon_core::secret::Secret;
use wigeon_core::time::Timestamp;

/// Keys and values, in the order in which they were set. Keys differ without regard to case.
pub type Tags = Vec<(String, String)>;

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderEntry {
    /// The issuer, with its scheme.
    pub url: String,
    /// The audiences.
    pub client_ids: Vec<String>,
    /// SHA-1, 40 hexadecimal digits each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thumbprints: Vec<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where its keys are, in place of what its discovery document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// Its keys themselves, as a JWKS document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// Certificate authorities in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// The accepted algorithms, where they are not AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<String>>,
    /// Whether a session ends no later than its token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sessions_end_with_token: bool,
    /// Sessions that were issued before this time are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_before: Option<Timestamp>,
    /// Whether it is one that policies know by a name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub built_in: bool,
    /// Where a built-in service of opaque tokens is asked, in place of its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_information: Option<String>,
    /// What such a service is asked as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_token: Option<Secret>,
    /// Whether every audience is accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_audience: bool,
    /// MinIO's ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minio: Option<MinioEntry>,
}

/// What those who come from MinIO are used to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinioEntry {
    /// The name of the role of a token that asks for none.
    pub default_role: Option<String>,
    /// The claim that names managed policies.
    pub policy_claim: Option<String>,
}

/// The policies of a role, user or group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachments {
    /// Inline policies: name and text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inline: BTreeMap<String, String>,
    /// The ARNs of managed policies, in the order of attachment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<String>,
    /// The ARN of the permissions boundary; groups have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleEntry {
    /// Unique without regard to case.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `AROA…`.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// In seconds.
    pub max_session_duration: u32,
    /// The trust policy's text.
    pub trust: String,
    /// Its policies.
    pub policies: Attachments,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Tags,
    /// Sessions that were issued before this time are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_before: Option<Timestamp>,
}

/// A version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyVersion {
    /// `v1` is 1.
    pub number: u32,
    /// The text.
    pub document: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyEntry {
    /// Unique without regard to case.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `ANPA…`.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a version was made or became the default.
    pub updated_at: Timestamp,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// By number, at least one.
    pub versions: Vec<PolicyVersion>,
    /// The number of the version that counts.
    pub default_version: u32,
    /// The number of the next version: a deleted number does not come again.
    pub next_version: u32,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Tags,
    /// One of the policies that every account has, under `arn:aws:iam::aws:policy/`.
    #[serde(skip)]
    pub built_in: bool,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserEntry {
    /// Unique without regard to case.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `AIDA…`.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its own policies.
    pub policies: Attachments,
    /// The keys of its groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Tags,
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// Unique without regard to case.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `AGPA…`.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it gives its members.
    pub policies: Attachments,
}

/// A user's long-lived key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKeyEntry {
    /// `AKIA…`.
    pub id: String,
    /// The key of its user.
    pub user: String,
    /// The secret key, encrypted under the key ring; empty where a file has it.
    pub sealed_secret: String,
    /// The secret key, where a file has it. No database does.
    #[serde(skip)]
    pub plain_secret: Option<Secret>,
    /// Whether it may be used.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A session that was ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedSession {
    /// The session's access key id.
    pub access_key_id: String,
    /// When the session would have ended anyway: then this entry may go.
    pub until: Timestamp,
}

/// What kind an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// [`ProviderEntry`]
    Provider,
    /// [`PolicyEntry`]
    Policy,
    /// [`RoleEntry`]
    Role,
    /// [`GroupEntry`]
    Group,
    /// [`UserEntry`]
    User,
    /// [`AccessKeyEntry`]
    AccessKey,
    /// [`RevokedSession`]
    Session,
}

/// An entry of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the entry of its name")]
pub enum Entry {
    Provider(Arc<ProviderEntry>),
    Policy(Arc<PolicyEntry>),
    Role(Arc<RoleEntry>),
    Group(Arc<GroupEntry>),
    User(Arc<UserEntry>),
    AccessKey(Arc<AccessKeyEntry>),
    Session(Arc<RevokedSession>),
}

/// One row to be written: an entry in place of the one before it, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Of which kind.
    pub kind: EntryKind,
    /// Its key among its kind.
    pub key: String,
    /// `None` deletes.
    pub entry: Option<Entry>,
}

/// The key of a named thing: names differ without regard to case.
#[must_use]
pub fn key_of(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl Write {
    /// Puts an entry in place.
    #[must_use]
    pub fn put(entry: Entry) -> Self {
        Self { kind: entry.kind(), key: entry.key(), entry: Some(entry) }
    }

    /// Takes an entry away.
    #[must_use]
    pub fn delete(kind: EntryKind, key: impl Into<String>) -> Self {
        Self { kind, key: key.into(), entry: None }
    }
}

impl EntryKind {
    /// All kinds, each after those that it refers to.
    pub const ALL: [Self; 7] =
        [Self::Provider, Self::Policy, Self::Role, Self::Group, Self::User, Self::AccessKey, Self::Session];

    /// The name in a database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Policy => "policy",
            Self::Role => "role",
            Self::Group => "group",
            Self::User => "user",
            Self::AccessKey => "access-key",
            Self::Session => "revoked-session",
        }
    }

    /// Of its name in a database.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Entry {
    /// Which kind.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Provider(_) => EntryKind::Provider,
            Self::Policy(_) => EntryKind::Policy,
            Self::Role(_) => EntryKind::Role,
            Self::Group(_) => EntryKind::Group,
            Self::User(_) => EntryKind::User,
            Self::AccessKey(_) => EntryKind::AccessKey,
            Self::Session(_) => EntryKind::Session,
        }
    }

    /// Unique among its kind.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Provider(provider) => provider.key().to_owned(),
            Self::Policy(policy) => key_of(&policy.name),
            Self::Role(role) => key_of(&role.name),
            Self::Group(group) => key_of(&group.name),
            Self::User(user) => key_of(&user.name),
            Self::AccessKey(key) => key.id.clone(),
            Self::Session(session) => session.access_key_id.clone(),
        }
    }

    /// As it stands in a database.
    ///
    /// # Errors
    /// None in practice: an entry is text, numbers and lists.
    pub fn to_json(&self) -> serde_json::Result<String> {
        match self {
            Self::Provider(entry) => serde_json::to_string(&**entry),
            Self::Policy(entry) => serde_json::to_string(&**entry),
            Self::Role(entry) => serde_json::to_string(&**entry),
            Self::Group(entry) => serde_json::to_string(&**entry),
            Self::User(entry) => serde_json::to_string(&**entry),
            Self::AccessKey(entry) => serde_json::to_string(&**entry),
            Self::Session(entry) => serde_json::to_string(&**entry),
        }
    }

    /// From a database.
    ///
    /// # Errors
    /// Where the text is not an entry of the kind, or one of a newer server.
    pub fn from_json(kind: EntryKind, text: &str) -> serde_json::Result<Self> {
        Ok(match kind {
            EntryKind::Provider => Self::Provider(serde_json::from_str(text).map(Arc::new)?),
            EntryKind::Policy => Self::Policy(serde_json::from_str(text).map(Arc::new)?),
            EntryKind::Role => Self::Role(serde_json::from_str(text).map(Arc::new)?),
            EntryKind::Group => Self::Group(serde_json::from_str(text).map(Arc::new)?),
            EntryKind::User => Self::User(serde_json::from_str(text).map(Arc::new)?),
            EntryKind::AccessKey => Self::AccessKey(serde_json::from_str(text).map(Arc::new)?),
            EntryKind::Session => Self::Session(serde_json::from_str(text).map(Arc::new)?),
        })
    }
}

impl ProviderEntry {
    /// A provider with the defaults.
    #[must_use]
    pub fn new(url: String, client_ids: Vec<String>, created_at: Timestamp) -> Self {
        Self {
            url,
            client_ids,
            thumbprints: Vec::new(),
            tags: Tags::new(),
            created_at,
            jwks_url: None,
            jwks: None,
            ca_pem: None,
            algorithms: None,
            sessions_end_with_token: false,
            revoked_before: None,
            built_in: false,
            token_information: None,
            app_token: None,
            any_audience: false,
            minio: None,
        }
    }

    /// The issuer without its scheme: what its ARN ends with, and what two providers may not share.
    #[must_use]
    pub fn key(&self) -> &str {
        wigeon_core::arn::without_scheme(&self.url)
    }

    /// `arn:aws:iam::ACCOUNT:oidc-provider/…`.
    #[must_use]
    pub fn arn(&self, account: &str) -> Arn {
        Arn::oidc_provider(account, &self.url)
    }
}

/// `arn:aws:iam::ACCOUNT:KIND/PATH/NAME`.
fn named_arn(account: &str, kind: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:{kind}{path}{name}")
}

impl RoleEntry {
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
    #[must_use]
    pub fn arn(&self, account: &str) -> String {
        named_arn(account, "role", &self.path, &self.name)
    }
}

impl UserEntry {
    /// `arn:aws:iam::ACCOUNT:user/PATH/NAME`.
    #[must_use]
    pub fn arn(&self, account: &str) -> String {
        named_arn(account, "user", &self.path, &self.name)
    }
}

impl GroupEntry {
    /// `arn:aws:iam::ACCOUNT:group/PATH/NAME`.
    #[must_use]
    pub fn arn(&self, account: &str) -> String {
        named_arn(account, "group", &self.path, &self.name)
    }
}

impl PolicyEntry {
    /// `arn:aws:iam::ACCOUNT:policy/PATH/NAME`; the account of a built-in one is `aws`.
    #[must_use]
    pub fn arn(&self, account: &str) -> String {
        named_arn(if self.built_in { "aws" } else { account }, "policy", &self.path, &self.name)
    }

    /// A version by its id, `v3`.
    #[must_use]
    pub fn version(&self, id: &str) -> Option<&PolicyVersion> {
        self.versions.iter().find(|version| version.id() == id)
    }

    /// The text that counts.
    #[must_use]
    pub fn document(&self) -> &str {
        let default = self.versions.iter().find(|version| version.number == self.default_version);
        default.map(|version| version.document.as_str()).unwrap_or_default()
    }
}

impl PolicyVersion {
    /// `v1`, `v2`, …
    #[must_use]
    pub fn id(&self) -> String {
        format!("v{}", self.number)
    }
}
