//! Connections that wait for their next request: for each worker those that it made, since a connection is only driven
//! well by the thread that waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::link::Link;
use crate::workers;

/// How long a connection may wait. Most servers close theirs after a minute, some after 20 seconds.
const IDLE: Duration = Duration::from_secs(15);

/// The most that wait, per worker and address.
const MOST: usize = 512;

/// The connections of one upstream, by worker.
#[derive(Debug)]
pub(super) struct Pool(Vec<Shelf>);

/// The connections of one worker, by authority.
type Shelf = Mutex<HashMap<Arc<str>, VecDeque<Idle>>>;

#[derive(Debug)]
struct Idle {
    link: Link,
    since: Instant,
}

impl Pool {
    /// With a shelf for each worker, and one for all other threads.
    pub(super) fn new() -> Self {
        Self((0..=workers::count().get()).map(|_| Shelf::default()).collect())
    }

    fn shelf(&self) -> Option<&Shelf> {
        self.0.get(workers::seat())
    }

    /// One that is still open: the one that was used last.
    pub(super) fn take(&self, authority: &str, now: Instant) -> Option<Link> {
        let shelf = self.shelf()?;
        loop {
            let idle = shelf.lock().unwrap_or_else(PoisonError::into_inner).get_mut(authority)?.pop_back()?;
            let mut link = idle.link;
            let mut context = Context::from_waker(Waker::noop());
            if now.duration_since(idle.since) < IDLE && link.is_free(&mut context) {
                return Some(link);
            }
        }
    }

    /// Keeps one whose answer has been read to its end.
    pub(super) fn put(&self, authority: &Arc<str>, mut link: Link) {
        link.was_used();
        let since = Instant::now();
        let Some(shelf) = self.shelf() else { return };
        let mut stale = Vec::new();
        {
            let mut all = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = match all.get_mut(authority) {
                Some(idle) => idle,
                None => all.entry(Arc::clone(authority)).or_default(),
            };
            while idle.front().is_some_and(|oldest| since.duration_since(oldest.since) >= IDLE)
                || idle.len() >= MOST
            {
                stale.extend(idle.pop_front());
            }
            idle.push_back(Idle { link, since });
        }
        // Closed outside the lock.
        drop(stale);
    }
}
