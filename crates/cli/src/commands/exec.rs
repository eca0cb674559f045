//! `wigeon exec`: run a program with a profile's credentials, which renew for as long as it runs.
//!
//! The program has this one's terminal and standard streams; signals are passed on, and its exit code is ours
//! (128 + n where signal n ended it; 127 where it is not found, 126 where it may not be run).

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::lent::Lent;
use super::surroundings::is_stale;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon exec lab -- aws s3 ls
  wigeon exec lab -- python train.py
  wigeon exec lab -- rclone sync results wigeon:team/results     the remote `wigeon` is made for the occasion
  wigeon exec lab -- sh                                          a shell, and everything in it")]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,

    /// Leave AWS_CONFIG_FILE as it is: settings of ~/.aws/config act, and credentials that its default profile names,
    /// too
    #[arg(long)]
    keep_config: bool,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command; the process ends with the program's exit code.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let lent = Lent::of(context, args.name.as_deref()).await?;
    let (program, arguments) = args.command.split_first().ok_or_else(|| Failure::usage("which program?"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, _) in context.environment.variables().filter(|(name, _)| is_stale(name)) {
        command.env_remove(name);
    }
    // What was said to this program alone.
    for name in ["WIGEON_PASSPHRASE", "WIGEON_PASSPHRASE_FILE", "WIGEON_PASSWORD", "WIGEON_SECRET_KEY"] {
        command.env_remove(name);
    }
    command.envs(lent.surroundings.places());
    command.envs(lent.surroundings.rclone_remote());
    command.envs(lent.certificates(context)?);
    command.envs(lent.isolation(args.keep_config)?);
    command.envs(lent.container()?);
    command.env("WIGEON_PROFILE", &lent.surroundings.profile);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let mut failure = Failure::error(format!("cannot run `{}`", program.to_string_lossy()));
            failure.causes.push(error.to_string());
            context.output.failure(&failure);
            drop(lent);
            // As shells say it.
            std::process::exit(if error.kind() == ErrorKind::NotFound { 127 } else { 126 });
        }
    };
    let status = waited_for(&mut child).await;
    drop(lent);
    match status {
        Ok(status) => std::process::exit(code_of(status)),
        Err(error) => {
            let mut failure = Failure::error("the program cannot be waited for");
            failure.causes.push(error.to_string());
            Err(failure)
        }
    }
}

/// Passes signals on until the child ends. They are watched only now, so that what our caller told us to ignore
/// (as `nohup` does) the child ignores, too.
pub(super) async fn waited_for(child: &mut Child) -> std::io::Result<ExitStatus> {
    let Some(pid) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) else {
        return child.wait().await;
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut user_1 = signal(SignalKind::user_defined1())?;
    let mut user_2 = signal(SignalKind::user_defined2())?;
    loop {
        let (which, typed) = tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => (Signal::INT, true),
            _ = quit.recv() => (Signal::QUIT, true),
            _ = terminate.recv() => (Signal::TERM, false),
            _ = hang_up.recv() => (Signal::HUP, false),
            _ = user_1.recv() => (Signal::USR1, false),
            _ = user_2.recv() => (Signal::USR2, false),
        };
        // What was typed at the terminal has reached the whole group, and the child with it.
        if typed && in_foreground() {
            continue;
        }
        // One that has ended meanwhile is found by `wait`.
        let _ = kill_process(pid, which);
    }
}

/// Whether this process is of the group that the terminal's keys signal.
fn in_foreground() -> bool {
    let group = rustix::process::getpgrp();
    let of = |terminal: rustix::io::Result<Pid>| terminal.is_ok_and(|foreground| foreground == group);
    (std::io::stdin().is_terminal() && of(rustix::termios::tcgetpgrp(std::io::stdin())))
        || (std::io::stderr().is_terminal() && of(rustix::termios::tcgetpgrp(std::io::stderr())))
}

/// The code for the shell.
pub(super) fn code_of(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}
