//! AWS's own files, `~/.aws/config` and `~/.aws/credentials`, where a profile refers to a profile there.
//!
//! Enters: a profile's name. Leaves: an `AwsProfile`: one source, and the roles to assume from it, in order. Refused:
//! a name that is in neither file, a profile without anything to sign with, a circle of `source_profile`. Source: AWS
//! SDKs and Tools Reference Guide, "Shared config and credentials files", "Assume role credential provider".

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use url::Url;
use wigeon_core::arn::Arn;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;

use crate::profile::{IdentityCenter, KeySource, TokenSource};
use crate::surroundings::Surroundings;

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleStep {
    pub(crate) role: Arn,
    pub(crate) session_name: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) mfa_serial: Option<String>,
    pub(crate) duration_seconds: Option<u32>,
    pub(crate) policy: Option<String>,
}

/// What the first keys of a profile are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AwsRoot {
    /// They stand there.
    Given(Credentials),
    /// They come from elsewhere.
    Keys(KeySource),
    /// A token is exchanged for them.
    WebIdentity { token: TokenSource, role: Arn, session_name: Option<String> },
    /// A person signs in.
    IdentityCenter(IdentityCenter),
}

/// A profile of AWS's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsProfile {
    pub(crate) root: AwsRoot,
    pub(crate) roles: Vec<RoleStep>,
}

/// Why a profile of AWS's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AwsConfigError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It is in neither file.
    #[error("there is no profile `{0}` in `~/.aws/config` and `~/.aws/credentials`")]
    Unknown(String),
    /// It has nothing to sign with.
    #[error("the AWS profile `{profile}` {problem}")]
    Unusable {
        /// Its name.
        profile: String,
        /// What is missing or wrong.
        problem: String,
    },
}

type Section = BTreeMap<String, String>;

/// Both files, read.
struct Files {
    profiles: BTreeMap<String, Section>,
    sso_sessions: BTreeMap<String, Section>,
}

/// Finds a profile and what it is made from.
pub(crate) fn aws_profile(name: &str, around: &Surroundings) -> Result<AwsProfile, AwsConfigError> {
    let files = Files::read(around)?;
    let mut roles = Vec::new();
    let root = files.root(name, &mut roles, &mut BTreeSet::new())?;
    roles.reverse();
    Ok(AwsProfile { root, roles })
}

impl Files {
    fn read(around: &Surroundings) -> Result<Self, AwsConfigError> {
        let text = |variable, in_home| match around.file(variable, in_home) {
            None => Ok(String::new()),
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Ok(text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
                Err(source) => Err(AwsConfigError::File { path, source }),
            },
        };
        let config = text("AWS_CONFIG_FILE", ".aws/config")?;
        let credentials = text("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")?;
        let mut files = Self { profiles: BTreeMap::new(), sso_sessions: BTreeMap::new() };
        for (name, section) in sections(&config) {
            if let Some(name) = name.strip_prefix("sso-session ") {
                files.sso_sessions.entry(name.trim().to_owned()).or_default().extend(section);
            } else if name == "default" || name.starts_with("profile ") {
                let name = name.strip_prefix("profile ").unwrap_or(&name).trim().to_owned();
                files.profiles.entry(name).or_default().extend(section);
            }
        }
        // What stands in the file of credentials wins.
        for (name, section) in sections(&credentials) {
            files.profiles.entry(name).or_default().extend(section);
        }
        Ok(files)
    }

