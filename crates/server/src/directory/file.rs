//! The declarative home of a directory: one TOML file, with policies in it or beside it.
//!
//! ```toml
//! account = "000000000000"
//!
//! [[provider]]
//! url = "https://idp.example/realms/x"   # as it stands in `iss`
//! client_ids = ["s3-cli"]
//! # jwks_url or jwks_file, ca_file, thumbprints, algorithms, allow_http, sessions_end_with_token, revoked_before
//!
//! # minio = { default_role = "reader", policy_claim = "policy" }
//!
//! [[built_in]]                           # known to policies by name; no client ids: the trust policy decides
//! name = "accounts.google.com"           # or "www.amazon.com", "graph.facebook.com"
//! # token_information = "https://…", app_token_file: for the two whose tokens are opaque
//!
//! [[policy]]                             # managed
//! name = "read-shared"
//! file = "read-shared.json"              # or document = '''…'''
//!
//! [[role]]
//! name = "reader"
//! trust_file = "trust.json"              # or trust = '''…'''
//! attached = ["read-shared"]
//! # path, max_session_duration, boundary, revoked_before
//!
//! # tags = { team = "x" }
//!
//! [[role.policy]]                        # inline
//! name = "home"
//! document = '''…'''
//!
//! [[group]]                              # path, attached, [[group.policy]]
//! name = "staff"
//!
//! [[user]]                               # path, attached, boundary, tags, [[user.policy]]
//! name = "backup"
//! groups = ["staff"]
//! access_key = [{ id = "AKIA…", secret_key_file = "backup.secret" }]   # mode 0600
//! ```
//!
//! Enters: the file's path. Leaves: the [`Entries`], and a [`Fingerprint`] of every file that was read.
//! Refused, with the file, the place and the cause: broken TOML, unknown keys, names and addresses out of
//! their rules, policy documents that do not parse, references to nothing, duplicates.

mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wigeon_core::arn::without_scheme;
use wigeon_core::policy::{Document, Kind};
use wigeon_core::secret::Secret;
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::connection::Connection;
use super::entries::Entries;
use super::entry::{
    AccessKeyEntry, Attachments, Entry, EntryKind, GroupEntry, PolicyEntry, PolicyVersion, ProviderEntry,
    RevokedSession, RoleEntry, Tags, UserEntry, Write, key_of,
};
use super::identifier::{role_id, stable_id};
use super::rules::{RESERVED, check_address, is_name, is_path, is_tag_char, is_thumbprint};
use super::sources::{DirectoryError, Fingerprint, Sources};
use tables::{Contents, GroupTable, PolicyTable, ProviderTable, RoleTable, UserTable, root_path};

/// Reads the file and everything that it names.
pub(super) fn load(path: &Path) -> Result<(Entries, Fingerprint), DirectoryError> {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let created_at = changed.and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let created_at = Timestamp::from_second(created_at.as_second()).unwrap_or(created_at);
    let mut reader = Reader { sources: Sources::of(path), created_at };
    let text =
        fs::read_to_string(path).map_err(|source| DirectoryError::Read { path: path.to_owned(), source })?;
    let contents: Contents = toml::from_str(&text).map_err(|error| DirectoryError::Syntax {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })?;
    let entries = reader.entries(contents)?;
    Ok((entries, reader.sources.into_seen()))
}

struct Reader {
    sources: Sources,
    /// The file's time of change stands for the creation of everything in it.
    created_at: Timestamp,
}

