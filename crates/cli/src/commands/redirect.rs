//! `wigeon redirect`: what the desktop starts with an address of a custom scheme; it goes to the sign-in that waits.

use serde_json::json;
use wigeon_client::sign_in::{HandOverError, hand_over};

use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address that the browser was sent to
    #[arg(value_name = "ADDRESS")]
    address: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let dir = context.environment.runtime_dir()?;
    let handed = tokio::task::spawn_blocking(move || hand_over(&dir, &args.address)).await;
    match handed.map_err(|error| Failure::because(Kind::Error, &error))? {
        Ok(words) => context.output.result(&json!({ "said": words }), |_| printable(&words)),
        Err(error @ HandOverError::Nobody) => {
            Err(Failure::because(Kind::SignInNeeded, &error).hint("begin again with: wigeon login"))
        }
        Err(error) => Err(Failure::because(Kind::Error, &error)),
    }
}
