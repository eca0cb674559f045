//! `wigeon keys`: the keys that seal sessions, listed and rotated while servers run.

use std::path::PathBuf;

use serde::Serialize;
use wigeon_core::time::{SignedDuration, iso8601};
use wigeon_server::config::Config;
use wigeon_server::issue::{KeyRing, RingEntry};

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// List and rotate the keys that seal sessions.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show which keys there are, and which one issues
    List {
        /// The server's configuration file
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
    },
    /// Add a key, which issues sessions after a while; the others are still accepted
    Rotate {
        /// The server's configuration file
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,

        /// How long the new key only opens sessions, so that every node has it before one issues with it
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        after: u32,

        /// How many keys stay; the oldest go, and every session that they sealed ends
        #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
        keep: u8,
    },
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    created_at: &'a str,
    issues_from: Option<String>,
    issues: bool,
}

/// Reads the ring, or writes it anew; running servers look at it every second.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::because(Kind::Error, error);
    let now = context.clock.now();
    let (Command::List { config } | Command::Rotate { config, .. }) = &args.command;
    let path = Config::read(config).map_err(|error| failed(&error))?.session_keys;
    let mut ring = KeyRing::open(&path, now).map_err(|error| failed(&error))?;
    if let Command::Rotate { after, keep, .. } = args.command {
        let wait = SignedDuration::from_secs(after.into());
        ring.rotate(&path, keep.into(), now, wait).map_err(|error| failed(&error))?;
        context.output.note(&format!(
            "The new key issues sessions in {after} seconds. Nodes with a file of their own need this one before."
        ));
    }
    let entries: Vec<RingEntry> = ring.entries().collect();
    let rows: Vec<Row<'_>> = entries.iter().map(Row::of).collect();
    context.output.result(&rows, |rows| {
        let line = |row: &Row<'_>| {
            let state = match (&row.issues_from, row.issues) {
                (_, true) => "issues".to_owned(),
                (Some(from), false) => format!("issues from {from}"),
                (None, false) => "accepted".to_owned(),
            };
            format!("{}  made {}  {state}", row.id, row.created_at)
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

impl<'a> Row<'a> {
    fn of(entry: &'a RingEntry) -> Self {
        let issues_from = entry.issues_from.map(iso8601);
        Self { id: &entry.id, created_at: &entry.created_at, issues_from, issues: entry.issues }
    }
}
