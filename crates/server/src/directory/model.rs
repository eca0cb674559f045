//! What a directory holds, with its policies compiled, and how it is looked up: what requests are decided with.

use std::collections::HashMap;
use std::sync::Arc;

use url::Url;
use wigeon_core::arn::Arn;
use wigeon_core::jwt::{AllowedAlgorithms, KeySet};
use wigeon_core::policy::Policy;
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::sha256_hex;
use wigeon_core::time::Timestamp;

use super::built_in::BuiltIn;
use super::configured::Connected;
use super::entries::Entries;
use super::entry::{AccessKeyEntry, Tags, key_of};
use super::identifier::role_id;

/// Where a provider's keys come from.
#[derive(Debug, Clone)]
pub enum Keys {
    /// From the address in its discovery document.
    Discovery,
    /// From this address.
    Url(String),
    /// Given once and for all.
    Fixed(Arc<KeySet>),
    /// There are none: tokens are opaque, and this address says what one stands for.
    Opaque {
        /// The address.
        address: Url,
        /// What to ask as, where it is not the token itself.
        app_token: Option<Secret>,
    },
}

/// What a provider's tokens are taken for by those who come from MinIO.
#[derive(Debug, Clone)]
pub struct Minio {
    /// The role of a token that asks for none.
    pub default_role: Option<Arn>,
    /// The claim that names managed policies, which the session has beside its role's.
    pub policy_claim: Option<String>,
}

/// An OpenID Connect provider whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The issuer, character by character as it stands in `iss`.
    pub url: String,
    /// `arn:aws:iam::ACCOUNT:oidc-provider/…`.
    pub arn: Arn,
    /// The audiences that are accepted; an empty list accepts none.
    pub client_ids: Vec<String>,
    /// Where its keys come from.
    pub keys: Keys,
    /// Certificate authorities (PEM) in place of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// SHA-1 thumbprints of certificate authorities: trusted where the system's authorities know no better.
    pub thumbprints: Vec<String>,
    /// The signature algorithms that are accepted.
    pub algorithms: AllowedAlgorithms,
    /// Whether a session ends no later than the token it was made from. AWS's sessions may outlive it.
    pub sessions_end_with_token: bool,
    /// Sessions that were issued before this time are over.
    pub revoked_before: Option<Timestamp>,
    /// `Some` for a provider that is known by a name instead of an ARN.
    pub built_in: Option<BuiltIn>,
    /// Whether every audience is accepted, and the trust policies alone decide.
    pub any_audience: bool,
    /// MinIO's ways, where they are wanted.
    pub minio: Option<Minio>,
}

impl Provider {
    /// A built-in provider. Its audiences are the trust policies' business, as at AWS.
    #[must_use]
    pub fn built_in(account: &str, built_in: BuiltIn, client_ids: Vec<String>) -> Self {
        let any_audience = client_ids.is_empty();
        let mut provider = Self::new(account, built_in.issuer(), client_ids);
        if let Some(address) = built_in.token_information().and_then(|address| address.parse().ok()) {
            provider.keys = Keys::Opaque { address, app_token: None };
        }
        Self { built_in: Some(built_in), any_audience, ..provider }
    }

    /// A provider with the defaults: discovery, AWS's algorithms, the system's certificate authorities.
    #[must_use]
    pub fn new(account: &str, url: impl Into<String>, client_ids: Vec<String>) -> Self {
        let url = url.into();
        Self {
            arn: Arn::oidc_provider(account, &url),
            url,
            client_ids,
            keys: Keys::Discovery,
            ca_pem: None,
            thumbprints: Vec::new(),
            algorithms: AllowedAlgorithms::aws(),
            sessions_end_with_token: false,
            revoked_before: None,
            built_in: None,
            any_audience: false,
            minio: None,
        }
    }

    /// Whether `ISSUER:aud`, `:sub` and `:amr` are condition keys of its sessions. Not those of the services whose
    /// access tokens are opaque.
    #[must_use]
    pub fn has_standard_keys(&self) -> bool {
        self.built_in.is_none_or(|service| service.token_information().is_none())
    }

    /// How policies name the provider.
    #[must_use]
    pub fn principal(&self) -> &str {
        match self.built_in {
            Some(built_in) => built_in.name(),
            None => self.arn.as_str(),
        }
    }
}

/// A role that can be assumed.
#[derive(Debug, Clone)]
pub struct Role {
    /// Unique in the account, whatever the path.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
    pub arn: Arn,
    /// `AROA…`: stable for the same account, path and name.
    pub id: String,
    /// In seconds, 3600–43200.
    pub max_session_duration: u32,
    /// Who may assume it.
    pub trust: Arc<Policy>,
    /// What it may do: inline and attached policies.
    pub policies: Vec<Arc<Policy>>,
    /// The most that it may do.
    pub boundary: Option<Arc<Policy>>,
    /// Its tags: `aws:PrincipalTag/…` of its sessions, unless they brought their own.
    pub tags: Tags,
    /// Sessions that were issued before this time are over.
    pub revoked_before: Option<Timestamp>,
}

impl Role {
    /// A role with the default duration of an hour, and nothing that it may do.
    #[must_use]
    pub fn new(account: &str, path: &str, name: &str, trust: Policy) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            arn: Arn::role(account, &format!("{}{name}", path.trim_start_matches('/'))),
            id: role_id(account, path, name),
            max_session_duration: 3600,
            trust: Arc::new(trust),
            policies: Vec::new(),
            boundary: None,
            tags: Tags::new(),
            revoked_before: None,
        }
    }
}

