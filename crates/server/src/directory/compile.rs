//! From entries to the snapshot that requests are decided with.
//!
//! After a change only what the change touches is compiled again. What cannot be compiled (a document that this
//! version does not understand, a policy that is gone) is left out with a complaint in the log: a role that is
//! not there lets nobody in, whereas a role without one of its policies could allow what that policy denied.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use wigeon_core::arn::Arn;
use wigeon_core::jwt::KeySet;
use wigeon_core::policy::{Document, DocumentError, Kind, Policy};

use super::built_in::BuiltIn;
use super::configured::{Connected, Connections};
use super::connection::algorithms;
use super::entries::Entries;
use super::entry::{
    Attachments, Entry, EntryKind, GroupEntry, PolicyEntry, ProviderEntry, RoleEntry, UserEntry, Write,
};
use super::model::{Keys, Minio, Provider, Role, Snapshot, User};
use super::sources::DirectoryError;

/// What was compiled on the way to one snapshot, by text: many roles have the same trust policy, which then is compiled
/// once, and stays near at hand however many roles are asked for in turn.
#[derive(Default)]
struct Compiled(HashMap<Kind, HashMap<String, Arc<Document>>>);

impl Compiled {
    fn document(&mut self, text: &str, kind: Kind) -> Result<Arc<Document>, DocumentError> {
        let known = self.0.entry(kind).or_default();
        if let Some(document) = known.get(text) {
            return Ok(Arc::clone(document));
        }
        let document = Arc::new(Document::parse(text, kind)?);
        known.insert(text.to_owned(), Arc::clone(&document));
        Ok(document)
    }

    fn policy(&mut self, name: String, text: &str, kind: Kind) -> Result<Arc<Policy>, DocumentError> {
        Ok(Arc::new(Policy { name, document: self.document(text, kind)? }))
    }
}

impl Snapshot {
    /// Compiles all entries.
    #[must_use]
    pub fn of(entries: Entries, revision: i64) -> Self {
        Self::connected(entries, revision, Arc::default())
    }

    /// Compiles all entries, with providers reached as the server's configuration says.
    #[must_use]
    pub(super) fn connected(entries: Entries, revision: i64, connected: Arc<Connected>) -> Self {
        let mut snapshot = Self::new(entries.account());
        snapshot.connected = connected;
        snapshot.ceph = entries.ceph;
        snapshot.entries = entries;
        snapshot.revision = revision;
        let entries = snapshot.entries.clone();
        let mut compiled = Compiled::default();
        entries.providers.values().for_each(|entry| snapshot.set_provider(entry));
        snapshot.set_built_in();
        entries.policies.values().for_each(|entry| snapshot.set_policy(entry, &mut compiled));
        entries.roles.values().for_each(|entry| snapshot.set_role(entry, &mut compiled));
        entries.users.iter().for_each(|(key, entry)| snapshot.set_user(key, entry, &mut compiled));
        snapshot
    }

    /// The same entries, with providers reached in other ways.
    #[must_use]
    pub(super) fn reached(&self, connected: Arc<Connected>) -> Self {
        let mut next = self.clone();
        next.connected = connected;
        next.providers.clear();
        self.entries.providers.values().for_each(|entry| next.set_provider(entry));
        next.set_built_in();
        next
    }

    /// The same, as the server's own configuration says.
    ///
    /// # Errors
    /// [`DirectoryError`]: a file that it names.
    pub fn reached_by(&self, connections: &Connections) -> Result<Self, DirectoryError> {
        let (connected, _) = connections.load()?;
        Ok(self.reached(Arc::new(connected)))
    }

    /// How the server's own configuration says that providers are reached.
    pub(super) fn connections(&self) -> Arc<Connected> {
        Arc::clone(&self.connected)
    }

