//! The audit: one JSON line per request, with who, what, whether, why, and how much.
//!
//! The wire answer says what AWS's says; the reason of a refusal stands here, under the same request id. Records go
//! to the log, to a file and to a collector, as far as these are configured. Where a thread gathers what it records
//! ([`crate::gathered`]), the file has a record before the answer has gone.

pub mod record;

pub mod file;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use wigeon_core::time::{Clock, Timestamp};

pub use self::file::{AuditFile, FileOptions, Unwritten};
pub use self::record::{Ended, Record, Verdict, Who};
use crate::gathered;
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

    /// Writes a record; the clock tells how old the file is, where it is written at once.
    pub fn write(&self, record: &Record, clock: &dyn Clock) {
        tracing::info!(
            target: "wigeon::audit",
            id = record.request_id.as_str(),
            who = record.who.as_ref().map(|who| who.principal()),
            operation = record.operation.as_ref(),
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
        if self.collector.is_none() && gathered::keep(|lines| append(record, lines)) {
            return;
        }
        let mut line = Vec::new();
        append(record, &mut line);
        if let Some(collector) = &self.collector {
            collector.offer(Bytes::copy_from_slice(line.trim_ascii_end()));
        }
        if self.file.is_some() && !gathered::keep(|lines| lines.extend_from_slice(&line)) {
            self.write_lines(&line, clock.now());
        }
    }

    /// Writes lines to the file, if there is one.
    pub fn write_lines(&self, lines: &[u8], now: Timestamp) {
        let Some(file) = &self.file else { return };
        let Err(Unwritten { lines, error }) = file.write(lines, now) else { return };
        // The first, and then each time that twice as many are lost: a full disk is no reason for a flood.
        let before = self.unwritten.fetch_add(lines, Ordering::Relaxed);
        let lost = before + lines;
        if before.checked_ilog2() != lost.checked_ilog2() {
            tracing::error!(%error, lost, "audit records cannot be written");
        }
    }
}

fn append(record: &Record, lines: &mut Vec<u8>) {
    let begins = lines.len();
    match serde_json::to_writer(&mut *lines, record) {
        Ok(()) => lines.push(b'\n'),
        Err(_) => lines.truncate(begins),
    }
}
