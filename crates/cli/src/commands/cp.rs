//! `wigeon cp`: files up, objects down, objects to other places; one, or a whole tree.

use std::path::{Path, PathBuf};

use wigeon_client::s3::{Client, GetOptions, PutOptions};
use wigeon_client::transfer::{Address, local_path};

use super::objects::address::{Place, StorePlace};
use super::objects::encryption::EncryptionArgs;
use super::objects::progress::Run;
use super::objects::store;
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon cp report.pdf s3://team/2026/            keeps its name
  wigeon cp -r photos s3://home/ada/photos        a folder and all below it
  wigeon cp -r s3://home/ada/photos .             and back
  tar c src | wigeon cp - s3://backup/src.tar     a stream of any length
  wigeon cp s3://team/a lab:archive/a             between buckets, or to another profile's store")]
pub(crate) struct Args {
    /// A file, a folder, s3://BUCKET/KEY, PROFILE:BUCKET/KEY, or - for standard input
    source: String,

    /// Where to: the same kinds, or - for standard output
    target: String,

    /// Copy everything below the source
    #[arg(long, short)]
    recursive: bool,

    /// The media type of what is uploaded, in place of the one that the name suggests
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    #[command(flatten)]
    encryption: EncryptionArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let options = PutOptions { content_type: args.content_type.clone(), ..PutOptions::default() };
    match (Place::parse(&args.source)?, Place::parse(&args.target)?) {
        (Place::Local(from), Place::Store(to)) => up(&args, &from, &to, &options, context).await,
        (Place::Stream, Place::Store(to)) => from_stream(&args, &to, &options, context).await,
        (Place::Store(from), Place::Local(to)) => down(&args, &from, &to, context).await,
        (Place::Store(from), Place::Stream) => to_stream(&args, &from, context).await,
        (Place::Store(from), Place::Store(to)) => across(&args, &from, &to, context).await,
        (Place::Local(_) | Place::Stream, Place::Local(_) | Place::Stream) => {
            Err(Failure::usage("neither the source nor the target is in a store")
                .hint("write s3://BUCKET/KEY, or PROFILE:BUCKET/KEY"))
        }
    }
}

async fn up(
    args: &Args,
    from: &Path,
    to: &StorePlace,
    options: &PutOptions,
    context: &Context,
) -> Result<(), Failure> {
    to.bucket()?;
    let metadata = std::fs::metadata(from).map_err(|error| Failure {
        causes: vec![error.to_string()],
        ..Failure::error(format!("cannot read `{}`", from.display()))
    })?;
    if metadata.is_dir() && !args.recursive {
        return Err(
            Failure::usage(format!("`{}` is a folder", from.display())).hint("copy it with --recursive")
        );
    }
    let client = args.encryption.on(store::open(context, to)?)?;
    let run = Run::start(context);
    if metadata.is_dir() {
        let outcome = run.transfers.upload_tree(&client, from, &to.folder()?, options).await;
        return run.finish(context, outcome);
    }
    let to = if to.is_folder() {
        let name = from.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Failure::usage(format!("`{}` has no name to keep", from.display())))?;
        to.object_of(&format!("{}{name}", to.key))?
    } else {
        to.object()?
    };
    run.expect(metadata.len());
    let outcome = run.transfers.upload_file(&client, from, &to, options).await;
    run.finish_one(context, outcome)
}

async fn from_stream(
    args: &Args,
    to: &StorePlace,
    options: &PutOptions,
    context: &Context,
) -> Result<(), Failure> {
    if to.is_folder() {
        return Err(Failure::usage("standard input has no name to keep: name the object"));
    }
    let (client, to) = (args.encryption.on(store::open(context, to)?)?, to.object()?);
    let run = Run::start(context);
    let outcome = run.transfers.upload_stream(&client, tokio::io::stdin(), &to, options).await;
    run.finish_one(context, outcome)
}

async fn down(args: &Args, from: &StorePlace, to: &Path, context: &Context) -> Result<(), Failure> {
    from.bucket()?;
    let client = args.encryption.on(store::open(context, from)?)?;
    let run = Run::start(context);
    if args.recursive {
        let outcome = run.transfers.download_tree(&client, &from.folder()?, to).await;
        return run.finish(context, outcome);
    }
    let object = from.object()?;
    let to = target_file(to, &object)?;
    let size = expected_size(&client, &object).await?;
    run.expect(size);
    let outcome = run.transfers.download_file(&client, &object, Some(size), &to).await;
    run.finish_one(context, outcome)
}

/// A folder takes the object under its own name, if that is one that stays in the folder.
fn target_file(to: &Path, object: &Address) -> Result<PathBuf, Failure> {
    let ends_in_slash = to.as_os_str().to_string_lossy().ends_with(std::path::MAIN_SEPARATOR);
    if !ends_in_slash && !to.is_dir() {
        return Ok(to.to_owned());
    }
    let name = object.key.as_str().rsplit('/').next().unwrap_or_default();
    local_path(to, name).map_err(|error| Failure::because(Kind::Usage, &error).hint("name the file to write"))
}

async fn expected_size(client: &Client, object: &Address) -> Result<u64, Failure> {
    Ok(client.head_object(&object.bucket, &object.key, &GetOptions::default()).await?.size)
}

async fn to_stream(args: &Args, from: &StorePlace, context: &Context) -> Result<(), Failure> {
    let (client, object) = (args.encryption.on(store::open(context, from)?)?, from.object()?);
    // Standard output belongs to the object: nothing else is said there, and no report.
    Run::start(context).print(&client, &object).await
}

async fn across(args: &Args, from: &StorePlace, to: &StorePlace, context: &Context) -> Result<(), Failure> {
    from.bucket()?;
    to.bucket()?;
    let client = args.encryption.on(store::open(context, from)?)?;
    let other =
        if from.profile == to.profile { None } else { Some(args.encryption.on(store::open(context, to)?)?) };
    let run = Run::start(context);
    if args.recursive {
        let (source, target) = (from.folder()?, to.folder()?);
        if other.is_none() && source.bucket == target.bucket && target.prefix.starts_with(&source.prefix) {
            return Err(Failure::usage("the target lies in the source"));
        }
        let outcome = run.transfers.copy_tree(&client, &source, other.as_ref(), &target).await;
        return run.finish(context, outcome);
    }
    let source = from.object()?;
    let target = if to.is_folder() {
        let name = source.key.as_str().rsplit('/').next().unwrap_or_default();
        to.object_of(&format!("{}{name}", to.key))?
    } else {
        to.object()?
    };
    let size = expected_size(&client, &source).await?;
    run.expect(size);
    let outcome = match &other {
        None => run.transfers.copy(&client, &source, Some(size), &target).await,
        Some(other) => run.transfers.copy_across(&client, &source, other, &target).await,
    };
    run.finish_one(context, outcome)
}
