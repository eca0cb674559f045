//! `wigeon lock`: object lock: retention, legal holds, and what a bucket gives to new versions.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use wigeon_client::filter::Age;
use wigeon_client::s3::{DefaultRetention, Retention, RetentionMode, RetentionPeriod};
use wigeon_core::time::{Timestamp, iso8601, parse_iso8601};

use super::objects::address::StorePlace;
use super::objects::crew::{Crew, Deed};
use super::objects::meant::MeantArgs;
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon lock retain s3://team/report.pdf --for 30d
  wigeon lock retain -r s3://team/2025 --mode compliance --until 2035-01-01
  wigeon lock hold s3://team/report.pdf
  wigeon lock default s3://team --mode governance --days 7")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show how a version is kept, or what a bucket gives to new ones
    Get(GetArgs),
    /// Keep objects until a time
    Retain(RetainArgs),
    /// Keep objects no longer, where they are kept under governance
    Release(ReleaseArgs),
    /// Hold objects until they are let go
    Hold(HoldArgs),
    /// Let objects go that are held
    Unhold(HoldArgs),
    /// What a bucket gives to each new version; without options none
    Default(DefaultArgs),
}

#[derive(Debug, clap::Args)]
struct GetArgs {
    /// s3://BUCKET/KEY or s3://BUCKET, also with PROFILE: in place of s3://
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// A version that is not the current one
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
}

#[derive(Debug, clap::Args)]
struct RetainArgs {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    /// How strictly
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Mode::Governance, ignore_case = true)]
    mode: Mode,

    /// Until this time, such as 2035-01-01T00:00:00Z, or a date
    #[arg(long, value_name = "TIME", value_parser = time, required_unless_present = "keep_for", conflicts_with = "keep_for")]
    until: Option<Timestamp>,

    /// For so long: 12h, 30d, 1y
    #[arg(long = "for", value_name = "AGE")]
    keep_for: Option<Age>,

    /// Shorten a retention under governance, too
    #[arg(long)]
    bypass_governance: bool,

    /// A version that is not the current one
    #[arg(long, value_name = "ID", conflicts_with = "recursive")]
    version_id: Option<String>,

    #[command(flatten)]
    meant: MeantArgs,
}

#[derive(Debug, clap::Args)]
struct ReleaseArgs {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    /// A version that is not the current one
    #[arg(long, value_name = "ID", conflicts_with = "recursive")]
    version_id: Option<String>,

    #[command(flatten)]
    meant: MeantArgs,
}

#[derive(Debug, clap::Args)]
struct HoldArgs {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    /// A version that is not the current one
    #[arg(long, value_name = "ID", conflicts_with = "recursive")]
    version_id: Option<String>,

    #[command(flatten)]
    meant: MeantArgs,
}

#[derive(Debug, clap::Args)]
struct DefaultArgs {
    /// s3://BUCKET, or PROFILE:BUCKET
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// How strictly
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Mode::Governance, ignore_case = true)]
    mode: Mode,

    /// For so many days
    #[arg(long, value_name = "NUMBER", conflicts_with = "years")]
    days: Option<u32>,

    /// For so many years
    #[arg(long, value_name = "NUMBER")]
    years: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Who has s3:BypassGovernanceRetention may remove it
    Governance,
    /// Nobody may remove it before its time
    Compliance,
}

impl From<Mode> for RetentionMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Governance => Self::Governance,
            Mode::Compliance => Self::Compliance,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Get(args) => show(&args, context).await,
        Verb::Retain(args) => {
            let retention = Retention { mode: args.mode.into(), until: args.until(context)? };
            let wish = Wish::Retain(Some(retention), args.bypass_governance);
            apply(&args.addresses, args.version_id.as_ref(), &args.meant, wish, context).await
        }
        Verb::Release(args) => {
            let wish = Wish::Retain(None, true);
            apply(&args.addresses, args.version_id.as_ref(), &args.meant, wish, context).await
        }
        Verb::Hold(args) => {
            apply(&args.addresses, args.version_id.as_ref(), &args.meant, Wish::Hold(true), context).await
        }
        Verb::Unhold(args) => {
            apply(&args.addresses, args.version_id.as_ref(), &args.meant, Wish::Hold(false), context).await
        }
        Verb::Default(args) => set_default(&args, context).await,
    }
}

