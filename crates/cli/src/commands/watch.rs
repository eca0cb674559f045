//! `wigeon watch`: one side kept in step with the other, for as long as it runs.
//!
//! Each round is a sync of what has changed. A round that fails in part or as a whole is told in a line and tried again,
//! after growing waits; only the very first ends the command, where the same again would fail again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use wigeon_client::sync::{Reading, Scope, Side, SyncError, Watch, Watching, diff, plan};
use wigeon_core::time::SignedDuration;

use super::objects::human;
use super::objects::progress::{Run, RunOptions, Stop};
use super::objects::sides::reading;
use super::objects::store::Stores;
use super::objects::syncing::{SyncOptions, apply, backup, carry_out, keeps_times, wished_sides};
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon watch photos s3://home/ada/photos               what changes goes up as soon as it is at rest
  wigeon watch photos s3://home/ada/photos --delete      what is removed is removed there, too
  wigeon watch s3://home/ada/photos photos               down: the store is asked every 30 seconds
  wigeon watch s3://team/a archive:team/a --interval 5m  between stores")]
pub(crate) struct Args {
    /// What is watched: a folder, s3://BUCKET/PREFIX or PROFILE:BUCKET/PREFIX
    source: String,

    /// What is kept in step with it: the same kinds
    target: String,

    /// How often a store is looked at: 30s, 5m
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    interval: Duration,

    /// How long a file has to be at rest before it is copied
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    settle: Duration,

    /// How often both sides are compared whole, whatever has been noticed
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1h")]
    rescan: Duration,

    /// Look at a folder every --interval, too: for drives of a network, which do not tell of changes
    #[arg(long)]
    poll: bool,

    #[command(flatten)]
    wished: SyncOptions,

    #[command(flatten)]
    run: RunOptions,
}

fn time(text: &str) -> Result<Duration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    let parsed = parsed.filter(SignedDuration::is_positive);
    parsed
        .and_then(|time| Duration::try_from(time).ok())
        .ok_or_else(|| "write a time such as 500ms, 30s or 5m".to_owned())
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let stores = Stores::limited(args.run.limit());
    let wished = &args.wished;
    let (source, target) = wished_sides(&args.source, &args.target, wished, &stores, context)?;
    let backup = wished.backup_dir.as_deref().map(|address| backup(address, &target, &stores, context));
    let backup = backup.transpose()?;
    let reading = reading(&wished.filters, wished.follow_links, (&source, &target), context)?;
    if args.run.dry_run {
        let plan = plan(diff(&source, &target, &reading), &source, &target, wished.policy());
        return super::sync::show(plan, wished, context).await;
    }
    let times = args.run.times || keeps_times(wished.comparison(), &target);
    let options = RunOptions { times, ..args.run.clone() };
    let watching =
        Watching { interval: args.interval, quiet: args.settle, rescan: args.rescan, poll: args.poll };
    let watch = Watch::new(&source, reading, watching, Arc::clone(&context.clock));
    context.output.note(&format!("Comparing by {}.", wished.comparison().sentence()));
    let stop = Stop::on_interrupt(context);
    Keeping { source, target, backup, wished, options, stop, context }.go_on(watch).await
}

/// What all rounds have in common.
struct Keeping<'a> {
    source: Side,
    target: Side,
    backup: Option<Side>,
    wished: &'a SyncOptions,
    options: RunOptions,
    stop: CancellationToken,
    context: &'a Context,
}

/// What comes after a round.
enum Then {
    /// Both sides are in step, but for files that may still be written.
    InStep(Vec<String>),
    /// These failed.
    Again(Scope, String),
}

impl Keeping<'_> {
    async fn go_on(&self, mut watch: Watch) -> Result<(), Failure> {
        let mut begun = false;
        loop {
            let round = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                round = watch.next() => round,
            };
            let (scope, outcome) = match round {
                Ok(reading) => (reading.scope.clone(), self.round(&reading, !begun).await),
                Err(error) => (Scope::default(), Err(error.into())),
            };
            match outcome {
                Ok(Then::InStep(left)) => {
                    if !begun {
                        let text = format!("Watching `{}`; interrupt to end.", self.source);
                        self.context.output.note(&printable(&text));
                    }
                    begun = true;
                    watch.in_step(&scope, &left);
                }
                Ok(Then::Again(scope, what)) => {
                    begun = true;
                    let wait = watch.again(scope);
                    self.tell(&Failure::new(Kind::Partial, what), wait)?;
                }
                Err(_) if self.stop.is_cancelled() => {
                    watch.again(scope);
                }
                Err(failure) if !begun && failure.kind != Kind::Retry => return Err(failure),
                Err(failure) => {
                    let wait = watch.again(scope);
                    self.tell(&failure, wait)?;
                }
            }
        }
        if watch.is_in_step() {
            return Ok(());
        }
        let hint = "the same command again goes on from here";
        Err(Failure::new(Kind::Partial, "ended before both sides were in step").hint(hint))
    }

    /// One sync, of what the round is about.
    async fn round(&self, reading: &Reading, first: bool) -> Result<Then, Failure> {
        let run = Run::until(self.context, &self.options, &self.stop)?;
        let (source, target) = (&self.source, &self.target);
        let plan = plan(diff(source, target, reading), source, target, self.wished.policy());
        let apply = apply(&run.transfers, self.wished, (source, target), self.backup.as_ref());
        let carried = match carry_out(plan, &apply, self.wished.guard()).await {
            Ok(carried) => carried,
            Err(error) => {
                run.give_up(self.context);
                return Err(error.into());
            }
        };
        let failed = carried.synced.report.failed;
        let failures = run.finish_round(self.context, &carried.synced, first)?;
        let scope = match carried.held_back {
            Some(SyncError::NotRemoved { .. }) => reading.scope.clone(),
            // Until something changes, the same would be held back again.
            Some(held_back) => {
                self.context.output.failure(&Failure::from(held_back));
                Scope::of(failures.iter().cloned())
            }
            None if usize::try_from(failed) == Ok(failures.len()) => Scope::of(failures),
            None => reading.scope.clone(),
        };
        if failed == 0 {
            return Ok(Then::InStep(carried.left));
        }
        Ok(Then::Again(scope, format!("{} not copied", human::count(failed, "file was", "files were"))))
    }

    /// One line: what went wrong, and when it is tried again.
    fn tell(&self, failure: &Failure, wait: Duration) -> Result<(), Failure> {
        let output = &self.context.output;
        if output.is_json() {
            let event = json!({
                "event": "error", "kind": failure.kind.name(), "message": failure.message, "causes": failure.causes,
                "hints": failure.hints, "retry_in_seconds": wait.as_secs_f64(),
            });
            return output.item(&event, |_| String::new());
        }
        let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
        let time = human::time(Some(self.context.clock.now()));
        let again = human::duration(wait.as_secs());
        let hints: String = failure.hints.iter().map(|hint| format!(" ({hint})")).collect();
        let text = format!("{time}  {}{causes}; trying again in {again}{hints}", failure.message);
        output.message(&human::name(&text));
        Ok(())
    }
}
