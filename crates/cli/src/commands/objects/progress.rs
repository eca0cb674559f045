//! Transfers of one command, from the plan to the report: what would be done, or what was done and how it was verified.
//!
//! The first interrupt (Ctrl-C, SIGTERM, SIGHUP) ends the transfers in good order, the second one ends the process.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use jiff::ZonedDateTime;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wigeon_client::connect::{RateLimit, Timetable};
use wigeon_client::s3::Client;
use wigeon_client::transfer::{
    Address, After, Done, Planned, Progress, Report, TransferError, Transfers, Tuning,
};

use super::human;
use super::moving::Plan;
use super::shown::{Seen, Shown, proof};
use super::synced::Synced;
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::{Output, printable};

/// How a plan is carried out.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct RunOptions {
    /// Print what would be done, and do nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,

    /// With --json: a line for each item as it is done, and the summary as the last line
    #[arg(long)]
    pub(crate) events: bool,

    /// Do not go on with what an earlier run left, and leave nothing for a later one
    #[arg(long)]
    pub(crate) no_resume: bool,

    /// Write the files' times into their objects (rclone's mtime), and give files the times of their objects
    #[arg(long)]
    pub(crate) times: bool,

    /// At most so many bytes per second: 2M, or a timetable such as "08:00,2M 18:00,off"
    #[arg(long, value_name = "RATE", value_parser = Timetable::parse)]
    pub(crate) limit_rate: Option<Timetable>,
}

impl RunOptions {
    /// The limit of bytes per second that stores are to share.
    pub(crate) fn limit(&self) -> Option<Arc<RateLimit>> {
        let timetable = self.limit_rate.clone()?;
        Some(Arc::new(RateLimit::new(timetable, Arc::new(local_time))))
    }
}

/// The day of the week from Monday, and the minute of the day.
fn local_time() -> (u8, u16) {
    let now = ZonedDateTime::now();
    let day = now.weekday().to_monday_zero_offset();
    let minute = i16::from(now.hour()) * 60 + i16::from(now.minute());
    (u8::try_from(day).unwrap_or(0), u16::try_from(minute).unwrap_or(0))
}

/// Transfers of one command.
pub(crate) struct Run {
    pub(crate) transfers: Transfers,
    shown: Arc<Shown>,
    options: RunOptions,
    begun: Instant,
}

impl Run {
    /// Begins; with a bar where standard error is a terminal.
    pub(crate) fn start(context: &Context, options: &RunOptions) -> Result<Self, Failure> {
        let stop = if options.dry_run { CancellationToken::new() } else { Stop::on_interrupt(context) };
        Self::until(context, options, &stop)
    }

    /// Begins one of several that end when `stop` says so.
    pub(crate) fn until(
        context: &Context,
        options: &RunOptions,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        // Not clap's to say: `--json` may stand before the command.
        if options.events && !context.output.is_json() {
            return Err(Failure::usage("--events goes with --json"));
        }
        let shown = Shown::start(context, options.events);
        let progress: Arc<dyn Progress> = Arc::clone(&shown) as _;
        let tuning = if options.limit_rate.is_some() { Tuning::within_a_limit() } else { Tuning::default() };
        let mut transfers = Transfers::new(tuning, progress, stop.clone());
        if !options.no_resume && !options.dry_run {
            transfers = transfers.resuming(context.environment.state_dir()?.join("transfers"));
        }
        if options.times {
            transfers = transfers.keeping_times();
        }
        Ok(Self { transfers, shown, options: options.clone(), begun: Instant::now() })
    }

    /// The limit of bytes per second that its stores are to share.
    pub(crate) fn limit(&self) -> Option<Arc<RateLimit>> {
        self.options.limit()
    }

    /// Begins with nothing asked for.
    pub(crate) fn plain(context: &Context) -> Result<Self, Failure> {
        Self::start(context, &RunOptions::default())
    }

