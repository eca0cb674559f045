//! `wigeon rb`: removes a bucket; with `--force` what is in it, too.

use serde_json::json;
use wigeon_client::s3::ErrorKind;

use super::objects::address::StorePlace;
use super::objects::removal::empty_bucket;
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// s3://BUCKET, or PROFILE:BUCKET
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// Remove all objects in it first
    #[arg(long)]
    force: bool,

    /// With --force: remove all their versions, too, for good
    #[arg(long, requires = "force")]
    versions: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    if !place.key.is_empty() {
        return Err(Failure::usage(format!("`{place}` names an object, not a bucket")));
    }
    let (client, bucket) = (store::open(context, &place)?, place.bucket()?);
    let mut removed = 0;
    if args.force {
        let removal = empty_bucket(&client, bucket, args.versions).await?;
        for kept in &removal.kept {
            context.output.message(&human::name(&kept.to_string()));
        }
        removal.verdict()?;
        removed = removal.removed;
    }
    client.delete_bucket(bucket).await.map_err(|error| {
        let full = error.kind() == ErrorKind::Conflict && !args.force;
        let failure = Failure::from(error);
        if full { failure.hint("remove what is in it, too, with --force") } else { failure }
    })?;
    if context.output.is_json() {
        return context.output.document(&json!({"bucket": bucket, "removed": true, "objects": removed}));
    }
    context.output.note(&format!("Removed the bucket {bucket}."));
    Ok(())
}
