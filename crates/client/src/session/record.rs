//! What is kept of a sign-in between commands, as JSON in the secret store.

use serde::{Deserialize, Serialize};
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::identity_center::SsoSession;
use crate::profile::Exchanged;
use crate::secret_store::Account;
use crate::sign_in::{Identity, Life, Provider, TokenSet};

/// The form of the record; another one is not read.
const VERSION: u32 = 1;

/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// What has an end is renewed this long before it, or at two thirds of its life if that is later. AWS's SDKs ask again
/// and again for credentials with less than fifteen minutes left, and are told an end that is up to five minutes early.
const RENEWAL_MARGIN: SignedDuration = SignedDuration::from_mins(20);

/// A refresh token that would have to be used within less than this before its end is left alone until it is needed.
const SHORTEST_MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// How long before its end something with such a life is renewed.
fn margin_of(life: SignedDuration) -> SignedDuration {
    RENEWAL_MARGIN.min(life / 3)
}

/// A sign-in, and the session that it was exchanged for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub(super) version: u32,
    /// Where the person signed in; nothing for workloads and access keys.
    pub provider: Option<Provider>,
    /// The client id there.
    pub client_id: Option<String>,
    /// Who signed in; for workloads, what their token says; for access keys, where those come from.
    pub identity: Identity,
    /// When.
    pub signed_in_at: Timestamp,
    /// The ID token, where there is one.
    pub id_token: Option<Secret>,
    /// Keeps the sign-in alive.
    pub refresh_token: Option<Secret>,
    /// For how long, if the provider says it.
    #[serde(default)]
    pub refresh_token_life: Option<Life>,
    /// For the provider's own services, or for the exchange.
    pub access_token: Option<Secret>,
    /// When the access token ends, if the provider says it.
    #[serde(default)]
    pub access_token_expires_at: Option<Timestamp>,
    /// A sign-in at IAM Identity Center.
    #[serde(default)]
    pub sso: Option<SsoSession>,
    /// Access keys that a person has given.
    #[serde(default)]
    pub keys: Option<Credentials>,
    /// The session of the last exchange.
    pub session: Option<AssumedSession>,
    /// What went wrong since.
    #[serde(default)]
    pub(super) failure: Option<Failure>,
}

/// What an exchange gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssumedSession {
    /// The STS that gave it.
    pub endpoint: Url,
    /// The last role that was assumed.
    pub role: Option<String>,
    /// All roles on the way to it, where there is more than that one.
    #[serde(default)]
    pub way: Vec<String>,
    /// The session's own ARN, if the STS says it.
    pub arn: Option<String>,
    /// When it was asked for.
    pub obtained_at: Timestamp,
    /// The credentials.
    pub credentials: Credentials,
}

impl AssumedSession {
    /// From when on it is to be renewed.
    pub(super) fn renew_from(&self) -> Timestamp {
        let Some(end) = self.credentials.expires_at else { return Timestamp::MAX };
        end.checked_sub(margin_of(end.duration_since(self.obtained_at))).unwrap_or(end)
    }
}

/// Renewals that failed one after the other: the next one waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    times: u32,
    pub(super) until: Timestamp,
    pub(super) words: String,
}

impl Record {
    /// A person's sign-in.
    pub(super) fn new(tokens: TokenSet, client_id: Option<String>, now: Timestamp) -> Self {
        Self {
            provider: Some(tokens.provider),
            client_id,
            id_token: tokens.id_token,
            refresh_token: tokens.refresh_token,
            refresh_token_life: tokens.refresh_token_life,
            access_token: tokens.access_token,
            access_token_expires_at: tokens.access_token_expires_at,
            ..Self::of(tokens.identity, now)
        }
    }

    /// Without tokens of a person.
    pub(super) fn of(identity: Identity, now: Timestamp) -> Self {
        Self {
            version: VERSION,
            provider: None,
            client_id: None,
            identity,
            signed_in_at: now,
            id_token: None,
            refresh_token: None,
            refresh_token_life: None,
            access_token: None,
            access_token_expires_at: None,
            sso: None,
            keys: None,
            session: None,
            failure: None,
        }
    }

    /// The token to exchange, and when it ends.
    pub(super) fn exchangeable(&self, exchanged: Exchanged) -> Option<(&Secret, Timestamp)> {
        match exchanged {
            Exchanged::IdToken => Some((self.id_token.as_ref()?, self.identity.expires_at)),
            Exchanged::AccessToken => {
                let end = self.access_token_expires_at.unwrap_or(Timestamp::MAX);
                Some((self.access_token.as_ref()?, end))
            }
        }
    }

    /// Whether the session goes on without a person once its credentials end.
    #[must_use]
    pub fn renews(&self) -> bool {
        let sso = self.sso.as_ref().is_some_and(|sso| sso.refresh_token.is_some());
        // Without a provider and without tokens nobody has signed in: the source is asked again.
        self.refresh_token.is_some() || sso || (self.provider.is_none() && self.sso.is_none())
    }

    /// When the refresh token ends, if that is known; one that is used before may be good for longer.
    #[must_use]
    pub fn refresh_token_ends_at(&self) -> Option<Timestamp> {
        self.refresh_token.as_ref().and(self.refresh_token_life).map(|life| life.until)
    }

    /// From when on the refresh token is to be used so that it does not end unused, although the credentials are good
    /// for longer: Keycloak's end with half an hour's idleness.
    pub(super) fn refresh_from(&self) -> Option<Timestamp> {
        let life = self.refresh_token.as_ref().and(self.refresh_token_life)?;
        let margin = margin_of(life.until.duration_since(life.from));
        // The last minutes of a sign-in that the provider does not prolong are not worth a request each.
        life.until.checked_sub(margin).ok().filter(|_| margin >= SHORTEST_MARGIN)
    }

    /// Remembers that a renewal failed.
    pub(super) fn failed(&mut self, words: String, now: Timestamp) {
        let times = self.failure.as_ref().map_or(0, |failure| failure.times) + 1;
        let pause =
            FIRST_PAUSE.checked_mul(1 << (times - 1).min(10)).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        self.failure = Some(Failure { times, until: now + pause, words });
    }

    pub(super) fn from_text(text: &Secret) -> Option<Self> {
        serde_json::from_str::<Self>(text.expose()).ok().filter(|record| record.version == VERSION)
    }

    pub(super) fn to_text(&self) -> Secret {
        // Large enough at once: a buffer that grows leaves copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(1 << 17));
        serde_json::to_writer(&mut *text, self).expect("the record has only texts as keys");
        Secret::new(String::from_utf8(std::mem::take(&mut *text)).expect("JSON is text"))
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
