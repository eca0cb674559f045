//! AWS credentials: what a signature is made with.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::time::Timestamp;

/// An access key, with the session token and the end of temporary ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// `AKIA…` of a long-lived key, `ASIA…` of a session at AWS. Not secret.
    pub access_key_id: String,
    /// The key that signs.
    pub secret_key: Secret,
    /// Sent with each request of a temporary session.
    pub session_token: Option<Secret>,
    /// When they stop working; `None` for long-lived keys.
    pub expires_at: Option<Timestamp>,
}
