//! Versions that become the newest again: what was removed, one version, or everything as it was at a time. Nothing is
//! lost by it: marks of removals go, and older versions are copied on top.

use wigeon_client::s3::{Client, Doomed, GetOptions, Governance, ObjectEncryption, VersionSummary};
use wigeon_client::transfer::{Address, Transfers, as_encrypted, as_written};
use wigeon_core::s3::ObjectKey;
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::super::objects::address::StorePlace;
use super::super::objects::crew::{Crew, Deed};
use super::super::objects::meant::{Meant, MeantArgs};
use super::super::objects::rewriting::transfers;
use super::super::objects::store;
use super::history::{Histories, History, may_be_empty};
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// This version
    #[arg(long, value_name = "ID", conflicts_with_all = ["at", "recursive"])]
    version_id: Option<String>,

    /// As it was at this time, such as 2026-11-01T12:00:00Z; what was written later goes back or away, and stays as an
    /// older version
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,

    /// Say what would be done, and do nothing
    #[arg(long, short = 'n')]
    dry_run: bool,

    #[command(flatten)]
    meant: MeantArgs,
}

/// What has to be done to a key.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    /// These marks of removals go: what is under them is the newest then.
    Uncover(Vec<String>),
    /// This version is copied on top.
    Copy(String),
    /// There was nothing then: a mark of removal goes on top.
    Remove,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let client = store::open(context, &place)?;
    let meant = args.meant.meant(&place, context)?;
    let mut crew = Crew::new(context);
    let transfers = transfers();
    if let (Meant::One(object), Some(version)) = (&meant, &args.version_id) {
        let step = Step::Copy(version.clone());
        crew.spawn(object.clone(), apply(client, transfers, object.clone(), step, args.dry_run)).await?;
        return crew.finish(true).await;
    }
    let mut any = false;
    let mut histories = Histories::of(&meant, &client);
    while let Some(history) = histories.next().await? {
        any = true;
        let step = match args.at {
            None => uncovered(&history),
            Some(at) => as_it_was(&history, at),
        };
        let Some(first) = history.first() else { continue };
        let key =
            ObjectKey::parse(first.key.as_str()).map_err(|error| Failure::because(Kind::Error, &error))?;
        let object = Address { bucket: place.bucket()?.clone(), key };
        let work = apply(client.clone(), transfers.clone(), object.clone(), step, args.dry_run);
        crew.spawn(object, work).await?;
    }
    if !any && !may_be_empty(&meant) {
        return Err(Failure::error(format!("there is no version of `{place}`")));
    }
    crew.finish(matches!(meant, Meant::One(_))).await
}

/// What was removed comes back.
fn uncovered(history: &History) -> Step {
    let marks: Vec<_> = history
        .iter()
        .take_while(|version| version.is_delete_marker)
        .map(|version| version.version_id.clone())
        .collect();
    // Under nothing but marks there is nothing to bring back.
    if marks.is_empty() || marks.len() == history.len() { Step::Nothing } else { Step::Uncover(marks) }
}

/// What has to be done for a key to be as it was.
fn as_it_was(history: &History, at: Timestamp) -> Step {
    let was = |version: &&VersionSummary| version.last_modified.is_some_and(|written| written <= at);
    let then = history.iter().find(was).filter(|version| !version.is_delete_marker);
    let is_removed = history.first().is_none_or(|newest| newest.is_delete_marker);
    match then {
        None if is_removed => Step::Nothing,
        None => Step::Remove,
        Some(then) if then.is_latest => Step::Nothing,
        Some(then) => {
            let above: Vec<_> =
                history.iter().take_while(|version| version.version_id != then.version_id).collect();
            if above.iter().all(|version| version.is_delete_marker) {
                Step::Uncover(above.iter().map(|version| version.version_id.clone()).collect())
            } else {
                Step::Copy(then.version_id.clone())
            }
        }
    }
}

async fn apply(
    client: Client,
    transfers: Transfers,
    at: Address,
    step: Step,
    dry_run: bool,
) -> Result<Deed, Failure> {
    let what = match &step {
        Step::Nothing => return Ok(Deed::idle("brought back")),
        Step::Uncover(_) => "its removal is undone".to_owned(),
        Step::Copy(version) => format!("version {version} is the newest again"),
        Step::Remove => "it is removed".to_owned(),
    };
    if dry_run {
        return Ok(Deed::shown(format!("{at}: {what}")).with("would", what));
    }
    let (bucket, key) = (&at.bucket, &at.key);
    match &step {
        Step::Nothing => {}
        Step::Uncover(marks) => {
            for mark in marks {
                let doomed = Doomed::new(key.clone(), Some(mark.clone()));
                client.delete_one(bucket, &doomed, Governance::Kept).await?;
            }
        }
        Step::Copy(version) => {
            let options = GetOptions { version_id: Some(version.clone()), ..GetOptions::default() };
            let head = client.head_object(bucket, key, &options).await?;
            let encryption = ObjectEncryption { written: as_encrypted(&head), read: None };
            let client = client.with_encryption(encryption)?;
            transfers.rewrite(&client, &at, &head, Some(version), as_written(&head)).await?;
        }
        Step::Remove => client.delete_object(bucket, key).await?,
    }
    Ok(Deed::done("brought back").with("step", what))
}

fn time(text: &str) -> Result<Timestamp, String> {
    parse_iso8601(text)
        .or_else(|| parse_iso8601(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| "write a time such as 2026-11-01T12:00:00Z, or a date".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(text: &str) -> History {
        text.char_indices()
            .map(|(at, kind)| VersionSummary {
                version_id: at.to_string(),
                is_latest: at == 0,
                is_delete_marker: kind == 'm',
                last_modified: parse_iso8601(&format!("2026-11-{:02}T00:00:00Z", 20 - at)),
                ..VersionSummary::default()
            })
            .collect()
    }

    #[test]
    fn what_was_removed_comes_back() {
        assert_eq!(uncovered(&history("vvv")), Step::Nothing);
        assert_eq!(uncovered(&history("mmv")), Step::Uncover(vec!["0".into(), "1".into()]));
        assert_eq!(uncovered(&history("mm")), Step::Nothing);
    }

    #[test]
    fn everything_is_as_it_was() {
        let at = |day: u32| parse_iso8601(&format!("2026-11-{day}T12:00:00Z")).unwrap();
        assert_eq!(as_it_was(&history("vvv"), at(20)), Step::Nothing);
        assert_eq!(as_it_was(&history("vvv"), at(19)), Step::Copy("1".into()));
        assert_eq!(as_it_was(&history("vvv"), at(17)), Step::Remove);
        assert_eq!(as_it_was(&history("mvv"), at(19)), Step::Uncover(vec!["0".into()]));
        assert_eq!(as_it_was(&history("mvv"), at(17)), Step::Nothing);
        assert_eq!(as_it_was(&history("vmv"), at(19)), Step::Remove);
        assert_eq!(as_it_was(&history("mvmv"), at(17)), Step::Copy("3".into()));
        assert_eq!(time("2026-11-01"), time("2026-11-01T00:00:00Z"));
        assert!(time("yesterday").is_err());
    }
}
