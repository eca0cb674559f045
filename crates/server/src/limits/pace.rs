//! How slowly a body may come, and how fast.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::rates::Rates;

/// How long one piece of a body waits at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How slowly a body may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long its sender may send nothing.
    pub silence: Duration,
    /// After the first such time, a sender that is slower than this many bytes per second is not waited for. Only the
    /// time that was spent waiting for it counts.
    pub slowest: u64,
}

impl Default for Pace {
    /// A minute, 256 bytes per second.
    fn default() -> Self {
        Self { silence: Duration::from_secs(60), slowest: 256 }
    }
}

/// What one identity may move in one direction, whatever number of requests it does that with.
#[derive(Debug)]
pub struct Purse {
    rates: Arc<Rates>,
    identity: u64,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Purse {
    pub(super) fn new(rates: Arc<Rates>, identity: u64) -> Self {
        Self { rates, identity, waiting: None }
    }

    /// Bytes have moved.
    pub fn pay(&mut self, bytes: usize) {
        // Connections on which nothing moves are closed; many requests at once wait in turns.
        let wait = self.rates.owe(self.identity, bytes as u64).min(LONGEST_WAIT);
        if !wait.is_zero() {
            self.waiting = Some(Box::pin(sleep(wait)));
        }
    }

    /// Ready when all that moved is paid for.
    pub fn poll_paid(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn two_requests_of_one_share_its_bandwidth() {
        let rates = Arc::new(Rates::of_bytes(1_000_000));
        let mut purses = [Purse::new(Arc::clone(&rates), 1), Purse::new(rates, 1)];
        let began = Instant::now();
        for _ in 0..6 {
            for purse in &mut purses {
                purse.pay(100_000);
                poll_fn(|context| purse.poll_paid(context)).await;
            }
        }
        // 1.2 MB: one at once, the rest at its pace.
        assert!((0.18..0.6).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    }
}
