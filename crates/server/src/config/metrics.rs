//! Where metrics are served: `[metrics]`.

use std::net::SocketAddr;

use serde::Deserialize;

/// `[metrics]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsTable {
    /// An address that requests do not reach: loopback, or a network of those who run the server.
    pub listen: SocketAddr,
}