    /// The snapshot after some rows were written.
    #[must_use]
    pub fn after(&self, writes: &[Write], revision: i64) -> Self {
        let mut next = self.clone();
        next.revision = revision;
        for write in writes {
            next.forget(write);
            next.entries.write(write);
        }
        let mut compiled = Compiled::default();
        let mut policies: BTreeSet<String> = BTreeSet::new();
        let mut groups: BTreeSet<&str> = BTreeSet::new();
        for write in writes {
            match (&write.entry, write.kind) {
                (Some(Entry::Provider(entry)), _) => next.set_provider(entry),
                (Some(Entry::Policy(entry)), _) => {
                    next.set_policy(entry, &mut compiled);
                    policies.insert(entry.arn(self.account_in_arns()));
                }
                (_, EntryKind::Group) => drop(groups.insert(&write.key)),
                _ => {}
            }
        }
        let written =
            |kind: EntryKind, key: &str| writes.iter().any(|write| write.kind == kind && write.key == key);
        let uses = |attachments: &Attachments| {
            let mut used = attachments.attached.iter().chain(&attachments.boundary);
            !policies.is_empty() && used.any(|arn| policies.contains(arn))
        };
        let entries = next.entries.clone();
        for (key, role) in &entries.roles {
            if written(EntryKind::Role, key) || uses(&role.policies) {
                next.set_role(role, &mut compiled);
            }
        }
        let group_uses = |key: &String| {
            groups.contains(key.as_str())
                || entries.groups.get(key).is_some_and(|group: &Arc<GroupEntry>| uses(&group.policies))
        };
        for (key, user) in &entries.users {
            if written(EntryKind::User, key) || uses(&user.policies) || user.groups.iter().any(group_uses) {
                next.set_user(key, user, &mut compiled);
            }
        }
        next.set_built_in();
        next
    }

    /// Built-in providers stand beside the directory's, in the place of none.
    fn set_built_in(&mut self) {
        let connected = self.connections();
        for entry in connected.built_in() {
            if !self.providers.contains_key(&entry.url) {
                self.set_provider(entry);
            }
        }
    }

    /// Takes out what was compiled from the entry that a row replaces.
    fn forget(&mut self, write: &Write) {
        match write.kind {
            EntryKind::Provider => {
                if let Some(before) = self.entries.providers.get(&write.key) {
                    self.providers.remove(&before.url);
                }
            }
            EntryKind::Policy => {
                if let Some(before) = self.entries.policies.get(&write.key) {
                    self.policies.remove(&before.arn(self.entries.account_in_arns()));
                }
            }
            EntryKind::Role => {
                if let Some(before) = self.entries.roles.get(&write.key) {
                    self.roles.remove(&before.arn(self.entries.account_in_arns()));
                    self.role_names.remove(&write.key);
                }
            }
            EntryKind::User => drop(self.users.remove(&write.key)),
            EntryKind::Group | EntryKind::AccessKey | EntryKind::Session => {}
        }
    }

    fn set_provider(&mut self, entry: &Arc<ProviderEntry>) {
        match provider(self.account_in_arns(), &self.connected.over(entry)) {
            Some(provider) => drop(self.providers.insert(entry.url.clone(), Arc::new(provider))),
            None => left_out("provider", &entry.url),
        }
    }

    fn set_policy(&mut self, entry: &Arc<PolicyEntry>, compiled: &mut Compiled) {
        match compiled.policy(entry.name.clone(), entry.document(), Kind::Identity) {
            Ok(policy) => drop(self.policies.insert(entry.arn(self.account_in_arns()), policy)),
            Err(error) => {
                tracing::error!(%error, "a stored policy cannot be read");
                left_out("policy", &entry.name);
            }
        }
    }

    fn set_role(&mut self, entry: &Arc<RoleEntry>, compiled: &mut Compiled) {
        let arn = entry.arn(self.account_in_arns());
        match self.role_of(entry, &arn, compiled) {
            Some(role) => {
                self.role_names.insert(entry.name.to_lowercase(), arn.clone());
                self.roles.insert(arn, Arc::new(role));
            }
            None => {
                self.roles.remove(&arn);
                left_out("role", &entry.name);
            }
        }
    }

    fn role_of(&self, entry: &RoleEntry, arn: &str, compiled: &mut Compiled) -> Option<Role> {
        let trust_name = format!("{} (trust policy)", entry.name);
        Some(Role {
            name: entry.name.clone(),
            path: entry.path.clone(),
            arn: arn.parse().ok()?,
            id: entry.id.clone(),
            max_session_duration: entry.max_session_duration,
            trust: compiled.policy(trust_name, &entry.trust, Kind::Trust).ok()?,
            policies: self.policies_of(&entry.policies, compiled)?,
            boundary: self.boundary_of(&entry.policies)?,
            tags: entry.tags.clone(),
            revoked_before: entry.revoked_before,
        })
    }

