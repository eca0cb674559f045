//! How a transfer shows itself: a bar where a person watches, then each failure, then one sentence.
//!
//! The first interrupt (Ctrl-C, SIGTERM, SIGHUP) ends the transfers in good order, the second one ends the process.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wigeon_client::s3::{Client, Verified};
use wigeon_client::transfer::{Address, Done, Progress, TransferError, Transfers, TreeReport, Tuning};

use super::human;
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

/// Failures that are kept to be shown; beyond, they are counted.
const MOST_SHOWN: usize = 1000;

/// Transfers of one command, from their beginning to their report.
pub(crate) struct Run {
    pub(crate) transfers: Transfers,
    shown: Arc<Shown>,
    begun: Instant,
}

struct Shown {
    bar: ProgressBar,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    expected: u64,
    failures: Vec<(String, Failure)>,
    skipped: Vec<(String, String)>,
    weakest: Option<Verified>,
}

impl Run {
    /// Begins; with a bar where standard error is a terminal.
    pub(crate) fn start(context: &Context) -> Self {
        let watched =
            context.environment.stderr_is_terminal && !context.options.quiet && !context.options.json;
        let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{bytes:>10} of {total_bytes:<10} {wide_bar} {binary_bytes_per_sec:>12} {eta:>4}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_interrupt(stop.clone()));
        let shown = Arc::new(Shown { bar, seen: Mutex::default() });
        let progress: Arc<dyn Progress> = Arc::clone(&shown) as _;
        let transfers = Transfers::new(Tuning::default(), progress, stop);
        Self { transfers, shown, begun: Instant::now() }
    }

    /// Says how many bytes one file has, where it is alone.
    pub(crate) fn expect(&self, bytes: u64) {
        self.shown.expected(1, bytes);
    }

    /// Writes an object to standard output. Whoever closed the pipe has seen enough.
    pub(crate) async fn print(&self, client: &Client, object: &Address) -> Result<(), Failure> {
        match self.transfers.download_stream(client, object, tokio::io::stdout()).await {
            Err(TransferError::Stream(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// The report of one file.
    pub(crate) fn finish_one(
        self,
        context: &Context,
        outcome: Result<Done, TransferError>,
    ) -> Result<(), Failure> {
        self.shown.bar.finish_and_clear();
        let done = outcome?;
        self.shown.seen().weakest = Some(done.verified);
        self.report(context, TreeReport { done: 1, bytes: done.bytes, ..TreeReport::default() })
    }

    /// The report of many files: what failed, and the sentence.
    pub(crate) fn finish(
        self,
        context: &Context,
        outcome: Result<TreeReport, TransferError>,
    ) -> Result<(), Failure> {
        self.shown.bar.finish_and_clear();
        let report = outcome?;
        if report.done + report.failed + report.skipped == 0 {
            return Err(Failure::error("there is nothing to copy"));
        }
        self.report(context, report)
    }

    fn report(self, context: &Context, report: TreeReport) -> Result<(), Failure> {
        let seen = std::mem::take(&mut *self.shown.seen());
        let seconds = self.begun.elapsed().as_secs_f64();
        if context.output.is_json() {
            context.output.document(&document(&report, &seen, seconds))?;
        } else {
            for (name, why) in &seen.skipped {
                context.output.note(&printable(&format!("skipped `{name}`: {why}")));
            }
            for (name, failure) in &seen.failures {
                let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
                let text = format!("failed `{name}`: {}{causes}", failure.message);
                context.output.message(&human::name(&text));
            }
            context.output.note(&sentence(&report, &seen, seconds));
        }
        verdict(&report, &seen)
    }
}

/// All failed: the first one's kind. Some: partly done.
fn verdict(report: &TreeReport, seen: &Seen) -> Result<(), Failure> {
    if report.failed == 0 {
        return Ok(());
    }
    let of = human::count(report.done + report.failed, "file", "files");
    let kind = match seen.failures.first() {
        Some((_, first)) if report.done == 0 => first.kind,
        _ if report.done == 0 => Kind::Error,
        _ => Kind::Partial,
    };
    let again = "the same command again tries all of them again";
    Err(Failure::new(kind, format!("{} of {of} failed", report.failed)).hint(again))
}

fn sentence(report: &TreeReport, seen: &Seen, seconds: f64) -> String {
    let mut text = format!(
        "Copied {}, {} in {seconds:.1} s",
        human::count(report.done, "file", "files"),
        human::size(report.bytes)
    );
    if let Some(weakest) = seen.weakest {
        text.push_str(&format!("; verified by {}", proof(weakest)));
    }
    if report.skipped > 0 {
        text.push_str(&format!("; {} skipped", report.skipped));
    }
    text.push('.');
    text
}

fn document(report: &TreeReport, seen: &Seen, seconds: f64) -> Value {
    let failures: Vec<Value> = seen
        .failures
        .iter()
        .map(|(name, failure)| {
            json!({"name": name, "kind": failure.kind.name(), "message": failure.message, "causes": failure.causes})
        })
        .collect();
    let skipped: Vec<Value> =
        seen.skipped.iter().map(|(name, why)| json!({"name": name, "reason": why})).collect();
    json!({
        "copied": report.done,
        "bytes": report.bytes,
        "failed": report.failed,
        "skipped": report.skipped,
        "seconds": (seconds * 1000.0).round() / 1000.0,
        "verified_by": seen.weakest.map(proof),
        "failures": failures,
        "left_out": skipped,
    })
}

/// The weakest proof among the files.
fn proof(verified: Verified) -> &'static str {
    match verified {
        Verified::Store => "the store",
        Verified::Length => "length",
        Verified::Md5 => "MD5",
        Verified::SignedPayload => "signed SHA-256",
        Verified::Checksum => "checksum",
    }
}

impl Shown {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Shown {
    fn expected(&self, _files: u64, bytes: u64) {
        let mut seen = self.seen();
        seen.expected += bytes;
        self.bar.set_length(seen.expected);
    }

    fn moved(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn done(&self, _name: &str, done: &Done) {
        let mut seen = self.seen();
        seen.weakest = Some(seen.weakest.map_or(done.verified, |weakest| weakest.min(done.verified)));
    }

    fn failed(&self, name: &str, error: &TransferError) {
        let mut seen = self.seen();
        if seen.failures.len() < MOST_SHOWN {
            seen.failures.push((name.to_owned(), Failure::of_transfer(error)));
        }
    }

    fn skipped(&self, name: &str, why: &str) {
        let mut seen = self.seen();
        if seen.skipped.len() < MOST_SHOWN {
            seen.skipped.push((name.to_owned(), why.to_owned()));
        }
    }
}

async fn stop_on_interrupt(stop: CancellationToken) {
    if interrupted().await.is_ok() {
        stop.cancel();
        if interrupted().await.is_ok() {
            // What a shell reports of a program that an interrupt ended.
            std::process::exit(130);
        }
    }
}

#[cfg(unix)]
async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate, mut hang_up) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn interrupted() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: Kind) -> Seen {
        Seen { failures: vec![("a".to_owned(), Failure::new(kind, "no"))], ..Seen::default() }
    }

    #[test]
    fn some_of_many_is_partly_done() {
        let some = TreeReport { done: 1, failed: 1, ..TreeReport::default() };
        assert_eq!(verdict(&some, &failed(Kind::Denied)).unwrap_err().kind, Kind::Partial);
        let all = TreeReport { failed: 2, ..TreeReport::default() };
        assert_eq!(verdict(&all, &failed(Kind::Denied)).unwrap_err().kind, Kind::Denied);
        assert!(verdict(&TreeReport { done: 2, ..TreeReport::default() }, &Seen::default()).is_ok());
    }

    #[test]
    fn the_sentence_says_what_was_verified() {
        let seen = Seen { weakest: Some(Verified::SignedPayload), ..Seen::default() };
        let report = TreeReport { done: 2, bytes: 1536, skipped: 1, failed: 0 };
        assert_eq!(
            sentence(&report, &seen, 1.26),
            "Copied 2 files, 1.5 KiB in 1.3 s; verified by signed SHA-256; 1 skipped."
        );
    }
}
