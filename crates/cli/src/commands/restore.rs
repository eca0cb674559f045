//! `wigeon restore`: archived objects brought back for some days.

use clap::ValueEnum;
use serde_json::Value;
use wigeon_client::s3::{Client, GetOptions, Restoring};
use wigeon_client::transfer::Address;

use super::objects::crew::{Crew, Deed};
use super::objects::meant::MeantArgs;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon restore -r s3://team/2019 --days 7 --tier bulk
  wigeon restore --status s3://team/2019/report.pdf --json")]
pub(crate) struct Args {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    /// For how many days
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    days: u32,

    /// How fast; the store's own choice without it
    #[arg(long, value_enum, value_name = "HOW", ignore_case = true)]
    tier: Option<Tier>,

    /// A version that is not the current one
    #[arg(long, value_name = "ID", conflicts_with = "recursive")]
    version_id: Option<String>,

    /// Only say how far it is
    #[arg(long)]
    status: bool,

    #[command(flatten)]
    meant: MeantArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Minutes
    Expedited,
    /// Hours
    Standard,
    /// Half a day and more
    Bulk,
}

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Self::Expedited => "Expedited",
            Self::Standard => "Standard",
            Self::Bulk => "Bulk",
        }
    }
}

/// Runs the command. What is not archived stays as it is.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let (days, tier) = (args.days, args.tier.map(Tier::name));
    Crew::new(context)
        .work(&args.addresses, &args.meant, |client, job| {
            let (version, status) = (args.version_id.clone(), args.status);
            async move {
                if status {
                    return standing(&client, &job.address, version.as_deref()).await;
                }
                let at = &job.address;
                let begun =
                    client.restore_object(&at.bucket, &at.key, version.as_deref(), Some(days), tier).await;
                let state = match begun {
                    // Nothing to bring back.
                    Err(error) if error.code() == Some("InvalidObjectState") => {
                        return Ok(Deed::idle("asked for").with("state", "not-archived"));
                    }
                    other => match other? {
                        Restoring::Begun => "begun",
                        Restoring::Underway => "underway",
                        Restoring::Extended => "extended",
                    },
                };
                Ok(Deed::done("asked for").with("state", state))
            }
        })
        .await
}

/// How far an object is brought back.
async fn standing(client: &Client, at: &Address, version: Option<&str>) -> Result<Deed, Failure> {
    let options = GetOptions { version_id: version.map(str::to_owned), ..GetOptions::default() };
    let head = client.head_object(&at.bucket, &at.key, &options).await?;
    let restore = head.state.restore.unwrap_or_default();
    let until = restore.split_once("expiry-date=\"").map(|(_, rest)| rest.trim_end_matches('"').to_owned());
    let class = head.storage_class.unwrap_or_else(|| "STANDARD".to_owned());
    let is_archived = head.state.archive.is_some() || matches!(class.as_str(), "GLACIER" | "DEEP_ARCHIVE");
    let state = match (restore.contains("ongoing-request=\"true\""), restore.is_empty()) {
        (true, _) => "underway",
        (false, false) => "restored",
        (false, true) if is_archived => "archived",
        (false, true) => "not-archived",
    };
    let text = match &until {
        Some(until) => format!("{state} until {until}"),
        None => state.to_owned(),
    };
    Ok(Deed::shown(format!("{at}  {text}"))
        .with("state", state)
        .with("until", until.map_or(Value::Null, Value::from))
        .with("storage_class", class))
}
