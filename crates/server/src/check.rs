//! Before a server is started: everything that serving would need, looked at, and nothing changed.
//!
//! Enters: a configuration. Leaves: findings, in the order in which serving would meet them. Nothing is made, migrated or
//! written; what is elsewhere (a database, upstreams, providers) has a time limit.

mod finding;

mod files;

mod ports;

mod policies;

mod elsewhere;

use std::sync::Arc;

use wigeon_core::time::Clock;

pub use self::finding::{Finding, State};
use crate::config::Config;

/// Looks at everything that a server of this configuration would read, write or speak to.
pub async fn check(config: &Config, clock: &Arc<dyn Clock>) -> Vec<Finding> {
    let now = clock.now();
    let mut findings =
        vec![Finding::ok("configuration", "it can be read, and its secrets are the owner's alone")];
    ports::look(config, now, &mut findings).await;
    files::data(config, &mut findings);
    files::session_keys(config, now, &mut findings);
    files::audit(config, &mut findings);
    let snapshot = policies::look(&config.directory, &mut findings).await;
    if let Some(snapshot) = &snapshot {
        elsewhere::providers(snapshot, clock, &mut findings).await;
    }
    elsewhere::upstreams(config, clock, &mut findings).await;
    files::open_files(config, &mut findings);
    findings
}

#[cfg(test)]
mod tests;