impl Reader {
    fn entries(&mut self, contents: Contents) -> Result<Entries, DirectoryError> {
        let account = contents.account;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(
                self.fault("account", format!("`{account}` is not an account: it needs twelve digits"))
            );
        }
        let mut entries = Entries::of(&account, contents.ceph);
        for table in contents.built_in {
            let place = table.place();
            let provider = table.entry(&mut self.sources, self.created_at)?;
            self.add(&mut entries, Entry::Provider(Arc::new(provider)), &place)?;
        }
        for table in contents.provider {
            let place = format!("provider `{}`", table.url);
            let provider = self.provider(table, contents.ceph, &place)?;
            self.add(&mut entries, Entry::Provider(Arc::new(provider)), &place)?;
        }
        for table in contents.policy {
            let place = format!("policy `{}`", table.name);
            let policy = self.managed(&table, &place)?;
            self.add(&mut entries, Entry::Policy(Arc::new(policy)), &place)?;
        }
        for table in contents.role {
            let place = format!("role `{}`", table.name);
            let role = self.role(&entries, table, &place)?;
            self.add(&mut entries, Entry::Role(Arc::new(role)), &place)?;
        }
        for table in contents.group {
            let place = format!("group `{}`", table.name);
            let group = self.group(&entries, &table, &place)?;
            self.add(&mut entries, Entry::Group(Arc::new(group)), &place)?;
        }
        for table in contents.user {
            let place = format!("user `{}`", table.name);
            let user = self.user(&entries, &table, &place)?;
            let key = key_of(&user.name);
            self.add(&mut entries, Entry::User(Arc::new(user)), &place)?;
            for access_key in &table.access_key {
                let place = format!("{place}, access key `{}`", access_key.id);
                let entry = self.access_key(&access_key.id, &access_key.secret_key_file, &key, &place)?;
                self.add(&mut entries, Entry::AccessKey(Arc::new(entry)), &place)?;
            }
        }
        for access_key_id in contents.revoked_sessions {
            // For as long as it stands in the file.
            let revoked = RevokedSession { access_key_id, until: Timestamp::MAX };
            entries.write(&Write::put(Entry::Session(Arc::new(revoked))));
        }
        for provider in entries.providers.values() {
            let role = provider.minio.as_ref().and_then(|minio| minio.default_role.as_ref());
            if let Some(role) = role.filter(|role| entries.role(role).is_none()) {
                let place = format!("provider `{}`", provider.url);
                return Err(self.fault(&place, format!("its default role `{role}` is not there")));
            }
        }
        Ok(entries)
    }

    fn add(&self, entries: &mut Entries, entry: Entry, place: &str) -> Result<(), DirectoryError> {
        let write = Write::put(entry);
        let twice = match write.kind {
            EntryKind::Provider => entries.providers.contains_key(&write.key),
            EntryKind::Policy => entries.policies.contains_key(&write.key),
            EntryKind::Group => entries.groups.contains_key(&write.key),
            EntryKind::User => entries.users.contains_key(&write.key),
            EntryKind::AccessKey => entries.access_keys.contains_key(&write.key),
            _ => entries.roles.contains_key(&write.key),
        };
        if twice {
            return Err(self.fault(place, format!("{place} is there twice")));
        }
        entries.write(&write);
        Ok(())
    }

    fn provider(
        &mut self,
        table: ProviderTable,
        ceph: bool,
        place: &str,
    ) -> Result<ProviderEntry, DirectoryError> {
        let allow_http = table.allow_http || ceph;
        check_address(&table.url, allow_http).map_err(|reason| self.fault(place, reason))?;
        if RESERVED.contains(&without_scheme(&table.url)) {
            return Err(
                self.fault(place, "its condition keys would be those of a service; use a full host name")
            );
        }
        let any_audience = ceph && table.client_ids.is_empty();
        if (table.client_ids.is_empty() && !any_audience) || table.client_ids.iter().any(String::is_empty) {
            return Err(self.fault(place, "`client_ids` needs at least one client id, and none may be empty"));
        }
        let mut provider = ProviderEntry::new(table.url, table.client_ids, self.created_at);
        provider.any_audience = any_audience;
        provider.minio = table.minio;
        let connection = Connection {
            jwks_url: table.jwks_url,
            jwks_file: table.jwks_file,
            ca_file: table.ca_file,
            algorithms: table.algorithms,
            allow_http,
            sessions_end_with_token: table.sessions_end_with_token,
        };
        connection.write(&mut provider, &mut self.sources, place)?;
        if let Some(odd) = table.thumbprints.iter().find(|text| !is_thumbprint(text)) {
            return Err(self.fault(place, format!("`{odd}` is not a thumbprint: it needs 40 hex digits")));
        }
        provider.thumbprints = table.thumbprints;
        provider.revoked_before = self.time(table.revoked_before, place)?;
        Ok(provider)
    }

    fn role(
        &mut self,
        entries: &Entries,
        table: RoleTable,
        place: &str,
    ) -> Result<RoleEntry, DirectoryError> {
        if !is_name(&table.name, 64) {
            return Err(self.fault(place, r"a role's name has 1 to 64 characters of `[\w+=,.@-]`"));
        }
        if !is_path(&table.path) {
            return Err(self.fault(place, format!("the path `{}` has to begin and end with `/`", table.path)));
        }
        let trust_place = format!("{place}, trust policy");
        let trust = self.document(table.trust, table.trust_file, Kind::Trust, &trust_place)?;
        let max_session_duration = table.max_session_duration.unwrap_or(3600);
        if !(3600..=43_200).contains(&max_session_duration) {
            return Err(self.fault(place, "`max_session_duration` is 3600 to 43200 seconds"));
        }
        let boundary = table.boundary.as_deref();
        let policies = self.policies(entries, (&table.policy, &table.attached, boundary), place)?;
        Ok(RoleEntry {
            id: role_id(entries.account_in_arns(), &table.path, &table.name),
            name: table.name,
            path: table.path,
            created_at: self.created_at,
            description: None,
            max_session_duration,
            trust,
            policies,
            tags: self.tags(&table.tags, place)?,
            revoked_before: self.time(table.revoked_before, place)?,
        })
    }

    fn group(
        &mut self,
        entries: &Entries,
        table: &GroupTable,
        place: &str,
    ) -> Result<GroupEntry, DirectoryError> {
        self.named(&table.name, &table.path, 128, place)?;
        Ok(GroupEntry {
            id: stable_id("AGPA", &[entries.account(), &table.path, &table.name]),
            name: table.name.clone(),
            path: table.path.clone(),
            created_at: self.created_at,
            policies: self.policies(entries, (&table.policy, &table.attached, None), place)?,
        })
    }

    fn user(
        &mut self,
        entries: &Entries,
        table: &UserTable,
        place: &str,
    ) -> Result<UserEntry, DirectoryError> {
        self.named(&table.name, &table.path, 64, place)?;
        if let Some(group) = table.groups.iter().find(|group| entries.group(group).is_none()) {
            return Err(
                self.fault(place, format!("there is no group `{group}`; add a `[[group]]` of this name"))
            );
        }
        let boundary = table.boundary.as_deref();
        Ok(UserEntry {
            id: stable_id("AIDA", &[entries.account(), &table.path, &table.name]),
            name: table.name.clone(),
            path: table.path.clone(),
            created_at: self.created_at,
            policies: self.policies(entries, (&table.policy, &table.attached, boundary), place)?,
            groups: table.groups.iter().map(|group| key_of(group)).collect(),
            tags: self.tags(&table.tags, place)?,
        })
    }

    fn access_key(
        &mut self,
        id: &str,
        file: &Path,
        user: &str,
        place: &str,
    ) -> Result<AccessKeyEntry, DirectoryError> {
        let fits = (16..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !fits || id.starts_with("ASIA") {
            let rule = "an access key's id has 16 to 128 letters and digits, and `ASIA` is for sessions";
            return Err(self.fault(place, rule));
        }
        let path = self.sources.beside(file);
        if others_may_read(&path) {
            let reason = format!("`{}` can be read by others; set its mode to 600", file.display());
            return Err(self.fault(place, reason));
        }
        let secret = self.read(file)?;
        if secret.trim().len() < 16 {
            return Err(self.fault(place, format!("`{}` needs at least 16 characters", file.display())));
        }
        Ok(AccessKeyEntry {
            id: id.to_owned(),
            user: user.to_owned(),
            sealed_secret: String::new(),
            plain_secret: Some(Secret::new(secret.trim())),
            active: true,
            created_at: self.created_at,
        })
    }

    fn named(&self, name: &str, path: &str, longest: usize, place: &str) -> Result<(), DirectoryError> {
        if !is_name(name, longest) {
            return Err(self.fault(place, format!(r"a name has 1 to {longest} characters of `[\w+=,.@-]`")));
        }
        match is_path(path) {
            true => Ok(()),
            false => Err(self.fault(place, format!("the path `{path}` has to begin and end with `/`"))),
        }
    }

    /// Inline policies, attached ones, and the boundary.
    fn policies(
        &mut self,
        entries: &Entries,
        (inline, attached, boundary): (&[PolicyTable], &[String], Option<&str>),
        place: &str,
    ) -> Result<Attachments, DirectoryError> {
        let mut policies = Attachments::default();
        for table in inline {
            let place = format!("{place}, policy `{}`", table.name);
            let document = self.policy(table, &place)?;
            if policies.inline.insert(table.name.clone(), document).is_some() {
                return Err(self.fault(&place, "there are two inline policies of this name"));
            }
        }
        for name in attached {
            policies.attached.push(self.reference(entries, name, place)?);
        }
        policies.boundary = boundary.map(|name| self.reference(entries, name, place)).transpose()?;
        Ok(policies)
    }

    fn tags(&self, tags: &BTreeMap<String, String>, place: &str) -> Result<Tags, DirectoryError> {
        let fits = |text: &str, least: usize, most: usize| {
            (least..=most).contains(&text.chars().count()) && text.chars().all(is_tag_char)
        };
        match tags.iter().find(|(key, value)| !fits(key, 1, 128) || !fits(value, 0, 256)) {
            Some((key, _)) => Err(self.fault(place, format!("the tag `{key}` breaks the rules of tags"))),
            None => Ok(tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect()),
        }
    }

    /// The ARN of a managed policy: one of the file by its name, or a built-in one by its ARN.
    fn reference(&self, entries: &Entries, name: &str, place: &str) -> Result<String, DirectoryError> {
        let found = entries.policies.get(&key_of(name)).filter(|policy| policy.name == name);
        let found = found.or_else(|| entries.policy(name));
        found.map(|policy| policy.arn(entries.account_in_arns())).ok_or_else(|| {
            self.fault(place, format!("there is no policy `{name}`; add a `[[policy]]` of this name"))
        })
    }

    fn managed(&mut self, table: &PolicyTable, place: &str) -> Result<PolicyEntry, DirectoryError> {
        let document = self.policy(table, place)?;
        let version = PolicyVersion { number: 1, document, created_at: self.created_at };
        Ok(PolicyEntry {
            id: stable_id("ANPA", &[&table.name]),
            name: table.name.clone(),
            path: root_path(),
            created_at: self.created_at,
            updated_at: self.created_at,
            description: None,
            versions: vec![version],
            default_version: 1,
            next_version: 2,
            tags: Tags::new(),
            built_in: false,
        })
    }

    fn policy(&mut self, table: &PolicyTable, place: &str) -> Result<String, DirectoryError> {
        if !is_name(&table.name, 128) {
            return Err(self.fault(place, r"a policy's name has 1 to 128 characters of `[\w+=,.@-]`"));
        }
        self.document(table.document.clone(), table.file.clone(), Kind::Identity, place)
    }

    fn document(
        &mut self,
        inline: Option<String>,
        file: Option<PathBuf>,
        kind: Kind,
        place: &str,
    ) -> Result<String, DirectoryError> {
        let text = match (inline, &file) {
            (Some(text), None) => text,
            (None, Some(file)) => self.read(file)?,
            (None, None) => {
                return Err(self.fault(place, "the policy document is missing; give it inline or as a file"));
            }
            (Some(_), Some(_)) => {
                return Err(self.fault(place, "the policy document is given twice, inline and as a file"));
            }
        };
        match (Document::parse(&text, kind), file) {
            (Ok(_), _) => Ok(text),
            (Err(error), Some(file)) => {
                Err(self.fault(&format!("{place}, file `{}`", file.display()), error))
            }
            (Err(error), None) => Err(self.fault(place, error)),
        }
    }

    fn time(&self, text: Option<String>, place: &str) -> Result<Option<Timestamp>, DirectoryError> {
        let Some(text) = text else { return Ok(None) };
        parse_iso8601(&text).map(Some).ok_or_else(|| {
            self.fault(place, format!("`{text}` is not a time such as `2026-11-23T20:07:00Z`"))
        })
    }

    fn read(&mut self, file: &Path) -> Result<String, DirectoryError> {
        self.sources.read(file)
    }

    fn fault(&self, place: &str, reason: impl ToString) -> DirectoryError {
        self.sources.fault(place, reason)
    }
}

#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}
