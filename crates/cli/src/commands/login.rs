//! `wigeon login`: sign in at a profile's provider, exchange, and keep both.

mod questions;

mod desktop_browser;

mod device_code;

mod provider_choice;

mod without_provider;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use inquire::{Password, Text};
use serde_json::json;
use url::Url;
use wigeon_client::broker::Wanted;
use wigeon_client::profile::{Flow, Redirect, Settings, Stored, Way};
use wigeon_client::secret_store::Prepared;
use wigeon_client::session::{Record, Session};
use wigeon_client::sign_in::{self, Browser, Chosen, Invitation, SignInError, TokenSet, WayBack};
use wigeon_core::arn::Arn;
use wigeon_core::secret::Secret;

use super::agent;
use crate::brokered;
use crate::context::Context;
use crate::environment::Environment;
use crate::errors::Failure;
use crate::keeping::StoreChoice;
use crate::output::printable;
use crate::wording::{role_name, signed_in};
use desktop_browser::InTab;
use provider_choice::at_provider;
use questions::ask;
use without_provider::{Said, without_provider};

pub(super) use desktop_browser::{Back, DesktopBrowser, open_in, pasted};
pub(super) use questions::not_answered;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon login lab
  wigeon login --device                           with a code, on any other device
  wigeon login --no-browser                       over SSH: paste the address that comes back
  wigeon login --role-arn arn:aws:iam::123456789012:role/analyst")]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,

    /// Open no browser: print the address, and take the address that comes back on standard input, too
    #[arg(long)]
    no_browser: bool,

    /// Sign in on another device, with a code; the default where there is no browser, if the provider can do it
    #[arg(long, conflicts_with = "no_browser")]
    device: bool,

    /// The store's host, with a port if it has one of its own; saved with the profile
    #[arg(long, value_name = "HOST")]
    hostname: Option<String>,

    /// The role to assume; saved with the profile
    #[arg(long, value_name = "ARN")]
    role_arn: Option<Arn>,

    /// The OAuth client id; saved with the profile
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// The provider's issuer, for discovery; saved with the profile
    #[arg(long, value_name = "URL")]
    issuer: Option<Url>,

    /// One of the providers that the profile allows; saved with the profile
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,

    /// The redirect address, as registered at the provider; saved with the profile
    #[arg(long, value_name = "URL")]
    redirect_url: Option<String>,

    /// The user name, for profiles that sign in with a password; the password is asked for, or taken from
    /// WIGEON_PASSWORD
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// The access key id, for profiles without a sign-in; the secret key is asked for, or taken from
    /// WIGEON_SECRET_KEY
    #[arg(long, value_name = "ID")]
    access_key_id: Option<String>,

    /// The account at IAM Identity Center; saved with the profile
    #[arg(long, value_name = "ID")]
    account: Option<String>,

    /// The role at IAM Identity Center; saved with the profile
    #[arg(long, value_name = "NAME")]
    role_name: Option<String>,

    /// Where to keep the sign-in; by default what WIGEON_STORE or config.toml says, else the best place
    #[arg(long, value_enum, value_name = "PLACE")]
    store: Option<StoreChoice>,

    /// How many seconds to wait for the person
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let context = &context.signing_in(args.store);
    let mut stored = context.stored(args.name.as_deref())?;
    let before = stored.bookmark.clone();
    answer_from_arguments(&args, &mut stored);
    let limit = Duration::from_secs(args.timeout);
    let settings = context.settings_of(stored)?;
    let way = way(&args, &settings)?;
    let in_browser = way.is_none_or(|way| way == Way::Browser);
    let (settings, chosen) =
        at_provider(context, settings, args.provider.as_deref(), in_browser, limit).await?;
    let settings = ask(context, settings)?;
    if settings.stored().bookmark != before {
        context.shelf()?.save(settings.stored(), true)?;
    }
    let session = context.session_of(&settings)?;
    make_ready(context, &session).await?;
    let record = match settings.flow().value {
        Flow::AuthorizationCode => {
            let tokens =
                in_person(context, &settings, &session, Asked { way, limit }, chosen.as_ref()).await?;
            begin(context, &session, tokens).await?
        }
        Flow::PasswordGrant => {
            let tokens = with_password(context, &settings, &session, args.username.clone()).await?;
            begin(context, &session, tokens).await?
        }
        Flow::Workload => session.begin_unattended(None).await?,
        Flow::IdentityCenter | Flow::AccessKeys => {
            let timeout = Duration::from_secs(args.timeout);
            let said = Said { access_key_id: args.access_key_id.as_deref(), timeout };
            without_provider(context, &settings, Arc::clone(&session), said).await?
        }
    };
    brokered::forget(context, Some(session.profile())).await;
    report(context, &session, &record)
}

