//! `wigeon meta`: an object's own metadata and the standard headers that belong to it. To change them S3 has to copy the
//! object onto itself, which keeps everything else: tags, class, encryption.

use clap::Subcommand;
use serde_json::{Map, Value, json};
use wigeon_client::s3::{Client, GetOptions, ObjectEncryption, ObjectHead, PutOptions};
use wigeon_client::transfer::{Address, Transfers, as_encrypted, as_written};

use super::objects::address::StorePlace;
use super::objects::crew::{Crew, Deed};
use super::objects::encryption::SourceKeyArgs;
use super::objects::meant::MeantArgs;
use super::objects::metadata::{pair, pairs, put};
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Names: content-type, cache-control, content-disposition, content-encoding, content-language and expires are the
standard headers of the object; every other name is its own metadata, and x-amz-meta-expires is, too.

Examples:
  wigeon meta set s3://team/page.html content-type=text/html cache-control=no-cache
  wigeon meta set -r s3://team/photos owner=ada
  wigeon meta remove s3://team/page.html owner")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the metadata of an object
    Get(GetArgs),
    /// Give objects this metadata besides what they have
    Set(SetArgs),
    /// Take metadata away
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct GetArgs {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// A version that is not the current one
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,

    #[command(flatten)]
    key: SourceKeyArgs,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// What they are to have
    #[arg(value_name = "META=VALUE", required = true, value_parser = pair)]
    pairs: Vec<(String, String)>,

    /// Take all other metadata of theirs away
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    meant: MeantArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// What they are not to have
    #[arg(value_name = "META", required_unless_present = "all")]
    names: Vec<String>,

    /// All their own metadata; the standard headers stay
    #[arg(long, conflicts_with = "names")]
    all: bool,

    #[command(flatten)]
    meant: MeantArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Get(args) => show(&args, context).await,
        Verb::Set(args) => {
            let change = Change { clear: args.replace, set: args.pairs, remove: Vec::new() };
            apply(&args.address, &args.meant, &change, context).await
        }
        Verb::Remove(args) => {
            let change = Change { clear: args.all, set: Vec::new(), remove: args.names };
            apply(&args.address, &args.meant, &change, context).await
        }
    }
}

async fn show(args: &GetArgs, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let (client, object) = (args.key.on(store::open(context, &place)?)?, place.object()?);
    let options = GetOptions { version_id: args.version_id.clone(), ..GetOptions::default() };
    let head = client.head_object(&object.bucket, &object.key, &options).await?;
    let pairs = pairs(&as_written(&head));
    let data = json!({"bucket": object.bucket, "key": object.key, "metadata": map(&pairs)});
    context.output.result(&data, |_| {
        let lines: Vec<_> =
            pairs.iter().map(|(name, value)| human::name(&format!("{name}={value}"))).collect();
        lines.join("\n")
    })
}

fn map(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

/// What becomes of the metadata that is there.
#[derive(Debug, Clone)]
struct Change {
    /// The object's own goes first.
    clear: bool,
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

impl Change {
    fn of(&self, mut options: PutOptions) -> PutOptions {
        if self.clear {
            options.metadata.clear();
        }
        for name in &self.remove {
            put(&mut options, name, None);
        }
        for (name, value) in &self.set {
            put(&mut options, name, Some(value));
        }
        options
    }
}

async fn apply(address: &str, meant: &MeantArgs, change: &Change, context: &Context) -> Result<(), Failure> {
    let transfers = super::objects::rewriting::transfers();
    Crew::new(context)
        .work(&[address.to_owned()], meant, |client, job| {
            let (transfers, change) = (transfers.clone(), change.clone());
            async move { rewrite(&transfers, &client, &job.address, &change).await }
        })
        .await
}

async fn rewrite(
    transfers: &Transfers,
    client: &Client,
    at: &Address,
    change: &Change,
) -> Result<Deed, Failure> {
    let head = client.head_object(&at.bucket, &at.key, &GetOptions::default()).await?;
    let there = as_written(&head);
    let (before, options) = (pairs(&there), change.of(there));
    let after = pairs(&options);
    if before == after {
        return Ok(Deed::idle("changed").with("metadata", map(&after)));
    }
    let client = keeping_encryption(client, &head)?;
    transfers.rewrite(&client, at, &head, None, options).await?;
    Ok(Deed::done("changed").with("metadata", map(&after)))
}

/// The bucket's default is not what the object had.
fn keeping_encryption(client: &Client, head: &ObjectHead) -> Result<Client, Failure> {
    match as_encrypted(head) {
        None => Ok(client.clone()),
        written => Ok(client.with_encryption(ObjectEncryption { written, read: None })?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        let there = PutOptions {
            content_type: Some("text/plain".into()),
            metadata: vec![("owner".into(), "ada".into()), ("expires".into(), "own".into())],
            content_headers: vec![("expires".into(), "standard".into())],
            storage_class: Some("COLD".into()),
            ..PutOptions::default()
        };
        let set = |pairs: &[&str]| Change {
            clear: false,
            set: pairs.iter().map(|text| pair(text).unwrap()).collect(),
            remove: Vec::new(),
        };
        let changed = set(&["Content-Type=a/b", "Owner=bob", "x-amz-meta-expires=new"]).of(there.clone());
        let shown: Vec<_> = pairs(&changed).iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["content-type=a/b", "expires=standard", "x-amz-meta-expires=new", "owner=bob"]);
        assert_eq!(changed.storage_class.as_deref(), Some("COLD"));
        let removed = Change { clear: true, set: Vec::new(), remove: vec!["content-type".into()] }.of(there);
        assert_eq!(pairs(&removed), [("expires".to_owned(), "standard".to_owned())]);
    }
}
