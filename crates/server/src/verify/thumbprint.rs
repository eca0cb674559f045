//! Whether a provider's server is who it says, for a provider with thumbprints.
//!
//! Enters: the chain of certificates that the server sends. Leaves: trust in it, for the connection. The system's
//! authorities decide; only for a chain that none of them signed do the thumbprints: one of them has to be that of the
//! last certificate of the chain, the top authority, and the server's own certificate has to be signed by it, through
//! those in between, for this name and time. So no certificate counts because it merely comes along.
//! Source: AWS IAM User Guide, "Obtain the thumbprint for an OpenID Connect identity provider".

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs::default_provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier as SystemVerifier;

/// No authority of the system signed the certificate, and no thumbprint speaks for who did.
#[derive(thiserror::Error)]
#[error(
    "no authority of the system signed the certificate, and the thumbprint of the last one of its chain, `{0}`, is not among the provider's"
)]
pub(super) struct NoThumbprint(pub(super) String);

/// What rustls shows of a cause is its `Debug`.
impl std::fmt::Debug for NoThumbprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Asks the system's authorities first, then the thumbprints.
#[derive(Debug)]
pub(super) struct ThumbprintVerifier {
    /// What the system trusts; `None` where it has no authorities.
    system: Option<Arc<dyn ServerCertVerifier>>,
    /// In small letters.
    thumbprints: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// TLS to a provider with thumbprints.
pub(super) fn tls_with(thumbprints: &[String]) -> Result<ClientConfig, Error> {
    let crypto = Arc::new(default_provider());
    let system = match SystemVerifier::new(Arc::clone(&crypto)) {
        Ok(system) => Some(Arc::new(system) as Arc<dyn ServerCertVerifier>),
        Err(error) => {
            tracing::warn!(%error, "the system has no certificate authorities: a provider's thumbprints alone count");
            None
        }
    };
    ThumbprintVerifier::new(system, thumbprints, &crypto).config(crypto)
}

impl ThumbprintVerifier {
    pub(super) fn new(
        system: Option<Arc<dyn ServerCertVerifier>>,
        thumbprints: &[String],
        crypto: &CryptoProvider,
    ) -> Self {
        let thumbprints = thumbprints.iter().map(|text| text.to_ascii_lowercase()).collect();
        Self { system, thumbprints, algorithms: crypto.signature_verification_algorithms }
    }

    pub(super) fn config(self, crypto: Arc<CryptoProvider>) -> Result<ClientConfig, Error> {
        Ok(ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self))
            .with_no_client_auth())
    }

    /// Whether a thumbprint speaks for the top of the chain, and the chain holds up to there.
    fn verify_by_thumbprint(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let top = intermediates.last().unwrap_or(end_entity);
        let thumbprint = thumbprint(top);
        if !self.thumbprints.contains(&thumbprint) {
            let unknown = OtherError(Arc::new(NoThumbprint(thumbprint)));
            return Err(CertificateError::Other(unknown).into());
        }
        let mut anchor = RootCertStore::empty();
        anchor.add(top.clone().into_owned())?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &anchor, intermediates, now, algorithms)?;
        verify_server_name(&certificate, server_name)
    }
}

/// The SHA-1 of a certificate, as AWS writes it.
pub(super) fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate);
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ServerCertVerifier for ThumbprintVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_system = match &self.system {
            Some(system) => {
                system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match by_system {
            // The only fault that a thumbprint mends: not an expired certificate, not another's name.
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => self
                .verify_by_thumbprint(end_entity, intermediates, server_name, now)
                .map(|()| ServerCertVerified::assertion()),
            decided => decided,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
