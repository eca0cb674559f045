//! The audit: one JSON line per request, with who, what, whether, why, and how much.
//!
//! The wire answer says what AWS's says; the reason of a refusal stands here, under the same request id. Records go
//! to the log, to a file and to a collector, as far as these are configured.

pub mod record;

pub mod file;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use wigeon_core::time::Timestamp;

pub use self::file::{AuditFile, FileOptions};
pub use self::record::{Ended, Record, Verdict, Who, time_of};
use crate::outbox::Outbox;

/// Where records go.
#[derive(Debug, Default)]
pub struct Audit {
    file: Option<AuditFile>,
    collector: Option<Outbox>,
    unwritten: AtomicU64,
}

impl Audit {
    /// To the log, and to these.
    #[must_use]
    pub fn new(file: Option<AuditFile>, collector: Option<Outbox>) -> Self {
        Self { file, collector, unwritten: AtomicU64::new(0) }
    }

    /// The collector's way.
    #[must_use]
    pub fn collector(&self) -> Option<&Outbox> {
        self.collector.as_ref()
    }

    /// How many records the file did not take.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// Opens the file anew.
    ///
    /// # Errors
    /// Where that cannot be done; the file before stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), AuditFile::reopen)
    }

    /// Writes a record.
    pub fn write(&self, record: &Record, now: Timestamp) {
        tracing::info!(
            target: "wigeon::audit",
            id = record.request_id,
            who = record.who.as_ref().map(|who| who.principal.as_str()),
            operation = record.operation,
            resource = record.resource,
            status = record.status,
            code = record.code,
            reason = record.reason,
            bytes_in = record.bytes_in,
            bytes_out = record.bytes_out,
            micros = record.total_micros,
        );
        if self.file.is_none() && self.collector.is_none() {
            return;
        }
        let Ok(mut line) = serde_json::to_vec(record) else { return };
        if let Some(collector) = &self.collector {
            collector.offer(Bytes::copy_from_slice(&line));
        }
        let Some(file) = &self.file else { return };
        line.push(b'\n');
        if let Err(error) = file.write(&line, now) {
            // The first, and then each time that twice as many are lost: a full disk is no reason for a flood.
            let lost = self.unwritten.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::error!(%error, lost, "audit records cannot be written");
            }
        }
    }
}
