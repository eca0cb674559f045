//! Whether an upstream can be reached, and how long it is left alone when it cannot.
//!
//! After a few connections in a row that did not come about, requests are refused at once for a while, so that clients
//! get their 503 and try again instead of waiting. One request at a time then tries whether it is back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that do not count yet.
const TOLERATED: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(250);

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is known of an upstream's health.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    failures: u32,
    /// Whether a connection ever came about.
    reached: bool,
    pause: Duration,
    until: Option<Instant>,
    reason: String,
}

impl Health {
    /// Whether a connection may be tried; else why the last one failed.
    pub(super) fn admit(&self) -> Result<(), String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match known.until {
            Some(until) if now < until => Err(known.reason.clone()),
            Some(_) => {
                // This one tries; the others wait for what it finds.
                known.until = Some(now + known.pause);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn connected(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.failures > 0 || !known.reached {
            *known = Known { reached: true, ..Known::default() };
        }
    }

    pub(super) fn failed(&self, reason: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.failures = known.failures.saturating_add(1);
        reason.clone_into(&mut known.reason);
        if known.failures >= TOLERATED {
            known.pause = (known.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            known.until = Some(Instant::now() + known.pause);
        }
    }

    /// Whether a connection came about, and none has failed since.
    pub(super) fn is_known_good(&self) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.reached && known.failures == 0
    }

    /// Why it counts as down; `None` while it can be reached.
    #[must_use]
    pub(super) fn trouble(&self) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.until.map(|_| known.reason.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_left_alone_for_longer_and_longer_and_then_tried_by_one() {
        let health = Health::default();
        for _ in 0..TOLERATED {
            assert_eq!(health.admit(), Ok(()));
            health.failed("refused");
        }
        assert_eq!(health.admit(), Err("refused".to_owned()));
        assert_eq!(health.trouble().as_deref(), Some("refused"));
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!((health.admit(), health.admit()), (Ok(()), Err("refused".to_owned())));
        health.failed("still");
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(health.admit(), Err("still".to_owned()));
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(health.admit(), Ok(()));
        health.connected();
        assert_eq!((health.admit(), health.admit(), health.trouble()), (Ok(()), Ok(()), None));
    }
}
