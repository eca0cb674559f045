//! Credentials that are renewed ahead of their end, once for all who wait.
//!
//! While those at hand still work, a renewal goes on beside the requests; only when they do not is it waited for. After
//! a renewal that failed the next is not tried at once.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;
use wigeon_core::credentials::Credentials;
use wigeon_core::time::{Clock, SignedDuration};

use super::chain::{CredentialsError, Finder};
use crate::backend::upstream::settings::{Environment, Source};

/// How long before their end credentials are renewed.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// How long before their end they are no longer used.
const LAST: SignedDuration = SignedDuration::from_secs(10);

/// After a renewal that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// An upstream's credentials.
#[derive(Clone)]
pub(crate) struct Renewing(Arc<Shared>);

struct Shared {
    finder: Finder,
    clock: Arc<dyn Clock>,
    current: ArcSwapOption<Credentials>,
    /// When those were found.
    found: std::sync::Mutex<Option<Instant>>,
    /// Held by whoever renews; when the last renewal failed, and why.
    renewal: Mutex<Option<(Instant, String)>>,
}

impl Renewing {
    pub(crate) fn new(
        source: Source,
        environment: Environment,
        region: String,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CredentialsError> {
        let finder = Finder::new(source, environment, region)?;
        let (current, found, renewal) =
            (ArcSwapOption::empty(), std::sync::Mutex::new(None), Mutex::new(None));
        Ok(Self(Arc::new(Shared { finder, clock, current, found, renewal })))
    }

    /// Credentials that work now.
    ///
    /// # Errors
    /// Why there are none, for the operator.
    pub(crate) async fn current(&self) -> Result<Arc<Credentials>, String> {
        let Some(current) = self.0.current.load_full() else { return self.renewed(None).await };
        let Some(end) = current.expires_at else { return Ok(current) };
        let left = end.duration_since(self.0.clock.now());
        if left < LAST {
            return self.renewed(Some(current)).await;
        }
        if left < AHEAD
            && let Ok(renewal) = self.0.renewal.try_lock()
        {
            let waiting = renewal.as_ref().is_some_and(|(failed, _)| failed.elapsed() < PAUSE);
            drop(renewal);
            if !waiting {
                let (this, known) = (self.clone(), Arc::clone(&current));
                tokio::spawn(async move { this.renewed(Some(known)).await });
            }
        }
        Ok(current)
    }

    /// The upstream does not take these: others are looked for, if nobody has done so a moment ago. Whether that is
    /// worth another try.
    pub(crate) fn refused(&self, refused: &Arc<Credentials>) -> bool {
        let found = *self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_some_and(|found| found.elapsed() < PAUSE) {
            return false;
        }
        let taken = self.0.current.compare_and_swap(refused, None);
        if taken.as_ref().is_some_and(|taken| Arc::ptr_eq(taken, refused)) {
            tracing::warn!(access_key_id = refused.access_key_id, "the upstream refuses its credentials");
        }
        true
    }

    /// Those after `known`.
    async fn renewed(&self, known: Option<Arc<Credentials>>) -> Result<Arc<Credentials>, String> {
        let shared = &self.0;
        let mut renewal = shared.renewal.lock().await;
        if let Some(current) = shared.current.load_full()
            && known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &current))
        {
            return Ok(current);
        }
        if let Some((failed, reason)) = renewal.as_ref()
            && failed.elapsed() < PAUSE
        {
            return Err(reason.clone());
        }
        match shared.finder.find(shared.clock.now()).await {
            Ok(found) => {
                tracing::debug!(access_key_id = found.access_key_id, "credentials of an upstream");
                let found = Arc::new(found);
                shared.current.store(Some(Arc::clone(&found)));
                *shared.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                *renewal = None;
                Ok(found)
            }
            Err(error) => {
                let reason = crate::chain::chain(&error);
                tracing::warn!(reason, "the credentials of an upstream cannot be had");
                *renewal = Some((Instant::now(), reason.clone()));
                Err(reason)
            }
        }
    }
}

impl std::fmt::Debug for Renewing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewing").field("source", &self.0.finder.source).finish_non_exhaustive()
    }
}
