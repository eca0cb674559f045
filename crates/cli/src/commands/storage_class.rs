//! `wigeon storage-class`: objects moved to another storage class, by copying them onto themselves.

use wigeon_client::s3::{GetOptions, ObjectEncryption};
use wigeon_client::transfer::{as_encrypted, as_written};

use super::objects::crew::{Crew, Deed};
use super::objects::meant::MeantArgs;
use super::objects::rewriting::transfers;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon storage-class STANDARD_IA s3://team/report.pdf
  wigeon storage-class GLACIER -r s3://team/2019 --min-size 1M")]
pub(crate) struct Args {
    /// STANDARD, STANDARD_IA, GLACIER, … or what the store has
    #[arg(value_name = "CLASS")]
    class: String,

    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    #[command(flatten)]
    meant: MeantArgs,
}

/// Runs the command. What is in the class already stays as it is.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let transfers = transfers();
    let class = args.class;
    Crew::new(context)
        .work(&args.addresses, &args.meant, |client, job| {
            let (transfers, class) = (transfers.clone(), class.clone());
            async move {
                let at = job.address;
                let deed = |deed: Deed| Ok(deed.with("storage_class", class.as_str()));
                if job.listed.and_then(|object| object.storage_class).as_ref() == Some(&class) {
                    return deed(Deed::idle("moved"));
                }
                let head = client.head_object(&at.bucket, &at.key, &GetOptions::default()).await?;
                let mut options = as_written(&head);
                if options.storage_class.as_deref().unwrap_or("STANDARD") == class {
                    return deed(Deed::idle("moved"));
                }
                options.storage_class = Some(class.clone());
                let encryption = ObjectEncryption { written: as_encrypted(&head), read: None };
                let client = client.with_encryption(encryption)?;
                transfers.rewrite(&client, &at, &head, None, options).await?;
                deed(Deed::done("moved"))
            }
        })
        .await
}
