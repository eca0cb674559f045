//! Whether a server should be sent requests: not while something is missing that it cannot serve without, and not once
//! it has begun to stop.
//!
//! A server that is alive and not ready should be left alone, not restarted. A directory whose database is away is no
//! objection: requests go on with what was known last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::backend::stores::Stores;
use crate::issue::Sealer;

/// How long an upstream may take to accept a connection.
const LONGEST_DIAL: Duration = Duration::from_secs(2);

/// What is looked at.
pub struct Readiness {
    sealer: Arc<Sealer>,
    stopping: AtomicBool,
}

impl Readiness {
    /// Of a server that seals its sessions with this.
    #[must_use]
    pub fn new(sealer: Arc<Sealer>) -> Self {
        Self { sealer, stopping: AtomicBool::new(false) }
    }

    /// The server has begun to stop.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// What speaks against sending requests here; nothing, where it is ready.
    pub async fn objections(&self, stores: &Stores) -> Vec<String> {
        let mut objections = Vec::new();
        if self.stopping.load(Ordering::Relaxed) {
            objections.push("the server is stopping".to_owned());
        }
        if self.sealer.standing().0 == 0 {
            objections.push("there are no session keys".to_owned());
        }
        if !stores.local().store().figures().writable {
            objections.push("the local store takes no writes after a failed commit".to_owned());
        }
        let missing = stores.upstreams().missing(LONGEST_DIAL).await;
        objections
            .extend(missing.into_iter().map(|(name, reason)| format!("the upstream `{name}`: {reason}")));
        objections
    }
}
