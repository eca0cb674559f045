//! `wigeon explain`: why a token, a request or a policy is refused, and what to change.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use wigeon_core::policy::Context as Keys;
use wigeon_core::s3::BucketName;
use wigeon_server::backend::protocol::access;
use wigeon_server::bucket::{BucketAccess, BucketPolicy, PublicAccessBlock};
use wigeon_server::config::{Config, DirectoryConfig, DirectoryHome};
use wigeon_server::directory::{Directory, Role, Snapshot};
use wigeon_server::explain::request::{Recorded, request};
use wigeon_server::explain::standing::{Asked, Standing};
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
    /// A directory file, by which the request is decided anew
    #[arg(long, value_name = "FILE", requires = "audit")]
    directory: Option<PathBuf>,
    /// A condition key that the record does not hold, and its value; may come several times
    #[arg(long = "key", value_name = "KEY=VALUE")]
    keys: Vec<String>,
}

#[derive(Debug, ClapArgs)]
struct PolicyArgs {
    #[command(flatten)]
    source: Source,
    /// The role, by ARN or name
    #[arg(long, value_name = "ROLE", required_unless_present = "anonymous", conflicts_with = "anonymous")]
    role: Option<String>,
    /// Ask for whoever does not sign
    #[arg(long)]
    anonymous: bool,
    /// The bucket's policy, in place of the one that the server of the configuration has
    #[arg(long, value_name = "FILE")]
    bucket_policy: Option<PathBuf>,
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
        What::Request(args) => explain_request(&args, context).await,
        What::Policy(args) => explain_policy(&args, context).await,
    }
}

async fn explain_token(args: TokenArgs, context: &Context) -> Result<(), Failure> {
    let directory = args.source.open().await?;
    let snapshot = directory.snapshot();
    let text = read_token(&args.token)?;
    let role = args.role.as_deref().map(|role| arn_of(&snapshot, role));
    let verifier = Verifier::new(Arc::clone(&context.clock));
    let circumstances = Circumstances {
        now: context.clock.now(),
        source_ip: None,
        user_agent: None,
        secure_transport: true,
        region: None,
    };
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

async fn explain_request(args: &RequestArgs, context: &Context) -> Result<(), Failure> {
    let config = args.config.as_deref().map(read_config).transpose()?;
    let path = match (&args.audit, &config) {
        (Some(path), _) => path.clone(),
        (None, Some(config)) => {
            config.audit.file.as_ref().map(|file| file.path.clone()).ok_or_else(|| {
                Failure::error("the configuration names no audit file").hint("add: audit = \"audit.jsonl\"")
            })?
        }
        (None, None) => return Err(Failure::usage("name a configuration or an audit file")),
    };
    let mut record = find_record(&path, &args.id)?;
    let keys = args.keys.iter().map(|pair| key_value(pair)).collect::<Result<Vec<_>, Failure>>()?;
    let recorded: Recorded =
        serde_json::from_value(record.clone()).map_err(|error| Failure::because(Kind::Error, &error))?;
    // The record is worth showing even where the directory is away.
    let directory = open_directory(args.directory.as_deref(), args.config.as_deref()).await;
    let directory = directory.unwrap_or_else(|failure| {
        context.output.note(&format!("The request is not decided anew: {}.", failure.message));
        None
    });
    if let Some(directory) = directory {
        let access = match (&config, recorded.bucket()) {
            (Some(config), Some(bucket)) => Some(access_at(&config.data, bucket)?),
            _ => None,
        };
        let now = context.clock.now();
        let steps = request(&directory.snapshot(), &recorded, access.as_ref(), &keys, now);
        if let Some(record) = record.as_object_mut() {
            record.insert("now".to_owned(), steps.iter().map(step_json).collect());
        }
    }
    context.output.result(&record, request_text)
}

/// The record of a request, in the audit file or in one that was put aside.
fn find_record(path: &Path, id: &str) -> Result<Value, Failure> {
    let aside = (1..).map(|number| PathBuf::from(format!("{}.{number}", path.display())));
    let files = std::iter::once(path.to_owned()).chain(aside.take_while(|path| path.exists()));
    for file in files {
        let text = read(&file)?;
        let record = text
            .lines()
            .rev()
            .filter(|line| line.contains(id))
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|record| record.get("request_id").and_then(Value::as_str) == Some(id));
        if let Some(record) = record {
            return Ok(record);
        }
    }
    Err(Failure::error(format!("there is no request `{}` in `{}`", printable(id), path.display()))
        .hint("the id stands in the answer, as x-amz-request-id"))
}

