//! `wigeon diff`: what a sync would find different, for reading.

use wigeon_client::sync::{Comparison, Measure};

use super::objects::compared::{Show, compare};
use super::objects::filters::FilterArgs;
use super::objects::sides::{CompareOption, reading, sides};
use super::objects::store::Stores;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is a mark and a name: + only in the source, - only in the target, * they differ, ? nothing tells.
Exit code 0 where both sides are the same, 1 where they are not.")]
pub(crate) struct Args {
    /// A folder, s3://BUCKET/PREFIX or PROFILE:BUCKET/PREFIX
    source: String,

    /// What it is held against: the same kinds
    target: String,

    /// What makes two files the same
    #[arg(long, value_enum, default_value_t = CompareOption::Modified, value_name = "WHAT")]
    compare: CompareOption,

    /// Take what symbolic links point at; else they are left out
    #[arg(long, short = 'L')]
    follow_links: bool,

    #[command(flatten)]
    filters: FilterArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let (source, target) = sides(&args.source, &args.target, &Stores::default(), context)?;
    let reading = reading(&args.filters, args.follow_links, (&source, &target), context)?;
    let comparison = Comparison::from(args.compare);
    let measure = Measure::Told(comparison);
    let counts = compare((&source, &target), &reading, measure, Show::NotTheSame, context).await?;
    counts.say(comparison.sentence(), context);
    counts.verdict()
}
