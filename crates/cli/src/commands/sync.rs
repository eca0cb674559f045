//! `wigeon sync`: one side made like the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use wigeon_client::s3::PutOptions;
use wigeon_client::sync::{
    Apply, Comparison, Guard, Header, Late, Plan, PlanWriter, Policy, SavedPlan, Side, SyncError, Told,
    Totals, Trouble, diff, plan,
};

use super::objects::filters::FilterArgs;
use super::objects::progress::{Run, RunOptions};
use super::objects::sides::{CompareOption, overlap, reading, side, sides, whole};
use super::objects::store::Stores;
use super::objects::synced::{self, Synced};
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

    /// What makes two files the same
    #[arg(long, value_enum, default_value_t = CompareOption::Modified, value_name = "WHAT")]
    compare: CompareOption,

    /// The same as --compare checksum
    #[arg(long, short, conflicts_with_all = ["compare", "size_only"])]
    checksum: bool,

    /// The same as --compare size
    #[arg(long, conflicts_with = "compare")]
    size_only: bool,

    /// Remove from the target what the source does not have; last, and only when all else succeeded
    #[arg(long)]
    delete: bool,

    /// With --delete: when more than these would be removed, remove none
    #[arg(long, value_name = "COUNT")]
    max_delete: Option<u64>,

    /// With --delete: an empty source empties the target
    #[arg(long, requires = "delete")]
    allow_empty_source: bool,

    /// Keep what is replaced or removed: a folder, or a prefix in the target's store
    #[arg(long, value_name = "ADDRESS")]
    backup_dir: Option<String>,

    /// With --delete: what moved at the source is moved at the target, by its content
    #[arg(long, requires = "delete")]
    track_renames: bool,

    /// Leave what was written later at the target, and name it
    #[arg(long, short)]
    update: bool,

    /// Take what symbolic links point at; else they are left out
    #[arg(long, short = 'L')]
    follow_links: bool,

    /// Write what would be done into a file, and do nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "apply"])]
    plan_out: Option<PathBuf>,

    /// Do what such a file says, as far as nothing changed since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "delete", "backup_dir", "track_renames", "update"])]
    apply: Option<PathBuf>,

    #[command(flatten)]
    filters: FilterArgs,

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
    let (source, target) = sides(from, to, &stores, context)?;
    let backup = args.backup_dir.as_deref().map(|address| backup(address, &target, &stores, context));
    let backup = backup.transpose()?;
    let reading = reading(&args.filters, args.follow_links, (&source, &target), context)?;
    let comparison = comparison(&args);
    let policy = Policy {
        comparison,
        delete: args.delete,
        keep_newer: args.update,
        track_renames: args.track_renames,
    };
    let plan = plan(diff(&source, &target, &reading), &source, &target, policy);
    if let Some(path) = &args.plan_out {
        let mut header = Header::new(&whole(from, context)?, &whole(to, context)?, comparison);
        header.backup = args.backup_dir.as_deref().map(|address| whole(address, context)).transpose()?;
        return write(plan, path, &header, context).await;
    }
    if args.run.dry_run {
        return show(plan, &args, context).await;
    }
    context.output.note(&format!("Comparing by {}.", comparison.sentence()));
    let run = start(&args, comparison, &target, context)?;
    let apply = apply(&run, source, target, backup);
    carry_out(plan, &apply, guard(&args), run, context).await
}

fn comparison(args: &Args) -> Comparison {
    match (args.checksum, args.size_only) {
        (true, _) => Comparison::Checksum,
        (_, true) => Comparison::Size,
        _ => args.compare.into(),
    }
}

fn guard(args: &Args) -> Guard {
    Guard { most: args.max_delete, allow_empty_source: args.allow_empty_source }
}

/// Where what is replaced or removed goes: in the same store, or on this machine, and not inside the target.
fn backup(address: &str, target: &Side, stores: &Stores, context: &Context) -> Result<Side, Failure> {
    let backup = side(address, stores, context)?;
    let fits = match (target, &backup) {
        (Side::Folder(_), Side::Folder(_)) => true,
        (Side::Store { client, .. }, Side::Store { client: other, .. }) => client.is_same(other),
        _ => false,
    };
    if !fits {
        return Err(Failure::usage(
            "the backup has to be where the target is: in its store, or on this machine",
        ));
    }
    if overlap(target, &backup) {
        return Err(Failure::usage(format!("the backup `{address}` and the target lie in each other")));
    }
    Ok(backup)
}

