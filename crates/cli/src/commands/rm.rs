//! `wigeon rm`: objects removed, one by one, by wildcard, or all below a folder; also their versions, for good.

use std::collections::BTreeMap;

use serde_json::json;
use wigeon_client::s3::{Client, Governance};
use wigeon_core::s3::BucketName;

use super::objects::address::StorePlace;
use super::objects::confirm::confirm;
use super::objects::lines::Lines;
use super::objects::meant::{Found, MeantArgs};
use super::objects::removal::{Removable, Removal, Remover};
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon rm s3://team/old.txt s3://team/older.txt
  wigeon rm -r -n s3://team/2019                  shows what would go
  wigeon rm 's3://team/logs/*.gz' --min-age 30d
  wigeon rm -r --versions s3://team/drafts        every version, for good")]
pub(crate) struct Args {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY; * and ? match any text and any letter
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    #[command(flatten)]
    meant: MeantArgs,

    /// Print what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// Remove all versions and delete markers, for good
    #[arg(long, conflicts_with = "version_id")]
    versions: bool,

    /// Remove this version of the object, for good
    #[arg(long, value_name = "ID", conflicts_with = "recursive")]
    version_id: Option<String>,

    /// Remove what is kept under governance, too
    #[arg(long)]
    bypass_governance: bool,

    /// Do not ask before versions are removed for good
    #[arg(long, short)]
    yes: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    if args.versions && !args.dry_run {
        let what = args.addresses.join(", ");
        confirm(context, args.yes, &format!("Remove all versions of {}, for good?", human::name(&what)))?;
    }
    let mut work = Work { args: &args, context, buckets: BTreeMap::new(), lines: Lines::new(context) };
    let places: Vec<_> =
        args.addresses.iter().map(|address| StorePlace::parse(address)).collect::<Result<_, _>>()?;
    let mut outcome = Ok(());
    for place in &places {
        outcome = work.address(place).await;
        if outcome.is_err() {
            break;
        }
    }
    // What was found before something failed goes all the same.
    work.finish().await.and(outcome)
}

/// A bucket of a profile's.
type Place = (Option<String>, BucketName);

struct Work<'a> {
    args: &'a Args,
    context: &'a Context,
    buckets: BTreeMap<Place, Remover>,
    lines: Lines<'a>,
}

impl Work<'_> {
    async fn address(&mut self, place: &StorePlace) -> Result<(), Failure> {
        let at = (place.profile.clone(), place.bucket()?.clone());
        let client = store::open(self.context, place)?;
        let governance = if self.args.bypass_governance { Governance::Bypassed } else { Governance::Kept };
        let mut remover = self
            .buckets
            .remove(&at)
            .unwrap_or_else(|| Remover::new(client.clone(), at.1.clone(), governance));
        let outcome = self.found(place, &client, &mut remover).await;
        self.buckets.insert(at, remover);
        outcome
    }

    async fn found(
        &mut self,
        place: &StorePlace,
        client: &Client,
        remover: &mut Remover,
    ) -> Result<(), Failure> {
        match self.args.meant.many(place, self.context)? {
            Some(many) => {
                let any = if self.args.versions {
                    self.all(place, many.versions(client), remover).await?
                } else {
                    self.all(place, many.objects(client), remover).await?
                };
                if any || many.is_whole_bucket() { Ok(()) } else { Err(many.nothing(place)) }
            }
            None if self.args.versions => self.versions_of_one(place, client, remover).await,
            None => {
                let object = place.object()?;
                self.one(place, remover, object.key.into(), self.args.version_id.clone()).await
            }
        }
    }

    /// Says whether there was any.
    async fn all<T: Removable>(
        &mut self,
        place: &StorePlace,
        mut found: Found<'_, T>,
        remover: &mut Remover,
    ) -> Result<bool, Failure> {
        let mut any = false;
        while let Some(item) = found.next().await? {
            any = true;
            let (key, version) = item.named();
            self.one(place, remover, key, version).await?;
        }
        Ok(any)
    }

    async fn versions_of_one(
        &mut self,
        place: &StorePlace,
        client: &Client,
        remover: &mut Remover,
    ) -> Result<(), Failure> {
        let object = place.object()?;
        let mut any = false;
        let mut versions = super::objects::meant::versions_of(client, &object);
        while let Some(version) = versions.next().await? {
            any = true;
            self.one(place, remover, version.key, Some(version.version_id)).await?;
        }
        if any { Ok(()) } else { Err(Failure::error(format!("there is no version of `{place}`"))) }
    }

    async fn one(
        &mut self,
        place: &StorePlace,
        remover: &mut Remover,
        key: String,
        version: Option<String>,
    ) -> Result<(), Failure> {
        if !self.args.dry_run {
            return remover.remove(key, version).await;
        }
        let bucket = place.bucket()?;
        let mut would = json!({"bucket": bucket, "key": key});
        if let (Some(version), Some(would)) = (&version, would.as_object_mut()) {
            would.insert("version_id".to_owned(), version.as_str().into());
        }
        self.lines.item(&json!({"would_remove": would}), |_| {
            let version = version.map(|version| format!(" (version {version})")).unwrap_or_default();
            format!("would remove {bucket}/{}{version}", human::name(&key))
        })
    }

    async fn finish(mut self) -> Result<(), Failure> {
        self.lines.finish()?;
        if self.args.dry_run {
            return Ok(());
        }
        let mut all = Removal::default();
        for remover in std::mem::take(&mut self.buckets).into_values() {
            let removal = remover.finish().await?;
            all.removed += removal.removed;
            all.kept_count += removal.kept_count;
            all.kept.extend(removal.kept);
        }
        report(self.args, &all, self.context)?;
        all.verdict()
    }
}

fn report(args: &Args, all: &Removal, context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        let failures: Vec<_> = all
            .kept
            .iter()
            .map(|kept| {
                json!({
                    "key": kept.key, "version_id": kept.version, "code": kept.code, "message": kept.message,
                })
            })
            .collect();
        return context
            .output
            .document(&json!({"removed": all.removed, "not_removed": all.kept_count, "failures": failures}));
    }
    for kept in &all.kept {
        context.output.message(&human::name(&kept.to_string()));
    }
    let removed = if args.versions || args.version_id.is_some() {
        human::count(all.removed, "version", "versions")
    } else {
        human::count(all.removed, "object", "objects")
    };
    context.output.note(&format!("Removed {removed}."));
    Ok(())
}
