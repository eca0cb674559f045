//! `wigeon policy lint`: what policies say that can hardly be meant.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde_json::json;
use wigeon_core::policy::{Document, Finding, Kind as DocumentKind, Policy, lint};

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

/// A finding and where it was made.
struct Found {
    place: String,
    finding: Finding,
}

/// Runs the command. Exit code 1 where there are findings.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let What::Lint(args) = args.what;
    let found = found(&args).await?;
    let data: Vec<_> = found
        .iter()
        .map(|Found { place, finding }| {
            json!({ "policy": place, "statement": finding.statement, "rule": finding.rule.name(), "message": finding.message })
        })
        .collect();
    context.output.result(&data, |_| {
        let line = |Found { place, finding }: &Found| printable(&format!("{place}: {finding}"));
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

async fn found(args: &LintArgs) -> Result<Vec<Found>, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::because(Kind::Error, error);
    let directory = open_directory(args.directory.as_deref(), args.config.as_deref()).await?;
    let snapshot = directory.map(|directory| directory.snapshot());
    let issuers: Option<Vec<&str>> = snapshot
        .as_ref()
        .map(|snapshot| snapshot.providers().map(|provider| provider.url.as_str()).collect());
    let mut found = Vec::new();
    let mut look = |place: String, document: &Document| {
        let findings = lint(document, issuers.as_deref());
        found.extend(findings.into_iter().map(|finding| Found { place: place.clone(), finding }));
    };
    for file in &args.files {
        let place = file.display().to_string();
        let text =
            fs::read_to_string(file).map_err(|error| failed(&error).hint(format!("reading {place}")))?;
        look(
            place.clone(),
            &parse(&text, args.kind).map_err(|error| failed(&error).hint(format!("in {place}")))?,
        );
    }
    match &snapshot {
        Some(snapshot) if args.files.is_empty() => {
            let mut roles: Vec<_> = snapshot.roles().collect();
            roles.sort_by(|one, other| one.name.cmp(&other.name));
            for role in roles {
                look(format!("role `{}`, trust policy", role.name), &role.trust.document);
                for policy in role.policies.iter().chain(&role.boundary) {
                    look(format!("role `{}`, policy `{}`", role.name, policy.name), &policy.document);
                }
            }
            // Policies of groups are their members'; managed ones that nobody has are still somebody's intention.
            let mut users: Vec<_> = snapshot.users().collect();
            users.sort_by(|one, other| one.name.cmp(&other.name));
            for user in users {
                for policy in user.policies.iter().chain(&user.boundary) {
                    look(format!("user `{}`, policy `{}`", user.name, policy.name), &policy.document);
                }
            }
            let account = snapshot.account_in_arns();
            let holders = snapshot.roles().flat_map(|role| role.policies.iter().chain(&role.boundary));
            let of_users = snapshot.users().flat_map(|user| user.policies.iter().chain(&user.boundary));
            let held: HashSet<*const Policy> = holders.chain(of_users).map(Arc::as_ptr).collect();
            for entry in snapshot.entries().policies.values().filter(|entry| !entry.built_in) {
                let policy = snapshot.policy(&entry.arn(account));
                if let Some(policy) = policy.filter(|policy| !held.contains(&Arc::as_ptr(policy))) {
                    look(format!("policy `{}`", entry.name), &policy.document);
                }
            }
        }
        None if args.files.is_empty() => {
            return Err(Failure::usage("name policy documents, or a directory with --directory or --config"));
        }
        _ => {}
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
