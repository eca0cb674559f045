//! `wigeon console`: a web console of the store, where there is one.

use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,
}

/// Runs the command: no store that Wigeon knows takes a session into a console by a standard way, and it says so.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let settings = context.settings_of(context.stored(args.name.as_deref())?)?;
    let store = settings.endpoint()?.value.origin().ascii_serialization();
    Err(Failure::error(format!(
        "the store of profile `{}`, {store}, has no console that Wigeon can open",
        settings.name()
    ))
    .hint(format!("what is there: wigeon --profile {} ls", settings.name())))
}
