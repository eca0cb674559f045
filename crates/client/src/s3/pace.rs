//! How many requests are under way at once: as many as the store bears.
//!
//! Additive increase, multiplicative decrease: each full round of answers without a complaint allows one more; a store that
//! says that it is too much (503 SlowDown, 429), or a connection on which nothing moves, takes three tenths away, once per
//! burst of complaints.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Allowed at first: more than one command begins at once, so that only a store that complains is spared.
const FIRST: u32 = 64;
const MOST: u32 = 256;
/// Complaints within this time are about the same burst.
const ROUND: Duration = Duration::from_millis(250);

/// The pace of one store's requests.
#[derive(Debug)]
pub(crate) struct Pace {
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    allowed: u32,
    /// Answers since the last change.
    answers: u32,
    /// Permits that are still out and will not come back.
    owed: u32,
    cut_at: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        let state = State { allowed: FIRST, answers: 0, owed: 0, cut_at: None };
        Self { permits: Arc::new(Semaphore::new(FIRST as usize)), state: Mutex::new(state) }
    }
}

impl Pace {
    /// Waits until one more request may go.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// The store has answered in good order.
    pub(crate) fn answered(&self, permit: Option<OwnedSemaphorePermit>) {
        let mut state = self.state();
        give_back(&mut state, permit);
        state.answers += 1;
        if state.answers >= state.allowed && state.allowed < MOST {
            state.answers = 0;
            state.allowed += 1;
            self.permits.add_permits(1);
        }
    }

    /// The store says, or its silence does, that it is too much.
    pub(crate) fn too_much(&self, permit: Option<OwnedSemaphorePermit>) {
        let mut state = self.state();
        give_back(&mut state, permit);
        // A store that answers fast would be asked for more within the burst than is taken away after it.
        state.answers = 0;
        if state.cut_at.is_some_and(|at| at.elapsed() < ROUND) {
            return;
        }
        state.cut_at = Some(Instant::now());
        let allowed = (state.allowed * 7 / 10).max(1);
        let surplus = state.allowed - allowed;
        let gone = self.permits.forget_permits(surplus as usize);
        state.owed += surplus.saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX));
        state.allowed = allowed;
        tracing::debug!(allowed, "the store is spared: fewer requests at once");
    }

    #[cfg(test)]
    pub(crate) fn allowed(&self) -> u32 {
        self.state().allowed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give_back(state: &mut State, permit: Option<OwnedSemaphorePermit>) {
    if let Some(permit) = permit
        && state.owed > 0
    {
        state.owed -= 1;
        permit.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn complaints_cut_and_answers_allow() {
        let pace = Pace::default();
        let mut out = Vec::new();
        for _ in 0..FIRST {
            out.push(pace.permit().await);
        }
        assert_eq!(pace.permits.available_permits(), 0);
        pace.too_much(out.pop().unwrap());
        pace.too_much(out.pop().unwrap());
        assert_eq!(pace.state().allowed, 44, "one burst is cut once");
        for permit in out.drain(..) {
            pace.answered(permit);
        }
        let state = pace.state();
        assert_eq!((state.allowed, state.owed), (45, 0));
        assert_eq!(pace.permits.available_permits(), 45);
    }
}
