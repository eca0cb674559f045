//! Whose certificates are believed: those of the system, and those of the CA files.
//!
//! Enters: PEM files. Leaves: one TLS setup for every request of the process. Refused: a file that cannot be
//! read or that holds no certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

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
    Tls(#[source] rustls::Error),
    /// The client could not be set up.
    #[error("cannot set up HTTP")]
    Http(#[source] reqwest::Error),
}

/// The TLS setup, without a word about the protocol above it.
pub(super) fn client_config(ca_files: &[PathBuf]) -> Result<ClientConfig, ConnectError> {
    let mut roots = Vec::new();
    for file in ca_files {
        roots.extend(certificates(file)?);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> =
        match Verifier::new_with_extra_roots(roots.iter().cloned(), Arc::clone(&provider)) {
            Ok(verifier) => Arc::new(verifier),
            // A machine without any certificates of its own (a bare container) can still reach what a CA file
            // vouches for, and what needs no certificate.
            Err(error) => {
                tracing::debug!(%error, "the system's certificates cannot be used");
                return only(roots, provider);
            }
        };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn only(
    certificates: Vec<CertificateDer<'static>>,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<ClientConfig, ConnectError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let pem = std::fs::read(file).map_err(|source| ConnectError::CaFile { file: file.to_owned(), source })?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(ConnectError::NoCertificate { file: file.to_owned() }),
    }
}
