//! `wigeon mb`: makes a bucket.

use serde_json::json;
use wigeon_core::s3::BucketName;

use super::objects::address::StorePlace;
use super::objects::store;
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// s3://BUCKET, or PROFILE:BUCKET
    #[arg(value_name = "ADDRESS")]
    address: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    if !place.key.is_empty() {
        return Err(Failure::usage(format!("`{place}` names an object, not a bucket")));
    }
    // A new bucket follows the rules of today, whatever older ones are called.
    let bucket = BucketName::parse(place.bucket()?.as_str());
    let bucket = bucket.map_err(|error| Failure::because(Kind::Usage, &error))?;
    store::open(context, &place)?.create_bucket(&bucket).await?;
    if context.output.is_json() {
        return context.output.document(&json!({"bucket": bucket, "made": true}));
    }
    context.output.note(&format!("Made the bucket {bucket}."));
    Ok(())
}