impl RetainArgs {
    fn until(&self, context: &Context) -> Result<Timestamp, Failure> {
        let now = context.clock.now();
        let until = match (self.until, self.keep_for) {
            (Some(until), _) => until,
            // As long ahead as it would be past.
            (None, Some(age)) => {
                now.checked_add(now.duration_since(age.before(now))).unwrap_or(Timestamp::MAX)
            }
            (None, None) => now,
        };
        if until <= now {
            return Err(Failure::usage(format!("{} is not ahead", iso8601(until))));
        }
        Ok(until)
    }
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Retain(Option<Retention>, bool),
    Hold(bool),
}

async fn apply(
    addresses: &[String],
    version: Option<&String>,
    meant: &MeantArgs,
    wish: Wish,
    context: &Context,
) -> Result<(), Failure> {
    Crew::new(context)
        .work(addresses, meant, |client, job| {
            let version = version.cloned();
            async move {
                let (bucket, key, version) = (&job.address.bucket, &job.address.key, version.as_deref());
                match wish {
                    Wish::Retain(retention, bypass) => {
                        client.set_retention(bucket, key, version, retention, bypass).await?;
                        let word = if retention.is_some() { "kept" } else { "released" };
                        let until = retention.map_or(Value::Null, |kept| iso8601(kept.until).into());
                        Ok(Deed::done(word).with("until", until))
                    }
                    Wish::Hold(hold) => {
                        client.set_legal_hold(bucket, key, version, hold).await?;
                        let word = if hold { "held" } else { "let go" };
                        Ok(Deed::done(word).with("legal_hold", hold))
                    }
                }
            }
        })
        .await
}

async fn show(args: &GetArgs, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let client = store::open(context, &place)?;
    if place.key.is_empty() {
        let bucket = place.bucket()?;
        let lock = client.bucket_lock(bucket).await?;
        let data = bucket_document(bucket.as_str(), lock);
        return context.output.result(&data, |_| match lock {
            None => format!("The bucket {bucket} has no object lock."),
            Some(None) => format!("The bucket {bucket} has object lock, and gives nothing to new versions."),
            Some(Some(default)) => {
                format!(
                    "New versions in {bucket} are kept for {} ({}).",
                    length(default.period),
                    default.mode
                )
            }
        });
    }
    let object = place.object()?;
    let version = args.version_id.as_deref();
    let retention = client.retention(&object.bucket, &object.key, version).await?;
    let hold = client.legal_hold(&object.bucket, &object.key, version).await?;
    let data = json!({
        "bucket": object.bucket,
        "key": object.key,
        "version_id": version,
        "mode": retention.map(|retention| retention.mode.name()),
        "until": retention.map(|retention| iso8601(retention.until)),
        "legal_hold": hold,
    });
    context.output.result(&data, |_| {
        let kept = match retention {
            None => "not kept".to_owned(),
            Some(retention) => format!("kept until {} ({})", iso8601(retention.until), retention.mode),
        };
        let held = if hold == Some(true) { "held" } else { "not held" };
        human::name(&format!("{object}: {kept}, {held}"))
    })
}

/// What is known of a bucket's lock.
pub(super) fn bucket_document(bucket: &str, lock: Option<Option<DefaultRetention>>) -> Value {
    let default = lock.flatten().map(|default| {
        let (unit, number) = match default.period {
            RetentionPeriod::Days(days) => ("days", days),
            RetentionPeriod::Years(years) => ("years", years),
        };
        json!({"mode": default.mode.name(), unit: number})
    });
    json!({"bucket": bucket, "object_lock": lock.is_some(), "default": default})
}

fn length(period: RetentionPeriod) -> String {
    match period {
        RetentionPeriod::Days(days) => human::count(days.into(), "day", "days"),
        RetentionPeriod::Years(years) => human::count(years.into(), "year", "years"),
    }
}

async fn set_default(args: &DefaultArgs, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    if !place.key.is_empty() {
        return Err(Failure::usage(format!("`{place}` names an object, not a bucket")));
    }
    let (client, bucket) = (store::open(context, &place)?, place.bucket()?);
    let period = args.days.map(RetentionPeriod::Days).or(args.years.map(RetentionPeriod::Years));
    let default = period.map(|period| DefaultRetention { mode: args.mode.into(), period });
    client.set_bucket_lock(bucket, default).await?;
    if context.output.is_json() {
        return context.output.document(&bucket_document(bucket.as_str(), Some(default)));
    }
    context.output.note(&match default {
        None => format!("New versions in {bucket} are kept no longer than anything else."),
        Some(default) => format!("New versions in {bucket} are kept for {} now.", length(default.period)),
    });
    Ok(())
}

fn time(text: &str) -> Result<Timestamp, String> {
    parse_iso8601(text)
        .or_else(|| parse_iso8601(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| "write a time such as 2035-01-01T00:00:00Z, or a date".to_owned())
}
