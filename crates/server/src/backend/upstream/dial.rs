//! Connections to an upstream's host, plain or over TLS.
//!
//! Names under `localhost` lead to this machine and are asked of nobody (RFC 6761, section 6.3). No proxy is used:
//! a gateway stands beside its upstream.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::settings::Address;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why an upstream cannot be spoken to over TLS.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of authorities.
    #[error("the certificate authorities `{}` cannot be read", .path.display())]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS to upstreams cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("the name `{0}` cannot be resolved")]
    Name(String, #[source] io::Error),
    #[error("no connection to {0}")]
    Connect(String, #[source] io::Error),
    #[error("no connection to {0} within {seconds} seconds", seconds = CONNECT_TIMEOUT.as_secs())]
    Slow(String),
    #[error("`{0}` is not a name for TLS")]
    ServerName(String),
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Dialer {
    tls: TlsConnector,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialer")
    }
}

/// A byte stream to an upstream.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Dialer {
    /// Trusts the authorities of the file, else the system's.
    pub(super) fn new(ca_file: Option<&Path>, secure: bool) -> Result<Self, TrustError> {
        let builder =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(TrustError::Tls)?;
        let mut config = match ca_file {
            None if secure => {
                builder.with_platform_verifier().map_err(TrustError::Tls)?.with_no_client_auth()
            }
            // Never asked: there is no TLS.
            None => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
            Some(path) => {
                let unreadable = |source| TrustError::Authorities { path: path.to_owned(), source };
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                    roots.add(certificate.map_err(unreadable)?).map_err(TrustError::Tls)?;
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Connects, to the first of the host's addresses that answers.
    pub(super) async fn dial(&self, to: &Address) -> Result<Stream, DialError> {
        let limited = tokio::time::timeout(CONNECT_TIMEOUT, self.connect(to)).await;
        limited.unwrap_or_else(|_| Err(DialError::Slow(to.to_string())))
    }

    async fn connect(&self, to: &Address) -> Result<Stream, DialError> {
        let refused = |source| DialError::Connect(to.to_string(), source);
        let addresses = addresses(to).await.map_err(|source| DialError::Name(to.host.clone(), source))?;
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        if !to.secure {
            return Ok(Stream::Plain(stream));
        }
        let name = to.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|_| DialError::ServerName(to.host.clone()))?;
        let stream = self.tls.connect(name, stream).await.map_err(refused)?;
        Ok(Stream::Secure(Box::new(stream)))
    }
}

async fn addresses(to: &Address) -> io::Result<Vec<SocketAddr>> {
    if to.host == "localhost" || to.host.ends_with(".localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, to.port).into(), (Ipv6Addr::LOCALHOST, to.port).into()]);
    }
    let host = to.host.trim_start_matches('[').trim_end_matches(']');
    Ok(tokio::net::lookup_host((host, to.port)).await?.collect())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Secure(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secure(stream) => stream.is_write_vectored(),
        }
    }
}
