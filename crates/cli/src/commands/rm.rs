//! `wigeon rm`: objects removed, one by one or all below a prefix.

use serde_json::json;

use super::objects::address::StorePlace;
use super::objects::removal::{Removal, Tell, remove_all};
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon rm s3://team/old.txt s3://team/older.txt
  wigeon rm -r -n s3://team/2019                  shows what would go")]
pub(crate) struct Args {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    /// Remove everything below the address, as below a folder
    #[arg(long, short)]
    recursive: bool,

    /// Print what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let mut all = Removal::default();
    for address in &args.addresses {
        let place = StorePlace::parse(address)?;
        let client = store::open(context, &place)?;
        if args.recursive {
            let mut tell = |key: &str| would_remove(context, &place, key);
            let dry: Option<Tell<'_>> = if args.dry_run { Some(&mut tell) } else { None };
            let removal = remove_all(&client, &place.folder()?, dry).await?;
            if removal.removed + removal.kept_count == 0 && !place.key.is_empty() {
                return Err(Failure::error(format!("there is nothing below `{place}`")));
            }
            all.removed += removal.removed;
            all.kept_count += removal.kept_count;
            all.kept.extend(removal.kept);
            continue;
        }
        let object = place.object()?;
        if args.dry_run {
            would_remove(context, &place, object.key.as_str())?;
        } else {
            client.delete_object(&object.bucket, &object.key).await?;
        }
        all.removed += 1;
    }
    report(&args, &all, context)?;
    all.verdict()
}

fn would_remove(context: &Context, place: &StorePlace, key: &str) -> Result<(), Failure> {
    let bucket = place.bucket()?;
    let data = json!({"would_remove": {"bucket": bucket, "key": key}});
    context.output.item(&data, |_| format!("would remove {bucket}/{}", human::name(key)))
}

fn report(args: &Args, all: &Removal, context: &Context) -> Result<(), Failure> {
    if args.dry_run {
        return Ok(());
    }
    for kept in &all.kept {
        context.output.message(&human::name(&kept.to_string()));
    }
    let data = json!({"removed": all.removed, "not_removed": all.kept_count});
    if context.output.is_json() {
        return context.output.document(&data);
    }
    context.output.note(&format!("Removed {}.", human::count(all.removed, "object", "objects")));
    Ok(())
}
