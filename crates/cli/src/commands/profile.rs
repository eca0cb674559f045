//! `wigeon profile`.

use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args, _context: &Context) -> Result<(), Failure> {
    Err(Failure::error("`wigeon profile` is not part of this build"))
}
