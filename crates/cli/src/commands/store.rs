//! `wigeon store`: the server's local store, checked from outside and repaired.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use wigeon_server::backend::local::inspect::{Inspection, inspect};
use wigeon_server::backend::local::repair::Repaired;
use wigeon_server::backend::local::verify::{Affected, Depth};
use wigeon_server::backend::local::{Options, Store};
use wigeon_server::config::Config;

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// Check and repair the server's local store.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Compare the store's index with its files; changes nothing unless told to repair
    Verify {
        /// The server's configuration file
        #[arg(long, short, value_name = "FILE", required_unless_present = "directory")]
        config: Option<PathBuf>,

        /// The store's own directory, instead of a configuration file
        #[arg(value_name = "DIRECTORY", conflicts_with = "config")]
        directory: Option<PathBuf>,

        /// Read every byte, and compare it with the digest that was stored with it
        #[arg(long)]
        content: bool,

        /// Mend what can be mended without losing data; no server may have the store open
        #[arg(long)]
        repair: bool,
    },
}

#[derive(Serialize)]
struct Verified {
    directory: String,
    in_use: bool,
    objects: u64,
    versions: u64,
    contents: u64,
    in_flight: usize,
    to_unlink: u64,
    damage: Vec<String>,
    affected: Vec<Lost>,
    orphans: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<Mended>,
}

#[derive(Serialize)]
struct Lost {
    bucket: String,
    key: String,
    which: String,
}

#[derive(Serialize)]
struct Mended {
    reference_counts: usize,
    unreferenced_contents: usize,
    unreferenced_files: usize,
    version_orders: usize,
    bucket_counts: usize,
}

/// Looks, repairs if told to, and looks again.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let Command::Verify { config, directory, content, repair } = args.command;
    let directory = match (directory, config) {
        (Some(directory), _) => directory,
        (None, Some(config)) => Config::read(&config).map_err(|error| failed(&error))?.data.join("store"),
        (None, None) => return Err(Failure::usage("name the configuration file or the store's directory")),
    };
    let depth = if content { Depth::Digests } else { Depth::Sizes };
    let repaired = match repair {
        true => Some(mend(&directory, depth, context).await?),
        false => None,
    };
    let seen = look(directory.clone(), depth).await?;
    let verified = Verified::of(&directory, seen, repaired);
    context.output.result(&verified, Verified::text)?;
    match (verified.damage.len(), verified.orphans.len()) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::error("the store keeps files that nothing refers to")
            .hint("stop the server, then: wigeon store verify --repair")),
        (_, _) if repair => {
            Err(Failure::error("the store is damaged, and what is left cannot be mended from within")
                .hint("bring the objects above back from a backup, or delete them"))
        }
        _ => Err(Failure::error("the store is damaged")
            .hint("stop the server, then: wigeon store verify --repair")),
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::because(Kind::Error, error)
}

async fn look(directory: PathBuf, depth: Depth) -> Result<Inspection, Failure> {
    let looking = tokio::task::spawn_blocking(move || inspect(&directory, depth)).await;
    looking.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

/// Opening the store finishes what a crash interrupted and brings an older format forward; closing it unlinks.
async fn mend(directory: &Path, depth: Depth, context: &Context) -> Result<Repaired, Failure> {
    if !directory.join("lock").exists() {
        return Err(Failure::error(format!("there is no store in `{}`", directory.display())));
    }
    let store =
        Store::open(directory, Options::new(Arc::clone(&context.clock))).map_err(|error| failed(&error))?;
    let report = store.verify(depth).await.map_err(|error| failed(&error))?;
    store.repair(&report).await.map_err(|error| failed(&error))
}

impl Verified {
    fn of(directory: &Path, seen: Inspection, repaired: Option<Repaired>) -> Self {
        let lost = |Affected { bucket, key, which }| Lost { bucket, key, which };
        Self {
            directory: directory.display().to_string(),
            in_use: seen.in_use,
            objects: seen.report.objects,
            versions: seen.report.versions,
            contents: seen.report.contents,
            in_flight: seen.in_flight,
            to_unlink: seen.to_unlink,
            damage: seen.report.damage.iter().map(ToString::to_string).collect(),
            affected: seen.report.affected.into_iter().map(lost).collect(),
            orphans: seen.report.orphans,
            repaired: repaired.map(|done| Mended {
                reference_counts: done.counts,
                unreferenced_contents: done.contents,
                unreferenced_files: done.files,
                version_orders: done.keys,
                bucket_counts: done.buckets,
            }),
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!(
            "{}: {} objects, {} older versions and delete markers, {} contents{}",
            self.directory,
            self.objects,
            self.versions,
            self.contents,
            if self.in_use { "; in use by a server" } else { "" }
        )];
        if let Some(done) = &self.repaired {
            lines.push(format!(
                "repaired: {} reference counts, {} unreferenced contents, {} unreferenced files, {} keys with versions out of order, {} buckets' counts",
                done.reference_counts,
                done.unreferenced_contents,
                done.unreferenced_files,
                done.version_orders,
                done.bucket_counts
            ));
        }
        if self.in_flight > 0 || self.to_unlink > 0 {
            lines.push(format!(
                "in flight: {} files being written or left by an interrupted server, {} to unlink; opening the store sees to them",
                self.in_flight, self.to_unlink
            ));
        }
        lines.extend(self.damage.iter().map(|damage| format!("damaged: {damage}")));
        for Lost { bucket, key, which } in &self.affected {
            lines.push(format!("  lost: {bucket}/{key} ({which})"));
        }
        lines.extend(self.orphans.iter().map(|name| format!("unreferenced: content file {name}")));
        if self.damage.is_empty() && self.orphans.is_empty() {
            lines.push("nothing is wrong".to_owned());
        }
        lines.join("\n")
    }
}
