//! `wigeon check`: whether both sides hold the same bytes.

use wigeon_client::sync::{Comparison, Measure};

use super::objects::compared::{Show, compare};
use super::objects::filters::FilterArgs;
use super::objects::progress::Run;
use super::objects::sides::{reading, sides};
use super::objects::store::Stores;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is a mark and a name: = the same (with --all), * they differ, + only in the source, - only in the
target, ? of one size with nothing to tell them by, ! an error.
Exit code 0 where both sides are the same, 1 where they are not, 3 where some could not be compared.")]
pub(crate) struct Args {
    /// A folder, s3://BUCKET/PREFIX or PROFILE:BUCKET/PREFIX
    source: String,

    /// What it is held against: the same kinds
    target: String,

    /// Compare sizes alone
    #[arg(long)]
    size_only: bool,

    /// Read all bytes of both sides
    #[arg(long, conflicts_with = "size_only")]
    download: bool,

    /// What only the target has is no difference
    #[arg(long)]
    one_way: bool,

    /// Show what is the same, too
    #[arg(long)]
    all: bool,

    /// Take what symbolic links point at; else they are left out
    #[arg(long, short = 'L')]
    follow_links: bool,

    #[command(flatten)]
    filters: FilterArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let (source, target) = sides(&args.source, &args.target, &Stores::default(), context)?;
    let mut reading = reading(&args.filters, args.follow_links, (&source, &target), context)?;
    reading.source_only = args.one_way;
    let (measure, how) = match (args.size_only, args.download) {
        (true, _) => (Measure::Told(Comparison::Size), Comparison::Size.sentence()),
        (_, true) => (Measure::Bytes(Run::plain(context)?.transfers), "all their bytes"),
        _ => (Measure::Told(Comparison::Checksum), Comparison::Checksum.sentence()),
    };
    let show = if args.all { Show::All } else { Show::NotTheSame };
    let counts = compare((&source, &target), &reading, measure, show, context).await?;
    counts.say(how, context);
    counts.verdict()
}
