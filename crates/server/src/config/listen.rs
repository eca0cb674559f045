//! Where the server listens, and with which certificate.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use super::place::Place;

/// `127.0.0.1:9000`
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9000);

/// Where the listener's certificate and key are, both in PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate and those between it and its authority, in this order.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Certificate {
    /// With both files beside the configuration.
    #[must_use]
    pub fn at(self, place: Place<'_>) -> Self {
        Self { certificate: place.beside(&self.certificate), key: place.beside(&self.key) }
    }
}
