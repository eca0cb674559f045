//! `wigeon cp`: files up, objects down, objects to other places; one, or a whole tree.

use super::objects::address::{Place, StorePlace};
use super::objects::moving::{MoveOptions, plan};
use super::objects::progress::{Run, RunOptions};
use super::objects::store::Stores;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon cp report.pdf s3://team/2026/            keeps its name
  wigeon cp -r photos s3://home/ada/photos        a folder and all below it
  wigeon cp -r s3://home/ada/photos .             and back
  wigeon cp -rn photos s3://home/ada/photos       shows what would be done
  tar c src | wigeon cp - s3://backup/src.tar     a stream of any length
  wigeon cp -r logs s3://team/logs --storage-class STANDARD_IA --tag project=x
  wigeon cp s3://team/a lab:archive/a             between buckets, or to another profile's store")]
pub(crate) struct Args {
    /// A file, a folder, s3://BUCKET/KEY, PROFILE:BUCKET/KEY, or - for standard input
    source: String,

    /// Where to: the same kinds, or - for standard output
    target: String,

    #[command(flatten)]
    moving: MoveOptions,

    #[command(flatten)]
    run: RunOptions,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match (Place::parse(&args.source)?, Place::parse(&args.target)?) {
        (Place::Stream, Place::Store(to)) => from_stream(&args, &to, context).await,
        (Place::Store(from), Place::Stream) => to_stream(&args, &from, context).await,
        (source, target) => {
            let stores = Stores::limited(args.run.limit());
            let plan = plan(&source, &target, &args.moving, &stores, context).await?;
            Run::start(context, &args.run)?.carry_out(context, plan).await
        }
    }
}

async fn from_stream(args: &Args, to: &StorePlace, context: &Context) -> Result<(), Failure> {
    if to.is_folder() {
        return Err(Failure::usage("standard input has no name to keep: name the object"));
    }
    let (client, to) =
        (args.moving.encryption.on(Stores::limited(args.run.limit()).open(context, to)?)?, to.object()?);
    if args.run.dry_run {
        return context.output.line(&format!("would upload - to {to}"));
    }
    let run = Run::start(context, &args.run)?;
    let outcome =
        run.transfers.upload_stream(&client, tokio::io::stdin(), &to, &args.moving.written.put()).await;
    run.finish_one(context, outcome)
}

async fn to_stream(args: &Args, from: &StorePlace, context: &Context) -> Result<(), Failure> {
    args.moving.written.for_files()?;
    let (client, object) =
        (args.moving.encryption.on(Stores::limited(args.run.limit()).open(context, from)?)?, from.object()?);
    if args.run.dry_run {
        return context.output.line(&format!("would download {object} to -"));
    }
    // Standard output belongs to the object: nothing else is said there, and no report.
    Run::start(context, &args.run)?.print(&client, &object).await
}
