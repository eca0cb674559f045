//! What a sign-in at IAM Identity Center leaves.

use serde::{Deserialize, Serialize};
use wigeon_core::secret::Secret;
use wigeon_core::time::Timestamp;

/// A sign-in at IAM Identity Center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsoSession {
    /// The bearer token of the portal.
    pub access_token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Keeps the sign-in alive, where the client was registered for that.
    pub refresh_token: Option<Secret>,
    /// The client that we registered.
    pub client: SsoClient,
}

/// A registered client. Its secret is no person's, and ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsoClient {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
}
