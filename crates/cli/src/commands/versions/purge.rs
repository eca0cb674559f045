//! Versions that are not the newest, removed for good; and marks of removals that nothing lies under any more.

use serde_json::json;
use wigeon_client::filter::Age;
use wigeon_client::s3::{Governance, VersionSummary};
use wigeon_core::time::Timestamp;

use super::super::objects::address::StorePlace;
use super::super::objects::confirm::confirm;
use super::super::objects::lines::Lines;
use super::super::objects::meant::MeantArgs;
use super::super::objects::removal::Remover;
use super::super::objects::{human, store};
use super::history::{Histories, History, may_be_empty};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// Keep so many versions besides the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    keep: usize,

    /// Only versions that were written so long ago: 30d, 12h, or a date
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,

    /// Print what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// Remove what is kept under governance, too
    #[arg(long)]
    bypass_governance: bool,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    meant: MeantArgs,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let client = store::open(context, &place)?;
    let meant = args.meant.meant(&place, context)?;
    if !args.dry_run {
        let question = format!("Remove older versions of {place}, for good?");
        confirm(context, args.yes, &human::name(&question))?;
    }
    let before = args.older_than.map(|age| age.before(context.clock.now()));
    let governance = if args.bypass_governance { Governance::Bypassed } else { Governance::Kept };
    let mut remover = Remover::new(client.clone(), place.bucket()?.clone(), governance);
    let mut lines = Lines::new(context);
    let (mut any, mut bytes) = (false, 0);
    let mut histories = Histories::of(&meant, &client);
    while let Some(history) = histories.next().await? {
        any = true;
        for version in doomed(history, args.keep, before) {
            bytes += version.size;
            if args.dry_run {
                show(&place, &version, &mut lines)?;
            } else {
                remover.remove(version.key, Some(version.version_id)).await?;
            }
        }
    }
    lines.finish()?;
    if !any && !may_be_empty(&meant) {
        return Err(Failure::error(format!("there is no version of `{place}`")));
    }
    if args.dry_run {
        return Ok(());
    }
    let removal = remover.finish().await?;
    if context.output.is_json() {
        let data = json!({"removed": removal.removed, "not_removed": removal.kept_count, "bytes": bytes});
        context.output.document(&data)?;
    } else {
        for kept in &removal.kept {
            context.output.message(&human::name(&kept.to_string()));
        }
        let removed = human::count(removal.removed, "version", "versions");
        context.output.note(&format!("Removed {removed}, {}.", human::size(bytes)));
    }
    removal.verdict()
}

fn show(place: &StorePlace, version: &VersionSummary, lines: &mut Lines<'_>) -> Result<(), Failure> {
    let bucket = place.bucket()?;
    let data = json!({"would_remove": {
        "bucket": bucket, "key": version.key, "version_id": version.version_id, "size": version.size,
        "is_delete_marker": version.is_delete_marker,
    }});
    lines.item(&data, |_| {
        let what = if version.is_delete_marker { "delete marker" } else { "version" };
        format!("would remove {bucket}/{} ({what} {})", human::name(&version.key), version.version_id)
    })
}

/// What goes of a key. The newest version never does, except for a mark of its removal that nothing is left under.
fn doomed(history: History, keep: usize, before: Option<Timestamp>) -> Vec<VersionSummary> {
    let is_old = |version: &VersionSummary| {
        before.is_none_or(|before| version.last_modified.is_some_and(|at| at < before))
    };
    let (mut doomed, mut left) = (Vec::new(), Vec::new());
    let mut kept = 0;
    for version in history {
        let goes = !version.is_latest && kept >= keep && is_old(&version);
        if goes {
            doomed.push(version);
            continue;
        }
        kept += usize::from(!version.is_latest && !version.is_delete_marker);
        left.push(version);
    }
    if left.iter().all(|version| version.is_delete_marker && is_old(version)) {
        doomed.append(&mut left);
    }
    doomed
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// `v` a version, `m` a marker; the first is the newest, each a day older than the one before.
    fn history(text: &str) -> History {
        text.char_indices()
            .map(|(at, kind)| VersionSummary {
                key: "k".into(),
                version_id: at.to_string(),
                is_latest: at == 0,
                is_delete_marker: kind == 'm',
                last_modified: wigeon_core::time::parse_iso8601(&format!("2026-11-{:02}T00:00:00Z", 20 - at)),
                ..VersionSummary::default()
            })
            .collect()
    }

    #[rstest]
    #[case("v", 0, 30, "")]
    #[case("vvv", 0, 30, "12")]
    #[case("vvvv", 2, 30, "3")]
    #[case("vmv", 0, 30, "12")]
    #[case("mvv", 0, 30, "120")]
    #[case("mvv", 1, 30, "2")]
    #[case("m", 0, 30, "0")]
    #[case("vvvv", 0, 18, "3")]
    #[case("mv", 0, 20, "1")]
    #[case("mv", 0, 10, "")]
    fn what_goes(#[case] text: &str, #[case] keep: usize, #[case] day: u32, #[case] ids: &str) {
        let before = wigeon_core::time::parse_iso8601(&format!("2026-11-{day}T00:00:00Z"));
        let gone: String =
            doomed(history(text), keep, before).into_iter().map(|version| version.version_id).collect();
        assert_eq!(gone, ids, "{text} keeping {keep} before the {day}th");
    }
}