    /// The source of a profile. The roles on the way are put behind those that are there: the last one first.
    fn root(
        &self,
        name: &str,
        roles: &mut Vec<RoleStep>,
        seen: &mut BTreeSet<String>,
    ) -> Result<AwsRoot, AwsConfigError> {
        let unusable = |problem: &str| AwsConfigError::Unusable {
            profile: name.to_owned(),
            problem: problem.to_owned(),
        };
        let profile = self.profiles.get(name).ok_or_else(|| AwsConfigError::Unknown(name.to_owned()))?;
        let of = |key: &str| profile.get(key).filter(|value| !value.is_empty());
        let again = !seen.insert(name.to_owned());

        if let Some(role) = of("role_arn").filter(|_| !again) {
            let role: Arn = role.parse().map_err(|_| unusable("has a `role_arn` that is no ARN"))?;
            let session_name = of("role_session_name").cloned();
            if let Some(file) = of("web_identity_token_file") {
                return Ok(AwsRoot::WebIdentity {
                    token: TokenSource::File(file.into()),
                    role,
                    session_name,
                });
            }
            roles.push(RoleStep {
                role,
                session_name,
                external_id: of("external_id").cloned(),
                mfa_serial: of("mfa_serial").cloned(),
                duration_seconds: of("duration_seconds").and_then(|seconds| seconds.parse().ok()),
                policy: None,
            });
            return match (of("source_profile"), of("credential_source").map(String::as_str)) {
                (Some(source), _) => self.root(source, roles, seen),
                (None, Some("Environment")) => Ok(AwsRoot::Keys(KeySource::Environment)),
                (None, Some("Ec2InstanceMetadata")) => Ok(AwsRoot::Keys(KeySource::Instance(None))),
                (None, Some("EcsContainer")) => Ok(AwsRoot::Keys(KeySource::Container)),
                _ => Err(unusable(
                    "has a role, and neither `source_profile` nor `credential_source` to assume it from",
                )),
            };
        }
        // A profile may be its own source: then its keys count.
        if let (Some(id), Some(secret)) = (of("aws_access_key_id"), of("aws_secret_access_key")) {
            return Ok(AwsRoot::Given(Credentials {
                access_key_id: id.clone(),
                secret_key: Secret::new(secret.as_str()),
                session_token: of("aws_session_token").map(|token| Secret::new(token.as_str())),
                expires_at: None,
            }));
        }
        if again {
            return Err(unusable("is its own source, in a circle"));
        }
        if of("sso_session").is_some() || of("sso_start_url").is_some() {
            return self.identity_center(profile).map(AwsRoot::IdentityCenter).map_err(unusable);
        }
        if let Some(line) = of("credential_process") {
            return Ok(AwsRoot::Keys(KeySource::Process(line.clone())));
        }
        Err(unusable("has neither keys, nor a role, a process or a sign-in"))
    }

    fn identity_center(&self, profile: &Section) -> Result<IdentityCenter, &'static str> {
        let session = profile.get("sso_session");
        let shared = match session {
            Some(name) => {
                Some(self.sso_sessions.get(name).ok_or("names an `sso_session` that is not there")?)
            }
            None => None,
        };
        let of = |key: &str| shared.and_then(|shared| shared.get(key)).or_else(|| profile.get(key)).cloned();
        let scopes: Vec<String> = of("sso_registration_scopes")
            .map(|scopes| scopes.split(',').map(|scope| scope.trim().to_owned()).collect())
            .unwrap_or_else(|| vec!["sso:account:access".to_owned()]);
        Ok(IdentityCenter {
            start_url: of("sso_start_url")
                .filter(|url| Url::parse(url).is_ok())
                .ok_or("has no `sso_start_url` that is an address")?,
            region: of("sso_region").ok_or("has no `sso_region`")?,
            account_id: profile.get("sso_account_id").cloned(),
            role_name: profile.get("sso_role_name").cloned(),
            scopes,
            session: session.cloned(),
            // AWS's tools read the same profile.
            shared: true,
        })
    }
}