    fn set_user(&mut self, key: &str, entry: &Arc<UserEntry>, compiled: &mut Compiled) {
        match self.user_of(entry, compiled) {
            Some(user) => drop(self.users.insert(key.to_owned(), Arc::new(user))),
            None => {
                self.users.remove(key);
                left_out("user", &entry.name);
            }
        }
    }

    fn user_of(&self, entry: &UserEntry, compiled: &mut Compiled) -> Option<User> {
        let arn: Arn = entry.arn(self.account_in_arns()).parse().ok()?;
        let mut policies = self.policies_of(&entry.policies, compiled)?;
        for key in &entry.groups {
            policies.extend(self.policies_of(&self.entries.groups.get(key)?.policies, compiled)?);
        }
        Some(User {
            name: entry.name.clone(),
            arn,
            id: entry.id.clone(),
            policies,
            boundary: self.boundary_of(&entry.policies)?,
            tags: entry.tags.clone(),
        })
    }

    /// All policies of an owner; `None` if one of them is not to be had.
    fn policies_of(&self, attachments: &Attachments, compiled: &mut Compiled) -> Option<Vec<Arc<Policy>>> {
        let inline = attachments
            .inline
            .iter()
            .map(|(name, text)| compiled.policy(name.clone(), text, Kind::Identity).ok());
        let managed = attachments.attached.iter().map(|arn| self.policies.get(arn).cloned());
        inline.chain(managed).collect()
    }

    /// The boundary, if there is one; `None` if it is not to be had.
    #[expect(clippy::option_option, reason = "no boundary and a lost boundary are opposites")]
    fn boundary_of(&self, attachments: &Attachments) -> Option<Option<Arc<Policy>>> {
        match &attachments.boundary {
            None => Some(None),
            Some(arn) => self.policies.get(arn).cloned().map(Some),
        }
    }
}

fn provider(account: &str, entry: &ProviderEntry) -> Option<Provider> {
    let mut provider = Provider::new(account, entry.url.clone(), entry.client_ids.clone());
    provider.keys = match (&entry.jwks_url, &entry.jwks) {
        (Some(url), _) => Keys::Url(url.clone()),
        (None, Some(keys)) => Keys::Fixed(Arc::new(KeySet::parse(keys.as_bytes()).ok()?)),
        (None, None) => Keys::Discovery,
    };
    if let Some(names) = &entry.algorithms {
        provider.algorithms = algorithms(names).ok()?;
    }
    provider.ca_pem = entry.ca_pem.as_ref().map(|pem| pem.clone().into_bytes());
    provider.thumbprints.clone_from(&entry.thumbprints);
    provider.sessions_end_with_token = entry.sessions_end_with_token;
    provider.revoked_before = entry.revoked_before;
    provider.built_in = if entry.built_in { Some(BuiltIn::of(entry.key())?) } else { None };
    if let Some(service) = provider.built_in
        && let Some(address) = service.token_information()
    {
        let address = entry.token_information.as_deref().unwrap_or(address);
        provider.keys = Keys::Opaque { address: address.parse().ok()?, app_token: entry.app_token.clone() };
    }
    provider.any_audience = entry.any_audience;
    provider.minio = entry.minio.as_ref().map(|minio| Minio {
        default_role: minio.default_role.as_ref().map(|name| Arn::role(account, name)),
        policy_claim: minio.policy_claim.clone(),
    });
    Some(provider)
}

fn left_out(kind: &str, name: &str) {
    tracing::error!(kind, name, "an entry of the directory cannot be used and is left out");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_of_the_same_kind_is_compiled_once() {
        let text =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
        let mut compiled = Compiled::default();
        let mut policy = |name: &str, kind| compiled.policy(name.to_owned(), text, kind).unwrap();
        let (one, other, session) =
            (policy("one", Kind::Identity), policy("other", Kind::Identity), policy("one", Kind::Session));
        assert!(Arc::ptr_eq(&one.document, &other.document));
        assert_eq!((one.name.as_str(), other.name.as_str()), ("one", "other"));
        assert!(!Arc::ptr_eq(&one.document, &session.document));
        assert_eq!(session.document.kind(), Kind::Session);
        for _ in 0..2 {
            assert!(compiled.document("{}", Kind::Identity).is_err());
        }
    }
}
