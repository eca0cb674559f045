//! The one place where HTTP clients are built, so that every request of ours trusts, waits and presents itself
//! in the same way.
//!
//! Enters: [`ConnectOptions`]. Leaves: a [`Connector`], cheap to clone, which keeps connections open. It never
//! follows a redirect by itself: tokens and signatures belong to the address they were meant for. A proxy of
//! the environment is used, except for loopback addresses.

mod loopback;

mod tls;

mod dial;

mod rate;

mod exact;

use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use reqwest::{Client, RequestBuilder, redirect};
use rustls::ClientConfig;
use url::Url;

pub(crate) use self::loopback::is_loopback_authority;
use self::loopback::is_loopback_host;
use self::tls::client_config;

pub use self::exact::{ConnectionError, SendError};
pub(crate) use self::exact::{ExactClient, ExactResponse};
pub use self::rate::{LocalTime, RateLimit, Timetable, TimetableError};
pub use self::tls::ConnectError;

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

/// Makes requests. Cloning shares the pool of connections.
#[derive(Debug, Clone)]
pub struct Connector {
    /// For loopback addresses: no proxy.
    direct: Client,
    outside: Client,
    exact: ExactClient,
}

impl Connector {
    /// Builds the clients.
    ///
    /// # Errors
    /// A CA file that cannot be read or holds no certificate; a TLS setup without any roots.
    pub fn new(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let tls = client_config(&options.ca_files)?;
        Ok(Self {
            direct: build(options, &tls, true)?,
            outside: build(options, &tls, false)?,
            exact: ExactClient::new(tls, options.connect_timeout, options.read_timeout),
        })
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

    /// The client for requests whose path must not change on its way: those to a store.
    pub(crate) fn exact(&self) -> &ExactClient {
        &self.exact
    }
}

/// Whether an address stays on this machine: `localhost` and names under it, 127.0.0.0/8, `::1`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback_host)
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

fn build(options: &ConnectOptions, tls: &ClientConfig, direct: bool) -> Result<Client, ConnectError> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = Client::builder()
        .user_agent(concat!("wigeon/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        .tcp_nodelay(true)
        .tls_backend_preconfigured(tls);
    let builder = if direct { builder.no_proxy() } else { builder };
    builder.build().map_err(ConnectError::Http)
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