/// What a bucket of the local store under `data` says of its use; a server may have it open.
fn access_at(data: &Path, bucket: &str) -> Result<BucketAccess, Failure> {
    let Ok(bucket) = BucketName::parse_existing(bucket) else { return Ok(BucketAccess::default()) };
    access::beside(&data.join("store"), &bucket).map_err(|error| Failure::because(Kind::Error, &error))
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
    let lines = lines.map(|(name, value)| printable(&format!("{name:9} {value}")));
    let now = record.get("now").and_then(Value::as_array).into_iter().flatten().map(now_text);
    lines.into_iter().chain(now).collect::<Vec<_>>().join("\n")
}

/// What would become of it now, step by step.
fn now_text(step: &Value) -> String {
    let text = |name: &str| step.get(name).and_then(Value::as_str);
    let mark = if step.get("good").and_then(Value::as_bool) == Some(true) { "ok" } else { "no" };
    let found = text("found").unwrap_or_default();
    let advice = text("advice").map(|advice| format!("; {advice}")).unwrap_or_default();
    printable(&format!("{:9} {mark}  {:10} {found}{advice}", "now", text("step").unwrap_or_default()))
}

async fn explain_policy(args: &PolicyArgs, context: &Context) -> Result<(), Failure> {
    let snapshot = args.source.open().await?.snapshot();
    let role = args.role.as_deref().map(|name| role_of(&snapshot, name)).transpose()?;
    let standing = match &role {
        Some(role) => Standing::Session { role, name: "explain", provider: None, subject: None },
        None => Standing::Public,
    };
    let mut keys = Keys::new();
    for pair in &args.keys {
        let (key, value) = key_value(pair)?;
        keys.set(key, value);
    }
    standing.enter_keys(snapshot.account(), &mut keys);
    let access = bucket_access(args)?;
    let asked = Asked { action: &args.action, resource: &args.resource, access: access.as_ref() };
    let explanation = standing.explain(snapshot.account(), &asked, &keys);
    let allowed = explanation.decision.is_allowed();
    let change = (!allowed).then(|| advice(&explanation));
    let data = json!({ "allowed": allowed, "reason": explanation.to_string(), "advice": change });
    context.output.result(&data, |_| printable(&explanation.to_string()))?;
    match change {
        None => Ok(()),
        Some(change) => Err(Failure::new(Kind::Denied, "the request is denied").hint(printable(&change))),
    }
}

fn role_of(snapshot: &Snapshot, name: &str) -> Result<Arc<Role>, Failure> {
    let role = snapshot.role(&arn_of(snapshot, name)).cloned();
    role.ok_or_else(|| Failure::error(format!("there is no role `{}`", printable(name))))
}

/// What the bucket of the resource says: as a file says it, or the store of the configuration's server.
fn bucket_access(args: &PolicyArgs) -> Result<Option<BucketAccess>, Failure> {
    let path = args.resource.strip_prefix("arn:aws:s3:::").unwrap_or_default();
    let bucket = path.split('/').next().unwrap_or_default();
    let Some(file) = &args.bucket_policy else {
        let config = args.source.config.as_deref().filter(|_| !bucket.is_empty());
        return config.map(|config| access_at(&read_config(config)?.data, bucket)).transpose();
    };
    let refused = |error: &(dyn std::error::Error + 'static)| {
        Failure::because(Kind::Usage, error).hint("a bucket policy is about the bucket of --resource")
    };
    let bucket = BucketName::parse_existing(bucket).map_err(|error| refused(&error))?;
    let policy = BucketPolicy::parse(&bucket, &read(file)?).map_err(|error| refused(&error))?;
    Ok(Some(BucketAccess { policy: Some(Arc::new(policy)), block: PublicAccessBlock::NONE, tags: None }))
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
