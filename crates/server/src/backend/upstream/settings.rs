//! What is configured of an upstream: where it is, which buckets are there, whose credentials it gets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wigeon_core::s3::BucketName;

use crate::bucket::BucketAccess;
use crate::cors::CorsRules;

/// The upstreams, and which buckets stay here.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// In the order of the configuration.
    pub upstreams: Vec<Upstream>,
    /// Buckets of the local store, where one of the upstreams has all the others.
    pub local_buckets: Vec<BucketName>,
    /// What the credentials of upstreams may be found in.
    pub environment: Environment,
    /// Files that were read for it, beside the configuration's own.
    pub files: Vec<PathBuf>,
}

/// One S3-compatible endpoint.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its name in logs and audit records.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// The region that requests to it are signed for.
    pub region: String,
    /// How it is told which bucket.
    pub style: Style,
    /// Certificate authorities (PEM) in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Where its credentials come from.
    pub credentials: Source,
    /// Whether it has every bucket that is not named elsewhere.
    pub default: bool,
    /// Buckets under other names, or in a part of a bucket.
    pub buckets: Vec<Mapping>,
    /// What is said here of the use of buckets, by their names here.
    pub says: BTreeMap<BucketName, Says>,
    /// What becomes of checksums that come after a body.
    pub trailers: Trailers,
    /// Whether keys with `.` or `..` as a segment are sent there.
    pub dot_segments: bool,
    /// Whether the server counts as ready only while it can be reached.
    pub required: bool,
    /// How long it may be silent.
    pub patience: Duration,
}

impl Upstream {
    /// Whether it is the same endpoint, spoken to in the same way, whatever buckets are there.
    pub(super) fn speaks_like(&self, other: &Self) -> bool {
        let Self { name, address, region, style, ca_file, credentials, trailers, .. } = self;
        let Self { dot_segments, required, patience, default: _, buckets: _, says: _, .. } = self;
        (name, address, region, style, ca_file, credentials, trailers)
            == (
                &other.name,
                &other.address,
                &other.region,
                &other.style,
                &other.ca_file,
                &other.credentials,
                &other.trailers,
            )
            && (dot_segments, required, patience) == (&other.dot_segments, &other.required, &other.patience)
    }
}

/// A scheme, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether over TLS.
    pub secure: bool,
    /// A name or an IP address; one of version 6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How an upstream is told which bucket a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// `https://host/bucket/key`
    #[default]
    Path,
    /// `https://bucket.host/key`
    VirtualHost,
}

/// What becomes of a checksum that a client sends after the body. It is checked here in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trailers {
    /// It is sent on, after the body: the upstream keeps it.
    Pass,
    /// The upstream gets a plain body, for stores that know no trailers.
    Check,
}

/// A bucket here, and what it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its name here.
    pub name: BucketName,
    /// Its name there.
    pub bucket: BucketName,
    /// What every key there begins with; perhaps empty.
    pub prefix: String,
}

/// What is said here of a bucket's use, whatever the upstream itself says to others.
#[derive(Debug, Clone, Default)]
pub struct Says {
    /// Its policy, and whether one that is public counts.
    pub access: BucketAccess,
    /// Its rules for requests of web pages.
    pub cors: Option<Arc<CorsRules>>,
}

/// Where an upstream's credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A key of its own.
    Key {
        /// Its id.
        access_key_id: String,
        /// The secret key and nothing else; mode 0600.
        secret_key_file: PathBuf,
    },
    /// A profile of AWS's shared files.
    Profile(String),
    /// Whatever AWS's tools would find: environment, shared files, web identity, container, instance.
    Chain,
}

/// The environment of the process, as far as credentials of upstreams may be found in it.
#[derive(Clone, Default)]
pub struct Environment(Arc<BTreeMap<String, String>>);

impl Environment {
    /// Of these variables.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(Arc::new(variables.into_iter().collect()))
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// An environment holds secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

impl Address {
    /// Reads `http://host:port` or `https://host`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text).map_err(|_| format!("`{text}` is not an address"))?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(format!("`{text}` begins with neither http:// nor https://")),
        };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("`{text}` has more than a scheme, a host and a port"));
        }
        let host = url.host_str().ok_or_else(|| format!("`{text}` names no host"))?.to_owned();
        Ok(Self { secure, host, port: url.port().unwrap_or(if secure { 443 } else { 80 }) })
    }

    /// What stands in the Host header: without the port where it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// The same under another name.
    #[must_use]
    pub fn with_host(&self, host: String) -> Self {
        Self { host, ..self.clone() }
    }

    /// Whether the host is AWS's own.
    #[must_use]
    pub fn is_aws(&self) -> bool {
        self.host.ends_with(".amazonaws.com") || self.host.ends_with(".amazonaws.com.cn")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let address = Address::parse("https://S3.example.org").unwrap();
        assert_eq!((address.authority().as_str(), address.port), ("s3.example.org", 443));
        assert_eq!(Address::parse("http://127.0.0.1:7480/").unwrap().to_string(), "http://127.0.0.1:7480");
        assert_eq!(Address::parse("http://[::1]:80").unwrap().authority(), "[::1]");
        for text in ["", "s3.example.org", "ftp://x", "https://x/path", "https://u:p@x", "https://x?y"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_environment_is_not_shown() {
        let environment = Environment::of([("AWS_SECRET_ACCESS_KEY".to_owned(), "hunter2".to_owned())]);
        assert_eq!(environment.value("AWS_SECRET_ACCESS_KEY"), Some("hunter2"));
        assert!(!format!("{environment:?}").contains("hunter2"));
    }
}
