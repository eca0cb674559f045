//! The options that every command takes.

use std::path::PathBuf;

use clap::Args;

/// Options before or after any command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalOptions {
    /// The connection profile to use
    #[arg(long, short = 'p', global = true, env = "WIGEON_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print no messages except failures
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Say more about what is done; twice for every request
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Trust the certificates of this PEM file, too
    #[arg(long, global = true, env = "WIGEON_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}
