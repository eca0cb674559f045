//! `wigeon env`: variables for a shell, with keys that end, or with the way to the agent, whose keys renew.

use wigeon_client::broker::{Answer, Ask};
use wigeon_core::time::iso8601;

use super::agent;
use super::quoting::Shell;
use super::surroundings::{Surroundings, is_stale};
use crate::brokered;
use crate::context::Context;
use crate::errors::Failure;
use crate::wording::duration;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eval \"$(wigeon env lab --renewing)\"         sh, bash, zsh
  wigeon env lab --renewing | source          fish
  wigeon env lab --renewing | Out-String | Invoke-Expression     PowerShell
  eval \"$(wigeon env --unset)\"                as it was before")]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,

    /// The shell to write for; by default the one that SHELL names
    #[arg(long, value_enum)]
    shell: Option<Shell>,

    /// The way to the agent in place of keys: these renew; starts the agent
    #[arg(long)]
    renewing: bool,

    /// Remove the variables
    #[arg(long, conflicts_with_all = ["renewing", "name"])]
    unset: bool,
}

/// What either form sets, and the other has to remove.
const KEYS: [&str; 4] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"];
const CONTAINER: [&str; 3] = [
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];
const PLACES: [&str; 7] = [
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT",
    "S3_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
];

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let shell = args.shell.unwrap_or_else(|| Shell::of(context.environment.variable("SHELL")));
    if args.unset {
        let text: String =
            KEYS.iter().chain(&CONTAINER).chain(&PLACES).map(|name| shell.unset(name)).collect();
        return context.output.bytes(text.as_bytes());
    }
    let settings = context.settings_of(context.stored(args.name.as_deref())?)?;
    let surroundings = Surroundings::of(&settings, context)?;
    // A sign-in that is needed is said now, and not by the tool.
    let credentials = brokered::credentials(context, settings.name()).await?;
    let mut set = surroundings.places();
    if args.renewing {
        set.extend(way_to_agent(context, settings.name()).await?);
    } else {
        set.push(("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone()));
        set.push(("AWS_SECRET_ACCESS_KEY", credentials.secret_key.expose().to_owned()));
        if let Some(token) = &credentials.session_token {
            set.push(("AWS_SESSION_TOKEN", token.expose().to_owned()));
        }
        if let Some(end) = credentials.expires_at {
            set.push(("AWS_CREDENTIAL_EXPIRATION", iso8601(end)));
            let left = duration(end.duration_since(context.clock.now()));
            context.output.note(&format!(
                "These keys end in {left} and do not renew. Those that do: wigeon env --renewing, or wigeon exec."
            ));
        }
    }
    if let Some(file) = &surroundings.ca_file {
        set.push(("AWS_CA_BUNDLE", file.display().to_string()));
    }
    let mut text = String::new();
    // What an earlier session left there would be mixed with this one.
    let left_over = context.environment.variables().map(|(name, _)| name).filter(|name| is_stale(name));
    let mut gone: Vec<&str> = KEYS.iter().chain(&CONTAINER).copied().chain(left_over).collect();
    gone.sort_unstable();
    gone.dedup();
    for name in gone.into_iter().filter(|name| set.iter().all(|(set, _)| set != name)) {
        text.push_str(&shell.unset(name));
    }
    for (name, value) in &set {
        text.push_str(&shell.set(name, value)?);
    }
    context.output.bytes(text.as_bytes())
}

/// Variables with which a tool asks the agent.
async fn way_to_agent(context: &Context, profile: &str) -> Result<Vec<(&'static str, String)>, Failure> {
    agent::started(context).await?;
    match agent::asked(context, Ask::Access(profile.to_owned())).await {
        Ok(Answer::Access { url, token }) => {
            let dir = context.environment.state_dir()?.join("agent");
            let file = dir.join(format!("token-{profile}"));
            wigeon_client::durable::replace(&file, token.expose().as_bytes()).map_err(|error| {
                let mut failure = Failure::error(format!("cannot write `{}`", file.display()));
                failure.causes.push(error.to_string());
                failure
            })?;
            Ok(vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.expose().to_owned()),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.display().to_string()),
            ])
        }
        Ok(_) => Err(Failure::error("the agent says something else than asked")),
        Err(error) => Err(agent::unusable(&error)),
    }
}
