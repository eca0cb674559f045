//! `wigeon serve`: the server, until it is interrupted.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use wigeon_server::backend::upstream::settings::Environment;
use wigeon_server::config::Config;
use wigeon_server::serve::{self, Running};

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// Run the server: STS and S3 with roles.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,

    /// Check the configuration and the files that it names, and stop
    #[arg(long)]
    check: bool,
}

/// Serves until SIGINT or SIGTERM, then lets requests under way finish.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::because(Kind::Error, error);
    let mut config = Config::read(&args.config).map_err(|error| failed(&error))?;
    let variables = context.environment.variables();
    config.upstreams.environment =
        Environment::of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if args.check {
        serve::check(&config).map_err(|error| failed(&error))?;
        context.output.note(&format!("{} is in order.", args.config.display()));
        return Ok(());
    }
    let running = serve::start(&config, Arc::clone(&context.clock)).await.map_err(|error| failed(&error))?;
    context.output.note(&format!("Serving STS and S3 at {}. Interrupt to stop.", running.url()));
    until_told(&running, context).await.map_err(|error| failed(&error))?;
    context.output.note("Stopping: requests under way are finished first. Once more to stop at once.");
    tokio::select! {
        () = running.stop() => Ok(()),
        again = interrupted() => {
            again.map_err(|error| failed(&error))?;
            Err(Failure::error("stopped at once: requests under way were cut off"))
        }
    }
}

/// Waits for SIGINT or SIGTERM; at SIGHUP the audit file is opened anew.
async fn until_told(running: &Running, context: &Context) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut told = std::pin::pin!(interrupted());
    loop {
        tokio::select! {
            told = &mut told => return told,
            _ = hangup.recv() => match running.reopen_audit() {
                Ok(()) => context.output.note("The audit file was opened anew."),
                Err(error) => tracing::error!(%error, "the audit file stays as it was"),
            },
        }
    }
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
