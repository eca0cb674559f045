//! The command `wigeon`: reads the command line, runs one command, and turns what came of it into text and an
//! exit code. The modules stand in flow order, and each imports only from those above it.

mod environment;

mod errors;

mod output;

mod args;

mod wording;

mod directory;

mod keeping;

mod context;

mod brokered;

mod commands;

mod quick;

mod completing;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use clap_complete::CompleteEnv;
use tracing_subscriber::EnvFilter;

use crate::args::GlobalOptions;
use crate::commands::Command;
use crate::context::Context;
use crate::environment::Environment;
use crate::output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AFTER_HELP: &str = "\
Begin:
  wigeon profile import FILE      a .cyberduckprofile, a .duck bookmark, or Wigeon's own TOML
  wigeon login                    in the browser; without one, with a code on another device
  wigeon ls                       the buckets; then: wigeon cp FILE s3://BUCKET/KEY

Addresses: s3://BUCKET/KEY in the profile in use, PROFILE:BUCKET/KEY in another, - for standard
input or output, anything else a file or folder here.

Exit codes: 0 done, 1 failed, 2 not understood, 3 partly done, 4 sign-in needed, 5 denied, 6 worth
trying again.";

/// Sign in with your identity provider; work in your buckets.
#[derive(Debug, Parser)]
#[command(name = "wigeon", version, after_help = AFTER_HELP, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    CompleteEnv::with_factory(|| completing::command(Cli::command())).complete();
    let cli = match quick::read(std::env::args_os()) {
        Some((global, command)) => Cli { global, command },
        None => Cli::parse(),
    };
    let environment = Environment::of_process();
    start_log(&environment, cli.global.verbose);
    let output = Output::of_process(&environment, cli.global.json, cli.global.quiet, cli.global.verbose > 0);
    let context = Context::new(cli.global, environment, output);
    let outcome = match runtime_for(&cli.command).enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(commands::run(cli.command, Cli::command, &context));
            // A thread that still waits for a line of standard input must not keep the process.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(errors::Failure::because(errors::Kind::Error, &error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.output.failure(&failure);
            failure.kind.into()
        }
    }
}

/// A thread per core; but none besides this one for what tools wait for again and again.
fn runtime_for(command: &Command) -> tokio::runtime::Builder {
    match command {
        Command::Credentials(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    }
}

/// Diagnostics go to standard error: warnings, with `-v` what is done, with `-vv` every request. `WIGEON_LOG`
/// takes a filter such as `wigeon_client=trace`.
fn start_log(environment: &Environment, verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "warn,wigeon=info,wigeon_client=info,wigeon_server=info,wigeon_idp=info",
        _ => "info,wigeon=debug,wigeon_client=debug,wigeon_server=debug,wigeon_idp=debug",
    };
    // What it logs as an error is in our own error, once.
    let level = format!("{level},rustls_platform_verifier=off");
    let filter = environment.variable("WIGEON_LOG").and_then(|text| EnvFilter::try_new(text).ok());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(level)))
        .with_writer(std::io::stderr)
        .with_ansi(environment.color())
        .without_time()
        .try_init();
}

#[cfg(test)]
mod tests;
