//! `wigeon versions`: versions of objects listed, brought back, and removed for good.

use clap::Subcommand;
use wigeon_client::s3::VersionSummary;

use super::objects::address::StorePlace;
use super::objects::lines::Lines;
use super::objects::meant::{Meant, MeantArgs, versions_of};
use super::objects::store;
use super::objects::told::Told;
use crate::context::Context;
use crate::errors::Failure;

mod history;

mod purge;

mod bring_back;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon versions list s3://team/report.pdf
  wigeon versions restore s3://team/report.pdf                        what was removed comes back
  wigeon versions restore s3://team/report.pdf --version-id ID        this version becomes the newest
  wigeon versions restore -r s3://team/2026 --at 2026-11-01T12:00:00Z everything as it was then
  wigeon versions purge -r s3://team --keep 3 --older-than 30d -n     shows what would go")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List versions, the newest first
    List(ListArgs),
    /// Bring back what was removed, a version, or everything as it was at a time
    Restore(bring_back::Args),
    /// Remove versions that are not the newest, for good
    Purge(purge::Args),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS")]
    address: String,

    #[command(flatten)]
    meant: MeantArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::List(args) => list(&args, context).await,
        Verb::Restore(args) => bring_back::run(&args, context).await,
        Verb::Purge(args) => purge::run(&args, context).await,
    }
}

async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let client = store::open(context, &place)?;
    let mut lines = Lines::new(context);
    let mut show = |version: &VersionSummary| lines.item(&Told::version(version), |told| told.line(false));
    let mut any = false;
    match args.meant.meant(&place, context)? {
        Meant::One(object) => {
            let mut versions = versions_of(&client, &object);
            while let Some(version) = versions.next().await? {
                any = true;
                show(&version)?;
            }
        }
        Meant::Many(many) => {
            let mut versions = many.versions(&client);
            while let Some(version) = versions.next().await? {
                any = true;
                show(&version)?;
            }
            any |= many.is_whole_bucket();
        }
    }
    lines.finish()?;
    if any { Ok(()) } else { Err(Failure::error(format!("there is no version of `{place}`"))) }
}
