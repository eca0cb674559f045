//! The declarative home of a directory: one TOML file, with policies in it or beside it.
//!
//! ```toml
//! account = "000000000000"
//!
//! [[provider]]
//! url = "https://idp.example/realms/x"   # as it stands in `iss`
//! client_ids = ["s3-cli"]
//! # minio = { default_role = "reader", policy_claim = "policy" }
//! # jwks_url or jwks_file, ca_file, thumbprints, algorithms, allow_http, sessions_end_with_token, revoked_before
//!
//! [[built_in]]                           # known to policies by name; no client ids: the trust policy decides
//! name = "accounts.google.com"
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
//! [[role.policy]]                        # inline
//! name = "home"
//! document = '''…'''
//! ```
//!
//! Enters: the file's path. Leaves: a [`Snapshot`], and a [`Fingerprint`] of every file that was read.
//! Refused, with the file, the place and the cause: broken TOML, unknown keys, names and addresses out of
//! their rules, policy documents that do not parse, references to nothing, duplicates.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use url::Url;
use wigeon_core::arn::{Arn, without_scheme};
use wigeon_core::jwt::{Algorithm, AllowedAlgorithms, KeySet, UnknownAlgorithm};
use wigeon_core::policy::{Document, Kind, Policy};
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::model::{BuiltIn, Keys, Minio, Provider, Role, Snapshot};

/// Issuers whose claims would read as the keys of a service: `https://aws` would own `aws:…`.
const RESERVED: [&str; 7] = ["aws", "ec2", "iam", "jwt", "s3", "saml", "sts"];

/// Why a directory file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not the TOML that is expected.
    #[error("`{}` is not a directory file: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and cause.
        message: String,
    },
    /// An entry breaks a rule.
    #[error("`{}`, {place}: {reason}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Which entry: ``role `reader`, trust policy``.
        place: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
}

/// Every file that a state was read from, with its time of change and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Fingerprint {
    fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let look = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Self(paths.into_iter().map(|path| (path.clone(), look(&path))).collect())
    }

    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self::of(self.0.iter().map(|(path, _)| path.clone()))
    }
}

