//! TLS on the listener, with a certificate that can be renewed while the server runs.
//!
//! Enters: two PEM files. Leaves: an acceptor for the next connection. Refused: files that are not a certificate
//! and its key; on renewal, the certificate before stays then, and the log says why. Connections that are open keep
//! the certificate that they began with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ProtocolVersion, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use wigeon_core::time::Timestamp;

use crate::certificate;
use crate::config::Certificate;
use crate::request::TlsVersion;

/// The listener's certificate.
pub struct Tls {
    files: Certificate,
    current: ArcSwap<Loaded>,
    seen: Mutex<Seen>,
}

/// A certificate that is served.
struct Loaded {
    config: Arc<ServerConfig>,
    expires_at: Option<Timestamp>,
}

/// When the two files were last changed.
type Seen = [Option<SystemTime>; 2];

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("`{path}` is not a PEM {what}")]
    File {
        /// Which file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The two do not belong together, or are of a kind that is not known.
    #[error("the certificate `{certificate}` and the key `{key}` cannot be used together")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// The version that a connection has come to speak.
#[must_use]
pub fn version<S>(stream: &TlsStream<S>) -> TlsVersion {
    match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => TlsVersion::V1_3,
        // There is no older one in rustls: where it does not say, it is the lowest.
        _ => TlsVersion::V1_2,
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn open(files: &Certificate) -> Result<Self, TlsError> {
        let seen = looked_at(files);
        let current = ArcSwap::from_pointee(read(files)?);
        Ok(Self { files: files.clone(), current, seen: Mutex::new(seen) })
    }

    /// Accepts connections with the certificate as of now.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.load().config))
    }

    /// The certificate's file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.files.certificate
    }

    /// When the certificate that is served ends, where that can be read.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.current.load().expires_at
    }

    /// Reads the files again if they changed; says whether there is a new certificate.
    ///
    /// # Errors
    /// [`TlsError`]; the certificate before stays.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let now = looked_at(&self.files);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        self.current.store(Arc::new(read(&self.files)?));
        Ok(true)
    }

    /// Looks for changed files at this interval, for ever.
    pub async fn watch(&self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            match self.reload_if_changed() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the certificate was renewed"),
                Err(error) => tracing::error!(%error, "the certificate stays as it was"),
            }
        }
    }
}

fn looked_at(files: &Certificate) -> Seen {
    [&files.certificate, &files.key].map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
}

fn read(files: &Certificate) -> Result<Loaded, TlsError> {
    let refused = |path: &PathBuf, what| {
        let path = path.clone();
        move |source| TlsError::File { path, what, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(refused(&files.certificate, "certificate"))?;
    let expires_at = chain.first().and_then(|own| certificate::expires_at(own));
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(refused(&files.key, "private key"))?;
    let unusable =
        |source| TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Loaded { config: Arc::new(config), expires_at })
}
