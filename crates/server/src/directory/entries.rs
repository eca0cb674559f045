//! All entries of a directory at one moment, by kind and key, with the policies that every account has.

use std::collections::BTreeMap;
use std::sync::Arc;

use wigeon_core::time::Timestamp;

use super::entry::{
    AccessKeyEntry, Entry, EntryKind, GroupEntry, PolicyEntry, PolicyVersion, ProviderEntry, RevokedSession,
    RoleEntry, UserEntry, Write, key_of,
};

/// What an account has without anyone's doing: name and document, under AWS's names, for what this server does.
const BUILT_IN: [(&str, &str); 5] = [
    (
        "AdministratorAccess",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        "AmazonS3FullAccess",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
    ),
    (
        "AmazonS3ReadOnlyAccess",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*"],"Resource":"*"}]}"#,
    ),
    (
        "IAMFullAccess",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#,
    ),
    (
        "IAMReadOnlyAccess",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:Simulate*"],"Resource":"*"}]}"#,
    ),
];

/// The entries. Cheap to clone: entries are shared.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    account: String,
    /// Whether ARNs have no account, as at Ceph RGW.
    pub ceph: bool,
    /// By the issuer without its scheme.
    pub providers: BTreeMap<String, Arc<ProviderEntry>>,
    /// By name; built-in ones under `aws/NAME`.
    pub policies: BTreeMap<String, Arc<PolicyEntry>>,
    /// By name.
    pub roles: BTreeMap<String, Arc<RoleEntry>>,
    /// By name.
    pub groups: BTreeMap<String, Arc<GroupEntry>>,
    /// By name.
    pub users: BTreeMap<String, Arc<UserEntry>>,
    /// By id.
    pub access_keys: BTreeMap<String, Arc<AccessKeyEntry>>,
    /// By access key id.
    pub revoked: BTreeMap<String, Arc<RevokedSession>>,
}

impl Entries {
    /// An account with nothing but the built-in policies.
    #[must_use]
    pub fn new(account: impl Into<String>) -> Self {
        let policies = BUILT_IN.iter().map(|(name, document)| built_in(name, document)).collect();
        Self { account: account.into(), policies, ..Self::default() }
    }

    /// The same, with Ceph's ways or without.
    #[must_use]
    pub fn of(account: impl Into<String>, ceph: bool) -> Self {
        Self { ceph, ..Self::new(account) }
    }

    /// Twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// What stands in ARNs: the account, nothing with Ceph's ways.
    #[must_use]
    pub fn account_in_arns(&self) -> &str {
        if self.ceph { "" } else { &self.account }
    }

    /// Writes one row.
    pub fn write(&mut self, write: &Write) {
        fn set<E>(map: &mut BTreeMap<String, Arc<E>>, key: &str, entry: Option<&Arc<E>>) {
            match entry {
                Some(entry) => drop(map.insert(key.to_owned(), Arc::clone(entry))),
                None => drop(map.remove(key)),
            }
        }
        let key = write.key.as_str();
        match &write.entry {
            Some(Entry::Provider(entry)) => set(&mut self.providers, key, Some(entry)),
            Some(Entry::Policy(entry)) => set(&mut self.policies, key, Some(entry)),
            Some(Entry::Role(entry)) => set(&mut self.roles, key, Some(entry)),
            Some(Entry::Group(entry)) => set(&mut self.groups, key, Some(entry)),
            Some(Entry::User(entry)) => set(&mut self.users, key, Some(entry)),
            Some(Entry::AccessKey(entry)) => set(&mut self.access_keys, key, Some(entry)),
            Some(Entry::Session(entry)) => set(&mut self.revoked, key, Some(entry)),
            None => match write.kind {
                EntryKind::Provider => set(&mut self.providers, key, None),
                EntryKind::Policy => set(&mut self.policies, key, None),
                EntryKind::Role => set(&mut self.roles, key, None),
                EntryKind::Group => set(&mut self.groups, key, None),
                EntryKind::User => set(&mut self.users, key, None),
                EntryKind::AccessKey => set(&mut self.access_keys, key, None),
                EntryKind::Session => set(&mut self.revoked, key, None),
            },
        }
    }

    /// A provider by its ARN.
    #[must_use]
    pub fn provider(&self, arn: &str) -> Option<&Arc<ProviderEntry>> {
        let (_, key) = arn.split_once(":oidc-provider/")?;
        self.providers.get(key).filter(|provider| provider.arn(self.account_in_arns()).as_str() == arn)
    }

    /// A managed policy by its ARN.
    #[must_use]
    pub fn policy(&self, arn: &str) -> Option<&Arc<PolicyEntry>> {
        let name = key_of(arn.rsplit_once('/')?.1);
        let key = if arn.starts_with("arn:aws:iam::aws:") { format!("aws/{name}") } else { name };
        self.policies.get(&key).filter(|policy| policy.arn(self.account_in_arns()) == arn)
    }

    /// A role by its name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Arc<RoleEntry>> {
        self.roles.get(&key_of(name))
    }

    /// A user by its name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&Arc<UserEntry>> {
        self.users.get(&key_of(name))
    }

    /// A group by its name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<GroupEntry>> {
        self.groups.get(&key_of(name))
    }

    /// How many roles, users and groups a managed policy is attached to.
    #[must_use]
    pub fn attachment_count(&self, arn: &str) -> usize {
        let attached = |list: &[String]| list.iter().any(|attached| attached == arn);
        self.roles.values().filter(|role| attached(&role.policies.attached)).count()
            + self.users.values().filter(|user| attached(&user.policies.attached)).count()
            + self.groups.values().filter(|group| attached(&group.policies.attached)).count()
    }

    /// How many roles and users have a managed policy as their permissions boundary.
    #[must_use]
    pub fn boundary_count(&self, arn: &str) -> usize {
        self.roles.values().filter(|role| role.policies.boundary.as_deref() == Some(arn)).count()
            + self.users.values().filter(|user| user.policies.boundary.as_deref() == Some(arn)).count()
    }
}

fn built_in(name: &str, document: &str) -> (String, Arc<PolicyEntry>) {
    let at = Timestamp::UNIX_EPOCH;
    let version = PolicyVersion { number: 1, document: document.to_owned(), created_at: at };
    let entry = PolicyEntry {
        name: name.to_owned(),
        path: "/".to_owned(),
        id: super::identifier::stable_id("ANPA", &["aws", name]),
        created_at: at,
        updated_at: at,
        description: None,
        versions: vec![version],
        default_version: 1,
        next_version: 2,
        tags: Vec::new(),
        built_in: true,
    };
    (format!("aws/{}", key_of(name)), Arc::new(entry))
}