    /// Does all of it, or prints all of it, and reports.
    pub(crate) async fn carry_out(self, context: &Context, plan: Plan<'_>) -> Result<(), Failure> {
        if self.options.dry_run {
            return print_plan(context, plan).await;
        }
        let outcome = self.transfers.carry_out(plan).await;
        let seen = self.shown.finish();
        let report = match outcome {
            Err(TransferError::Interrupted) if !self.options.no_resume => {
                let hint = "the same command again goes on with large files where they are now";
                return Err(Failure::from(TransferError::Interrupted).hint(hint));
            }
            other => other?,
        };
        if report == Report::default() {
            return Err(Failure::error("there is nothing to copy"));
        }
        self.report(context, report, &seen)
    }

    /// Writes an object to standard output. Whoever closed the pipe has seen enough.
    pub(crate) async fn print(&self, client: &Client, object: &Address) -> Result<(), Failure> {
        match self.transfers.download_stream(client, object, tokio::io::stdout()).await {
            Err(TransferError::Stream(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// The report of one stream.
    pub(crate) fn finish_one(
        self,
        context: &Context,
        outcome: Result<Done, TransferError>,
    ) -> Result<(), Failure> {
        let mut seen = self.shown.finish();
        let done = outcome?;
        seen.weakest = Some(done.verified);
        self.report(context, Report { done: 1, bytes: done.bytes, ..Report::default() }, &seen)
    }

    /// The report of a sync: what the engine did, what was the same, and why removals were held back.
    pub(crate) fn finish_sync(
        self,
        context: &Context,
        synced: &Synced,
        held_back: Option<Failure>,
    ) -> Result<(), Failure> {
        let seen = self.shown.finish();
        let seconds = self.begun.elapsed().as_secs_f64();
        if context.output.is_json() {
            let mut summary = document(&synced.report, &seen, seconds);
            if let (Some(summary), Value::Object(more)) = (summary.as_object_mut(), synced.document()) {
                summary.extend(more);
            }
            if self.options.events {
                context.output.item(&summary, |_| String::new())?;
            } else {
                context.output.document(&summary)?;
            }
        } else {
            let several = held_back.is_some() || more_than_one(&synced.report);
            tell_failures(context, several, &seen);
            context.output.note(&sentence(&Report { removed: 0, ..synced.report }, &seen, seconds));
            context.output.note(&synced.sentence());
        }
        match held_back {
            Some(failure) => Err(failure),
            None => verdict(&synced.report, &seen).and_then(|()| synced.conflicts()),
        }
    }

    /// The report of a round of several: nothing where nothing was done, but for the first. Gives what failed.
    pub(crate) fn finish_round(
        self,
        context: &Context,
        synced: &Synced,
        first: bool,
    ) -> Result<Vec<String>, Failure> {
        let seen = self.shown.finish();
        let seconds = self.begun.elapsed().as_secs_f64();
        let anything = first || synced.did_anything();
        if context.output.is_json() && anything {
            let mut summary = json!({"event": "round"});
            for more in [document(&synced.report, &seen, seconds), synced.document()] {
                if let (Some(summary), Value::Object(more)) = (summary.as_object_mut(), more) {
                    summary.extend(more);
                }
            }
            context.output.item(&summary, |_| String::new())?;
        } else if !context.output.is_json() {
            tell_failures(context, true, &seen);
            if anything {
                let time = human::time(Some(context.clock.now()));
                let copied = sentence(&Report { removed: 0, ..synced.report }, &seen, seconds);
                let copied = if first || synced.report.done > 0 { copied } else { String::new() };
                let more = if first { synced.sentence() } else { synced.changes() };
                let text = [copied, more].join(" ");
                if !text.trim().is_empty() {
                    context.output.note(&format!("{time}  {}", text.trim()));
                }
            }
        }
        Ok(seen.failures.into_iter().map(|(name, _)| name).collect())
    }

    /// The end of one that failed as a whole: what failed alone is told.
    pub(crate) fn give_up(self, context: &Context) {
        let seen = self.shown.finish();
        if !context.output.is_json() {
            tell_failures(context, true, &seen);
        }
    }

    fn report(&self, context: &Context, report: Report, seen: &Seen) -> Result<(), Failure> {
        let seconds = self.begun.elapsed().as_secs_f64();
        if context.output.is_json() {
            let summary = document(&report, seen, seconds);
            if self.options.events {
                context.output.item(&summary, |_| String::new())?;
            } else {
                context.output.document(&summary)?;
            }
        } else {
            tell_failures(context, more_than_one(&report), seen);
            if report.done + report.removed > 0 || report.failed == 0 {
                context.output.note(&sentence(&report, seen, seconds));
            }
        }
        verdict(&report, seen)
    }
}

/// What ends transfers in good order.
pub(crate) struct Stop;

impl Stop {
    /// Says so at the first interrupt; the second ends the process.
    pub(crate) fn on_interrupt(context: &Context) -> CancellationToken {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_interrupt(stop.clone(), context.detached().output));
        stop
    }
}

/// One item that failed alone is the failure of the command.
fn more_than_one(report: &Report) -> bool {
    report.done + report.failed + report.skipped > 1
}

fn tell_failures(context: &Context, several: bool, seen: &Seen) {
    for (name, why) in &seen.skipped {
        context.output.note(&printable(&format!("skipped `{name}`: {why}")));
    }
    for (name, failure) in &seen.failures {
        if several {
            let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
            let which = if name.is_empty() { String::new() } else { format!(" `{name}`") };
            let text = format!("failed{which}: {}{causes}", failure.message);
            context.output.message(&human::name(&text));
        }
    }
}

/// Prints each item of a plan, as it would be done. What is known to fail is the failure of a part, as it would be then.
async fn print_plan(context: &Context, mut plan: Plan<'_>) -> Result<(), Failure> {
    let (mut files, mut bytes, mut failed) = (0, 0, 0);
    while let Some(planned) = plan.next().await {
        match planned? {
            Planned::Item(item) => {
                files += 1;
                bytes += item.size;
                let moves = item.after != After::Keep;
                let data = json!({
                    "would": item.step.verb(), "source": item.name, "target": item.step.target(),
                    "bytes": item.size, "then_remove_source": moves,
                });
                context.output.item(&data, |_| {
                    let to = item.step.target().map_or_else(String::new, |to| format!(" to {to}"));
                    let then = if moves { ", then remove the source" } else { "" };
                    let text = format!(
                        "would {} {}{to} ({}){then}",
                        item.step.verb(),
                        item.name,
                        human::size(item.size)
                    );
                    human::name(&text)
                })?;
            }
            Planned::Skipped { name, why } => {
                context.output.note(&human::name(&format!("would skip `{name}`: {why}")));
            }
            Planned::Failed { name, error } => {
                failed += 1;
                context.output.message(&human::name(&format!("would fail `{name}`: {error}")));
            }
        }
    }
    let all = human::count(files, "item", "items");
    context.output.note(&format!("Nothing was done. It would be {all}, {}.", human::size(bytes)));
    match failed {
        0 => Ok(()),
        _ => {
            let of = human::count(files + failed, "item", "items");
            Err(Failure::new(Kind::Partial, format!("{failed} of {of} would fail")))
        }
    }
}

/// All failed: the first one's kind. Some: partly done.
fn verdict(report: &Report, seen: &Seen) -> Result<(), Failure> {
    if report.failed == 0 {
        return Ok(());
    }
    let done = report.done + report.removed;
    match seen.failures.first() {
        // Alone: its own words, and what to do about it.
        Some((_, only)) if report.failed == 1 && done + report.skipped == 0 => {
            let mut failure = Failure::new(only.kind, only.message.clone());
            failure.causes.clone_from(&only.causes);
            failure.hints.clone_from(&only.hints);
            return Err(failure);
        }
        _ => {}
    }
    let of = human::count(done + report.failed, "file", "files");
    let kind = match seen.failures.first() {
        Some((_, first)) if done == 0 => first.kind,
        _ if done == 0 => Kind::Error,
        _ => Kind::Partial,
    };
    let hint = match seen.failures.iter().any(|(_, failure)| failure.kind != Kind::Partial) {
        true => "the same command again tries all of them again",
        false => "what a plan was made of has changed: make it again with --plan-out",
    };
    Err(Failure::new(kind, format!("{} of {of} failed", report.failed)).hint(hint))
}

fn sentence(report: &Report, seen: &Seen, seconds: f64) -> String {
    if report.done == 0 && report.removed > 0 {
        return format!("Removed {} in {seconds:.1} s.", human::count(report.removed, "object", "objects"));
    }
    let verb = if report.moved > 0 && report.moved == report.done { "Moved" } else { "Copied" };
    let mut text = format!(
        "{verb} {}, {} in {seconds:.1} s",
        human::count(report.done, "file", "files"),
        human::size(report.bytes)
    );
    if seen.resumed_bytes > 0 {
        text.push_str(&format!(" ({} were there from an earlier run)", human::size(seen.resumed_bytes)));
    }
    if let Some(weakest) = seen.weakest {
        text.push_str(&format!("; verified by {}", proof(weakest)));
    }
    if report.removed > 0 {
        text.push_str(&format!("; {} removed", report.removed));
    }
    if report.skipped > 0 {
        text.push_str(&format!("; {} skipped", report.skipped));
    }
    text.push('.');
    text
}

fn document(report: &Report, seen: &Seen, seconds: f64) -> Value {
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
        "resumed_bytes": seen.resumed_bytes,
        "removed": report.removed,
        "failed": report.failed,
        "skipped": report.skipped,
        "seconds": (seconds * 1000.0).round() / 1000.0,
        "verified_by": seen.weakest.map(proof),
        "failures": failures,
        "left_out": skipped,
    })
}

async fn stop_on_interrupt(stop: CancellationToken, output: Output) {
    if interrupted().await.is_ok() {
        stop.cancel();
        output.note("Interrupted: what is on its way is finished first. Once more stops at once.");
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
    use wigeon_client::s3::Verified;

    use super::*;

    fn failed(kind: Kind) -> Seen {
        Seen { failures: vec![("a".to_owned(), Failure::new(kind, "no"))], ..Seen::default() }
    }

    #[test]
    fn some_of_many_is_partly_done() {
        let some = Report { done: 1, failed: 1, ..Report::default() };
        assert_eq!(verdict(&some, &failed(Kind::Denied)).unwrap_err().kind, Kind::Partial);
        let all = Report { failed: 2, ..Report::default() };
        assert_eq!(verdict(&all, &failed(Kind::Denied)).unwrap_err().kind, Kind::Denied);
        let alone = Report { failed: 1, ..Report::default() };
        assert_eq!(verdict(&alone, &failed(Kind::Denied)).unwrap_err().message, "no");
        assert!(verdict(&Report { done: 2, ..Report::default() }, &Seen::default()).is_ok());
    }

    #[test]
    fn the_sentence_says_what_was_verified() {
        let seen = Seen { weakest: Some(Verified::SignedPayload), ..Seen::default() };
        let report = Report { done: 2, bytes: 1536, skipped: 1, ..Report::default() };
        assert_eq!(
            sentence(&report, &seen, 1.26),
            "Copied 2 files, 1.5 KiB in 1.3 s; verified by signed SHA-256; 1 skipped."
        );
        let moved = Report { moved: 2, ..report };
        assert!(sentence(&moved, &seen, 1.0).starts_with("Moved 2 files, "));
        let removed = Report { removed: 2, ..Report::default() };
        assert_eq!(sentence(&removed, &seen, 0.1), "Removed 2 objects in 0.1 s.");
        let seen = Seen { resumed_bytes: 1024, ..seen };
        assert!(sentence(&report, &seen, 1.0).contains("1.5 KiB in 1.0 s (1.0 KiB were there"));
    }
}
