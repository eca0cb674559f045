//! `wigeon bucket`: what a bucket is set to: its policy, its rules, its versions.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use wigeon_client::s3::{BucketSetting, Client, Versioning};
use wigeon_core::s3::BucketName;

use super::objects::address::StorePlace;
use super::objects::store;
use crate::context::Context;
use crate::errors::{Failure, Kind};

mod document;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Documents are JSON, in the form that the AWS CLI has for them; XML is taken, too. Versioning is one word: enabled,
suspended.

Examples:
  wigeon bucket set versioning s3://team enabled
  wigeon bucket set policy s3://team policy.json
  wigeon bucket get lifecycle s3://team > rules.json
  wigeon bucket remove cors s3://team")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show a setting; null where the bucket has none
    Get(GetArgs),
    /// Set it
    Set(SetArgs),
    /// Remove it
    Remove(GetArgs),
}

#[derive(Debug, clap::Args)]
struct GetArgs {
    /// Which setting
    #[arg(value_enum, value_name = "SETTING")]
    setting: Setting,

    /// s3://BUCKET, or PROFILE:BUCKET
    #[arg(value_name = "ADDRESS")]
    address: String,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// Which setting
    #[arg(value_enum, value_name = "SETTING")]
    setting: Setting,

    /// s3://BUCKET, or PROFILE:BUCKET
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// The file with it, - for standard input; of versioning the word itself
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Setting {
    /// Whether versions are kept
    Versioning,
    /// Who may do what
    Policy,
    /// Which web pages may read and write
    Cors,
    /// What becomes of objects over time
    Lifecycle,
    /// How objects are encrypted that come without a word on it
    Encryption,
    /// What stands in the way of public access
    PublicAccess,
    /// Whose objects are, and whether there are access control lists
    Ownership,
    /// The pages of a website
    Website,
    /// Where accesses are recorded
    Logging,
    /// Who is told of events
    Notification,
    /// Where objects are copied to
    Replication,
}

impl Setting {
    /// The document; versioning has none.
    fn document(self) -> Option<BucketSetting> {
        match self {
            Self::Versioning => None,
            Self::Policy => Some(BucketSetting::Policy),
            Self::Cors => Some(BucketSetting::Cors),
            Self::Lifecycle => Some(BucketSetting::Lifecycle),
            Self::Encryption => Some(BucketSetting::Encryption),
            Self::PublicAccess => Some(BucketSetting::PublicAccessBlock),
            Self::Ownership => Some(BucketSetting::OwnershipControls),
            Self::Website => Some(BucketSetting::Website),
            Self::Logging => Some(BucketSetting::Logging),
            Self::Notification => Some(BucketSetting::Notification),
            Self::Replication => Some(BucketSetting::Replication),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Versioning => "versioning",
            Self::Policy => "policy",
            Self::Cors => "cors",
            Self::Lifecycle => "lifecycle",
            Self::Encryption => "encryption",
            Self::PublicAccess => "public-access",
            Self::Ownership => "ownership",
            Self::Website => "website",
            Self::Logging => "logging",
            Self::Notification => "notification",
            Self::Replication => "replication",
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Get(args) => {
            let (client, bucket) = open(&args.address, context)?;
            let found = match args.setting.document() {
                None => Value::from(word(client.versioning(&bucket).await?)),
                Some(setting) => read(&client, &bucket, setting).await?,
            };
            if context.output.is_json() || !found.is_string() {
                return context.output.document(&found);
            }
            context.output.line(found.as_str().unwrap_or_default())
        }
        Verb::Set(args) => {
            let (client, bucket) = open(&args.address, context)?;
            match args.setting.document() {
                None => client.set_versioning(&bucket, is_enabled(&args.file)?).await?,
                Some(setting) => {
                    let text = text_of(&args.file)?;
                    let document = document::to_store(setting, &text).map_err(|what| Failure {
                        causes: vec![what],
                        ..Failure::usage(format!("`{}` is no {}", args.file.display(), args.setting.name()))
                    })?;
                    client.set_bucket_setting(&bucket, setting, document).await?;
                }
            }
            done(context, &bucket, args.setting, "set")
        }
        Verb::Remove(args) => {
            let (client, bucket) = open(&args.address, context)?;
            match args.setting.document() {
                None => {
                    return Err(Failure::usage("versioning cannot be removed once it was there")
                        .hint(format!("wigeon bucket set versioning {} suspended", args.address)));
                }
                Some(setting) => client.remove_bucket_setting(&bucket, setting).await?,
            }
            done(context, &bucket, args.setting, "removed")
        }
    }
}

fn open(address: &str, context: &Context) -> Result<(Client, BucketName), Failure> {
    let place = StorePlace::parse(address)?;
    if !place.key.is_empty() {
        return Err(Failure::usage(format!("`{place}` names an object, not a bucket")));
    }
    Ok((store::open(context, &place)?, place.bucket()?.clone()))
}

async fn read(client: &Client, bucket: &BucketName, setting: BucketSetting) -> Result<Value, Failure> {
    let Some(body) = client.bucket_setting(bucket, setting).await? else { return Ok(Value::Null) };
    document::of_store(setting, &body).map_err(|what| Failure {
        causes: vec![what],
        ..Failure::error("the store's document is not understood")
    })
}

/// As the AWS CLI says it, in small letters.
pub(super) fn word(versioning: Versioning) -> &'static str {
    match versioning {
        Versioning::Off => "off",
        Versioning::Enabled => "enabled",
        Versioning::Suspended => "suspended",
    }
}

fn is_enabled(word: &Path) -> Result<bool, Failure> {
    match word.to_str().map(str::to_ascii_lowercase).as_deref() {
        Some("enabled" | "on") => Ok(true),
        Some("suspended" | "off") => Ok(false),
        _ => Err(Failure::usage(format!("`{}` is not enabled or suspended", word.display()))),
    }
}

fn text_of(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|whole| text = whole)
    };
    read.map_err(|error| Failure {
        causes: vec![error.to_string()],
        ..Failure::new(Kind::Error, format!("cannot read `{}`", file.display()))
    })?;
    Ok(text)
}

fn done(context: &Context, bucket: &BucketName, setting: Setting, what: &str) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.document(&json!({"bucket": bucket, "setting": setting.name(), "done": what}));
    }
    let first = what.get(..1).unwrap_or_default().to_uppercase();
    let rest = what.get(1..).unwrap_or_default();
    context.output.note(&format!("{first}{rest} the {} of {bucket}.", setting.name()));
    Ok(())
}
