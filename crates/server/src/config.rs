//! The server's configuration file.
//!
//! Enters: a TOML file. Leaves: a [`Config`] with every path made absolute, relative to the file. Refused: unknown
//! keys, values that cannot be, and secrets that others can read. Each subject has a module of its own below, which
//! reads its part of the file.

pub mod error;

pub mod place;

pub mod listen;

pub mod directory;

pub mod root;

pub mod audit;

pub mod metrics;

pub mod limits;

pub mod proxies;

pub mod stop;

pub mod traces;

pub mod upstreams;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use url::Host;
use wigeon_core::s3::BucketName;

pub use self::audit::AuditConfig;
use self::audit::AuditKey;
use self::directory::DirectoryKey;
pub use self::directory::{DirectoryConfig, DirectoryHome};
pub use self::error::ConfigError;
use self::limits::LimitsTable;
pub use self::listen::{Certificate, Listen, ListenAt};
use self::listen::{DEFAULT_LISTEN, ListenKey};
use self::metrics::MetricsTable;
use self::place::{Place, read};
use self::proxies::ProxiesTable;
use self::root::RootTable;
pub use self::stop::Stop;
use self::stop::StopTable;
pub use self::traces::TracesConfig;
use self::traces::TracesTable;
use self::upstreams::UpstreamTable;
use crate::authenticate::RootKey;
use crate::backend::upstream::settings::Settings;
use crate::directory::{BuiltInSettings, ProviderSettings};
use crate::limits::Allowances;
use crate::proxies::Proxies;

/// A server's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where STS, IAM and S3 are served.
    pub listen: Vec<Listen>,
    /// Where buckets, objects and keys are kept.
    pub data: PathBuf,
    /// The keys that seal sessions; nodes that serve each other's sessions have the same.
    pub session_keys: PathBuf,
    /// Where providers, roles and policies are kept.
    pub directory: DirectoryConfig,
    /// The region that requests must be signed for.
    pub region: String,
    /// Names under which buckets are hosts, without ports: `s3.example.org` for `bucket.s3.example.org`.
    pub domains: Vec<String>,
    /// The administrator's key.
    pub root: Option<RootKey>,
    /// Where audit records go, beside the log.
    pub audit: AuditConfig,
    /// Where metrics are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// Where traces go, if anywhere.
    pub traces: Option<TracesConfig>,
    /// What one client may use.
    pub limits: Allowances,
    /// Who is believed about whose requests it brings.
    pub proxies: Proxies,
    /// How it stops.
    pub stop: Stop,
    /// How often lifecycle rules are carried out.
    pub lifecycle_every: Duration,
    /// Stores behind this one, and the environment that their credentials may be found in: empty, until whoever
    /// starts the server fills it.
    pub upstreams: Settings,
    /// The files that it was read from: its own first.
    pub files: Vec<PathBuf>,
    /// What it says, key by key.
    pub says: toml::Table,
}

/// The keys that are taken up while a server runs. Of `limits`, `connections` is not.
const TAKEN_UP: [&str; 6] = ["limits", "upstream", "local_buckets", "proxies", "domains", "root"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<ListenKey>,
    data: PathBuf,
    session_keys: Option<PathBuf>,
    #[serde(default)]
    directory: DirectoryKey,
    #[serde(default)]
    provider: Vec<ProviderSettings>,
    #[serde(default)]
    built_in: Vec<BuiltInSettings>,
    region: Option<String>,
    #[serde(default)]
    domains: Vec<String>,
    root: Option<RootTable>,
    audit: Option<AuditKey>,
    tls: Option<Certificate>,
    metrics: Option<MetricsTable>,
    traces: Option<TracesTable>,
    #[serde(default)]
    limits: LimitsTable,
    proxies: Option<ProxiesTable>,
    #[serde(default)]
    stop: StopTable,
    lifecycle_every_seconds: Option<NonZeroU32>,
    #[serde(default)]
    upstream: Vec<UpstreamTable>,
    #[serde(default)]
    local_buckets: Vec<BucketName>,
}

