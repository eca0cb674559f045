//! `wigeon mv`: as `cp`, and each source is removed once it has arrived and is verified.

use super::objects::address::Place;
use super::objects::moving::{MoveOptions, moving, plan};
use super::objects::progress::{Run, RunOptions};
use super::objects::store::Stores;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon mv s3://team/draft.txt s3://team/final.txt
  wigeon mv -r results s3://home/ada/results      folders in it that become empty go, too
  wigeon mv -r s3://inbox lab:archive/inbox       to another profile's store")]
pub(crate) struct Args {
    /// A file, a folder, s3://BUCKET/KEY or PROFILE:BUCKET/KEY
    source: String,

    /// Where to: the same kinds
    target: String,

    #[command(flatten)]
    moving: MoveOptions,

    #[command(flatten)]
    run: RunOptions,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let (source, target) = (Place::parse(&args.source)?, Place::parse(&args.target)?);
    let stores = Stores::limited(args.run.limit());
    let plan = plan(&source, &target, &args.moving, &stores, context).await?;
    Run::start(context, &args.run)?.carry_out(context, moving(plan, &source)).await
}
