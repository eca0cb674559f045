//! Providers and upstreams: whether they answer, within a time limit.

use std::sync::Arc;
use std::time::Duration;

use wigeon_core::time::Clock;

use super::finding::Finding;
use crate::backend::upstream::Upstreams;
use crate::chain::chain;
use crate::config::Config;
use crate::directory::Snapshot;
use crate::verify::Verifier;

/// How long an upstream may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Fetches the keys of every provider. One that is away is no reason not to start: it may come up later.
pub(super) async fn providers(snapshot: &Snapshot, clock: &Arc<dyn Clock>, findings: &mut Vec<Finding>) {
    for (issuer, fetched) in Verifier::new(Arc::clone(clock)).fetch_all(snapshot).await {
        let subject = format!("provider {issuer}");
        findings.push(match fetched {
            Ok(()) => Finding::ok(subject, "its keys are at hand"),
            Err(error) => {
                let fix =
                    "its tokens are refused until it answers: see the address, the network, and ca_file";
                Finding::warning(subject, format!("its keys cannot be fetched: {}", chain(&error)), fix)
            }
        });
    }
}

/// Asks every upstream for its buckets, or for those that are mapped, with its credentials.
pub(super) async fn upstreams(config: &Config, clock: &Arc<dyn Clock>, findings: &mut Vec<Finding>) {
    let upstreams = match Upstreams::new(&config.upstreams, clock) {
        Ok(upstreams) => upstreams,
        Err(error) => return findings.push(Finding::because("upstreams", &error, "")),
    };
    for (name, tried) in upstreams.try_out(LONGEST).await {
        let subject = format!("upstream {name}");
        findings.push(match tried {
            Ok(what) => Finding::ok(subject, what),
            Err(reason) => Finding::failed(
                subject,
                reason,
                "see its endpoint, ca_file, credentials and region: docs/upstream.md",
            ),
        });
    }
}
