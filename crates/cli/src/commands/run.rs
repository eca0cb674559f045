//! `wigeon run`: many commands from a file or standard input, carried out beside each other within one budget.
//!
//! Each line is `cp`, `mv` or `rm` with quoting as in a shell; empty lines and those that begin with `#` say nothing.
//! Lines begin in their order, end in any, and know nothing of each other; one that fails does not stop the others.
//! They are read as they are needed, so a million of them take no memory.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use wigeon_client::transfer::{Item, Place as ObjectPlace, Planned, Step, TransferError, plan_removal};

use super::objects::address::{Place, StorePlace};
use super::objects::filters::FilterArgs;
use super::objects::moving::{MoveOptions, Plan, moving, plan};
use super::objects::progress::{Run, RunOptions};
use super::objects::store::Stores;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line is one of:
  cp [-r] [OPTIONS] SOURCE TARGET   with what `wigeon cp` has of links, filters, encryption and what goes with objects
  mv [-r] [OPTIONS] SOURCE TARGET
  rm [-r] [FILTERS] ADDRESS...

Examples:
  wigeon run jobs.txt
  printf 'cp \"%s\" s3://team/in/\\n' *.csv | wigeon run")]
pub(crate) struct Args {
    /// The file with the commands; - for standard input
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    run: RunOptions,
}

/// Lines that are being planned at once: some have to ask the store how large an object is.
const PLANNED_AT_ONCE: usize = 32;

#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Cp(Move),
    Mv(Move),
    Rm(Remove),
}

#[derive(Debug, clap::Args)]
struct Move {
    source: String,
    target: String,
    #[command(flatten)]
    options: MoveOptions,
}

#[derive(Debug, clap::Args)]
struct Remove {
    #[arg(required = true)]
    addresses: Vec<String>,
    #[arg(long, short)]
    recursive: bool,
    #[command(flatten)]
    filters: FilterArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let source: Box<dyn AsyncRead + Send + Unpin> = if args.file.as_os_str() == "-" {
        Box::new(tokio::io::stdin())
    } else {
        let opened = tokio::fs::File::open(&args.file).await;
        Box::new(opened.map_err(|error| Failure {
            causes: vec![error.to_string()],
            ..Failure::error(format!("cannot read `{}`", args.file.display()))
        })?)
    };
    let run = Run::start(context, &args.run)?;
    let stores = Stores::limited(run.limit());
    let stores = &stores;
    let whole = lines(source)
        .map(|(number, line)| async move { plan_of(number, line, stores, context).await })
        .buffered(PLANNED_AT_ONCE)
        .flatten()
        .boxed();
    run.carry_out(context, whole).await
}

/// The lines with their numbers; a line that cannot be read is the last.
fn lines(
    source: impl AsyncRead + Send + Unpin,
) -> impl futures_util::Stream<Item = (u64, std::io::Result<String>)> {
    let lines = BufReader::new(source).lines();
    stream::unfold((lines, 1), |(mut lines, number)| async move {
        let line = lines.next_line().await.transpose()?;
        Some(((number, line), (lines, number + 1)))
    })
}

async fn plan_of<'a>(
    number: u64,
    line: std::io::Result<String>,
    stores: &Stores,
    context: &Context,
) -> BoxStream<'a, Result<Planned, TransferError>> {
    let text = match line {
        Ok(text) => text,
        Err(error) => return stream::iter([Err(TransferError::Stream(error))]).boxed(),
    };
    if text.trim().is_empty() || text.trim_start().starts_with('#') {
        return stream::empty().boxed();
    }
    match plan_line(&text, stores, context).await {
        Ok(plan) => plan,
        Err(failure) => {
            let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
            let error = TransferError::Plan(format!("{}{causes}", failure.message));
            stream::iter([Ok(Planned::failed(format!("line {number}: {}", text.trim()), error))]).boxed()
        }
    }
}

async fn plan_line(text: &str, stores: &Stores, context: &Context) -> Result<Plan<'static>, Failure> {
    let words = shlex::split(text).ok_or_else(|| Failure::usage("a quotation mark is open"))?;
    let line = Line::try_parse_from(words).map_err(|error| {
        // The first line says what is wrong; the rest is help for a terminal.
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Failure::usage(first.trim_start_matches("error: ").to_owned())
    })?;
    match line.verb {
        Verb::Cp(args) => Ok(plan_move(&args, stores, context).await?.0),
        Verb::Mv(args) => {
            let (plan, source) = plan_move(&args, stores, context).await?;
            Ok(moving(plan, &source))
        }
        Verb::Rm(args) => plan_remove(&args, stores, context),
    }
}

async fn plan_move(
    args: &Move,
    stores: &Stores,
    context: &Context,
) -> Result<(Plan<'static>, Place), Failure> {
    let (source, target) = (Place::parse(&args.source)?, Place::parse(&args.target)?);
    Ok((plan(&source, &target, &args.options, stores, context).await?, source))
}

fn plan_remove(args: &Remove, stores: &Stores, context: &Context) -> Result<Plan<'static>, Failure> {
    let filter = Arc::new(args.filters.filter(context.clock.now())?);
    let mut plans: Vec<Plan<'static>> = Vec::new();
    for address in &args.addresses {
        let place = StorePlace::parse(address)?;
        let client = stores.open(context, &place)?;
        if args.recursive {
            plans.push(plan_removal(&client, &place.folder()?, &filter).boxed());
            continue;
        }
        let address = place.object()?;
        let name = format!("{}/{}", address.bucket, address.key);
        let step = Step::RemoveObject(ObjectPlace { client, address });
        plans.push(stream::iter([Ok(Planned::item(Item::new(name, 0, step)))]).boxed());
    }
    Ok(stream::iter(plans).flatten().boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands() {
        let parsed = |text: &str| Line::try_parse_from(shlex::split(text).unwrap());
        let Verb::Cp(args) = parsed("cp -r 'a b' s3://bucket/c").unwrap().verb else { panic!("not cp") };
        assert_eq!(
            (args.source.as_str(), args.target.as_str(), args.options.recursive),
            ("a b", "s3://bucket/c", true)
        );
        let Verb::Rm(args) = parsed("rm s3://b/x s3://b/y").unwrap().verb else { panic!("not rm") };
        assert_eq!(args.addresses.len(), 2);
        for bad in ["", "ls s3://b", "cp a", "rm", "cp --nothing a b"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn lines_have_numbers() {
        let read: Vec<_> =
            lines(&b"one\n\nthree"[..]).map(|(number, line)| (number, line.unwrap())).collect().await;
        assert_eq!(read, [(1, "one".to_owned()), (2, String::new()), (3, "three".to_owned())]);
    }
}
