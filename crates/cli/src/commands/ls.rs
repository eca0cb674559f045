//! `wigeon ls`: buckets, or what is in one.

use futures_util::TryStreamExt;
use serde_json::json;
use wigeon_client::s3::{Client, Entry, ErrorKind, ListQuery};

use super::objects::address::StorePlace;
use super::objects::filters::FilterArgs;
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// s3://BUCKET/PREFIX, or PROFILE:BUCKET/PREFIX; nothing for the profile's Default Path or, without one, the
    /// buckets (s3:// for the buckets in any case)
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,

    /// List everything below, not one level
    #[arg(long, short)]
    recursive: bool,

    /// Print sizes in bytes
    #[arg(long)]
    bytes: bool,

    #[command(flatten)]
    filters: FilterArgs,
}

/// Runs the command. With `--json` each line is one JSON object.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = match &args.address {
        Some(address) => StorePlace::parse(address)?,
        None => beginning(context)?,
    };
    let client = store::open(context, &place)?;
    match &place.bucket {
        None => buckets(&client, context).await,
        Some(_) => objects(&client, &place, &args, context).await,
    }
}

/// Who may not list the buckets begins in the one that the profile names.
fn beginning(context: &Context) -> Result<StorePlace, Failure> {
    let path = context.settings_of(context.stored(None)?)?.default_path();
    let path = path.map(|path| path.value.trim_start_matches('/').to_owned()).unwrap_or_default();
    StorePlace::parse(&format!("s3://{path}"))
}

async fn buckets(client: &Client, context: &Context) -> Result<(), Failure> {
    let buckets = client.list_buckets().await.map_err(|error| {
        let denied = error.kind() == ErrorKind::Denied;
        let failure = Failure::from(error);
        if denied {
            failure.hint("a bucket that you know can be listed: wigeon ls s3://BUCKET")
        } else {
            failure
        }
    })?;
    for bucket in &buckets {
        let data = json!({"type": "bucket", "name": bucket.name, "created_at": bucket.created_at});
        context.output.item(&data, |_| {
            format!("{:<19}  {}", human::time(bucket.created_at), human::name(&bucket.name))
        })?;
    }
    Ok(())
}

async fn objects(client: &Client, place: &StorePlace, args: &Args, context: &Context) -> Result<(), Failure> {
    let query = ListQuery {
        prefix: place.key.clone(),
        delimiter: (!args.recursive).then(|| "/".to_owned()),
        ..ListQuery::default()
    };
    let filter = args.filters.filter(context.clock.now())?;
    let mut cursor = filter.cursor();
    // Rules see names from below the folder on.
    let root = place.key.rfind('/').map_or(0, |slash| slash + 1);
    let mut entries = client.list(place.bucket()?, query);
    let mut any = false;
    while let Some(entry) = entries.try_next().await? {
        any = true;
        let below = entry.name().get(root..).unwrap_or_default();
        let meant = match &entry {
            Entry::Prefix(_) => cursor.enters(below.strip_suffix('/').unwrap_or(below)),
            Entry::Object(object) => cursor.admits(below, object.size, object.last_modified),
        };
        if !meant {
            continue;
        }
        match entry {
            Entry::Prefix(prefix) => {
                let data = json!({"type": "prefix", "key": prefix});
                context
                    .output
                    .item(&data, |_| format!("{:<19}  {:>10}  {}", "", "-", human::name(&prefix)))?;
            }
            Entry::Object(object) => {
                let data = json!({
                    "type": "object",
                    "key": object.key,
                    "size": object.size,
                    "last_modified": object.last_modified,
                    "etag": object.etag.as_ref().map(ToString::to_string),
                    "storage_class": object.storage_class,
                });
                let size = if args.bytes { object.size.to_string() } else { human::size(object.size) };
                let (time, name) = (human::time(object.last_modified), human::name(&object.key));
                context.output.item(&data, |_| format!("{time:<19}  {size:>10}  {name}"))?;
            }
        }
    }
    if any || place.key.is_empty() {
        return Ok(());
    }
    Err(Failure::error(format!("nothing begins with `{place}`")))
}
