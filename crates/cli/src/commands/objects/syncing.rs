//! What `sync` and `watch` share: what is wished, and how a plan is carried out.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use wigeon_client::s3::Client;
use wigeon_client::sync::{
    Apply, Comparison, Guard, Late, Permitted, Plan, Policy, Removals, Side, SyncError, Told, Trouble,
};
use wigeon_client::transfer::Transfers;

use super::encryption::EncryptionArgs;
use super::filters::FilterArgs;
use super::sides::{CompareOption, overlap, side, sides};
use super::store::Stores;
use super::synced::{self, Synced};
use super::written::WrittenArgs;
use crate::context::Context;
use crate::errors::Failure;

/// What is the same, what is removed, and what is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct SyncOptions {
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
    pub(crate) backup_dir: Option<String>,
    /// With --delete: what moved at the source is moved at the target, by its content
    #[arg(long, requires = "delete")]
    track_renames: bool,
    /// Leave what was written later at the target, and name it
    #[arg(long, short)]
    update: bool,
    /// Take what symbolic links point at; else they are left out
    #[arg(long, short = 'L')]
    pub(crate) follow_links: bool,
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
    #[command(flatten)]
    written: WrittenArgs,
    #[command(flatten)]
    encryption: EncryptionArgs,
}

impl SyncOptions {
    pub(crate) fn comparison(&self) -> Comparison {
        match (self.checksum, self.size_only) {
            (true, _) => Comparison::Checksum,
            (_, true) => Comparison::Size,
            _ => self.compare.into(),
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            comparison: self.comparison(),
            delete: self.delete,
            keep_newer: self.update,
            track_renames: self.track_renames,
        }
    }

    pub(crate) fn guard(&self) -> Guard {
        Guard { most: self.max_delete, allow_empty_source: self.allow_empty_source }
    }
}

/// Both sides, with what is wished of encryption; what goes with objects is refused where files are written.
pub(crate) fn wished_sides(
    source: &str,
    target: &str,
    wished: &SyncOptions,
    stores: &Stores,
    context: &Context,
) -> Result<(Side, Side), Failure> {
    let (source, target) = sides(source, target, stores, context)?;
    if target.folder().is_some() {
        wished.written.for_files()?;
    }
    let encryption = &wished.encryption;
    Ok((
        encrypted(source, |client| encryption.on(client))?,
        encrypted(target, |client| encryption.on_target(client))?,
    ))
}

fn encrypted(side: Side, on: impl FnOnce(Client) -> Result<Client, Failure>) -> Result<Side, Failure> {
    Ok(match side {
        Side::Folder(folder) => Side::Folder(folder),
        Side::Store { client, prefix } => Side::Store { client: on(client)?, prefix },
    })
}

/// Where what is replaced or removed goes: in the same store, or on this machine, and not inside the target.
pub(crate) fn backup(
    address: &str,
    target: &Side,
    stores: &Stores,
    context: &Context,
) -> Result<Side, Failure> {
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

/// Whether file times go along: with objects always; onto files only where they are what is compared, because else a
/// file's time says when it came.
pub(crate) fn keeps_times(comparison: Comparison, target: &Side) -> bool {
    target.folder().is_none() || comparison != Comparison::Modified
}

/// What carries plans out.
pub(crate) fn apply(
    transfers: &Transfers,
    wished: &SyncOptions,
    (source, target): (&Side, &Side),
    backup: Option<&Side>,
) -> Apply {
    Apply {
        transfers: transfers.clone(),
        source: source.clone(),
        target: target.clone(),
        backup: backup.cloned(),
        put: Arc::new(wished.written.put()),
        recheck: false,
        late: Late::default(),
    }
}

pub(crate) type Changes<'a> = BoxStream<'a, Result<Told, SyncError>>;

/// The changes of a plan, as they become known.
pub(crate) fn changes(plan: &mut Plan) -> Changes<'_> {
    stream::try_unfold(plan, |plan| async move {
        let told = plan.next().await?;
        Ok::<_, SyncError>(told.map(|told| (told, plan)))
    })
    .map_ok(|told| stream::iter(told.into_iter().map(Ok)))
    .try_flatten()
    .boxed()
}

/// What came of a plan.
pub(crate) struct Carried {
    pub(crate) synced: Synced,
    /// Why nothing was removed.
    pub(crate) held_back: Option<SyncError>,
    /// Files of the source that may still be written.
    pub(crate) left: Vec<String>,
}

/// Carries a plan out: copies and moves as they become known, then removals.
pub(crate) async fn carry_out(mut plan: Plan, apply: &Apply, guard: Guard) -> Result<Carried, SyncError> {
    let applied = apply.changes(changes(&mut plan)).await?;
    let (totals, left) = (plan.totals(), plan.left().to_vec());
    let mut synced = Synced::new(totals, applied);
    let held_back = remove(plan.into_removals()?, apply, guard, &mut synced).await?;
    Ok(Carried { synced, held_back, left })
}

/// Removes what may be removed, then brings what found no place before that; says why nothing was removed.
pub(crate) async fn remove(
    removals: Removals,
    apply: &Apply,
    guard: Guard,
    synced: &mut Synced,
) -> Result<Option<SyncError>, SyncError> {
    let permitted: Result<Permitted, SyncError> = removals.permit(guard, synced.report.failed);
    let removed = match permitted {
        Ok(permitted) => apply.removals(permitted).await.map(|removed| synced.add(removed)),
        Err(held_back) => Err(held_back),
    };
    synced.add_late(apply.late().await?);
    Ok(removed.err())
}

/// Says what would be done of it.
pub(crate) fn tell(told: &Told, context: &Context) -> Result<(), Failure> {
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
