//! How often, and after how long, a request is tried again.
//!
//! Exponential back-off with full jitter: the waits of many clients that failed together spread out.

use std::time::Duration;

use aws_lc_rs::rand;

/// Bounds of trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; at least one is made.
    pub attempts: u32,
    /// The upper bound of the first wait; it doubles with each.
    pub first_wait: Duration,
    /// No wait is longer.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 6, first_wait: Duration::from_millis(100), longest_wait: Duration::from_secs(10) }
    }
}

impl RetryPolicy {
    /// How long to wait after the failed attempt of this number (from 1); `None` where it was the last. A
    /// store's own wish (`Retry-After`) is a lower bound.
    pub(crate) fn wait_after(&self, attempt: u32, asked: Option<u32>) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doubled = self.first_wait.saturating_mul(1u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        let wait = doubled.min(self.longest_wait).mul_f64(fraction());
        let asked = Duration::from_secs(u64::from(asked.unwrap_or(0))).min(self.longest_wait);
        Some(wait.max(asked))
    }
}

/// Uniform in [0, 1].
fn fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the wait is the longest one: still right.
    match rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_bounded_and_end() {
        let policy = RetryPolicy::default();
        for attempt in 1..policy.attempts {
            let wait = policy.wait_after(attempt, None).unwrap();
            assert!(wait <= policy.first_wait * 2u32.pow(attempt - 1));
        }
        assert_eq!(policy.wait_after(policy.attempts, None), None);
        assert!(policy.wait_after(1, Some(2)).unwrap() >= Duration::from_secs(2));
        assert!(policy.wait_after(1, Some(9999)).unwrap() <= policy.longest_wait);
        let endless = RetryPolicy { attempts: 100, ..policy };
        assert!(endless.wait_after(90, None).unwrap() <= policy.longest_wait);
    }
}
