//! How fast one connection to a store is, each way, as large pieces of this run have shown.
//!
//! Enters: how many bytes took how long. Leaves: the rate that the next pieces are cut for. Small pieces say more of the
//! store's answers than of the link, and are not counted.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// Into the store.
    Up,
    /// Out of it.
    Down,
}

/// By store and way: bytes a second of one connection among those that are open.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<(String, Way), f64>>);

/// Fewer bytes are not counted.
const LEAST: u64 = 1 << 20;

impl Rates {
    /// What is known of a store, by its origin.
    pub(crate) fn of(&self, store: &str, way: Way) -> Option<f64> {
        self.known().get(&(store.to_owned(), way)).copied()
    }

    /// So many bytes took so long, over one connection. The last pieces count most.
    pub(crate) fn note(&self, store: &str, way: Way, bytes: u64, took: Duration) {
        if bytes < LEAST || took.is_zero() {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "a rate of bytes need not be exact")]
        let rate = bytes as f64 / took.as_secs_f64();
        let mut known = self.known();
        let kept = known.entry((store.to_owned(), way)).or_insert(rate);
        *kept = f64::midpoint(*kept, rate);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Way), f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_last_counts_most() {
        let (rates, second) = (Rates::default(), Duration::from_secs(1));
        assert_eq!(rates.of("http://a", Way::Up), None);
        rates.note("http://a", Way::Up, LEAST - 1, second);
        rates.note("http://a", Way::Up, LEAST, Duration::ZERO);
        assert_eq!(rates.of("http://a", Way::Up), None, "it says nothing of the link");
        rates.note("http://a", Way::Up, 4 * LEAST, second);
        rates.note("http://a", Way::Up, 2 * LEAST, second);
        assert_eq!(rates.of("http://a", Way::Up), Some(3.0 * LEAST as f64));
        assert_eq!((rates.of("http://a", Way::Down), rates.of("http://b", Way::Up)), (None, None));
    }
}
