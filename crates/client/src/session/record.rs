//! What is kept of a sign-in between commands, as JSON in the secret store.

use serde::{Deserialize, Serialize};
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::Timestamp;

use crate::secret_store::Account;
use crate::sign_in::{Identity, Provider, TokenSet};

/// The form of the record; another one is not read.
const VERSION: u32 = 1;

/// A sign-in, and the session that it was exchanged for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// Where the person signed in.
    pub provider: Provider,
    /// The client id there.
    pub client_id: Option<String>,
    /// Who signed in.
    pub identity: Identity,
    /// When.
    pub signed_in_at: Timestamp,
    /// The token to exchange.
    pub id_token: Secret,
    /// Keeps the sign-in alive.
    pub refresh_token: Option<Secret>,
    /// For the provider's own services.
    pub access_token: Option<Secret>,
    /// The session of the last exchange.
    pub session: Option<AssumedSession>,
}

/// What an exchange gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssumedSession {
    /// The STS that gave it.
    pub endpoint: Url,
    /// The role that was asked for.
    pub role: Option<String>,
    /// The session's own ARN, if the STS says it.
    pub arn: Option<String>,
    /// When it was asked for.
    pub obtained_at: Timestamp,
    /// The credentials.
    pub credentials: Credentials,
}

impl Record {
    pub(super) fn new(tokens: TokenSet, client_id: Option<String>, now: Timestamp) -> Self {
        Self {
            version: VERSION,
            provider: tokens.provider,
            client_id,
            identity: tokens.identity,
            signed_in_at: now,
            id_token: tokens.id_token,
            refresh_token: tokens.refresh_token,
            access_token: tokens.access_token,
            session: None,
        }
    }

    pub(super) fn from_text(text: &Secret) -> Option<Self> {
        serde_json::from_str::<Self>(text.expose()).ok().filter(|record| record.version == VERSION)
    }

    pub(super) fn to_text(&self) -> Secret {
        Secret::new(serde_json::to_string(self).expect("the record has only texts as keys"))
    }

    pub(super) fn account(&self, profile: &str) -> Account {
        Account {
            profile: profile.to_owned(),
            issuer: self.identity.issuer.clone(),
            client_id: self.client_id.clone().unwrap_or_default(),
            subject: self.identity.subject.clone(),
        }
    }
}
