//! `wigeon console`: a web console of the store, where there is one; with the session where it takes that.

use serde_json::json;
use wigeon_client::console::console_address;
use wigeon_client::profile::{ConsolePlace, Settings};

use super::login::open_in;
use crate::brokered;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,

    /// Print the address and open nothing. Whoever has it is signed in, for as long as it works (AWS: 15 minutes)
    #[arg(long)]
    print: bool,

    /// How long the console's session is to last; by default what the role says
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(900..=43_200))]
    duration: Option<u32>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let settings = context.settings_of(context.stored(args.name.as_deref())?)?;
    let Some(place) = settings.console()? else { return Err(none(&settings)?) };
    let (address, meant_for) = match place.value {
        ConsolePlace::Page(page) => {
            (String::from(page), "Open this address in a browser, and sign in there:")
        }
        ConsolePlace::Federation { endpoint, destination } => {
            let credentials = brokered::credentials(context, settings.name()).await?;
            let session = context.session_of(&settings)?;
            let connector = session.connector()?;
            let address =
                console_address(connector, &endpoint, &destination, &credentials, args.duration).await?;
            let meant_for = "Open this address in a browser; whoever has it is signed in:";
            (address.expose().to_owned(), meant_for)
        }
    };
    if args.print || context.output.is_json() {
        return context.output.result(&json!({ "url": address }), |_| address.clone());
    }
    match context.environment.browser_program() {
        Some(program) if open_in(&program, &address) => {
            context.output.note("The console opens in your browser.");
            Ok(())
        }
        _ => {
            context.output.note(meant_for);
            context.output.line(&address)
        }
    }
}

/// Why there is none, and what to do.
fn none(settings: &Settings) -> Result<Failure, Failure> {
    let store = settings.endpoint()?.value.origin().ascii_serialization();
    let name = settings.name();
    Ok(Failure::error(format!("no web console of `{store}` is known"))
        .hint("where it has one, name it in the profile: console = \"https://…\"")
        .hint(format!("what is there: wigeon --profile {name} ls")))
}