/// A user with keys of its own.
#[derive(Debug, Clone)]
pub struct User {
    /// Unique in the account, whatever the path.
    pub name: String,
    /// `arn:aws:iam::ACCOUNT:user/PATH/NAME`.
    pub arn: Arn,
    /// `AIDA…`.
    pub id: String,
    /// What it may do: its own policies and those of its groups.
    pub policies: Vec<Arc<Policy>>,
    /// The most that it may do.
    pub boundary: Option<Arc<Policy>>,
    /// `aws:PrincipalTag/…` of its requests.
    pub tags: Tags,
}

/// The directory at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    account: String,
    owner_id: String,
    pub(super) ceph: bool,
    /// By issuer.
    pub(super) providers: HashMap<String, Arc<Provider>>,
    /// By ARN.
    pub(super) roles: HashMap<String, Arc<Role>>,
    pub(super) role_names: HashMap<String, String>,
    /// By ARN.
    pub(super) policies: HashMap<String, Arc<Policy>>,
    /// By key.
    pub(super) users: HashMap<String, Arc<User>>,
    /// What it was compiled from; empty where it was put together by hand.
    pub(super) entries: Entries,
    /// The number of the last change.
    pub(super) revision: i64,
    /// How the server's own configuration says that providers are reached.
    pub(super) connected: Arc<Connected>,
}

/// Two entries that cannot stand beside each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{name}` is there twice")]
pub struct Conflict {
    /// `provider`, `role`, `policy`.
    pub kind: &'static str,
    /// What both are called.
    pub name: String,
}

impl Snapshot {
    /// An empty directory of an account of twelve digits.
    #[must_use]
    pub fn new(account: impl Into<String>) -> Self {
        let account = account.into();
        let owner_id = sha256_hex(account.as_bytes());
        Self { entries: Entries::new(account.clone()), account, owner_id, ..Self::default() }
    }

    /// What administrators wrote.
    #[must_use]
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// The number of the last change; 0 where there was none.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// An empty directory of an account where Ceph RGW's ways apply: ARNs without an account.
    #[must_use]
    pub fn of_ceph(account: impl Into<String>) -> Self {
        Self { ceph: true, ..Self::new(account) }
    }

    /// Whether Ceph RGW's ways apply.
    #[must_use]
    pub fn is_ceph(&self) -> bool {
        self.ceph
    }

    /// Whether MinIO's ways apply to any provider.
    #[must_use]
    pub fn knows_minio(&self) -> bool {
        self.providers.values().any(|provider| provider.minio.is_some())
    }

    /// What stands in the ARNs of this account: its number, nothing with Ceph's ways.
    #[must_use]
    pub fn account_in_arns(&self) -> &str {
        if self.ceph { "" } else { &self.account }
    }

    /// Adds a provider. Two providers may not share an ARN: `http` and `https` of one address do.
    pub fn add_provider(&mut self, provider: Provider) -> Result<(), Conflict> {
        if self.provider_by_arn(provider.arn.as_str()).is_some() {
            return Err(Conflict { kind: "provider", name: provider.url });
        }
        self.providers.insert(provider.url.clone(), Arc::new(provider));
        Ok(())
    }

    /// Adds a role. Names are unique without regard to case and path.
    pub fn add_role(&mut self, role: Role) -> Result<(), Conflict> {
        let arn = role.arn.as_str().to_owned();
        if self.role_names.insert(role.name.to_lowercase(), arn.clone()).is_some() {
            return Err(Conflict { kind: "role", name: role.name });
        }
        self.roles.insert(arn, Arc::new(role));
        Ok(())
    }

    /// Adds a managed policy under its ARN.
    pub fn add_policy(&mut self, arn: &Arn, policy: Arc<Policy>) -> Result<(), Conflict> {
        match self.policies.insert(arn.as_str().to_owned(), policy) {
            None => Ok(()),
            Some(_) => Err(Conflict { kind: "policy", name: arn.as_str().to_owned() }),
        }
    }

    /// The account: twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The canonical id of the account, which owns every bucket and object: 64 hexadecimal digits.
    #[must_use]
    pub fn owner_id(&self) -> &str {
        &self.owner_id
    }

    /// The provider of an issuer.
    #[must_use]
    pub fn provider(&self, issuer: &str) -> Option<&Arc<Provider>> {
        self.providers.get(issuer)
    }

    /// A provider by its ARN.
    #[must_use]
    pub fn provider_by_arn(&self, arn: &str) -> Option<&Arc<Provider>> {
        self.providers.values().find(|provider| provider.arn.as_str() == arn)
    }

    /// A role by its ARN.
    #[must_use]
    pub fn role(&self, arn: &str) -> Option<&Arc<Role>> {
        if self.ceph
            && let Some(rest) = arn.strip_prefix(&format!("arn:aws:iam::{}:", self.account))
        {
            return self.roles.get(&format!("arn:aws:iam:::{rest}"));
        }
        self.roles.get(arn)
    }

    /// A managed policy by its ARN.
    #[must_use]
    pub fn policy(&self, arn: &str) -> Option<&Arc<Policy>> {
        self.policies.get(arn)
    }

    /// All providers, in no order.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// All roles, in no order.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.values()
    }

    /// A user by its name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(&key_of(name))
    }

    /// All users, in no order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// An active access key and its user.
    #[must_use]
    pub fn access_key(&self, id: &str) -> Option<(&Arc<AccessKeyEntry>, &Arc<User>)> {
        let key = self.entries.access_keys.get(id).filter(|key| key.active)?;
        Some((key, self.users.get(&key.user)?))
    }

    /// Whether a session was ended by its access key id.
    #[must_use]
    pub fn is_revoked(&self, access_key_id: &str) -> bool {
        self.entries.revoked.contains_key(access_key_id)
    }
}
