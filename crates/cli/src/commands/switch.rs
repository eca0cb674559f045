//! `wigeon switch`: another account of the profile, of those that have signed in.

use inquire::Select;
use wigeon_client::session::Record;

use super::login::{not_answered, report};
use crate::brokered;
use crate::context::Context;
use crate::errors::Failure;
use crate::output::printable;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose: the name that `wigeon status` shows, or the subject; asked for at a terminal
    #[arg(value_name = "USER")]
    user: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session_of(&context.settings_of(context.stored(None)?)?)?;
    let mut accounts = session.accounts()?;
    accounts.sort_by(|one, other| one.identity.user.cmp(&other.identity.user));
    let chosen = chosen(&args, &accounts, context)?;
    session.switch_to(chosen).await?;
    brokered::forget(context, Some(session.profile())).await;
    report(context, &session, chosen)
}

fn chosen<'a>(args: &Args, accounts: &'a [Record], context: &Context) -> Result<&'a Record, Failure> {
    let names: Vec<String> = accounts.iter().map(|record| printable(&record.identity.user)).collect();
    if let Some(user) = &args.user {
        let fits = |record: &&Record| record.identity.user == *user || record.identity.subject == *user;
        let found: Vec<_> = accounts.iter().filter(fits).collect();
        return match found.as_slice() {
            [only] => Ok(only),
            [] if names.is_empty() => Err(Failure::usage("nobody has signed in to this profile")),
            [] => Err(Failure::usage(format!("`{user}` has not signed in to this profile"))
                .hint(format!("there are: {}; others sign in with: wigeon login", names.join(", ")))),
            _ => Err(Failure::usage(format!("`{user}` is more than one account"))
                .hint("name it by its subject, which `wigeon status --json` has")),
        };
    }
    if !(context.environment.stdin_is_terminal && context.environment.stderr_is_terminal) {
        return Err(Failure::usage(format!("which account? There are: {}", names.join(", "))));
    }
    let at = Select::new("Which account?", names).raw_prompt().map_err(not_answered)?.index;
    accounts.get(at).ok_or_else(|| Failure::usage("there is no such account"))
}
