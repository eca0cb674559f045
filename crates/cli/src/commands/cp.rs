//! `wigeon cp`.

use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) async fn run(_args: Args, _context: &Context) -> Result<(), Failure> {
    Err(Failure::error("`wigeon cp` is not part of this build"))
}
