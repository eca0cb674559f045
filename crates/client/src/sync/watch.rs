//! What has to be done to keep one side in step with the other, round by round: when, and about which names.
//!
//! A folder is watched by the kernel where it can be, and a round is about the names that came to rest. A store (and a
//! folder, where that is wished) is listed every so often, and a round is about everything when the list is not what
//! it was. The first round is about everything, and so is one now and then, for what nobody tells of: changes at the
//! target. What failed is tried again, after growing waits.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wigeon_core::time::{Clock, SignedDuration};

use super::diff::fingerprint;
use super::error::SyncError;
#[cfg(target_os = "linux")]
use super::notices::Notices;
use super::scan::Reading;
use super::scope::Scope;
use super::settling::{Notice, Settling};
use super::side::Side;

/// Waits before what failed is tried again: the first, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// How the source is watched.
#[derive(Debug, Clone, Copy)]
pub struct Watching {
    /// Between two looks at a source that does not tell of its changes.
    pub interval: Duration,
    /// How long nothing may have happened to a file before it is copied.
    pub quiet: Duration,
    /// Between two rounds about everything.
    pub rescan: Duration,
    /// Folders are looked at, too, in place of being told of their changes.
    pub poll: bool,
}

/// A side that is watched.
pub struct Watch {
    source: Side,
    reading: Reading,
    watching: Watching,
    clock: Arc<dyn Clock>,
    #[cfg(target_os = "linux")]
    notices: Option<Notices>,
    settling: Arc<Mutex<Settling>>,
    /// What is still to be done, whatever else happens.
    pending: Option<Scope>,
    /// What the source's list was when both sides were last in step, and what it is in this round.
    fingerprints: (Option<u64>, Option<u64>),
    looked_at: Option<Instant>,
    whole_at: Instant,
    tries: u32,
    try_at: Option<Instant>,
}

impl Watch {
    /// Begins; the first round is about everything.
    #[must_use]
    pub fn new(source: &Side, reading: Reading, watching: Watching, clock: Arc<dyn Clock>) -> Self {
        Self {
            source: source.clone(),
            reading,
            watching,
            clock,
            #[cfg(target_os = "linux")]
            notices: None,
            settling: Arc::new(Mutex::new(Settling::new(watching.quiet))),
            pending: Some(Scope::default()),
            fingerprints: (None, None),
            looked_at: None,
            whole_at: Instant::now(),
            tries: 0,
            try_at: None,
        }
    }

    /// Waits for the next round, and says what of both sides it is about.
    ///
    /// # Errors
    /// Where the source cannot be watched or listed; [`Self::again`] says when to ask again.
    pub async fn next(&mut self) -> Result<Reading, SyncError> {
        if let Some(at) = self.try_at {
            tokio::time::sleep_until(at.into()).await;
        }
        let folder = self.source.folder().filter(|_| !self.watching.poll).map(Path::to_owned);
        let scope = match folder {
            #[cfg(target_os = "linux")]
            Some(folder) => self.told(&folder).await?,
            _ => self.looked().await?,
        };
        let now = self.clock.now();
        let quiet = SignedDuration::try_from(self.watching.quiet).unwrap_or_default();
        let around = now.checked_sub(quiet).ok().zip(now.checked_add(quiet).ok());
        let unsettled = around.filter(|_| self.source.folder().is_some() && scope.is_everything());
        let unsettled = unsettled.map(|(from, to)| from..=to);
        Ok(Reading { scope, unsettled, ..self.reading.clone() })
    }

    /// The round about these names is done, but for files that may still be written.
    pub fn in_step(&mut self, round: &Scope, left: &[String]) {
        (self.tries, self.try_at) = (0, None);
        if round.is_everything() {
            self.whole_at = Instant::now() + self.watching.rescan;
            self.fingerprints = (self.fingerprints.1.filter(|_| left.is_empty()), None);
        }
        let mut settling = self.settling();
        for name in left {
            settling.note(name.clone(), Notice::Touched, Instant::now());
        }
    }

    /// This is still to be done: it says in how long.
    pub fn again(&mut self, scope: Scope) -> Duration {
        let wait = WAITS.0.saturating_mul(1 << self.tries.min(16)).min(WAITS.1);
        self.tries += 1;
        self.try_at = Some(Instant::now() + wait);
        self.pending = Some(match self.pending.take() {
            Some(pending) => pending.and(scope),
            None => scope,
        });
        wait
    }

    /// Whether nothing is known that is still to be done.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        self.pending.is_none() && self.settling().is_empty()
    }

    /// Waits until names have come to rest.
    #[cfg(target_os = "linux")]
    async fn told(&mut self, folder: &Path) -> Result<Scope, SyncError> {
        if let Some(error) = self.notices.as_ref().and_then(Notices::ended) {
            self.notices = None;
            return Err(error);
        }
        if self.notices.is_none() {
            let (filter, links) = (&self.reading.filter, self.reading.follow_links);
            let begun = Notices::begin(folder, filter, links, Arc::clone(&self.settling)).await?;
            self.notices = Some(begun);
            self.pending = Some(Scope::default());
        }
        loop {
            let now = Instant::now();
            let besides = self.pending.take();
            let besides = if now >= self.whole_at { Some(Scope::default()) } else { besides };
            if let Some(scope) = self.settling().take(besides, now) {
                return Ok(scope);
            }
            let until = self.settling().next().map_or(self.whole_at, |next| next.min(self.whole_at));
            let Some(notices) = &self.notices else { continue };
            tokio::select! {
                () = notices.news() => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
            if let Some(error) = notices.ended() {
                self.notices = None;
                return Err(error);
            }
        }
    }

    /// Looks every so often, until the list is another.
    async fn looked(&mut self) -> Result<Scope, SyncError> {
        loop {
            let next = self.looked_at.map(|at| (at + self.watching.interval).min(self.whole_at));
            if let Some(next) = next.filter(|_| self.pending.is_none()) {
                tokio::time::sleep_until(next.into()).await;
            }
            self.looked_at = Some(Instant::now());
            let now = fingerprint(&self.source, &self.reading).await?;
            self.fingerprints.1 = Some(now);
            let whole = self.pending.is_some() || Instant::now() >= self.whole_at;
            if whole || self.fingerprints.0 != Some(now) || !self.settling().is_empty() {
                self.pending = None;
                self.settling().take(None, Instant::now());
                return Ok(Scope::default());
            }
        }
    }

    fn settling(&self) -> MutexGuard<'_, Settling> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("watching", &self.watching).finish_non_exhaustive()
    }
}
