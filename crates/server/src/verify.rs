//! Verification: from a token's text to somebody's identity at a registered provider.
//!
//! Enters: the text, a directory snapshot. Leaves: a [`WebIdentity`], which only [`Verifier::verify`] and, for the
//! opaque tokens of services that AWS knows by name, [`Verifier::verify_opaque`] can make. Refused: issuers that are not registered, keys that their provider does not publish, signatures
//! that do not hold, claims out of their rules (docs/sts.md, "The token"). The answers to the first three are
//! one, so that a stranger learns nothing about the directory.

mod address;

mod thumbprint;

mod fetch;

mod information;

mod keys;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use wigeon_core::jwt::{TokenError, UnverifiedToken};
use wigeon_core::sts::{
    Bearer, FaultCode, IdentityError, IdentityRules, InformationError, StsError, VerifiedToken, issuer_of,
    verify_identity, verify_information,
};
use wigeon_core::time::Clock;

pub use fetch::{FetchError, FetchLimits};
pub use information::OpaqueError;
pub use keys::{KeyCachePolicy, Standing};

use crate::directory::{BuiltIn, Keys, Provider, Snapshot};
use keys::ProviderKeys;

/// A verified token together with the provider whose keys and client ids it was checked against.
#[derive(Debug, Clone)]
pub struct WebIdentity {
    provider: Arc<Provider>,
    token: VerifiedToken,
}

impl WebIdentity {
    /// The provider that vouches.
    #[must_use]
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// What it vouches for.
    #[must_use]
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// The provider, and whom the token is about; the token is used up.
    #[must_use]
    pub fn into_bearer(self) -> (Arc<Provider>, Bearer) {
        (self.provider, self.token.into_bearer())
    }
}

/// Why a token is nobody's identity here. For the audit; the wire gets [`VerifyError::to_sts`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum VerifyError {
    /// The token itself, its key or its signature.
    #[error(transparent)]
    Token(Arc<TokenError>),
    /// No provider of this issuer.
    #[error("no provider is registered for the issuer `{0}`")]
    UnknownIssuer(String),
    /// The provider's keys cannot be had.
    #[error("the keys of `{issuer}` cannot be fetched")]
    Provider {
        /// The provider.
        issuer: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// What the token claims.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A `ProviderId` that names no service, or one that is not switched on here.
    #[error("`{0}` is not a service whose access tokens are taken here")]
    UnknownService(String),
    /// An opaque token, or what the service that issued it says about it.
    #[error("the access token of `{}` is not taken", service.name())]
    Opaque {
        /// The service.
        service: BuiltIn,
        /// Why.
        #[source]
        source: OpaqueError,
    },
}

impl From<TokenError> for VerifyError {
    fn from(error: TokenError) -> Self {
        Self::Token(Arc::new(error))
    }
}

impl VerifyError {
    /// The answer on the wire.
    #[must_use]
    pub fn to_sts(&self) -> StsError {
        match self {
            Self::Token(error) => StsError::from(error.as_ref()),
            Self::UnknownIssuer(_) => StsError::no_verification_key(),
            Self::Provider { .. } => StsError::new(
                FaultCode::IDPCommunicationError,
                "Couldn't communicate with your identity provider",
            ),
            Self::Identity(error) => StsError::from(error),
            Self::UnknownService(name) => BuiltIn::of(name).map_or_else(StsError::not_authorized, refused_by),
            Self::Opaque { service, source } => match source {
                OpaqueError::Fetch(_) | OpaqueError::Token(InformationError::Shape) => StsError::new(
                    FaultCode::IDPCommunicationError,
                    "Couldn't communicate with your identity provider",
                ),
                OpaqueError::Token(InformationError::Expired) => {
                    StsError::new(FaultCode::ExpiredTokenException, "Token expired")
                }
                OpaqueError::Token(InformationError::Rejected) => refused_by(*service),
            },
        }
    }
}

/// AWS's answers to a token that a built-in service does not take. A service that is not switched on here answers
/// like one that refuses.
fn refused_by(service: BuiltIn) -> StsError {
    match service {
        BuiltIn::Amazon => {
            StsError::new(FaultCode::InvalidIdentityToken, "The web identity token could not be validated")
        }
        BuiltIn::Facebook => {
            StsError::new(FaultCode::IDPRejectedClaim, "The identity provider rejected the token")
        }
        BuiltIn::Google => StsError::not_authorized(),
    }
}

/// Verifies tokens, and keeps each provider's keys at hand.
pub struct Verifier {
    clock: Arc<dyn Clock>,
    limits: FetchLimits,
    policy: KeyCachePolicy,
    /// By issuer. Keys of two providers never meet.
    providers: RwLock<HashMap<String, Arc<ProviderKeys>>>,
}

