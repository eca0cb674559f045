//! How a server stops: `[stop]`.

use std::time::Duration;

use serde::Deserialize;

/// How a server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// How long it still accepts requests while `/readyz` says that it is not ready, so that balancers turn away first.
    pub notice: Duration,
    /// How long requests under way may then go on.
    pub grace: Duration,
}

impl Default for Stop {
    /// None, and 30 seconds.
    fn default() -> Self {
        Self { notice: Duration::ZERO, grace: Duration::from_secs(30) }
    }
}

/// `[stop]`, in seconds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopTable {
    notice: Option<u64>,
    grace: Option<u64>,
}

impl StopTable {
    /// With what is usual where nothing is said.
    #[must_use]
    pub fn read(self) -> Stop {
        let usual = Stop::default();
        Stop {
            notice: self.notice.map_or(usual.notice, Duration::from_secs),
            grace: self.grace.map_or(usual.grace, Duration::from_secs),
        }
    }
}
