//! The command line of what tools run again and again, and wait for: to know all the other commands, and their options,
//! takes longer than to give credentials from a file.
//!
//! Enters: the arguments. Leaves: the same command that the whole command line would give, or nothing, and then that is
//! asked: for help, for errors, for all other commands.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::args::GlobalOptions;
use crate::commands::{Command, CredentialsArgs};

#[derive(Debug, Parser)]
#[command(name = "wigeon", disable_help_subcommand = true)]
struct Quick {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: QuickCommand,
}

#[derive(Debug, Subcommand)]
enum QuickCommand {
    Credentials(CredentialsArgs),
}

/// Reads the arguments, the program's name first.
pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Option<(GlobalOptions, Command)> {
    let arguments: Vec<OsString> = arguments.collect();
    if !arguments.iter().any(|argument| argument == "credentials") {
        return None;
    }
    let Quick { global, command: QuickCommand::Credentials(args) } = Quick::try_parse_from(arguments).ok()?;
    Some((global, Command::Credentials(args)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;

    #[test]
    fn it_says_what_the_whole_command_line_says() {
        for line in [
            "credentials",
            "credentials lab",
            "credentials --format process lab",
            "--profile lab credentials --json",
            "-vv credentials lab --format=env",
            "-p credentials credentials",
            "--ca-file /ca.pem credentials -q lab",
        ] {
            let arguments = || std::iter::once("wigeon").chain(line.split(' ')).map(OsString::from);
            let whole = Cli::try_parse_from(arguments()).unwrap();
            let quick = read(arguments()).unwrap();
            assert_eq!(format!("{quick:?}"), format!("{:?}", (whole.global, whole.command)), "{line}");
        }
    }

    #[test]
    fn everything_else_is_left_to_it() {
        for line in [
            "",
            "ls",
            "ls credentials",
            "credentials --help",
            "credentials --format nothing",
            "credentials a b",
        ] {
            let arguments = std::iter::once("wigeon").chain(line.split(' ')).map(OsString::from);
            assert!(read(arguments).is_none(), "{line}");
        }
    }
}