/// Reads the file and everything that it names. The fingerprint is taken before the contents are read, so
/// a change in between is seen next time.
pub(super) fn load(path: &Path) -> Result<(Snapshot, Fingerprint), DirectoryError> {
    let mut reader = Reader { path: path.to_owned(), seen: Fingerprint::of([path.to_owned()]) };
    let text =
        fs::read_to_string(path).map_err(|source| DirectoryError::Read { path: path.to_owned(), source })?;
    let contents: Contents = toml::from_str(&text).map_err(|error| DirectoryError::Syntax {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })?;
    let snapshot = reader.snapshot(contents)?;
    Ok((snapshot, reader.seen))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    account: String,
    /// Ceph RGW's ways: ARNs without an account, providers without client ids, several values per tag.
    #[serde(default)]
    ceph: bool,
    #[serde(default)]
    built_in: Vec<BuiltInEntry>,
    #[serde(default)]
    provider: Vec<ProviderEntry>,
    #[serde(default)]
    policy: Vec<PolicyEntry>,
    #[serde(default)]
    role: Vec<RoleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuiltInEntry {
    name: String,
    #[serde(default)]
    client_ids: Vec<String>,
    jwks_url: Option<String>,
    jwks_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

/// What those who come from MinIO are used to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MinioEntry {
    /// By name.
    default_role: Option<String>,
    policy_claim: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderEntry {
    url: String,
    minio: Option<MinioEntry>,
    client_ids: Vec<String>,
    jwks_url: Option<String>,
    jwks_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    thumbprints: Vec<String>,
    algorithms: Option<Vec<String>>,
    /// Plain `http` to another machine has to be asked for; to this machine it is fine.
    #[serde(default)]
    allow_http: bool,
    #[serde(default)]
    sessions_end_with_token: bool,
    revoked_before: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyEntry {
    name: String,
    document: Option<String>,
    file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEntry {
    name: String,
    #[serde(default = "root_path")]
    path: String,
    max_session_duration: Option<u32>,
    trust: Option<String>,
    trust_file: Option<PathBuf>,
    #[serde(default)]
    policy: Vec<PolicyEntry>,
    /// Managed policies by name.
    #[serde(default)]
    attached: Vec<String>,
    /// A managed policy by name.
    boundary: Option<String>,
    revoked_before: Option<String>,
}

fn root_path() -> String {
    "/".to_owned()
}

struct Reader {
    path: PathBuf,
    seen: Fingerprint,
}

impl Reader {
    fn snapshot(&mut self, contents: Contents) -> Result<Snapshot, DirectoryError> {
        let account = contents.account;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(
                self.fault("account", format!("`{account}` is not an account: it needs twelve digits"))
            );
        }
        let mut snapshot = if contents.ceph { Snapshot::of_ceph(&account) } else { Snapshot::new(&account) };
        for entry in contents.built_in {
            let place = format!("built-in provider `{}`", entry.name);
            let provider = self.built_in(&account, entry, &place)?;
            snapshot.add_provider(provider).map_err(|conflict| self.fault(&place, conflict))?;
        }
        for entry in contents.provider {
            let place = format!("provider `{}`", entry.url);
            let provider = self.provider(&snapshot, entry, &place)?;
            snapshot.add_provider(provider).map_err(|conflict| self.fault(&place, conflict))?;
        }
        for entry in contents.policy {
            let place = format!("policy `{}`", entry.name);
            let policy = self.policy(&entry, &place)?;
            let arn = policy_arn(snapshot.account_in_arns(), &entry.name)
                .map_err(|reason| self.fault(&place, reason))?;
            snapshot.add_policy(&arn, policy).map_err(|conflict| self.fault(&place, conflict))?;
        }
        for entry in contents.role {
            let place = format!("role `{}`", entry.name);
            let role = self.role(&snapshot, entry, &place)?;
            snapshot.add_role(role).map_err(|conflict| self.fault(&place, conflict))?;
        }
        for provider in snapshot.providers() {
            let role = provider.minio.as_ref().and_then(|minio| minio.default_role.as_ref());
            if let Some(role) = role.filter(|role| snapshot.role(role.as_str()).is_none()) {
                let place = format!("provider `{}`", provider.url);
                return Err(self.fault(&place, format!("its default role `{role}` is not there")));
            }
        }
        Ok(snapshot)
    }

    fn built_in(
        &mut self,
        account: &str,
        entry: BuiltInEntry,
        place: &str,
    ) -> Result<Provider, DirectoryError> {
        let built_in = BuiltIn::of(&entry.name)
            .ok_or_else(|| self.fault(place, "there is no such provider; there is `accounts.google.com`"))?;
        let mut provider = Provider::built_in(account, built_in, entry.client_ids);
        self.connection(&mut provider, (entry.jwks_url, entry.jwks_file, entry.ca_file), false, place)?;
        Ok(provider)
    }

    fn provider(
        &mut self,
        snapshot: &Snapshot,
        entry: ProviderEntry,
        place: &str,
    ) -> Result<Provider, DirectoryError> {
        check_address(&entry.url, entry.allow_http).map_err(|reason| self.fault(place, reason))?;
        if RESERVED.contains(&without_scheme(&entry.url)) {
            return Err(
                self.fault(place, "its condition keys would be those of a service; use a full host name")
            );
        }
        let any_audience = snapshot.is_ceph() && entry.client_ids.is_empty();
        if (entry.client_ids.is_empty() && !any_audience) || entry.client_ids.iter().any(String::is_empty) {
            return Err(self.fault(place, "`client_ids` needs at least one client id, and none may be empty"));
        }
        let mut provider = Provider::new(snapshot.account_in_arns(), entry.url, entry.client_ids);
        provider.any_audience = any_audience;
        provider.minio = entry.minio.map(|minio| Minio {
            default_role: minio.default_role.map(|name| Arn::role(snapshot.account_in_arns(), &name)),
            policy_claim: minio.policy_claim,
        });
        let connection = (entry.jwks_url, entry.jwks_file, entry.ca_file);
        self.connection(&mut provider, connection, entry.allow_http, place)?;
        if let Some(names) = entry.algorithms {
            let algorithms: Result<Vec<Algorithm>, UnknownAlgorithm> =
                names.iter().map(|name| name.parse()).collect();
            provider.algorithms =
                AllowedAlgorithms::only(algorithms.map_err(|error| self.fault(place, error))?);
        }
        if let Some(odd) = entry.thumbprints.iter().find(|text| !is_thumbprint(text)) {
            return Err(self.fault(place, format!("`{odd}` is not a thumbprint: it needs 40 hex digits")));
        }
        provider.thumbprints = entry.thumbprints;
        provider.sessions_end_with_token = entry.sessions_end_with_token;
        provider.revoked_before = self.time(entry.revoked_before, place)?;
        Ok(provider)
    }

    /// Where a provider's keys come from, and which certificate authorities are trusted on the way.
    fn connection(
        &mut self,
        provider: &mut Provider,
        (jwks_url, jwks_file, ca_file): (Option<String>, Option<PathBuf>, Option<PathBuf>),
        allow_http: bool,
        place: &str,
    ) -> Result<(), DirectoryError> {
        provider.keys = match (jwks_url, jwks_file) {
            (None, None) => Keys::Discovery,
            (Some(url), None) => {
                check_address(&url, allow_http).map_err(|reason| self.fault(place, reason))?;
                Keys::Url(url)
            }
            (None, Some(file)) => {
                let keys =
                    KeySet::parse(self.read(&file)?.as_bytes()).map_err(|error| self.fault(place, error))?;
                Keys::Fixed(Arc::new(keys))
            }
            (Some(_), Some(_)) => {
                return Err(self.fault(place, "`jwks_url` and `jwks_file` exclude each other"));
            }
        };
        if let Some(file) = ca_file {
            let pem = self.read(&file)?.into_bytes();
            reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| self.fault(place, "`ca_file` holds no PEM certificate"))?;
            provider.ca_pem = Some(pem);
        }
        Ok(())
    }

    fn role(&mut self, snapshot: &Snapshot, entry: RoleEntry, place: &str) -> Result<Role, DirectoryError> {
        if !is_name(&entry.name, 64) {
            return Err(self.fault(place, r"a role's name has 1 to 64 characters of `[\w+=,.@-]`"));
        }
        let path_ok = entry.path.starts_with('/') && entry.path.ends_with('/') && entry.path.len() <= 512;
        if !path_ok || !entry.path.bytes().all(|byte| byte.is_ascii_graphic()) || entry.path.contains("//") {
            return Err(self.fault(place, format!("the path `{}` has to begin and end with `/`", entry.path)));
        }
        let trust_place = format!("{place}, trust policy");
        let trust = self.document(entry.trust, entry.trust_file, Kind::Trust, &trust_place)?;
        let trust = trust.named(format!("{} (trust policy)", entry.name));
        let mut role = Role::new(snapshot.account_in_arns(), &entry.path, &entry.name, trust);

        if let Some(seconds) = entry.max_session_duration {
            if !(3600..=43_200).contains(&seconds) {
                return Err(self.fault(place, "`max_session_duration` is 3600 to 43200 seconds"));
            }
            role.max_session_duration = seconds;
        }
        for inline in &entry.policy {
            let policy_place = format!("{place}, policy `{}`", inline.name);
            if entry.policy.iter().filter(|other| other.name == inline.name).count() > 1 {
                return Err(self.fault(&policy_place, "there are two inline policies of this name"));
            }
            role.policies.push(self.policy(inline, &policy_place)?);
        }
        for name in &entry.attached {
            role.policies.push(self.managed(snapshot, name, place)?);
        }
        if let Some(name) = &entry.boundary {
            role.boundary = Some(self.managed(snapshot, name, place)?);
        }
        role.revoked_before = self.time(entry.revoked_before, place)?;
        Ok(role)
    }

    fn managed(&self, snapshot: &Snapshot, name: &str, place: &str) -> Result<Arc<Policy>, DirectoryError> {
        let arn = policy_arn(snapshot.account_in_arns(), name).map_err(|reason| self.fault(place, reason))?;
        snapshot.policy(arn.as_str()).cloned().ok_or_else(|| {
            self.fault(place, format!("there is no policy `{name}`; add a `[[policy]]` of this name"))
        })
    }

    fn policy(&mut self, entry: &PolicyEntry, place: &str) -> Result<Arc<Policy>, DirectoryError> {
        if !is_name(&entry.name, 128) {
            return Err(self.fault(place, r"a policy's name has 1 to 128 characters of `[\w+=,.@-]`"));
        }
        let document = self.document(entry.document.clone(), entry.file.clone(), Kind::Identity, place)?;
        Ok(Arc::new(document.named(entry.name.clone())))
    }

    fn document(
        &mut self,
        inline: Option<String>,
        file: Option<PathBuf>,
        kind: Kind,
        place: &str,
    ) -> Result<Document, DirectoryError> {
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
        Document::parse(&text, kind).map_err(|error| match file {
            Some(file) => self.fault(&format!("{place}, file `{}`", file.display()), error),
            None => self.fault(place, error),
        })
    }

    fn time(&self, text: Option<String>, place: &str) -> Result<Option<Timestamp>, DirectoryError> {
        let Some(text) = text else { return Ok(None) };
        parse_iso8601(&text).map(Some).ok_or_else(|| {
            self.fault(place, format!("`{text}` is not a time such as `2026-11-23T20:07:00Z`"))
        })
    }

    fn read(&mut self, file: &Path) -> Result<String, DirectoryError> {
        let path = self.path.parent().unwrap_or(Path::new("")).join(file);
        self.seen.0.extend(Fingerprint::of([path.clone()]).0);
        fs::read_to_string(&path).map_err(|source| DirectoryError::Read { path, source })
    }

    fn fault(&self, place: &str, reason: impl ToString) -> DirectoryError {
        DirectoryError::Entry { path: self.path.clone(), place: place.to_owned(), reason: reason.to_string() }
    }
}

fn policy_arn(account: &str, name: &str) -> Result<Arn, String> {
    format!("arn:aws:iam::{account}:policy/{name}")
        .parse()
        .map_err(|_| format!("`{name}` is not a policy's name"))
}

fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

fn is_thumbprint(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An issuer or a JWKS address: `https`, or `http` to this machine, without credentials, query or fragment.
fn check_address(text: &str, allow_http: bool) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not an address: {error}"))?;
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(format!("`{text}` has no host")),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback || allow_http => {}
        "http" => {
            return Err(format!("`{text}` would be read unprotected; use https, or set `allow_http = true`"));
        }
        scheme => return Err(format!("`{scheme}` is not http or https")),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(format!("`{text}` may have no user name, password or fragment"));
    }
    Ok(())
}