/// File times go with objects; onto files only where they are what is compared: else a file's time says when it came.
fn start(args: &Args, comparison: Comparison, target: &Side, context: &Context) -> Result<Run, Failure> {
    let times = args.run.times || target.folder().is_none() || comparison != Comparison::Modified;
    let options = RunOptions { times, ..args.run.clone() };
    Run::start(context, &options)
}

fn apply(run: &Run, source: Side, target: Side, backup: Option<Side>) -> Apply {
    let (transfers, put) = (run.transfers.clone(), Arc::new(PutOptions::default()));
    Apply { transfers, source, target, backup, put, recheck: false, late: Late::default() }
}

type Changes<'a> = BoxStream<'a, Result<Told, SyncError>>;

fn changes(plan: &mut Plan) -> Changes<'_> {
    stream::try_unfold(plan, |plan| async move {
        let told = plan.next().await?;
        Ok::<_, SyncError>(told.map(|told| (told, plan)))
    })
    .map_ok(|told| stream::iter(told.into_iter().map(Ok)))
    .try_flatten()
    .boxed()
}

async fn carry_out(
    mut plan: Plan,
    apply: &Apply,
    guard: Guard,
    run: Run,
    context: &Context,
) -> Result<(), Failure> {
    let applied = apply.changes(changes(&mut plan)).await?;
    let totals = plan.totals();
    let mut synced = Synced::new(totals, applied);
    let removals = plan.into_removals()?;
    let removed = match removals.permit(guard, applied.report.failed) {
        Ok(permitted) => apply.removals(permitted).await.map(|removed| synced.add(removed)),
        Err(held_back) => Err(held_back),
    };
    synced.add_late(apply.late().await?);
    run.finish_sync(context, &synced, removed.err().map(Failure::from))
}

/// A plan that was saved: each change is first held against what is there.
async fn saved(path: &Path, args: &Args, stores: &Stores, context: &Context) -> Result<(), Failure> {
    let saved = SavedPlan::read(path)?;
    let header = saved.header();
    let (source, target) = sides(&header.source, &header.target, stores, context)?;
    let backup =
        header.backup.as_deref().map(|address| backup(address, &target, stores, context)).transpose()?;
    if args.run.dry_run {
        for change in saved.changes()? {
            synced::show(&change?, context)?;
        }
        for change in saved.removals()?.permit(guard(args), 0)? {
            synced::show(&change?, context)?;
        }
        return synced::say(saved.totals(), header.comparison, context);
    }
    let run = start(args, header.comparison, &target, context)?;
    let apply = Apply { recheck: true, ..apply(&run, source, target, backup) };
    let told = stream::iter(saved.changes()?).map_ok(Told::Change);
    let applied = apply.changes(told).await?;
    let mut synced = Synced::new(saved.totals(), applied);
    let removed = match saved.removals()?.permit(guard(args), applied.report.failed) {
        Ok(permitted) => apply.removals(permitted).await.map(|removed| synced.add(removed)),
        Err(held_back) => Err(held_back),
    };
    synced.add_late(apply.late().await?);
    run.finish_sync(context, &synced, removed.err().map(Failure::from))
}

/// Prints what a run would do.
async fn show(mut plan: Plan, args: &Args, context: &Context) -> Result<(), Failure> {
    let mut told = changes(&mut plan);
    while let Some(told) = told.try_next().await? {
        tell(&told, context)?;
    }
    drop(told);
    let totals = plan.totals();
    for change in plan.into_removals()?.permit(guard(args), totals.failed)? {
        synced::show(&change?, context)?;
    }
    synced::say(totals, comparison(args), context)?;
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

fn tell(told: &Told, context: &Context) -> Result<(), Failure> {
    match told {
        Told::Change(change) => synced::show(change, context)?,
        Told::Conflict { source, .. } => {
            context.output.note(&synced::line("would leave", &source.name, "the target's is newer"));
        }
        Told::Trouble(Trouble::Skipped { name, why }) => {
            context.output.note(&synced::line("would skip", name, why));
        }
        Told::Trouble(Trouble::Failed { name, error }) => {
            context.output.message(&synced::line("would fail", name, &error.to_string()));
        }
    }
    Ok(())
}

fn partly(totals: Totals) -> Result<(), Failure> {
    if totals.failed == 0 {
        return Ok(());
    }
    Err(Failure::new(Kind::Partial, format!("{} files could not be read", totals.failed)))
}
