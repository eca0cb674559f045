//! `wigeon policy lint`: what policies say that can hardly be meant.

use std::fs;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde_json::json;
use wigeon_core::policy::{Document, Kind as DocumentKind, lint};
use wigeon_server::suspicions::{Suspicion, suspicions};

use super::explain::open_directory;
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

/// What the command line says.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Find what can never match, and doors that stand open
    Lint(LintArgs),
}

#[derive(Debug, ClapArgs)]
struct LintArgs {
    /// Policy documents (JSON); without any, all policies of the directory
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The server's configuration, which names the directory
    #[arg(long, short, value_name = "FILE", conflicts_with = "directory")]
    config: Option<PathBuf>,
    /// A directory file: its policies, and the issuers that keys may name
    #[arg(long, value_name = "FILE")]
    directory: Option<PathBuf>,
    /// What the files are; a document with principals and without resources is taken for a trust policy
    #[arg(long, value_enum)]
    kind: Option<FileKind>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FileKind {
    /// What a role may do
    Permissions,
    /// Who may assume a role
    Trust,
    /// A bucket's policy
    Bucket,
}

/// Runs the command. Exit code 1 where there are findings.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let What::Lint(args) = args.what;
    let found = found(&args).await?;
    let data: Vec<_> = found
        .iter()
        .map(|Suspicion { place, finding }| {
            json!({ "policy": place, "statement": finding.statement, "rule": finding.rule.name(), "message": finding.message })
        })
        .collect();
    context.output.result(&data, |_| {
        let line = |Suspicion { place, finding }: &Suspicion| printable(&format!("{place}: {finding}"));
        found.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    match found.len() {
        0 => {
            context.output.note("Nothing found.");
            Ok(())
        }
        1 => Err(Failure::error("1 finding")),
        count => Err(Failure::error(format!("{count} findings"))),
    }
}

async fn found(args: &LintArgs) -> Result<Vec<Suspicion>, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::because(Kind::Error, error);
    let directory = open_directory(args.directory.as_deref(), args.config.as_deref()).await?;
    let snapshot = directory.map(|directory| directory.snapshot());
    if let Some(snapshot) = snapshot.as_ref().filter(|_| args.files.is_empty()) {
        return Ok(suspicions(snapshot));
    }
    if args.files.is_empty() {
        return Err(Failure::usage("name policy documents, or a directory with --directory or --config"));
    }
    let issuers: Option<Vec<&str>> = snapshot
        .as_ref()
        .map(|snapshot| snapshot.providers().map(|provider| provider.url.as_str()).collect());
    let mut found = Vec::new();
    for file in &args.files {
        let place = file.display().to_string();
        let text =
            fs::read_to_string(file).map_err(|error| failed(&error).hint(format!("reading {place}")))?;
        let document = parse(&text, args.kind).map_err(|error| failed(&error).hint(format!("in {place}")))?;
        let findings = lint(&document, issuers.as_deref()).into_iter();
        found.extend(findings.map(|finding| Suspicion { place: place.clone(), finding }));
    }
    Ok(found)
}

fn parse(text: &str, kind: Option<FileKind>) -> Result<Document, wigeon_core::policy::DocumentError> {
    match kind {
        Some(FileKind::Permissions) => Document::parse(text, DocumentKind::Identity),
        Some(FileKind::Trust) => Document::parse(text, DocumentKind::Trust),
        Some(FileKind::Bucket) => Document::parse(text, DocumentKind::Resource),
        None if !text.contains("Principal\"") => Document::parse(text, DocumentKind::Identity),
        None if !text.contains("Resource\"") => Document::parse(text, DocumentKind::Trust),
        None => Document::parse(text, DocumentKind::Resource),
    }
}
