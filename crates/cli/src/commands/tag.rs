//! `wigeon tag`: the tags of objects and buckets.

use clap::Subcommand;
use serde_json::{Map, Value, json};
use wigeon_client::s3::{Client, S3Error, Tag};
use wigeon_client::transfer::Address;
use wigeon_core::s3::BucketName;

use super::objects::address::StorePlace;
use super::objects::crew::{Crew, Deed};
use super::objects::meant::{MeantArgs, ShownArgs};
use super::objects::metadata::pair;
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the tags of an object or a bucket
    Get(ShownArgs),
    /// Give objects or a bucket these tags, and no others
    Set(ChangeArgs),
    /// Give objects or a bucket these tags besides those that they have
    Add(ChangeArgs),
    /// Take tags away
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// s3://BUCKET/KEY or s3://BUCKET, also with PROFILE: in place of s3://
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// The tags
    #[arg(value_name = "TAG=VALUE", required = true, value_parser = pair)]
    tags: Vec<Tag>,

    #[command(flatten)]
    meant: MeantArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// s3://BUCKET/KEY or s3://BUCKET, also with PROFILE: in place of s3://
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// The names of the tags
    #[arg(value_name = "TAG", required_unless_present = "all")]
    names: Vec<String>,

    /// All of them
    #[arg(long, conflicts_with = "names")]
    all: bool,

    #[command(flatten)]
    meant: MeantArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Get(args) => show(&args, context).await,
        Verb::Set(args) => change(&args.address, &args.meant, Change::Set(args.tags.clone()), context).await,
        Verb::Add(args) => change(&args.address, &args.meant, Change::Add(args.tags.clone()), context).await,
        Verb::Remove(args) => {
            let change_to =
                if args.all { Change::Set(Vec::new()) } else { Change::Remove(args.names.clone()) };
            change(&args.address, &args.meant, change_to, context).await
        }
    }
}

async fn show(args: &ShownArgs, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let client = store::open(context, &place)?;
    let tags = match place.key.as_str() {
        "" => client.bucket_tags(place.bucket()?).await?,
        _ => {
            let object = place.object()?;
            client.object_tags(&object.bucket, &object.key, args.version_id.as_deref()).await?
        }
    };
    let data = json!({
        "bucket": place.bucket()?, "key": Some(&place.key).filter(|key| !key.is_empty()), "tags": map(&tags),
    });
    context.output.result(&data, |_| {
        let lines: Vec<_> =
            tags.iter().map(|(name, value)| human::name(&format!("{name}={value}"))).collect();
        lines.join("\n")
    })
}

fn map(tags: &[Tag]) -> Map<String, Value> {
    tags.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

/// What becomes of the tags that are there.
#[derive(Debug, Clone)]
enum Change {
    Set(Vec<Tag>),
    Add(Vec<Tag>),
    Remove(Vec<String>),
}

impl Change {
    /// Whether it matters which there are.
    fn needs_those_there(&self) -> bool {
        !matches!(self, Self::Set(_))
    }

    fn of(&self, mut there: Vec<Tag>) -> Vec<Tag> {
        match self {
            Self::Set(tags) => tags.clone(),
            Self::Add(tags) => {
                for (name, value) in tags {
                    match there.iter_mut().find(|(known, _)| known == name) {
                        Some((_, known)) => value.clone_into(known),
                        None => there.push((name.clone(), value.clone())),
                    }
                }
                there
            }
            Self::Remove(names) => {
                there.retain(|(name, _)| !names.contains(name));
                there
            }
        }
    }
}

async fn change(address: &str, meant: &MeantArgs, change: Change, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(address)?;
    if place.key.is_empty() && !meant.recursive {
        let client = store::open(context, &place)?;
        let tags = of_bucket(&client, place.bucket()?, &change).await?;
        let data = json!({"bucket": place.bucket()?, "key": null, "tags": map(&tags)});
        if context.output.is_json() {
            return context.output.document(&data);
        }
        let count = human::count(tags.len() as u64, "tag", "tags");
        context.output.note(&format!("The bucket {} has {count} now.", place.bucket()?));
        return Ok(());
    }
    Crew::new(context)
        .work(&[address.to_owned()], meant, |client, job| {
            let change = change.clone();
            async move {
                let (there, tags) = of_object(&client, &job.address, &change).await?;
                let deed = if there { Deed::idle("tagged") } else { Deed::done("tagged") };
                Ok(deed.with("tags", map(&tags)))
            }
        })
        .await
}

async fn of_bucket(client: &Client, bucket: &BucketName, change: &Change) -> Result<Vec<Tag>, S3Error> {
    let there = if change.needs_those_there() { client.bucket_tags(bucket).await? } else { Vec::new() };
    let tags = change.of(there);
    client.set_bucket_tags(bucket, &tags).await?;
    Ok(tags)
}

/// The tags, and whether they were those before.
async fn of_object(client: &Client, at: &Address, change: &Change) -> Result<(bool, Vec<Tag>), S3Error> {
    let mut there = Vec::new();
    if change.needs_those_there() {
        there = client.object_tags(&at.bucket, &at.key, None).await?;
        let tags = change.of(there.clone());
        if tags == there {
            return Ok((true, tags));
        }
    }
    let tags = change.of(there);
    client.set_object_tags(&at.bucket, &at.key, None, &tags).await?;
    Ok((false, tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<Tag> {
        text.split_whitespace().map(|text| pair(text).unwrap()).collect()
    }

    #[test]
    fn changes() {
        let there = || tags("a=1 b=2");
        assert_eq!(Change::Set(tags("c=3")).of(there()), tags("c=3"));
        assert_eq!(Change::Add(tags("b=3 c=x=y")).of(there()), tags("a=1 b=3 c=x=y"));
        assert_eq!(Change::Remove(vec!["a".into(), "z".into()]).of(there()), tags("b=2"));
    }
}
