//! One provider's keys, kept at hand.
//!
//! A stranger can send tokens with invented key ids as fast as they like. So: one fetch at a time per
//! provider, at most one per interval, no lock held that a token with a known key would need. While the
//! provider is down the last good set serves; keys are renewed ahead of their age, beside the requests.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use wigeon_core::jwt::{KeyError, KeySet, UnverifiedToken};
use wigeon_core::sts::TokenInformation;
use wigeon_core::time::{SignedDuration, Timestamp};

use super::fetch::{FetchError, FetchLimits, Fetcher};
use super::information::{Informant, OpaqueError};
use crate::chain::chain;
use crate::directory::{Keys, Provider};

/// When keys are fetched again.
#[derive(Debug, Clone)]
pub struct KeyCachePolicy {
    /// Between two fetches that tokens with unknown keys cause.
    pub refetch_interval: Duration,
    /// Between two attempts while there are no keys at all.
    pub retry_interval: Duration,
    /// The age at which keys are renewed, while they go on serving.
    pub refresh_age: Duration,
    /// The age beyond which keys do not serve, even with the provider down.
    pub max_age: Duration,
}

impl Default for KeyCachePolicy {
    /// 10 s, 2 s, 15 minutes, a day.
    fn default() -> Self {
        Self {
            refetch_interval: Duration::from_secs(10),
            retry_interval: Duration::from_secs(2),
            refresh_age: Duration::from_secs(15 * 60),
            max_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// How the fetches of a provider's keys went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The provider.
    pub issuer: String,
    /// How often they came.
    pub fetched: u64,
    /// How often not.
    pub failed: u64,
    /// When those came that are at hand.
    pub fetched_at: Option<Timestamp>,
}

pub(super) struct ProviderKeys {
    provider: Arc<Provider>,
    limits: FetchLimits,
    policy: KeyCachePolicy,
    current: ArcSwapOption<Fetched>,
    /// Asks about opaque tokens, where the provider's are.
    informant: Option<Informant>,
    fetcher: OnceLock<Arc<Fetcher>>,
    /// Held while fetching; what came of it last.
    flight: Mutex<LastAttempt>,
    refreshing: AtomicBool,
    fetched: AtomicU64,
    failed: AtomicU64,
}

struct Fetched {
    keys: Arc<KeySet>,
    at: Timestamp,
}

#[derive(Default)]
struct LastAttempt {
    at: Option<Timestamp>,
    /// The last fetch that a token with an unknown key caused. Only these count against the interval: a provider
    /// that rotates right after its keys were fetched must not fail a request.
    for_unknown: Option<Timestamp>,
    error: Option<String>,
}

/// Whether a time lies at least so long before now; a clock that went back counts as long ago.
fn passed(since: Timestamp, now: Timestamp, interval: Duration) -> bool {
    let elapsed = now.duration_since(since);
    elapsed.is_negative() || elapsed >= SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX)
}

impl ProviderKeys {
    pub(super) fn new(provider: Arc<Provider>, limits: FetchLimits, policy: KeyCachePolicy) -> Self {
        let informant = match (&provider.keys, provider.built_in) {
            (Keys::Opaque { address, app_token }, Some(service)) => {
                Some(Informant::new(service, address.clone(), app_token.clone()))
            }
            _ => None,
        };
        Self {
            provider,
            limits,
            policy,
            current: ArcSwapOption::empty(),
            informant,
            fetcher: OnceLock::new(),
            flight: Mutex::default(),
            refreshing: AtomicBool::new(false),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Whether the way to the keys is still this one.
    pub(super) fn serves(&self, provider: &Arc<Provider>) -> bool {
        let same_source = match (&self.provider.keys, &provider.keys) {
            (Keys::Discovery, Keys::Discovery) => true,
            (Keys::Url(one), Keys::Url(other)) => one == other,
            (Keys::Fixed(one), Keys::Fixed(other)) => Arc::ptr_eq(one, other),
            (
                Keys::Opaque { address, app_token },
                Keys::Opaque { address: other_address, app_token: other_token },
            ) => address == other_address && app_token == other_token,
            _ => false,
        };
        let same_way =
            self.provider.ca_pem == provider.ca_pem && self.provider.thumbprints == provider.thumbprints;
        Arc::ptr_eq(&self.provider, provider) || (same_source && same_way)
    }

    /// The set to verify a token with. It may still lack the token's key; then a fetch was not due.
    pub(super) async fn for_token(
        self: Arc<Self>,
        token: &UnverifiedToken<'_>,
        now: Timestamp,
    ) -> Result<Arc<KeySet>, FetchError> {
        if let Keys::Fixed(keys) = &self.provider.keys {
            return Ok(Arc::clone(keys));
        }
        let Some(fetched) = self.usable(now) else {
            return self.first(now).await;
        };
        match token.key_in(&fetched.keys) {
            Ok(()) | Err(KeyError::WrongType { .. } | KeyError::TooManyRsaKeys { .. }) => {
                self.refresh_ahead(&fetched, now);
                Ok(Arc::clone(&fetched.keys))
            }
            Err(KeyError::Unknown { .. } | KeyError::Ambiguous { .. }) => {
                Ok(self.newer_than(&fetched, now).await)
            }
        }
    }

    /// How its fetches went.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            issuer: self.provider.url.clone(),
            fetched: self.fetched.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            fetched_at: self.current.load().as_ref().map(|fetched| fetched.at),
        }
    }

