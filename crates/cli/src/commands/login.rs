//! `wigeon login`: sign in at a profile's provider, exchange, and keep both.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use inquire::{Password, Text};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;
use url::Url;
use wigeon_client::profile::{ClientCredential, Flow, OAuth, Redirect, Role, Settings, Stored};
use wigeon_client::session::{Record, Session};
use wigeon_client::sign_in::{self, Browser, TokenSet};
use wigeon_core::arn::Arn;
use wigeon_core::secret::Secret;

use crate::brokered;
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::{Output, printable};
use crate::wording::{role_name, signed_in};

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon login lab
  wigeon login --no-browser                       over SSH: paste the address that comes back
  wigeon login --role-arn arn:aws:iam::123456789012:role/analyst")]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,

    /// Open no browser: print the address, and take the address that comes back on standard input, too
    #[arg(long)]
    no_browser: bool,

    /// The role to assume; saved with the profile
    #[arg(long, value_name = "ARN")]
    role_arn: Option<Arn>,

    /// The OAuth client id; saved with the profile
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// The provider's issuer, for discovery; saved with the profile
    #[arg(long, value_name = "URL")]
    issuer: Option<Url>,

    /// The redirect address, as registered at the provider; saved with the profile
    #[arg(long, value_name = "URL")]
    redirect_url: Option<String>,

    /// The user name, for profiles that sign in with a password; the password is asked for, or taken from
    /// WIGEON_PASSWORD
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// How many seconds to wait for the person
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let mut stored = context.stored(args.name.as_deref())?;
    let before = stored.bookmark.clone();
    answer_from_arguments(&args, &mut stored);
    let mut settings = context.settings_of(stored)?;
    let flow = settings.flow().value;
    if !matches!(flow, Flow::AuthorizationCode | Flow::PasswordGrant) {
        let name = settings.name();
        return Err(Failure::error(format!("profile `{name}` has no sign-in that Wigeon can do"))
            .hint(format!("run: wigeon profile check {name}")));
    }
    settings = ask(context, settings)?;
    if settings.stored().bookmark != before {
        context.shelf()?.save(settings.stored(), true)?;
    }
    let session = context.session_of(&settings)?;
    let tokens = match flow {
        Flow::PasswordGrant => with_password(context, &settings, &session, args.username).await?,
        Flow::AuthorizationCode | Flow::IdentityCenter | Flow::AccessKeys => {
            let program = context.environment.browser_program().filter(|_| !args.no_browser);
            let oauth = settings.oauth()?;
            let pasted = pasted(context, &oauth, program.is_some());
            let limit = Duration::from_secs(args.timeout);
            let browser = DesktopBrowser { program, output: &context.output, redirect: &oauth.redirect };
            sign_in::in_browser(session.sign_in()?, &browser, pasted, limit).await?
        }
    };
    if !tokens.identity.signature_checked {
        context.output.note(
            "The provider publishes no keys: the ID token's signature was not checked. It came over TLS from the token endpoint.",
        );
    }
    let user = tokens.identity.user.clone();
    let record = session.begin(tokens).await.map_err(|error| {
        let mut failure = Failure::from(error);
        failure.message = format!("signed in as {user}, but {}", failure.message);
        failure
    })?;
    brokered::forget(context, Some(session.profile())).await;
    report(context, &session, &record)
}

/// Says who is signed in, as which role, until when.
pub(crate) fn report(context: &Context, session: &Session, record: &Record) -> Result<(), Failure> {
    let now = context.clock.now();
    let expires_at = record.session.as_ref().and_then(|session| session.credentials.expires_at);
    let document = json!({
        "profile": session.profile(),
        "user": record.identity.user,
        "issuer": record.identity.issuer,
        "subject": record.identity.subject,
        "role": record.session.as_ref().and_then(|session| session.role.clone()),
        "role_name": role_name(record),
        "expires_at": expires_at,
        "renews": record.refresh_token.is_some(),
        "signature_checked": record.identity.signature_checked,
    });
    context.output.result(&document, |_| printable(&signed_in(session.profile(), record, now)))
}

fn answer_from_arguments(args: &Args, stored: &mut Stored) {
    let issuer = args.issuer.as_ref().map(Url::as_str);
    let answers = [
        ("role_arn", args.role_arn.as_ref().map(Arn::as_str)),
        ("OAuth Client ID", args.client_id.as_deref()),
        ("wigeon.issuer", issuer),
        ("OAuth Redirect Url", args.redirect_url.as_deref()),
    ];
    for (key, answer) in answers {
        if let Some(answer) = answer {
            stored.bookmark.answer(key, answer);
        }
    }
}

