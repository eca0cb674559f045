//! `wigeon uploads`: uploads in parts that have begun and are not finished; each part is stored, and paid for.

use futures_util::TryStreamExt;
use serde_json::json;
use wigeon_core::s3::ObjectKey;
use wigeon_core::time::{SignedDuration, iso8601};

use super::objects::address::StorePlace;
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon uploads s3://team                        lists them
  wigeon uploads s3://team/in --abort --older-than 168h")]
pub(crate) struct Args {
    /// s3://BUCKET or s3://BUCKET/PREFIX
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// Give them up: their parts go, and they cannot be gone on with
    #[arg(long)]
    abort: bool,

    /// Only those that began so long ago: 12h, 168h
    #[arg(long, value_name = "TIME", value_parser = time)]
    older_than: Option<SignedDuration>,
}

fn time(text: &str) -> Result<SignedDuration, String> {
    text.parse().map_err(|_| "write a time such as 30m, 12h or 168h".to_owned())
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let (client, bucket) = (store::open(context, &place)?, place.bucket()?.clone());
    let now = context.clock.now();
    let mut pages = client.list_uploads(&bucket, &place.key);
    let mut count = 0;
    while let Some(page) = pages.try_next().await? {
        for upload in page {
            let old = match (args.older_than, upload.begun_at) {
                (None, _) => true,
                (Some(least), Some(begun)) => now.duration_since(begun) >= least,
                // A store that does not say when it began: nobody knows that it is old.
                (Some(_), None) => false,
            };
            if !old {
                continue;
            }
            count += 1;
            if args.abort {
                let key = ObjectKey::parse(upload.key.as_str());
                let key = key.map_err(|error| Failure::because(Kind::Error, &error))?;
                client.abort_upload(&bucket, &key, &upload.id).await?;
            }
            let data = json!({
                "key": upload.key, "upload_id": upload.id, "begun_at": upload.begun_at.map(iso8601),
                "aborted": args.abort,
            });
            context.output.item(&data, |_| {
                let what = if args.abort { "gave up " } else { "" };
                format!("{what}{}  {}  {}", human::time(upload.begun_at), human::name(&upload.key), upload.id)
            })?;
        }
    }
    if count == 0 {
        context.output.note("No unfinished uploads.");
    }
    Ok(())
}
