//! `wigeon credentials`: the temporary credentials, in the form that another tool takes.
//!
//! Standard output has the credentials and nothing else; standard error never has a secret.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::json;
use wigeon_client::broker::Issued;
use wigeon_client::profile::{Origin, Settings};
use wigeon_core::credentials::Credentials;
use wigeon_core::time::iso8601;

use super::quoting::Shell;
use crate::brokered;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  in ~/.aws/config:   credential_process = wigeon credentials --format process lab
  in a shell:         eval \"$(wigeon credentials --format env)\"")]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,

    /// The form; by default what `credential_process` in ~/.aws/config wants
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// AWS's credential_process, version 1
    Process,
    /// Variables for a shell: eval "$(wigeon credentials --format env)"
    Env,
    /// JSON, with the endpoint and the region
    Json,
    /// A section for ~/.aws/credentials
    Ini,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let name = context.profile_name(args.name.as_deref())?;
    let credentials = brokered::credentials(context, &name).await?;
    let by_default = if context.output.is_json() { Format::Json } else { Format::Process };
    let format = args.format.unwrap_or(by_default);
    if format == Format::Process {
        // Tools run this again and again: nothing of the profile is read that is not needed.
        return context.output.line(&Issued::new(&credentials, context.clock.now()).for_process());
    }
    let settings = context.settings_of(context.shelf()?.load(&name)?)?;
    match format {
        Format::Process => Ok(()),
        Format::Json => context.output.document(&json!({
            "access_key_id": credentials.access_key_id,
            "secret_access_key": credentials.secret_key.expose(),
            "session_token": token(&credentials),
            "expiration": expiration(&credentials),
            "endpoint": settings.endpoint()?.value,
            "region": settings.region().value,
        })),
        Format::Env => context.output.bytes(env(&credentials, &settings)?.as_bytes()),
        Format::Ini => context.output.bytes(ini(&credentials, &settings).as_bytes()),
    }
}

fn token(credentials: &Credentials) -> Option<&str> {
    credentials.session_token.as_ref().map(|token| token.expose())
}

fn expiration(credentials: &Credentials) -> Option<String> {
    credentials.expires_at.map(iso8601)
}

fn env(credentials: &Credentials, settings: &Settings) -> Result<String, Failure> {
    let endpoint = settings.endpoint()?;
    let endpoint = (endpoint.origin != Origin::Default).then(|| endpoint.value.to_string());
    let region = settings.region().value;
    let expiration = expiration(credentials);
    let variables = [
        ("AWS_ACCESS_KEY_ID", Some(credentials.access_key_id.as_str())),
        ("AWS_SECRET_ACCESS_KEY", Some(credentials.secret_key.expose())),
        ("AWS_SESSION_TOKEN", token(credentials)),
        ("AWS_CREDENTIAL_EXPIRATION", expiration.as_deref()),
        ("AWS_REGION", Some(region.as_str())),
        ("AWS_ENDPOINT_URL_S3", endpoint.as_deref()),
    ];
    let mut text = String::new();
    for (name, value) in variables {
        match value {
            Some(value) => {
                let _ = writeln!(text, "export {name}={}", Shell::Sh.quoted(value));
            }
            // What an earlier session left there would be mixed with this one.
            None => {
                let _ = writeln!(text, "unset {name}");
            }
        }
    }
    Ok(text)
}

fn ini(credentials: &Credentials, settings: &Settings) -> String {
    let mut text = format!(
        "[{}]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        settings.name(),
        credentials.access_key_id,
        credentials.secret_key.expose()
    );
    if let Some(token) = token(credentials) {
        let _ = writeln!(text, "aws_session_token = {token}");
    }
    text
}
