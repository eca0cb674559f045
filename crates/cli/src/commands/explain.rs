//! `wigeon explain`: why a token, a request or a policy is refused, and what to change.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use wigeon_core::policy::{Context as Keys, Policies, Principal, Request, explain};
use wigeon_server::config::{Config, DirectoryConfig, DirectoryHome};
use wigeon_server::directory::{Directory, Role, Snapshot};
use wigeon_server::explain::{Question, Step, advice, token};
use wigeon_server::serve;
use wigeon_server::trust::Circumstances;
use wigeon_server::verify::Verifier;

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
    /// Walk a token's way: form, issuer, signature, claims, trust policy, session
    Token(TokenArgs),
    /// Say what became of a request, by the id in its answer
    Request(RequestArgs),
    /// Say whether a role may do something, and which statement decides
    Policy(PolicyArgs),
}

/// Where providers, roles and policies stand.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
struct Source {
    /// The server's configuration, which names the directory
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A directory file
    #[arg(long, value_name = "FILE")]
    directory: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
struct TokenArgs {
    /// The file with the token; - for standard input. A token is never an argument: others could see it
    #[arg(value_name = "FILE")]
    token: PathBuf,
    #[command(flatten)]
    source: Source,
    /// The role, by ARN or name
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// The session's name
    #[arg(long, value_name = "NAME", default_value = "explain")]
    session_name: String,
    /// The service of an opaque access token: www.amazon.com or graph.facebook.com
    #[arg(long, value_name = "NAME")]
    provider_id: Option<String>,
    /// A session policy that would be handed in
    #[arg(long, value_name = "FILE", requires = "role")]
    session_policy: Option<PathBuf>,
    /// What the session would do, such as s3:GetObject
    #[arg(long, value_name = "ACTION", requires = "role")]
    action: Option<String>,
    /// With what: an ARN
    #[arg(long, value_name = "ARN", default_value = "*")]
    resource: String,
    /// A condition key of that request and its value; may come several times
    #[arg(long = "key", value_name = "KEY=VALUE")]
    keys: Vec<String>,
}

#[derive(Debug, ClapArgs)]
struct RequestArgs {
    /// The request's id, as in its answer
    #[arg(value_name = "ID")]
    id: String,
    /// The server's configuration, which names the audit file
    #[arg(long, short, value_name = "FILE", required_unless_present = "audit", conflicts_with = "audit")]
    config: Option<PathBuf>,
    /// An audit file
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
struct PolicyArgs {
    #[command(flatten)]
    source: Source,
    /// The role, by ARN or name
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// What is to be done, such as s3:GetObject
    #[arg(long, value_name = "ACTION")]
    action: String,
    /// With what: an ARN
    #[arg(long, value_name = "ARN", default_value = "*")]
    resource: String,
    /// A condition key and its value; may come several times
    #[arg(long = "key", value_name = "KEY=VALUE")]
    keys: Vec<String>,
}

/// Runs the command. Exit code 5 where the answer is no.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.what {
        What::Token(args) => explain_token(args, context).await,
        What::Request(args) => explain_request(&args, context),
        What::Policy(args) => explain_policy(&args, context).await,
    }
}

async fn explain_token(args: TokenArgs, context: &Context) -> Result<(), Failure> {
    let directory = args.source.open().await?;
    let snapshot = directory.snapshot();
    let text = read_token(&args.token)?;
    let role = args.role.as_deref().map(|role| arn_of(&snapshot, role));
    let verifier = Verifier::new(Arc::clone(&context.clock));
    let circumstances =
        Circumstances { now: context.clock.now(), source_ip: None, user_agent: None, secure_transport: true };
    let session_policy = args.session_policy.as_deref().map(read).transpose()?;
    let keys = args.keys.iter().map(|pair| key_value(pair)).collect::<Result<Vec<_>, Failure>>()?;
    let question = Question {
        provider_id: args.provider_id.as_deref(),
        role_arn: role.as_deref(),
        session_name: &args.session_name,
        session_policy: session_policy.as_deref(),
        action: args.action.as_deref(),
        resource: &args.resource,
        keys: &keys,
    };
    let steps = token(&snapshot, &verifier, text.trim(), &question, &circumstances).await;
    let shown: Vec<Value> = steps.iter().map(step_json).collect();
    context.output.result(&shown, |_| steps.iter().map(step_text).collect::<Vec<_>>().join("\n"))?;
    match steps.iter().find(|step| !step.good) {
        None => Ok(()),
        Some(step) => {
            let failure =
                Failure::new(Kind::Denied, format!("the token is refused: {}", printable(&step.found)));
            Err(step.advice.iter().fold(failure, |failure, advice| failure.hint(printable(advice))))
        }
    }
}

fn explain_request(args: &RequestArgs, context: &Context) -> Result<(), Failure> {
    let path = match (&args.audit, &args.config) {
        (Some(path), _) => path.clone(),
        (None, Some(config)) => read_config(config)?.audit.file.map(|file| file.path).ok_or_else(|| {
            Failure::error(format!("`{}` names no audit file", config.display()))
                .hint("add: audit = \"audit.jsonl\"")
        })?,
        (None, None) => return Err(Failure::usage("name a configuration or an audit file")),
    };
    let text = read(&path)?;
    let record = text
        .lines()
        .rev()
        .filter(|line| line.contains(&args.id))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|record| record.get("request_id").and_then(Value::as_str) == Some(&args.id));
    let record = record.ok_or_else(|| {
        Failure::error(format!("there is no request `{}` in `{}`", printable(&args.id), path.display()))
            .hint("the id stands in the answer, as x-amz-request-id")
    })?;
    context.output.result(&record, request_text)
}

