//! `wigeon serve`: the server, until it is interrupted; and questions about it, before and while it runs.

mod notify;

mod readiness;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use wigeon_server::backend::upstream::settings::Environment;
use wigeon_server::chain::chain;
use wigeon_server::check::{self, State as Found};
use wigeon_server::config::{Config, ConfigError, ListenAt};
use wigeon_server::following::Following;
use wigeon_server::listener::{Inherited, Socket};
use wigeon_server::serve::{self, Running};

use self::notify::Notify;
use super::findings::{Findings, State};
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

/// Run the server: STS, IAM and S3 with roles.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,

    /// Look at everything that serving would need, say what is wrong, and stop
    #[arg(long)]
    check: bool,

    /// Ask the server that runs with this configuration whether it is ready, and stop
    #[arg(long, conflicts_with = "check")]
    ready: bool,
}

/// Serves until SIGINT or SIGTERM, then lets requests under way finish.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::because(Kind::Error, error);
    let mut config = Config::read(&args.config).map_err(|error| failed(&error))?;
    let mut following = Following::of(&args.config, &config);
    config.upstreams.environment = surroundings(context);
    if args.check {
        return checked(&config, &args.config.display().to_string(), context).await;
    }
    if args.ready {
        return readiness::ask(config.metrics, context).await;
    }
    let notify = Notify::of(&context.environment);
    let inherited = inherited(&config).map_err(|error| failed(&error))?;
    let clock = Arc::clone(&context.clock);
    let running = serve::start_with(&config, clock, inherited).await.map_err(|error| failed(&error))?;
    let urls: Vec<String> = running.urls().collect();
    context.output.note(&format!("Serving at {}. Interrupt to stop.", urls.join(", ")));
    notify.ready(&format!("Serving at {}", urls.join(", ")));
    tokio::select! {
        told = until_told(&running, &mut following, &notify, context) => told.map_err(|error| failed(&error))?,
        () = notify.keep_alive(async || running.is_alive().await) => {}
    }
    notify.stopping(config.stop.notice + config.stop.grace);
    context.output.note("Stopping: requests under way are finished first. Once more to stop at once.");
    tokio::select! {
        () = running.stop() => Ok(()),
        again = interrupted() => {
            again.map_err(|error| failed(&error))?;
            Err(Failure::error("stopped at once: requests under way were cut off"))
        }
    }
}

/// What credentials of upstreams may be found in.
fn surroundings(context: &Context) -> Environment {
    let variables = context.environment.variables();
    Environment::of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// Says what stands in the way of serving. Exit code 1 where something does.
async fn checked(config: &Config, file: &str, context: &Context) -> Result<(), Failure> {
    let mut findings = Findings::default();
    for finding in check::check(config, &context.clock).await {
        let state = match finding.state {
            Found::Ok => State::Ok,
            Found::Warning => State::Warning,
            Found::Failed => State::Failed,
        };
        findings.add(&finding.subject, state, &finding.text, &[], &finding.fix);
    }
    let document = json!({ "config": file, "healthy": findings.healthy(), "checks": findings.documents() });
    context.output.result(&document, |_| printable(&findings.text()))?;
    match findings.healthy() {
        true => {
            context.output.note(&format!("{file} is in order."));
            Ok(())
        }
        false => Err(Failure::error(format!("a server would not start, or not serve, with {file}"))),
    }
}

/// The sockets that systemd holds, where the configuration asks for one.
fn inherited(config: &Config) -> std::io::Result<Inherited> {
    if !config.listen.iter().any(|listen| matches!(listen.at, ListenAt::Systemd(_))) {
        return Ok(Inherited::default());
    }
    let mut given = listenfd::ListenFd::from_env();
    let mut sockets = Vec::with_capacity(given.len());
    for number in 0..given.len() {
        // Which kind it is shows when it is taken; one of the wrong kind stays.
        let socket = match given.take_unix_listener(number) {
            Ok(Some(socket)) => Some(Socket::Unix(socket)),
            _ => given.take_tcp_listener(number)?.map(Socket::Tcp),
        };
        sockets.extend(socket);
    }
    Ok(Inherited::new(sockets))
}

/// Waits for SIGINT or SIGTERM; at SIGHUP, and when a file of the configuration changes, what was changed outside is taken
/// up.
async fn until_told(
    running: &Running,
    following: &mut Following,
    notify: &Notify,
    context: &Context,
) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut told = std::pin::pin!(interrupted());
    loop {
        let (read, mut faults) = tokio::select! {
            told = &mut told => return told,
            changed = following.next() => {
                notify.reloading();
                (changed, Vec::new())
            }
            _ = hangup.recv() => {
                notify.reloading();
                let faults = running.reload().await;
                (following.again(), faults)
            }
        };
        faults.extend(take_up(read, running, context).err());
        faults.iter().for_each(|fault| tracing::error!("{fault}"));
        let said = match faults.len() {
            0 => "What was changed has been taken up.".to_owned(),
            _ => format!("Some things stay as they were: {}", faults.join("; ")),
        };
        context.output.note(&said);
        notify.ready(&said);
    }
}

/// Puts what a configuration says in force, as far as a running server can.
fn take_up(read: Result<Config, ConfigError>, running: &Running, context: &Context) -> Result<(), String> {
    let unfit = |error: &dyn std::error::Error| format!("the configuration: {}", chain(error));
    let mut config = read.map_err(|error| unfit(&error))?;
    config.upstreams.environment = surroundings(context);
    let restart = running.take_up(&config).map_err(|error| unfit(&error))?;
    tracing::info!("the limits and upstreams of the configuration were taken up");
    if !restart.is_empty() {
        let keys = restart.join("`, `");
        tracing::warn!("`{keys}` of the configuration changed and take a restart");
        context.output.note(&format!("Only a restart takes up `{keys}`."));
    }
    Ok(())
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn interrupted() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
