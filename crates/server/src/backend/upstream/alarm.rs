//! A limit of time that is rarely met, at little cost where it is not.
//!
//! The runtime's timer stays where it was set once, for many limits one after the other: it is moved only when it rings
//! before the limit of the day, or would ring after it. So waiting for an answer that comes in time touches no timer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Rings at a limit.
#[derive(Debug)]
pub(super) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    /// Set for the first of its limits.
    pub(super) fn new(limit: Instant) -> Self {
        Self(Box::pin(sleep_until(limit)))
    }

    /// Ready once the limit is over.
    pub(super) fn poll(&mut self, limit: Instant, context: &mut Context<'_>) -> Poll<()> {
        if self.0.deadline() > limit {
            self.0.as_mut().reset(limit);
        }
        loop {
            ready!(self.0.as_mut().poll(context));
            if self.0.deadline() >= limit {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn rings(alarm: &mut Alarm, limit: Instant) -> Instant {
        poll_fn(|context| alarm.poll(limit, context)).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_each_limit_wherever_the_timer_stands() {
        let now = Instant::now();
        let mut alarm = Alarm::new(now + 10 * SECOND);
        for limit in [now + 3 * SECOND, now + 4 * SECOND, now + 30 * SECOND, now + 20 * SECOND] {
            let before = Instant::now();
            assert_eq!(rings(&mut alarm, limit).await, limit.max(before));
        }
        // One that nobody waited for before.
        let mut alarm = Alarm::new(Instant::now() + SECOND);
        tokio::time::advance(5 * SECOND).await;
        let limit = Instant::now() + SECOND;
        assert_eq!(rings(&mut alarm, limit).await, limit);
    }
}
