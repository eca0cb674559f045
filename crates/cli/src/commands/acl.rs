//! `wigeon acl`: access control lists, shown, or set to one that has a name.

use clap::Subcommand;
use serde_json::{Value, json};
use wigeon_client::s3::{Acl, CannedAcl};

use super::objects::address::StorePlace;
use super::objects::crew::{Crew, Deed};
use super::objects::meant::{MeantArgs, ShownArgs};
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
    /// Show who may do what with an object or a bucket by its list
    Get(ShownArgs),
    /// Give objects or a bucket a list that has a name
    Set(Box<SetArgs>),
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// private, public-read, public-read-write, authenticated-read, bucket-owner-read, bucket-owner-full-control,
    /// aws-exec-read, log-delivery-write
    #[arg(value_name = "ACL")]
    acl: CannedAcl,

    /// s3://BUCKET/KEY or s3://BUCKET, also with PROFILE: in place of s3://
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    #[command(flatten)]
    meant: MeantArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Get(args) => show(&args, context).await,
        Verb::Set(args) => set(&args, context).await,
    }
}

async fn show(args: &ShownArgs, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let client = store::open(context, &place)?;
    let acl = match place.key.as_str() {
        "" => client.bucket_acl(place.bucket()?).await?,
        _ => {
            let object = place.object()?;
            client.object_acl(&object.bucket, &object.key, args.version_id.as_deref()).await?
        }
    };
    context.output.result(&document(&place, &acl)?, |_| {
        let mut lines = vec![format!("owner  {}", known(acl.owner_name.as_ref(), &acl.owner))];
        for grant in &acl.grants {
            let who = known(grant.grantee_name.as_ref(), &grant.grantee);
            lines.push(format!("{:<12}  {who}", human::name(&grant.permission)));
        }
        lines.join("\n")
    })
}

fn document(place: &StorePlace, acl: &Acl) -> Result<Value, Failure> {
    let grants: Vec<_> = acl
        .grants
        .iter()
        .map(|grant| {
            json!({
                "grantee": grant.grantee, "grantee_name": grant.grantee_name, "permission": grant.permission,
            })
        })
        .collect();
    Ok(json!({
        "bucket": place.bucket()?,
        "key": Some(&place.key).filter(|key| !key.is_empty()),
        "owner": acl.owner,
        "owner_name": acl.owner_name,
        "grants": grants,
    }))
}

fn known(name: Option<&String>, id: &str) -> String {
    match name {
        Some(name) if name != id => human::name(&format!("{name} ({id})")),
        _ => human::name(id),
    }
}

async fn set(args: &SetArgs, context: &Context) -> Result<(), Failure> {
    let acl = args.acl;
    let mut objects = Vec::new();
    for address in &args.addresses {
        let place = StorePlace::parse(address)?;
        if !place.key.is_empty() || args.meant.recursive {
            objects.push(address.clone());
            continue;
        }
        let bucket = place.bucket()?;
        store::open(context, &place)?.set_bucket_acl(bucket, acl).await?;
        if context.output.is_json() {
            let data = json!({"bucket": bucket, "key": null, "done": "set", "acl": acl.name()});
            context.output.item(&data, |_| String::new())?;
        } else {
            context.output.note(&format!("The bucket {bucket} has the list {acl} now."));
        }
    }
    if objects.is_empty() {
        return Ok(());
    }
    Crew::new(context)
        .work(&objects, &args.meant, |client, job| async move {
            client.set_object_acl(&job.address.bucket, &job.address.key, None, acl).await?;
            Ok(Deed::done("set").with("acl", acl.name()))
        })
        .await
}
