//! What a server shows of itself to Prometheus: read when it is asked for, from where it is counted.
//!
//! Enters: the parts of a running server. Leaves: a page of text. Nothing of it is about a person or a key, of buckets
//! only how full they are, and no part holds anything up that serves requests. Every name is in docs/operations.md.

pub mod page;

mod process;

mod requests;

mod state;

mod stores;

use std::sync::Arc;

use wigeon_core::time::{Clock, Timestamp};

use self::page::Page;
use crate::gateway::Gateway;
use crate::issue::Sealer;
use crate::tls::Tls;
use crate::verify::Verifier;

/// Buckets that are shown: those that hold most.
const MOST_BUCKETS: usize = 1000;

/// The parts that are shown.
pub struct Sources {
    /// Requests, the directory, the stores.
    pub gateway: Arc<Gateway>,
    /// Providers' keys.
    pub verifier: Arc<Verifier>,
    /// Session keys.
    pub sealer: Arc<Sealer>,
    /// Certificates of listeners.
    pub certificates: Vec<Arc<Tls>>,
    /// Tells what is old.
    pub clock: Arc<dyn Clock>,
    /// When the server started.
    pub started_at: Timestamp,
}

impl Sources {
    /// The page.
    pub async fn page(&self) -> String {
        let now = self.clock.now();
        let gateway = &self.gateway;
        let mut page = Page::default();
        process::add(&mut page, self.started_at.as_second());
        requests::add(&mut page, &gateway.observers.figures);
        requests::add_limits(&mut page, &gateway.limits);
        requests::add_records(&mut page, &gateway.observers);
        state::add_directory(&mut page, &gateway.directory);
        state::add_providers(&mut page, &self.verifier, now);
        state::add_keys(&mut page, &self.sealer, now);
        let certificates = self.certificates.iter().map(|tls| (tls.file(), tls.expires_at()));
        state::add_certificates(&mut page, certificates);
        let store = gateway.backend.local().store();
        stores::add_local(&mut page, &store.figures());
        match store.usages(MOST_BUCKETS).await {
            Ok(buckets) => stores::add_buckets(&mut page, &buckets),
            Err(error) => tracing::warn!(%error, "the buckets' usage cannot be shown"),
        }
        stores::add_upstreams(&mut page, &gateway.backend.upstreams().standing());
        page.finish()
    }
}