/// The sections of a file, in order. Indented lines belong to the key above them, and are passed over.
fn sections(text: &str) -> Vec<(String, Section)> {
    let mut sections: Vec<(String, Section)> = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with(['#', ';', ' ', '\t']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default();
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ").replace(['"', '\''], "");
            sections.push((name, Section::new()));
        } else if let (Some((key, value)), Some((_, section))) = (line.split_once('='), sections.last_mut()) {
            // A comment after a value begins with white space.
            let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
            let value = end.and_then(|end| value.get(..end)).unwrap_or(value);
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
# a comment
[default]
region = eu-west-1
s3 =
  max_concurrent_requests = 20

[profile admin]
role_arn = arn:aws:iam::1:role/admin
source_profile = analyst   ; from here
external_id = e1
mfa_serial = arn:aws:iam::1:mfa/ada
duration_seconds = 900
[profile analyst]
role_arn = arn:aws:iam::1:role/analyst
source_profile = keys
[profile pod]
role_arn = arn:aws:iam::1:role/pod
web_identity_token_file = /var/run/token
role_session_name = pod-7
[profile machine]
role_arn = arn:aws:iam::1:role/machine
credential_source = Ec2InstanceMetadata
[profile printed]
credential_process = print keys --now
[profile person]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Reader
[sso-session corp]
sso_region = eu-central-1
sso_start_url = https://corp.awsapps.com/start
sso_registration_scopes = sso:account:access, other
[profile old-person]
sso_region = us-east-1
sso_start_url = https://old.awsapps.com/start
[profile selfish]
role_arn = arn:aws:iam::1:role/self
source_profile = selfish
[profile one]
role_arn = arn:aws:iam::1:role/one
source_profile = two
[profile two]
role_arn = arn:aws:iam::1:role/two
source_profile = one
[profile orphan]
role_arn = arn:aws:iam::1:role/orphan
[profile empty]
region = x
";
    const CREDENTIALS: &str = "[keys]\naws_access_key_id = AKIA1\naws_secret_access_key = hunter2 # not shown\n[selfish]\naws_access_key_id=AKIA2\naws_secret_access_key=s\n";

    fn find(name: &str) -> Result<AwsProfile, AwsConfigError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".aws")).unwrap();
        std::fs::write(dir.path().join(".aws/config"), CONFIG).unwrap();
        let credentials = dir.path().join("elsewhere");
        std::fs::write(&credentials, CREDENTIALS).unwrap();
        let variables = [("HOME", dir.path()), ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_path())];
        let variables = variables.map(|(name, path)| (name.to_owned(), path.to_str().unwrap().to_owned()));
        aws_profile(name, &Surroundings::new(variables))
    }

    fn id_of(root: &AwsRoot) -> &str {
        let AwsRoot::Given(keys) = root else { panic!("{root:?}") };
        &keys.access_key_id
    }

    #[test]
    fn roles_are_assumed_from_the_source_on() {
        let found = find("admin").unwrap();
        assert_eq!(id_of(&found.root), "AKIA1");
        let roles: Vec<_> = found.roles.iter().map(|step| step.role.resource().to_owned()).collect();
        assert_eq!(roles, ["role/analyst", "role/admin"]);
        let admin = found.roles.last().unwrap();
        assert_eq!(admin.external_id.as_deref(), Some("e1"));
        assert_eq!(admin.mfa_serial.as_deref(), Some("arn:aws:iam::1:mfa/ada"));
        assert_eq!(admin.duration_seconds, Some(900));
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn every_kind_of_source() {
        assert!(matches!(
            find("pod").unwrap().root,
            AwsRoot::WebIdentity { token: TokenSource::File(file), session_name: Some(name), .. }
                if file == std::path::Path::new("/var/run/token") && name == "pod-7"
        ));
        assert_eq!(find("machine").unwrap().root, AwsRoot::Keys(KeySource::Instance(None)));
        let printed = AwsRoot::Keys(KeySource::Process("print keys --now".to_owned()));
        assert_eq!(find("printed").unwrap().root, printed);
        let AwsRoot::IdentityCenter(center) = find("person").unwrap().root else { panic!() };
        assert_eq!((center.region.as_str(), center.role_name.as_deref()), ("eu-central-1", Some("Reader")));
        assert_eq!(center.scopes, ["sso:account:access", "other"]);
        assert!(matches!(find("old-person").unwrap().root, AwsRoot::IdentityCenter(_)));
        let selfish = find("selfish").unwrap();
        assert_eq!((id_of(&selfish.root), selfish.roles.len()), ("AKIA2", 1));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (name, says) in [
            ("nobody", "there is no profile `nobody`"),
            ("one", "in a circle"),
            ("orphan", "neither `source_profile` nor"),
            ("empty", "has neither keys"),
        ] {
            let error = find(name).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(matches!(aws_profile("x", &Surroundings::default()), Err(AwsConfigError::Unknown(_))));
    }
}