fn request_text(record: &Value) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let who = record.get("who").and_then(|who| who.get("principal")).and_then(Value::as_str);
    let status = record.get("status").and_then(Value::as_u64).unwrap_or_default();
    let outcome = match record.get("code").and_then(Value::as_str) {
        Some(code) => format!("{status} {code}"),
        None => format!("{status}, granted"),
    };
    let by = record.get("by").map_or("-".to_owned(), |by| {
        let text = |name: &str| by.get(name).and_then(Value::as_str).unwrap_or("-");
        format!("`{}` of the {} `{}`", text("statement"), text("layer"), text("policy"))
    });
    let lines = [
        ("when", text("time")),
        ("who", who.unwrap_or("nobody that is known").to_owned()),
        ("what", format!("{} {}", text("operation"), text("resource"))),
        ("from", text("source_ip")),
        ("outcome", outcome),
        ("by", by),
        ("why", text("reason")),
    ];
    lines.map(|(name, value)| printable(&format!("{name:9} {value}"))).join("\n")
}

async fn explain_policy(args: &PolicyArgs, context: &Context) -> Result<(), Failure> {
    let snapshot = args.source.open().await?.snapshot();
    let arn = arn_of(&snapshot, &args.role);
    let role: &Arc<Role> = snapshot
        .role(&arn)
        .ok_or_else(|| Failure::error(format!("there is no role `{}`", printable(&args.role))))?;
    let mut keys = Keys::new();
    for pair in &args.keys {
        let (key, value) = key_value(pair)?;
        keys.set(key, value);
    }
    keys.set("aws:PrincipalArn", role.arn.as_str());
    let session = format!("arn:aws:sts::{}:assumed-role/{}/explain", role.arn.account(), role.name);
    let policies =
        Policies { identity: &role.policies, boundary: role.boundary.as_deref(), ..Policies::default() };
    let request = Request {
        principal: Principal::Session {
            account: snapshot.account(),
            role: role.arn.as_str(),
            session: &session,
            provider: None,
        },
        action: &args.action,
        resource: &args.resource,
        account: snapshot.account(),
        context: &keys,
    };
    let explanation = explain(&policies, &request);
    let allowed = explanation.decision.is_allowed();
    let change = (!allowed).then(|| advice(&explanation));
    let data = json!({ "allowed": allowed, "reason": explanation.to_string(), "advice": change });
    context.output.result(&data, |_| printable(&explanation.to_string()))?;
    match change {
        None => Ok(()),
        Some(change) => Err(Failure::new(Kind::Denied, "the request is denied").hint(printable(&change))),
    }
}

fn key_value(pair: &str) -> Result<(&str, &str), Failure> {
    pair.split_once('=').ok_or_else(|| Failure::usage(format!("`{}` is not KEY=VALUE", printable(pair))))
}

impl Source {
    async fn open(&self) -> Result<Directory, Failure> {
        open_directory(self.directory.as_deref(), self.config.as_deref())
            .await?
            .ok_or_else(|| Failure::usage("name a configuration or a directory file"))
    }
}

/// The directory of a file, or the one that a server's configuration names; a database has to be there already.
pub(super) async fn open_directory(
    file: Option<&Path>,
    config: Option<&Path>,
) -> Result<Option<Directory>, Failure> {
    let home = match (file, config) {
        (Some(path), _) => DirectoryConfig::file(path.to_owned()),
        (None, Some(config)) => read_config(config)?.directory,
        (None, None) => return Ok(None),
    };
    if let DirectoryHome::Sqlite(path) = &home.home
        && !path.exists()
    {
        return Err(Failure::error(format!("there is no directory at `{}` yet", path.display())));
    }
    let opened = serve::open_directory(&home).await;
    opened.map(Some).map_err(|error| Failure::because(Kind::Error, &error))
}

fn read_config(path: &Path) -> Result<Config, Failure> {
    Config::read(path).map_err(|error| Failure::because(Kind::Error, &error))
}

/// A role's ARN, or that of a role of the account by its name.
fn arn_of(snapshot: &Snapshot, role: &str) -> String {
    if role.starts_with("arn:") {
        return role.to_owned();
    }
    let named = snapshot.roles().find(|known| known.name.eq_ignore_ascii_case(role));
    named.map_or_else(|| role.to_owned(), |known| known.arn.to_string())
}

fn read_token(path: &Path) -> Result<String, Failure> {
    if path != Path::new("-") {
        return read(path);
    }
    let mut text = String::new();
    let input = std::io::stdin().take(1 << 20).read_to_string(&mut text);
    input.map_err(|error| Failure::because(Kind::Error, &error)).map(|_| text)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        let cause = error.to_string();
        let mut failure = Failure::error(format!("`{}` cannot be read", path.display()));
        failure.causes.push(cause);
        failure
    })
}

fn step_json(step: &Step) -> Value {
    json!({ "step": step.name, "good": step.good, "found": step.found, "advice": step.advice })
}

fn step_text(step: &Step) -> String {
    let mark = if step.good { "ok" } else { "no" };
    printable(&format!("{mark}  {:10} {}", step.name, step.found))
}
