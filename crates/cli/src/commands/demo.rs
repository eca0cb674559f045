//! `wigeon demo`: everything on this machine, in one process and on loopback only.
//!
//! Starts a development identity provider and the server over a folder, imports a connection profile, signs a user
//! in, works in the buckets, shows one refusal, and stays up so that the next commands can be tried.

mod form_browser;

mod place;

mod tour;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;
use wigeon_client::profile::Settings;
use wigeon_client::s3::{Addressing, Client, Endpoint, StaticCredentials};
use wigeon_client::sign_in::{self, Browser, SignInError, WayBack};
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::hex;
use wigeon_idp::{Client as IdpClient, Config as IdpConfig, Lifetimes, Provider, User};
use wigeon_server::authenticate::RootKey;
use wigeon_server::config::{AuditConfig, Config, DirectoryConfig, Listen};
use wigeon_server::serve;

use self::form_browser::FormBrowser;
use self::place::{CLIENT_ID, PROFILE, Place};
use super::login::{Back, DesktopBrowser, report};
use super::serve::interrupted;
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// Where the two listen unless something else does already.
const SERVER_PORT: u16 = 9780;
const PROVIDER_PORT: u16 = 9781;

/// How long a person has to sign in.
const SIGN_IN_LIMIT: Duration = Duration::from_secs(600);

/// Try everything on this machine: provider, server and client.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sign this user in without a browser: alice or bob
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Keep everything in this folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Stop after the tour
    #[arg(long)]
    once: bool,
}

/// Runs the demonstration until it is interrupted.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let folder = match &args.data {
        Some(folder) => std::path::absolute(folder).map_err(failed)?,
        None => context.data_dir()?.join("demo"),
    };
    let place = Place::new(folder).map_err(failed)?;
    let say = |text: &str| context.output.note(text);

    let provider =
        Provider::start(provider_config().await, Arc::clone(&context.clock)).await.map_err(failed)?;
    let root = root_key()?;
    let directory = DirectoryConfig::file(place.write_directory(&provider.issuer).map_err(failed)?);
    let config = Config {
        listen: vec![Listen::at(free(SERVER_PORT).await)],
        root: Some(RootKey {
            access_key_id: root.access_key_id.clone(),
            secret_key: root.secret_key.clone(),
        }),
        audit: AuditConfig::file(place.folder.join("audit.jsonl")),
        ..Config::new(place.folder.join("data"), directory)
    };
    let server = serve::start(&config, Arc::clone(&context.clock)).await.map_err(failed)?;
    let address = server.address();
    say(&format!(
        "Identity provider at {} (users alice and bob; password alice-password, bob-password)",
        provider.issuer
    ));
    say(&format!("STS and S3 at http://{address}, over {}", place.folder.display()));

    tour::furnish(&root_client(context, address, root)?).await?;
    let profile = place.write_profile(&provider.issuer, address).map_err(failed)?;
    super::profile::import(context, &profile, Some(PROFILE.to_owned()), true)?;

    let settings = context.settings_of(context.stored(Some(PROFILE))?)?;
    let user = sign_in(context, &settings, args.user.as_deref()).await?;
    let wigeon = std::env::current_exe().map_err(failed)?;
    tour::show(context, &wigeon, &place.folder, &user).await?;

    let aws_config = place.write_aws_config(&wigeon, address).map_err(failed)?;
    say(&tour::next_steps(&wigeon, &user, address, &aws_config));
    if !args.once {
        say("\nThe demonstration stays up. Interrupt it to stop.");
        interrupted().await.map_err(failed)?;
    }
    server.stop().await;
    provider.shutdown().await;
    Ok(())
}

/// Signs in and exchanges, as `wigeon login` does; gives the subject, which is the login here.
async fn sign_in(context: &Context, settings: &Settings, user: Option<&str>) -> Result<String, Failure> {
    let session = context.session_of(settings)?;
    let oauth = settings.oauth()?;
    let desktop = DesktopBrowser {
        program: context.environment.browser_program(),
        output: &context.output,
        back: Back::Redirect(&oauth.redirect),
    };
    let scripted = user.map(|user| FormBrowser::new(user, &password_of(user)));
    let browser: &dyn Browser = match &scripted {
        Some(scripted) => scripted,
        None => &desktop,
    };
    // Nothing is pasted: provider and browser are on this machine.
    let (_sender, pasted) = mpsc::channel(1);
    let limit = if user.is_some() { Duration::from_secs(30) } else { SIGN_IN_LIMIT };
    let sign_in = session.sign_in()?;
    let provider = sign_in::locate(sign_in.connector, sign_in.oauth).await.map_err(SignInError::from)?;
    let tokens =
        sign_in::in_browser(sign_in, provider, browser, WayBack { pasted, doorway: None }, limit).await?;
    let user = tokens.identity.subject.clone();
    let record = session.begin(tokens).await?;
    report(context, &session, &record)?;
    Ok(user)
}

fn password_of(user: &str) -> String {
    format!("{user}-password")
}

async fn provider_config() -> IdpConfig {
    let user = |login: &str, name: &str, groups: &[&str]| User {
        login: login.to_owned(),
        password: Secret::new(password_of(login)),
        sub: None,
        name: Some(name.to_owned()),
        email: Some(format!("{login}@example.org")),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        claims: serde_json::Map::new(),
    };
    IdpConfig {
        listen: free(PROVIDER_PORT).await,
        issuer: None,
        algorithm: wigeon_idp::Algorithm::default(),
        clients: vec![IdpClient {
            id: CLIENT_ID.to_owned(),
            // The second for profiles of programs with a scheme of their own (`wigeon setup desktop`).
            redirect_uris: ["http://127.0.0.1/callback", "x-cyberduck-action:oauth"]
                .iter()
                .filter_map(|address| address.parse().ok())
                .collect(),
        }],
        users: vec![user("alice", "Alice Example", &["analysts"]), user("bob", "Bob Example", &[])],
        lifetimes: Lifetimes::default(),
    }
}

/// The wished-for port on loopback, or any free one where it is taken.
async fn free(wished: u16) -> SocketAddr {
    let wished = SocketAddr::from((Ipv4Addr::LOCALHOST, wished));
    match TcpListener::bind(wished).await {
        Ok(_) => wished,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// A key for furnishing the buckets; it lives as long as this process.
fn root_key() -> Result<Credentials, Failure> {
    let mut random = [0; 32];
    rand::fill(&mut random).map_err(|_| Failure::error("this machine gives no random numbers"))?;
    Ok(Credentials {
        access_key_id: "AKIADEMOADMINISTRATOR".to_owned(),
        secret_key: Secret::new(hex(&random)),
        session_token: None,
        expires_at: None,
    })
}

fn root_client(context: &Context, server: SocketAddr, root: Credentials) -> Result<Client, Failure> {
    let url: Url = format!("http://{server}").parse().map_err(failed)?;
    let endpoint = Endpoint::new(&url, "us-east-1", Addressing::Path, "").map_err(failed)?;
    let connector = wigeon_client::connect::Connector::new(&context.connect_options()).map_err(failed)?;
    Ok(Client::new(connector, endpoint, Arc::new(StaticCredentials::new(root)), Arc::clone(&context.clock)))
}

fn failed(error: impl std::error::Error + 'static) -> Failure {
    Failure::because(Kind::Error, &error)
}