impl Config {
    /// What a file says that names nothing but these two.
    #[must_use]
    pub fn new(data: PathBuf, directory: DirectoryConfig) -> Self {
        Self {
            listen: vec![Listen::at(DEFAULT_LISTEN)],
            session_keys: data.join("session-keys.json"),
            data,
            directory,
            region: "us-east-1".to_owned(),
            domains: Vec::new(),
            root: None,
            audit: AuditConfig::default(),
            metrics: None,
            traces: None,
            limits: Allowances::default(),
            proxies: Proxies::default(),
            stop: Stop::default(),
            lifecycle_every: Duration::from_secs(3600),
            upstreams: Settings::default(),
            files: Vec::new(),
            says: toml::Table::new(),
        }
    }

    /// What another configuration says otherwise that a running server does not take up.
    #[must_use]
    pub fn restart_for(&self, other: &Self) -> Vec<String> {
        let keys: BTreeSet<&String> = self.says.keys().chain(other.says.keys()).collect();
        let differ = |key: &&&String| self.says.get(**key) != other.says.get(**key);
        let mut changed: Vec<String> = keys
            .iter()
            .filter(|key| !TAKEN_UP.contains(&key.as_str()))
            .filter(differ)
            .map(|key| (**key).clone())
            .collect();
        if self.limits.connections != other.limits.connections {
            changed.push("limits.connections".to_owned());
        }
        changed
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        // What stands beside it is named by whole paths, wherever this process was started.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let text = read(&path)?;
        let place = Place(&path);
        let malformed = |error: toml::de::Error| place.malformed(error.to_string());
        let file: File = toml::from_str(&text).map_err(malformed)?;
        let says = toml::from_str(&text).map_err(malformed)?;
        let data = place.beside(&file.data);
        let directory =
            file.directory.read(place, &data)?.with_providers(file.provider, file.built_in, place)?;
        let plain = Self::new(data, directory);
        let upstreams = upstreams::read(file.upstream, file.local_buckets, place)?;
        let listen = listen::read(file.listen, file.tls, place)?;
        let metrics = file.metrics.map(|metrics| metrics.listen);
        if let Some(address) = metrics.filter(|address| listen::is_at(&listen, *address)) {
            return Err(place.malformed(format!(
                "metrics.listen: {address} is where requests are served; take another port"
            )));
        }
        let secret = file.root.as_ref().map(|root| root.secret_key_file(place));
        Ok(Self {
            region: file.region.map(|region| of_scopes(region, place)).transpose()?.unwrap_or(plain.region),
            session_keys: file.session_keys.map_or(plain.session_keys, |path| place.beside(&path)),
            domains: file.domains.into_iter().map(|name| domain(name, place)).collect::<Result<_, _>>()?,
            root: file.root.map(|root| root.read(place)).transpose()?,
            audit: file.audit.map(|audit| audit.read(place)).transpose()?.unwrap_or_default(),
            metrics,
            listen,
            traces: file.traces.map(|traces| traces.read(place)).transpose()?,
            limits: file.limits.read(place)?,
            proxies: file.proxies.map(|proxies| proxies.read(place)).transpose()?.unwrap_or_default(),
            stop: file.stop.read(),
            lifecycle_every: file
                .lifecycle_every_seconds
                .map_or(plain.lifecycle_every, |seconds| Duration::from_secs(seconds.get().into())),
            files: [path.clone()].into_iter().chain(secret).chain(upstreams.files.clone()).collect(),
            upstreams,
            says,
            ..plain
        })
    }
}

/// A region's name, as it stands in the scopes of signatures.
fn of_scopes(region: String, place: Place<'_>) -> Result<String, ConfigError> {
    match !region.is_empty()
        && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    {
        true => Ok(region),
        false => Err(place.malformed(format!("region: `{region}` is no region's name, as `us-east-1`"))),
    }
}

