//! The one place where HTTP clients are built, so that every request of ours trusts, waits and presents itself
//! in the same way.
//!
//! Enters: [`ConnectOptions`]. Leaves: a [`Connector`], cheap to clone, which keeps connections open. It never
//! follows a redirect by itself: tokens and signatures belong to the address they were meant for. A proxy of
//! the environment is used, except for loopback addresses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use reqwest::{Certificate, Client, RequestBuilder, redirect};
use url::{Host, Url};

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// PEM certificates to trust besides those of the system.
    pub ca_files: Vec<PathBuf>,
    /// The time that making a connection may take.
    pub connect_timeout: Duration,
    /// The time between two pieces of an answer, the first included.
    pub read_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            ca_files: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
        }
    }
}

/// Why no client can be built.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file of certificates cannot be read.
    #[error("cannot read the CA file `{}`", file.display())]
    CaFile {
        /// The file that was named.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no certificate.
    #[error("the CA file `{}` holds no PEM certificate; it must have `BEGIN CERTIFICATE` lines", file.display())]
    NoCertificate {
        /// The file that was named.
        file: PathBuf,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] reqwest::Error),
}

/// Makes requests. Cloning shares the pool of connections.
#[derive(Debug, Clone)]
pub struct Connector {
    /// For loopback addresses: no proxy.
    direct: Client,
    outside: Client,
}

impl Connector {
    /// Builds the clients.
    ///
    /// # Errors
    /// A CA file that cannot be read or holds no certificate; a TLS setup without any roots.
    pub fn new(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let mut roots = Vec::new();
        for file in &options.ca_files {
            roots.extend(certificates(file)?);
        }
        Ok(Self { direct: build(options, &roots, true)?, outside: build(options, &roots, false)? })
    }

    /// The client for an address: without a proxy where it is loopback.
    #[must_use]
    pub fn client_for(&self, url: &Url) -> &Client {
        if is_loopback(url) { &self.direct } else { &self.outside }
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        self.client_for(url).request(method, url.clone())
    }
}

/// Whether an address stays on this machine: `localhost` and names under it, 127.0.0.0/8, `::1`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Why an answer's body cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
    /// It is longer than anyone needs.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// The most that is read.
        limit: usize,
    },
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// A connection that breaks, or a longer body.
pub async fn body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLong { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn build(options: &ConnectOptions, roots: &[Certificate], direct: bool) -> Result<Client, ConnectError> {
    let builder = || {
        let builder = Client::builder()
            .user_agent(concat!("wigeon/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .tcp_nodelay(true);
        if direct { builder.no_proxy() } else { builder }
    };
    builder().tls_certs_merge(roots.iter().cloned()).build().or_else(|error| {
        // A machine without any certificates of its own (a bare container) can still reach what a CA file vouches for.
        if roots.is_empty() {
            return Err(ConnectError::Tls(error));
        }
        builder().tls_certs_only(roots.iter().cloned()).build().map_err(ConnectError::Tls)
    })
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, ConnectError> {
    let pem = std::fs::read(file).map_err(|source| ConnectError::CaFile { file: file.to_owned(), source })?;
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() {
        return Err(ConnectError::NoCertificate { file: file.to_owned() });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn loopback_addresses() {
        for text in ["http://127.0.0.1:1/", "http://127.9.9.9", "http://[::1]/x", "http://b.LOCALHOST:3"] {
            assert!(is_loopback(&url(text)), "{text}");
        }
        for text in ["http://128.0.0.1", "http://localhost.example", "http://[::2]", "http://notlocalhost"] {
            assert!(!is_loopback(&url(text)), "{text}");
        }
    }

    #[test]
    fn ca_files_that_are_none_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let options = ConnectOptions { ca_files: vec![file.clone()], ..ConnectOptions::default() };
        assert!(matches!(Connector::new(&options), Err(ConnectError::CaFile { .. })));
        std::fs::write(&file, "hello").unwrap();
        assert!(matches!(Connector::new(&options), Err(ConnectError::NoCertificate { .. })));
    }
}