/// Asks for what the profile leaves open; the answers are saved with it.
fn ask(context: &Context, settings: Settings) -> Result<Settings, Failure> {
    let oauth = settings.oauth()?;
    let sts = settings.sts()?;
    let person = context.environment.stdin_is_terminal && context.environment.stderr_is_terminal;
    let missing = |what: &str, option: &str| {
        Failure::usage(format!("the profile leaves the {what} to you, and there is no terminal to ask at"))
            .hint(format!("give it with {option}"))
    };
    let mut stored = settings.into_stored();
    if oauth.client_id == ClientCredential::Ask {
        if !person {
            return Err(missing("client id", "--client-id ID"));
        }
        let id = Text::new("Client id at the provider:").prompt().map_err(not_answered)?;
        stored.bookmark.answer("OAuth Client ID", id.trim());
        if oauth.client_secret == ClientCredential::Ask {
            let secret = Password::new("Client secret (empty if there is none):")
                .without_confirmation()
                .prompt()
                .map_err(not_answered)?;
            stored.bookmark.answer("OAuth Client Secret", secret.trim());
        }
    }
    if sts.role == Role::Ask {
        if !person {
            return Err(missing("role", "--role-arn ARN"));
        }
        let role = Text::new("Role to assume (ARN):").prompt().map_err(not_answered)?;
        let role: Arn = role.trim().parse().map_err(|error| Failure::because(Kind::Usage, &error))?;
        stored.bookmark.answer("role_arn", role.as_str());
    }
    context.settings_of(stored)
}

async fn with_password(
    context: &Context,
    settings: &Settings,
    session: &Session,
    username: Option<String>,
) -> Result<TokenSet, Failure> {
    let no_terminal = |what: &str, how: &str| {
        Failure::usage(format!(
            "the profile signs in with a password, and there is no terminal to ask for the {what} at"
        ))
        .hint(how.to_owned())
    };
    let person = context.environment.stdin_is_terminal && context.environment.stderr_is_terminal;
    let username = match username.or(settings.oauth()?.username) {
        Some(username) => username,
        None if person => Text::new("User name:").prompt().map_err(not_answered)?,
        None => return Err(no_terminal("user name", "give it with --username NAME")),
    };
    let password = match context.environment.variable("WIGEON_PASSWORD") {
        Some(password) => Secret::new(password),
        None if person => {
            Secret::new(Password::new("Password:").without_confirmation().prompt().map_err(not_answered)?)
        }
        None => return Err(no_terminal("password", "set WIGEON_PASSWORD")),
    };
    Ok(sign_in::with_password(session.sign_in()?, &username, &password).await?)
}

#[expect(clippy::needless_pass_by_value, reason = "it is made to be given to `map_err`")]
fn not_answered(error: inquire::InquireError) -> Failure {
    Failure::because(Kind::Usage, &error)
}

/// Lines of standard input, where a person may paste: at a terminal, without a browser, and where the browser
/// comes back to an address that is not ours.
fn pasted(context: &Context, oauth: &OAuth, browser: bool) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    let listens = matches!(oauth.redirect, Redirect::Loopback { .. });
    if context.environment.stdin_is_terminal || !browser || !listens {
        tokio::spawn(async move {
            let mut lines = BufReader::new(tokio::io::stdin()).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if sender.send(line).await.is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

/// Opens the address in the person's browser where there is one, and prints it in any case.
pub(super) struct DesktopBrowser<'a> {
    pub(super) program: Option<PathBuf>,
    pub(super) output: &'a Output,
    pub(super) redirect: &'a Redirect,
}

impl Browser for DesktopBrowser<'_> {
    fn show(&self, address: &Url) {
        let opened = self.program.as_ref().is_some_and(|program| {
            // The browser outlives us, and what it says is not for this terminal.
            std::process::Command::new(program)
                .arg(address.as_str())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .is_ok()
        });
        let listens = matches!(self.redirect, Redirect::Loopback { .. });
        let text = match (opened, listens) {
            (true, true) => "Your browser opens for you to sign in. If it does not, open this address:",
            (true, false) => {
                "Your browser opens for you to sign in. Afterwards paste the address that it was sent back to here."
            }
            (false, true) => {
                "Open this address in a browser to sign in. If the browser is on another machine, paste the address that it was sent back to here."
            }
            (false, false) => {
                "Open this address in a browser to sign in. Afterwards paste the address that it was sent back to here."
            }
        };
        self.output.message(&format!("{text}\n\n  {address}\n"));
    }
}