impl Verifier {
    /// With the usual limits.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_limits(clock, FetchLimits::default(), KeyCachePolicy::default())
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(clock: Arc<dyn Clock>, limits: FetchLimits, policy: KeyCachePolicy) -> Self {
        Self { clock, limits, policy, providers: RwLock::default() }
    }

    /// Verifies a token: its form, its issuer, its key and signature, its claims, in this order.
    pub async fn verify(&self, snapshot: &Snapshot, text: &str) -> Result<WebIdentity, VerifyError> {
        let token = UnverifiedToken::parse(text)?;
        let issuer = issuer_of(&token)?;
        // A service of opaque tokens signs none, whatever a token says of its issuer.
        let signing = |provider: &&Arc<Provider>| !matches!(provider.keys, Keys::Opaque { .. });
        let Some(provider) = snapshot.provider(issuer).filter(signing) else {
            return Err(VerifyError::UnknownIssuer(issuer.chars().take(200).collect()));
        };
        // Before any key is looked for: a token that cannot be accepted causes no fetch.
        if !provider.algorithms.contains(token.algorithm()) {
            return Err(TokenError::AlgorithmNotAllowed(token.algorithm()).into());
        }
        let keys = self
            .keys_of(provider)
            .for_token(&token, self.clock.now())
            .await
            .map_err(|source| VerifyError::Provider { issuer: provider.url.clone(), source })?;
        let signed = token.verify(&keys, &provider.algorithms)?;
        let rules = IdentityRules {
            client_ids: &provider.client_ids,
            any_audience: provider.any_audience,
            many_tag_values: snapshot.is_ceph(),
        };
        let token = verify_identity(signed, &provider.url, &rules, self.clock.now())?;
        Ok(WebIdentity { provider: Arc::clone(provider), token })
    }

    /// Verifies an opaque access token: its service is asked, each time.
    pub async fn verify_opaque(
        &self,
        snapshot: &Snapshot,
        provider_id: &str,
        text: &str,
    ) -> Result<WebIdentity, VerifyError> {
        let unknown = || VerifyError::UnknownService(provider_id.chars().take(200).collect());
        let service = BuiltIn::of(provider_id).ok_or_else(unknown)?;
        let provider =
            snapshot.provider(&service.issuer()).filter(|provider| provider.built_in == Some(service));
        let provider = provider.ok_or_else(unknown)?;
        let asked = self.keys_of(provider).ask(text, self.clock.now()).await.ok_or_else(unknown)?;
        let information = asked.map_err(|source| VerifyError::Opaque { service, source })?;
        let rules = IdentityRules {
            client_ids: &provider.client_ids,
            any_audience: provider.any_audience,
            many_tag_values: false,
        };
        let token = verify_information(information, &provider.url, &rules)?;
        Ok(WebIdentity { provider: Arc::clone(provider), token })
    }

    /// Fetches the keys of every provider that has none yet, so that the first exchange need not wait.
    pub async fn warm(&self, snapshot: &Snapshot) {
        for (provider, fetched) in self.fetch_all(snapshot).await {
            if let Err(error) = fetched {
                tracing::warn!(provider, %error, "the provider's keys cannot be fetched yet");
            }
        }
    }

    /// Fetches the keys of every provider that has none yet, and says what came of it, by issuer.
    pub async fn fetch_all(&self, snapshot: &Snapshot) -> Vec<(String, Result<(), FetchError>)> {
        let now = self.clock.now();
        let fetches = snapshot.providers().map(|provider| {
            let keys = self.keys_of(provider);
            async move { (provider.url.clone(), keys.warm(now).await) }
        });
        futures_util::future::join_all(fetches).await
    }

    /// How the fetches of keys went, by issuer.
    #[must_use]
    pub fn standing(&self) -> Vec<Standing> {
        let known = self.providers.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.values().map(|keys| keys.standing()).collect();
        drop(known);
        all.sort_by(|one, other| one.issuer.cmp(&other.issuer));
        all
    }

    /// The cache of a provider; a new one when the way to its keys has changed.
    fn keys_of(&self, provider: &Arc<Provider>) -> Arc<ProviderKeys> {
        let known = self.providers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = known.get(&provider.url).filter(|keys| keys.serves(provider)) {
            return Arc::clone(keys);
        }
        drop(known);

        let mut known = self.providers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = known.get(&provider.url).filter(|keys| keys.serves(provider)) {
            return Arc::clone(keys);
        }
        let keys =
            Arc::new(ProviderKeys::new(Arc::clone(provider), self.limits.clone(), self.policy.clone()));
        known.insert(provider.url.clone(), Arc::clone(&keys));
        keys
    }
}

#[cfg(test)]
mod tests;
