//! How transfers show themselves while they run: a bar where a person watches, a line now and then in a log, a JSON
//! line for each event where a program listens. Nothing here ever waits for a transfer, or makes one wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use wigeon_client::s3::Verified;
use wigeon_client::transfer::{Done, Item, Progress, TransferError};

use super::human;
use crate::context::Context;
use crate::errors::Failure;
use crate::output::Output;

/// Failures that are kept to be shown; beyond, they are counted.
const MOST_SHOWN: usize = 1000;
/// How often a log without a terminal is told how far it is.
const EVERY: Duration = Duration::from_secs(10);

/// What is shown, and what was seen.
pub(crate) struct Shown {
    bar: ProgressBar,
    seen: Mutex<Seen>,
    begun: Instant,
    /// Where each event is a line of JSON.
    events: Option<Output>,
}

/// What has happened so far.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) expected_files: u64,
    pub(crate) expected_bytes: u64,
    pub(crate) done_files: u64,
    pub(crate) moved_bytes: u64,
    /// Of the moved ones, those that an earlier run moved.
    pub(crate) resumed_bytes: u64,
    pub(crate) failures: Vec<(String, Failure)>,
    pub(crate) skipped: Vec<(String, String)>,
    pub(crate) weakest: Option<Verified>,
}

impl Shown {
    /// A bar on a terminal, lines in a log, nothing with `--quiet` and `--json`.
    pub(crate) fn start(context: &Context, events: bool) -> Arc<Self> {
        let talks = !context.options.quiet && !context.options.json;
        let watched = context.environment.stderr_is_terminal && talks;
        let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template =
            "{msg} {bytes:>10} of {total_bytes:<10} {wide_bar} {binary_bytes_per_sec:>12} {eta:>4}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let events = (events && context.output.is_json()).then(|| context.detached().output);
        let shown = Arc::new(Self { bar, seen: Mutex::default(), begun: Instant::now(), events });
        if talks && !watched {
            tokio::spawn(tell_a_log(Arc::downgrade(&shown), context.detached().output));
        }
        shown
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bar goes, and all that was seen is handed over.
    pub(crate) fn finish(&self) -> Seen {
        self.bar.finish_and_clear();
        std::mem::take(&mut *self.seen())
    }

    fn event(&self, event: &serde_json::Value) {
        if let Some(output) = &self.events {
            // Whoever closed the pipe ended the process; nothing else can be done about a full disk here.
            let _ = output.item(event, |_| String::new());
        }
    }
}

/// Says how far it is, every ten seconds, for as long as it runs.
async fn tell_a_log(shown: std::sync::Weak<Shown>, output: Output) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(shown) = shown.upgrade() else { return };
        let line = line(&shown.seen(), shown.begun.elapsed());
        output.note(&line);
    }
}

/// `12 of 100 files, 1.2 GiB of 5.0 GiB, 120 MiB/s, 33 s left`; more files may still be found.
fn line(seen: &Seen, elapsed: Duration) -> String {
    let fresh = seen.moved_bytes.saturating_sub(seen.resumed_bytes);
    #[allow(clippy::cast_precision_loss, reason = "two digits are shown")]
    let rate = fresh as f64 / elapsed.as_secs_f64().max(0.001);
    let left = seen.expected_bytes.saturating_sub(seen.moved_bytes);
    let mut text = format!(
        "{} of {}, {} of {}",
        seen.done_files,
        human::count(seen.expected_files, "file", "files"),
        human::size(seen.moved_bytes),
        human::size(seen.expected_bytes),
    );
    if rate >= 1.0 {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "two digits are shown"
        )]
        let (per_second, seconds) = (rate as u64, (left as f64 / rate).ceil() as u64);
        text.push_str(&format!(", {}/s, {} left", human::size(per_second), human::duration(seconds)));
    }
    text
}

impl Progress for Shown {
    fn expected(&self, files: u64, bytes: u64) {
        let mut seen = self.seen();
        seen.expected_files += files;
        seen.expected_bytes += bytes;
        self.bar.set_length(seen.expected_bytes);
    }

    fn moved(&self, bytes: u64) {
        self.seen().moved_bytes += bytes;
        self.bar.inc(bytes);
    }

    fn resumed(&self, bytes: u64) {
        self.seen().resumed_bytes += bytes;
        self.moved(bytes);
    }

    fn done(&self, item: &Item, done: &Done) {
        if self.events.is_some() {
            self.event(&json!({
                "event": "done", "step": item.step.verb(), "source": item.name, "target": item.step.target(),
                "bytes": done.bytes, "verified_by": proof(done.verified),
            }));
        }
        let mut seen = self.seen();
        if item.step.target().is_some() {
            seen.weakest = Some(seen.weakest.map_or(done.verified, |weakest| weakest.min(done.verified)));
            seen.done_files += 1;
            let (done, expected) = (seen.done_files, seen.expected_files);
            if expected > 1 && !self.bar.is_hidden() {
                self.bar.set_message(format!("{done}/{expected}"));
            }
        }
    }

    fn failed(&self, name: &str, error: &TransferError) {
        let failure = Failure::of_transfer(error);
        if self.events.is_some() {
            self.event(&json!({
                "event": "failed", "source": name, "kind": failure.kind.name(), "message": failure.message,
                "causes": failure.causes,
            }));
        }
        let mut seen = self.seen();
        if seen.failures.len() < MOST_SHOWN {
            seen.failures.push((name.to_owned(), failure));
        }
    }

    fn skipped(&self, name: &str, why: &str) {
        if self.events.is_some() {
            self.event(&json!({"event": "skipped", "source": name, "reason": why}));
        }
        let mut seen = self.seen();
        if seen.skipped.len() < MOST_SHOWN {
            seen.skipped.push((name.to_owned(), why.to_owned()));
        }
    }
}

/// What shows that bytes are the same, in a word or two.
pub(crate) fn proof(verified: Verified) -> &'static str {
    match verified {
        Verified::Store => "the store",
        Verified::Length => "length",
        Verified::Md5 => "MD5",
        Verified::SignedPayload => "signed SHA-256",
        Verified::Checksum => "checksum",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_reads_what_is_left() {
        let seen = Seen {
            expected_files: 100,
            expected_bytes: 5 << 30,
            done_files: 12,
            moved_bytes: 2 << 30,
            resumed_bytes: 1 << 30,
            ..Seen::default()
        };
        assert_eq!(
            line(&seen, Duration::from_secs(10)),
            "12 of 100 files, 2.0 GiB of 5.0 GiB, 102 MiB/s, 30 s left"
        );
        assert_eq!(line(&Seen::default(), Duration::from_secs(10)), "0 of 0 files, 0 B of 0 B");
    }
}