    /// Fetches keys if there are none.
    pub(super) async fn warm(self: Arc<Self>, now: Timestamp) -> Result<(), FetchError> {
        if matches!(self.provider.keys, Keys::Fixed(_) | Keys::Opaque { .. }) || self.usable(now).is_some() {
            return Ok(());
        }
        self.first(now).await.map(drop)
    }

    fn usable(&self, now: Timestamp) -> Option<Arc<Fetched>> {
        self.current.load_full().filter(|fetched| !passed(fetched.at, now, self.policy.max_age))
    }

    /// There are no keys: everyone waits for the one fetch, and for a while after a failure for none.
    async fn first(&self, now: Timestamp) -> Result<Arc<KeySet>, FetchError> {
        let mut last = self.flight.lock().await;
        if let Some(fetched) = self.usable(now) {
            return Ok(Arc::clone(&fetched.keys));
        }
        if let (Some(at), Some(error)) = (last.at, &last.error)
            && !passed(at, now, self.policy.retry_interval)
        {
            return Err(FetchError::Recently(error.clone()));
        }
        self.fetch(&mut last, now).await
    }

    /// A token asks for a key that the set lacks: one fetch per interval, whoever asks.
    async fn newer_than(&self, known: &Arc<Fetched>, now: Timestamp) -> Arc<KeySet> {
        let mut last = self.flight.lock().await;
        let current = self.current.load_full().unwrap_or_else(|| Arc::clone(known));
        let newer = !Arc::ptr_eq(&current, known);
        let due = last.for_unknown.is_none_or(|at| passed(at, now, self.policy.refetch_interval));
        if newer || !due {
            return Arc::clone(&current.keys);
        }
        last.for_unknown = Some(now);
        // With the provider down, the last good set goes on.
        self.fetch(&mut last, now).await.unwrap_or_else(|_| Arc::clone(&current.keys))
    }

    /// Renews an ageing set beside the request, which does not wait.
    fn refresh_ahead(self: &Arc<Self>, fetched: &Arc<Fetched>, now: Timestamp) {
        if !passed(fetched.at, now, self.policy.refresh_age) || self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Arc::clone(self);
        let fetched = Arc::clone(fetched);
        tokio::spawn(async move {
            this.newer_than(&fetched, now).await;
            this.refreshing.store(false, Ordering::Release);
        });
    }

    async fn fetch(&self, last: &mut LastAttempt, now: Timestamp) -> Result<Arc<KeySet>, FetchError> {
        last.at = Some(now);
        let fetched = self.fetch_now().await;
        match fetched {
            Ok(keys) => {
                let keys = Arc::new(keys);
                last.error = None;
                self.fetched.fetch_add(1, Ordering::Relaxed);
                self.current.store(Some(Arc::new(Fetched { keys: Arc::clone(&keys), at: now })));
                Ok(keys)
            }
            Err(error) => {
                tracing::warn!(provider = %self.provider.url, error = %chain(&error), "keys not fetched");
                last.error = Some(chain(&error));
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    async fn fetch_now(&self) -> Result<KeySet, FetchError> {
        self.fetcher()?.keys(&self.provider).await
    }

    fn fetcher(&self) -> Result<Arc<Fetcher>, FetchError> {
        if let Some(fetcher) = self.fetcher.get() {
            return Ok(Arc::clone(fetcher));
        }
        let fetcher = Arc::new(Fetcher::new(&self.provider, self.limits.clone())?);
        Ok(Arc::clone(self.fetcher.get_or_init(|| fetcher)))
    }

    /// What the provider says about an opaque token; `None` where its tokens are signed.
    pub(super) async fn ask(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Option<Result<TokenInformation, OpaqueError>> {
        let informant = self.informant.as_ref()?;
        let fetcher = match self.fetcher() {
            Ok(fetcher) => fetcher,
            Err(error) => return Some(Err(error.into())),
        };
        Some(informant.ask(&fetcher, token, self.limits.timeout, now).await)
    }
}
