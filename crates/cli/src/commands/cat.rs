//! `wigeon cat`: objects to standard output, one after the other.

use super::objects::address::StorePlace;
use super::objects::progress::Run;
use super::objects::store;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let run = Run::plain(context)?;
    for address in &args.addresses {
        let place = StorePlace::parse(address)?;
        let (client, object) = (store::open(context, &place)?, place.object()?);
        run.print(&client, &object).await?;
    }
    Ok(())
}