/// A name under which buckets are hosts, as it is compared.
fn domain(name: String, place: Place<'_>) -> Result<String, ConfigError> {
    match Host::parse(&name) {
        Ok(Host::Domain(host)) if host.eq_ignore_ascii_case(&name) && !host.ends_with('.') => Ok(host),
        _ => Err(place
            .malformed(format!("domains: `{name}` is no host's name, as `s3.example.org`, without a port"))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, Result<Config, ConfigError>) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("serve.toml"), text).unwrap();
        fs::write(dir.path().join("secret"), "0123456789abcdef\n").unwrap();
        let config = Config::read(&dir.path().join("serve.toml"));
        (dir, config)
    }

    #[test]
    fn what_would_never_fit_is_refused() {
        for text in [
            "region = ''",
            "region = 'us/east'",
            "domains = ['https://s3.example.org']",
            "domains = ['s3.example.org:9000']",
            "domains = ['127.0.0.1']",
            "domains = ['']",
            "listen = '127.0.0.1:9000'\n[metrics]\nlisten = '127.0.0.1:9000'",
            "[metrics]\nlisten = '127.0.0.1:9000'",
        ] {
            let (_dir, config) = written(&format!("data = 'd'\n{text}"));
            assert!(matches!(config, Err(ConfigError::Malformed { .. })), "{text}: {config:?}");
        }
        let (_dir, config) =
            written("data = 'd'\nregion = 'default'\ndomains = ['S3.Example.org', 'localhost']");
        assert_eq!(config.unwrap().domains, ["s3.example.org", "localhost"]);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let (dir, config) = written("data = 'd'\ndirectory = '/etc/wigeon/directory.toml'");
        let config = config.unwrap();
        assert_eq!(config.data, dir.path().join("d"));
        let DirectoryHome::File(directory) = config.directory.home else { panic!("{config:?}") };
        assert_eq!(directory, Path::new("/etc/wigeon/directory.toml"));
        assert_eq!((config.listen, config.region.as_str()), (vec![Listen::at(DEFAULT_LISTEN)], "us-east-1"));
    }

    #[test]
    fn the_directory_has_one_home() {
        let home = |text: &str| written(text).1.map(|config| config.directory);
        let DirectoryHome::Sqlite(path) = home("data = 'd'").unwrap().home else { panic!() };
        assert!(path.ends_with("d/directory.sqlite"));
        let named = home("data = 'd'\n[directory]\nsqlite = 'x'\naccount = '123456789012'").unwrap();
        assert!(matches!(named.home, DirectoryHome::Sqlite(path) if path.ends_with("x")));
        assert_eq!(named.account.number.as_deref(), Some("123456789012"));
        let file = home("data = 'd'\n[directory]\nfile = 'x'").unwrap();
        assert!(matches!(file.home, DirectoryHome::File(_)));
        for text in [
            "file = 'a'\nsqlite = 'b'",
            "account = '1'",
            "fil = 'x'",
            "file = 'x'\naccount = '123456789012'",
            "file = 'x'\nceph = true",
        ] {
            assert!(home(&format!("data = 'd'\n[directory]\n{text}")).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_file_names_itself_and_the_place() {
        let (dir, error) = written("data = 'd'\ndirectory = 'x'\nlisen = '127.0.0.1:1'");
        let text = error.unwrap_err().to_string();
        assert!(text.contains("serve.toml") && text.contains("line 3") && text.contains("lisen"), "{text}");
        drop(dir);
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let text = "data = 'd'\ndirectory = 'x'\n[root]\naccess_key_id = 'AKIAROOTROOTROOT'\nsecret_key_file = 'secret'";
        let (dir, _) = written(text);
        let secret = dir.path().join("secret");
        let read = |mode| {
            fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
            Config::read(&dir.path().join("serve.toml"))
        };
        assert!(matches!(read(0o644), Err(ConfigError::Exposed { .. })));
        let config = read(0o600).unwrap();
        assert_eq!(config.root.as_ref().unwrap().secret_key.expose(), "0123456789abcdef");
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
