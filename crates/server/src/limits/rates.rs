//! Rates of many clients in a table of fixed size, without a lock.
//!
//! The generic cell rate algorithm: of each client one number is kept, the time until which what it had is paid for. A
//! request moves it on by its price; when it is further ahead than the burst allows, the request has to wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many clients are told apart.
const CELLS: usize = 1 << 16;

/// So many per second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Per second.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

/// Rates of many clients.
#[derive(Debug)]
pub(super) struct Rates {
    cells: Box<[AtomicU64]>,
    since: Instant,
    /// What one unit costs, in nanoseconds times 2^`SHIFT`, so that bytes have a price as well.
    price: u64,
    /// How far ahead of now a client may be, in nanoseconds.
    ahead: u64,
}

const SHIFT: u32 = 10;

impl Rates {
    /// Of requests.
    pub(super) fn new(rate: Rate) -> Self {
        let price = (1_000_000_000 << SHIFT) / u64::from(rate.per_second.max(1));
        let ahead = price.saturating_mul(u64::from(rate.burst.max(1) - 1)) >> SHIFT;
        Self::priced(price, ahead)
    }

    /// Of bytes per second; a second's worth at once.
    pub(super) fn of_bytes(per_second: u64) -> Self {
        Self::priced(((1_000_000_000 << SHIFT) / per_second.max(1)).max(1), 1_000_000_000)
    }

    fn priced(price: u64, ahead: u64) -> Self {
        let cells = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        Self { cells, since: Instant::now(), price, ahead }
    }

    /// Takes so many units for a client, or says how long it has to wait; then nothing is taken.
    pub(super) fn take(&self, client: u64, units: u64) -> Result<(), Duration> {
        self.charge(client, units, self.ahead).map(drop)
    }

    /// Takes so many units on credit, and says how long to wait until they are paid for.
    pub(super) fn owe(&self, client: u64, units: u64) -> Duration {
        let paid_until = self.charge(client, units, u64::MAX).unwrap_or_default();
        Duration::from_nanos(paid_until.saturating_sub(self.ahead))
    }

    /// How far ahead of now the client is after it; or before it, where that is too far.
    fn charge(&self, client: u64, units: u64, ahead: u64) -> Result<u64, Duration> {
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let place = usize::try_from(client % CELLS as u64).unwrap_or_default();
        let Some(cell) = self.cells.get(place) else { return Ok(0) };
        let cost = self.price.saturating_mul(units) >> SHIFT;
        let mut seen = cell.load(Ordering::Relaxed);
        loop {
            let from = seen.max(now);
            if from - now > ahead {
                return Err(Duration::from_nanos(from - now - ahead));
            }
            let to = from.saturating_add(cost);
            match cell.compare_exchange_weak(seen, to, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(to - now),
                Err(other) => seen = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_at_once_and_then_one_after_the_other() {
        let rates = Rates::new(Rate { per_second: 10, burst: 5 });
        assert!((0..5).all(|_| rates.take(1, 1).is_ok()));
        let wait = rates.take(1, 1).unwrap_err();
        assert!(wait <= Duration::from_millis(100) && wait > Duration::from_millis(50), "{wait:?}");
        // What was refused was not charged: it does not have to wait for longer and longer.
        assert!(rates.take(1, 1).unwrap_err() <= wait);
        std::thread::sleep(wait + Duration::from_millis(1));
        assert!(rates.take(1, 1).is_ok());
        assert!(rates.take(2, 1).is_ok());
    }

    #[test]
    fn bytes_are_paid_for_after_a_seconds_worth() {
        let rates = Rates::of_bytes(1 << 20);
        assert_eq!(rates.owe(1, 1 << 19), Duration::ZERO);
        let wait = rates.owe(1, 3 << 19);
        assert!((0.9..=1.0).contains(&wait.as_secs_f64()), "{wait:?}");
        let fast = Rates::of_bytes(10 << 30);
        assert_eq!(fast.owe(1, 5 << 30), Duration::ZERO);
    }

    #[test]
    fn threads_share_one_allowance() {
        let rates = Rates::new(Rate { per_second: 1, burst: 100 });
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..100).filter(|_| rates.take(7, 1).is_ok()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!((100..=101).contains(&taken), "{taken}");
    }
}
