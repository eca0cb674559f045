//! The tables of a directory file, as they stand in the TOML. What they mean, and what is refused beyond a wrong
//! shape, is for the reader above to say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::super::built_in::BuiltInSettings;
use super::super::entry::MinioEntry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    pub(super) account: String,
    /// Ceph RGW's ways: ARNs without an account, providers without client ids, several values per tag.
    #[serde(default)]
    pub(super) ceph: bool,
    #[serde(default)]
    pub(super) built_in: Vec<BuiltInSettings>,
    #[serde(default)]
    pub(super) provider: Vec<ProviderTable>,
    #[serde(default)]
    pub(super) policy: Vec<PolicyTable>,
    #[serde(default)]
    pub(super) role: Vec<RoleTable>,
    #[serde(default)]
    pub(super) group: Vec<GroupTable>,
    #[serde(default)]
    pub(super) user: Vec<UserTable>,
    /// Access key ids of sessions that are over.
    #[serde(default)]
    pub(super) revoked_sessions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderTable {
    pub(super) minio: Option<MinioEntry>,
    pub(super) url: String,
    pub(super) client_ids: Vec<String>,
    pub(super) jwks_url: Option<String>,
    pub(super) jwks_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) thumbprints: Vec<String>,
    pub(super) algorithms: Option<Vec<String>>,
    /// Plain `http` to another machine has to be asked for; to this machine it is fine.
    #[serde(default)]
    pub(super) allow_http: bool,
    #[serde(default)]
    pub(super) sessions_end_with_token: bool,
    pub(super) revoked_before: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyTable {
    pub(super) name: String,
    pub(super) document: Option<String>,
    pub(super) file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleTable {
    pub(super) name: String,
    #[serde(default = "root_path")]
    pub(super) path: String,
    pub(super) max_session_duration: Option<u32>,
    pub(super) trust: Option<String>,
    pub(super) trust_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) policy: Vec<PolicyTable>,
    /// Managed policies by name.
    #[serde(default)]
    pub(super) attached: Vec<String>,
    /// A managed policy by name.
    pub(super) boundary: Option<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    pub(super) revoked_before: Option<String>,
}

/// What users and groups share: policies of their own, and managed ones by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupTable {
    pub(super) name: String,
    #[serde(default = "root_path")]
    pub(super) path: String,
    #[serde(default)]
    pub(super) policy: Vec<PolicyTable>,
    #[serde(default)]
    pub(super) attached: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserTable {
    pub(super) name: String,
    #[serde(default = "root_path")]
    pub(super) path: String,
    /// Groups by name.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) policy: Vec<PolicyTable>,
    #[serde(default)]
    pub(super) attached: Vec<String>,
    pub(super) boundary: Option<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) access_key: Vec<AccessKeyTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessKeyTable {
    pub(super) id: String,
    pub(super) secret_key_file: PathBuf,
}

/// The path of what says none.
pub(super) fn root_path() -> String {
    "/".to_owned()
}