/// A place that would lose the tokens is known before anyone signs in.
async fn make_ready(context: &Context, session: &Session) -> Result<(), Failure> {
    if context.wanted()? == Wanted::Memory && context.agent()?.is_some() {
        agent::started(context).await?;
    }
    let Prepared { place, passed_over } = session.prepare()?;
    match passed_over {
        Some(why) if context.environment.may_have_keychain() => {
            context.output.note(&format!("The sign-in is kept {}: {why}.", place.words()));
        }
        why => tracing::info!(place = place.words(), why, "the sign-in's place"),
    }
    Ok(())
}

/// Keeps a person's tokens, and exchanges them.
async fn begin(context: &Context, session: &Session, tokens: TokenSet) -> Result<Record, Failure> {
    if tokens.id_token.is_some() && !tokens.identity.signature_checked {
        context.output.note(
            "The provider publishes no keys: the ID token's signature was not checked. It came over TLS from the token endpoint.",
        );
    }
    let user = tokens.identity.user.clone();
    session.begin(tokens).await.map_err(|error| {
        let mut failure = Failure::from(error);
        failure.message = format!("signed in as {user}, but {}", failure.message);
        failure.one_line = false;
        failure
    })
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
        "renews": record.renews(),
        "signature_checked": record.identity.signature_checked,
    });
    context.output.result(&document, |_| printable(&signed_in(session.profile(), record, now)))
}

fn answer_from_arguments(args: &Args, stored: &mut Stored) {
    let issuer = args.issuer.as_ref().map(Url::as_str);
    let answers = [
        ("Default Hostname", args.hostname.as_deref()),
        ("role_arn", args.role_arn.as_ref().map(Arn::as_str)),
        ("OAuth Client ID", args.client_id.as_deref()),
        ("wigeon.issuer", issuer),
        ("OAuth Redirect Url", args.redirect_url.as_deref()),
        ("sso_account_id", args.account.as_deref()),
        ("sso_role_name", args.role_name.as_deref()),
    ];
    for (key, answer) in answers {
        if let Some(answer) = answer {
            stored.bookmark.answer(key, answer);
        }
    }
}

/// The way that the command line says, or the profile.
fn way(args: &Args, settings: &Settings) -> Result<Option<Way>, Failure> {
    match (args.device, args.no_browser) {
        (true, _) => Ok(Some(Way::Device)),
        (_, true) => Ok(Some(Way::Paste)),
        _ => Ok(settings.way()?),
    }
}

/// Which way, and for how long.
#[derive(Clone, Copy)]
struct Asked {
    way: Option<Way>,
    limit: Duration,
}

/// The person signs in where they see a page: in the browser here; else, where the provider can do that, on another
/// device; else in a browser elsewhere, whose address is pasted.
async fn in_person(
    context: &Context,
    settings: &Settings,
    session: &Session,
    Asked { way, limit }: Asked,
    chosen: Option<&Chosen>,
) -> Result<TokenSet, Failure> {
    let sign_in = session.sign_in()?;
    let provider = sign_in::locate(sign_in.connector, sign_in.oauth).await.map_err(SignInError::from)?;
    let program = context.environment.browser_program().filter(|_| way != Some(Way::Paste));
    let on_a_device = match way {
        Some(way) => way == Way::Device,
        None => program.is_none(),
    };
    if on_a_device {
        let with_picture = context.environment.stderr_is_terminal;
        let show = |invitation: &Invitation| {
            context.output.message(&device_code::message(invitation, with_picture));
        };
        match sign_in::on_another_device(sign_in, provider.clone(), &show, limit).await {
            Err(error) if way.is_none() && error.wants_another_way() => {
                tracing::info!(%error, "not on another device");
            }
            outcome => return Ok(outcome?),
        }
    }
    let oauth = settings.oauth()?;
    let pasted = pasted(context, &oauth, program.is_some());
    let doorway = handler(context, &oauth.redirect)?;
    if doorway.is_none() && program.is_some() && oauth.redirect.scheme().is_some() {
        let name = settings.name();
        context
            .output
            .note(&format!("To come back by yourself next time, run once: wigeon setup desktop {name}"));
    }
    let back = if doorway.is_some() { Back::Handler } else { Back::Redirect(&oauth.redirect) };
    let desktop = DesktopBrowser { program, output: &context.output, back };
    let tab = chosen.map(|chosen| InTab { tab: &chosen.tab, output: &context.output });
    let browser: &dyn Browser = match &tab {
        Some(tab) => tab,
        None => &desktop,
    };
    let back = WayBack { pasted, doorway };
    Ok(sign_in::in_browser(sign_in, provider, browser, back, limit).await?)
}

/// Where the desktop's handler finds this sign-in, if `wigeon setup desktop` has put one there.
pub(crate) fn handler(context: &Context, redirect: &Redirect) -> Result<Option<PathBuf>, Failure> {
    let Some(scheme) = redirect.scheme() else { return Ok(None) };
    let application = context.environment.applications_dir()?.join(Environment::handler_of(scheme));
    Ok(application.exists().then_some(context.environment.runtime_dir()?))
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
