//! `wigeon encrypt`: objects encrypted otherwise than they are, by copying them onto themselves.

use wigeon_client::s3::{GetOptions, ObjectEncryption};
use wigeon_client::transfer::{as_encrypted, as_written};

use super::objects::crew::{Crew, Deed};
use super::objects::encryption::EncryptionArgs;
use super::objects::meant::MeantArgs;
use super::objects::rewriting::transfers;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon encrypt -r s3://team/plain --sse store
  wigeon encrypt s3://team/report.pdf --sse kms --sse-kms-key alias/team
  wigeon encrypt s3://team/report.pdf --sse-key-file key                              with a key of your own
  wigeon encrypt s3://team/report.pdf --source-key-file old --sse-key-file new        another one
  wigeon encrypt s3://team/report.pdf --source-key-file key --sse store               none of your own any more")]
pub(crate) struct Args {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    #[command(flatten)]
    encryption: EncryptionArgs,

    #[command(flatten)]
    meant: MeantArgs,
}

/// Runs the command. What is encrypted so already stays as it is.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let (written, read) = (args.encryption.written()?, args.encryption.read()?);
    let Some(written) = written else {
        return Err(Failure::usage(
            "how is it to be encrypted? Say --sse store, --sse kms or --sse-key-file FILE",
        ));
    };
    let transfers = transfers();
    Crew::new(context)
        .work(&args.addresses, &args.meant, |client, job| {
            let (transfers, written, read) = (transfers.clone(), written.clone(), read.clone());
            async move {
                let at = job.address;
                let reading =
                    client.with_encryption(ObjectEncryption { written: None, read: read.clone() })?;
                let head = reading.head_object(&at.bucket, &at.key, &GetOptions::default()).await?;
                if as_encrypted(&head).as_ref() == Some(&written) {
                    return Ok(Deed::idle("encrypted"));
                }
                let writing = client.with_encryption(ObjectEncryption { written: Some(written), read })?;
                transfers.rewrite(&writing, &at, &head, None, as_written(&head)).await?;
                Ok(Deed::done("encrypted"))
            }
        })
        .await
}
