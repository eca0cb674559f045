//! `wigeon sync`: one side made like the other.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use futures_util::stream;
use wigeon_client::sync::{
    Apply, Comparison, Guard, Header, Plan, PlanWriter, SavedPlan, Side, Told, Totals, diff, plan,
};

use super::objects::human;
use super::objects::progress::{Run, RunOptions};
use super::objects::sides::{reading, whole};
use super::objects::store::Stores;
use super::objects::synced::{self, Synced};
use super::objects::syncing::{
    SyncOptions, apply, backup, carry_out, changes, keeps_times, remove, tell, wished_sides,
};
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon sync photos s3://home/ada/photos                  what is new or changed goes up
  wigeon sync s3://home/ada/photos photos                  and down
  wigeon sync s3://team/a archive:team/a --delete          between stores; what is gone goes there, too
  wigeon sync -n photos s3://home/ada/photos --delete      shows what would be done
  wigeon sync photos s3://home/ada/photos --plan-out plan  writes it down; then: wigeon sync --apply plan")]
pub(crate) struct Args {
    /// What the target is made like: a folder, s3://BUCKET/PREFIX or PROFILE:BUCKET/PREFIX
    #[arg(required_unless_present = "apply", requires = "target")]
    source: Option<String>,

    /// What is changed: the same kinds
    target: Option<String>,

    #[command(flatten)]
    wished: SyncOptions,
    /// Write what would be done into a file, and do nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "apply"])]
    plan_out: Option<PathBuf>,

    /// Do what such a file says, as far as nothing changed since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "delete", "backup_dir", "track_renames", "update"])]
    apply: Option<PathBuf>,

    #[command(flatten)]
    run: RunOptions,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let stores = Stores::limited(args.run.limit());
    if let Some(path) = &args.apply {
        return saved(path, &args, &stores, context).await;
    }
    let (Some(from), Some(to)) = (&args.source, &args.target) else {
        return Err(Failure::usage("name a source and a target"));
    };
    let wished = &args.wished;
    let (source, target) = wished_sides(from, to, wished, &stores, context)?;
    let backup = wished.backup_dir.as_deref().map(|address| backup(address, &target, &stores, context));
    let backup = backup.transpose()?;
    let reading = reading(&wished.filters, wished.follow_links, (&source, &target), context)?;
    let comparison = wished.comparison();
    let plan = plan(diff(&source, &target, &reading), &source, &target, wished.policy());
    if let Some(path) = &args.plan_out {
        let mut header = Header::new(&whole(from, context)?, &whole(to, context)?, comparison);
        header.backup = wished.backup_dir.as_deref().map(|address| whole(address, context)).transpose()?;
        return write(plan, path, &header, context).await;
    }
    if args.run.dry_run {
        return show(plan, wished, context).await;
    }
    context.output.note(&format!("Comparing by {}.", comparison.sentence()));
    let run = start(&args, comparison, &target, context)?;
    let apply = apply(&run.transfers, wished, (&source, &target), backup.as_ref());
    let carried = carry_out(plan, &apply, wished.guard()).await?;
    run.finish_sync(context, &carried.synced, carried.held_back.map(Failure::from))
}

fn start(args: &Args, comparison: Comparison, target: &Side, context: &Context) -> Result<Run, Failure> {
    let times = args.run.times || keeps_times(comparison, target);
    Run::start(context, &RunOptions { times, ..args.run.clone() })
}

/// A plan that was saved: each change is first held against what is there.
async fn saved(path: &Path, args: &Args, stores: &Stores, context: &Context) -> Result<(), Failure> {
    let saved = SavedPlan::read(path)?;
    let header = saved.header();
    let (source, target) = wished_sides(&header.source, &header.target, &args.wished, stores, context)?;
    let backup =
        header.backup.as_deref().map(|address| backup(address, &target, stores, context)).transpose()?;
    if args.run.dry_run {
        for change in saved.changes()? {
            synced::show(&change?, context)?;
        }
        for change in saved.removals()?.permit(args.wished.guard(), 0)? {
            synced::show(&change?, context)?;
        }
        return synced::say(saved.totals(), header.comparison, context);
    }
    let run = start(args, header.comparison, &target, context)?;
    let apply =
        Apply { recheck: true, ..apply(&run.transfers, &args.wished, (&source, &target), backup.as_ref()) };
    let told = stream::iter(saved.changes()?).map_ok(Told::Change);
    let applied = apply.changes(told).await?;
    let mut synced = Synced::new(saved.totals(), applied);
    let held_back = remove(saved.removals()?, &apply, args.wished.guard(), &mut synced).await?;
    run.finish_sync(context, &synced, held_back.map(Failure::from))
}

/// Prints what a run would do.
pub(super) async fn show(mut plan: Plan, wished: &SyncOptions, context: &Context) -> Result<(), Failure> {
    let mut told = changes(&mut plan);
    while let Some(told) = told.try_next().await? {
        tell(&told, context)?;
    }
    drop(told);
    let totals = plan.totals();
    for change in plan.into_removals()?.permit(wished.guard(), totals.failed)? {
        synced::show(&change?, context)?;
    }
    synced::say(totals, wished.comparison(), context)?;
    partly(totals)
}

async fn write(mut plan: Plan, path: &Path, header: &Header, context: &Context) -> Result<(), Failure> {
    let mut writer = PlanWriter::begin(path, header)?;
    let mut told = changes(&mut plan);
    while let Some(told) = told.try_next().await? {
        match &told {
            Told::Change(change) => writer.change(change)?,
            other => tell(other, context)?,
        }
    }
    drop(told);
    let totals = plan.totals();
    // Whoever reads the plan sees what it removes; what could not be read holds removals back.
    let all = Guard { most: None, allow_empty_source: true };
    for change in plan.into_removals()?.permit(all, totals.failed)? {
        writer.change(&change?)?;
    }
    writer.finish(totals)?;
    synced::say(totals, header.comparison, context)?;
    partly(totals)
}

fn partly(totals: Totals) -> Result<(), Failure> {
    if totals.failed == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Partial,
        format!("{} could not be read", human::count(totals.failed, "file", "files")),
    ))
}
