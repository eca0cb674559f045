//! Profiles that an organisation keeps: fetched from an https address or a Git repository, shown before they are
//! trusted, and updated without a silent change of where anything is sent.
//!
//! Refused: http (except from this machine), redirects, files beyond [`SIZE_LIMIT`], and profiles that would run a
//! program or read files of this machine, unless that is allowed by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use inquire::Confirm;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::process::Command;
use url::Url;
use wigeon_client::connect::{self, Connector, is_loopback};
use wigeon_client::durable;
use wigeon_client::profile::{Bookmark, Document, Profile, Settings, Severity, Stored, check, slug};

use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

/// The longest profile that is read, in bytes; icons make real ones long.
const SIZE_LIMIT: usize = 1 << 20;

/// The most profiles of one repository.
const COUNT_LIMIT: usize = 100;

/// Where a profile came from, beside it in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    url: String,
    /// Within a repository.
    path: Option<String>,
    /// What the person has agreed to.
    trusted: BTreeMap<String, String>,
}

/// A profile that was fetched and is not trusted yet.
struct Fetched {
    profile: Profile,
    path: Option<String>,
    suggested: Option<String>,
}

/// What the person allows beforehand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Consent {
    /// Everything that would be shown.
    pub(super) yes: bool,
    /// Programs and files of this machine.
    pub(super) local: bool,
}

/// Installs what an address offers.
pub(super) async fn install(
    context: &Context,
    url: &str,
    path: Option<&str>,
    name: Option<String>,
    consent: Consent,
) -> Result<(), Failure> {
    let fetched = fetch(context, url, path).await?;
    if name.is_some() && fetched.len() > 1 {
        return Err(Failure::usage(format!(
            "there are {} profiles at `{url}`, and --name is for one",
            fetched.len()
        ))
        .hint("choose one with --path FILE"));
    }
    let mut documents = Vec::new();
    for found in fetched {
        let stored = named(context, found.profile, name.clone().or(found.suggested))?;
        let source = Source { url: url.to_owned(), path: found.path, trusted: BTreeMap::new() };
        documents.push(keep(context, stored, source, consent, None)?);
    }
    context.output.result(&documents, |documents| {
        documents.iter().filter_map(|document| document["said"].as_str()).collect::<Vec<_>>().join("\n")
    })
}

/// Fetches again what was installed.
pub(super) async fn update(context: &Context, name: Option<&str>, consent: Consent) -> Result<(), Failure> {
    let shelf = context.shelf()?;
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => shelf
            .names()?
            .into_iter()
            .filter(|name| source_file(context, name).is_ok_and(|file| file.exists()))
            .collect(),
    };
    let mut documents = Vec::new();
    for name in &names {
        let before = shelf.load(name)?;
        let source = read_source(context, name)?;
        let mut fetched = fetch(context, &source.url, source.path.as_deref()).await?;
        let Some(found) = (fetched.len() == 1).then(|| fetched.pop()).flatten() else {
            return Err(Failure::error(format!(
                "`{}` no longer offers the profile `{name}` alone",
                source.url
            )));
        };
        if found.profile == before.profile {
            documents
                .push(json!({ "name": name, "changed": false, "said": format!("{name} is up to date.") }));
            continue;
        }
        let stored = Stored { name: name.clone(), profile: found.profile, bookmark: before.bookmark };
        documents.push(keep(context, stored, source.clone(), consent, Some(&source.trusted))?);
    }
    context.output.result(&documents, |documents| {
        if documents.is_empty() {
            return "No profile was installed from an address.".to_owned();
        }
        documents.iter().filter_map(|document| document["said"].as_str()).collect::<Vec<_>>().join("\n")
    })
}

/// What was kept of a profile's origin goes with it.
pub(super) fn forget(context: &Context, name: &str) -> Result<(), Failure> {
    let file = source_file(context, name)?;
    durable::remove(&file).map(|_| ()).map_err(|error| cannot("remove", &file, &error))
}

/// Shows what would be trusted, asks, and keeps the profile with its origin.
fn keep(
    context: &Context,
    stored: Stored,
    mut source: Source,
    consent: Consent,
    before: Option<&BTreeMap<String, String>>,
) -> Result<serde_json::Value, Failure> {
    let name = stored.name.clone();
    let settings = context.settings_of(stored.clone())?;
    let local = local_powers(&settings);
    if !local.is_empty() && !consent.local {
        return Err(Failure::error(format!(
            "the profile of `{}` would reach into this machine: {}",
            source.url,
            local.join(", ")
        ))
        .hint("if you know why, allow it: --allow-local"));
    }
    source.trusted = trusted(&settings);
    let changed = before.is_none_or(|before| *before != source.trusted);
    if changed {
        context.output.message(&printable(&differences(&name, &source, before)));
        if !consent.yes && !agreed(context)? {
            return Err(Failure::error("nothing was changed"));
        }
    }
    context.shelf()?.save(&stored, before.is_some())?;
    let file = source_file(context, &name)?;
    let text =
        serde_json::to_string_pretty(&source).map_err(|error| Failure::because(Kind::Error, &error))?;
    durable::replace(&file, text.as_bytes()).map_err(|error| cannot("write", &file, &error))?;
    for finding in check(&settings).iter().filter(|finding| finding.severity == Severity::Error) {
        context.output.note(&printable(&format!("{name}: {}", finding.text)));
    }
    let said = match before {
        None => format!("Installed {name}. Sign in: wigeon login {name}"),
        Some(_) if changed => format!("Updated {name}, with what you agreed to."),
        Some(_) => format!("Updated {name}; it trusts what it trusted before."),
    };
    Ok(json!({ "name": name, "changed": true, "url": source.url, "trusts": source.trusted, "said": said }))
}

/// The addresses and names to which tokens and data would go, and who is believed.
fn trusted(settings: &Settings) -> BTreeMap<String, String> {
    let shown = settings.shown().into_iter().filter(|line| !matches!(line.key, "vendor" | "description"));
    // Properties decide about tokens and roles, too; what is not shown by itself is, here.
    let properties = settings.stored().profile.properties().into_iter();
    shown.map(|line| (line.key.to_owned(), line.value)).chain(properties).collect()
}

/// Properties that make this machine run a program, read a file, or believe a certificate.
fn local_powers(settings: &Settings) -> Vec<String> {
    let dictionary = &settings.stored().profile;
    let mut powers = Vec::new();
    for (key, value) in dictionary.properties() {
        let bare = key.rsplit('.').next().unwrap_or(&key);
        // Where a workload's token and access keys come from: a file, a variable, a program.
        let source = matches!(key.as_str(), "wigeon.token" | "wigeon.credentials" | "wigeon.sso_cache");
        if source
            || bare.contains("command")
            || bare.contains("process")
            || bare.ends_with("_file")
            || bare.ends_with("_path")
        {
            powers.push(format!("`{key}` is `{value}`"));
        }
    }
    powers
}

fn differences(name: &str, source: &Source, before: Option<&BTreeMap<String, String>>) -> String {
    let width = source.trusted.keys().map(String::len).max().unwrap_or_default();
    let Some(before) = before else {
        let lines = source.trusted.iter().map(|(key, value)| format!("\n  {key:width$}  {value}"));
        return format!(
            "The profile {name} of {} would trust and use:{}",
            source.url,
            lines.collect::<String>()
        );
    };
    let mut text = format!("The profile {name} of {} has changed what it trusts and uses:", source.url);
    let keys: std::collections::BTreeSet<_> = before.keys().chain(source.trusted.keys()).collect();
    for key in keys {
        let (old, new) = (before.get(key), source.trusted.get(key));
        if old != new {
            let or_none = |value: Option<&String>| value.map_or_else(|| "(none)".to_owned(), Clone::clone);
            text.push_str(&format!("\n  {key:width$}  {} -> {}", or_none(old), or_none(new)));
        }
    }
    text
}

fn agreed(context: &Context) -> Result<bool, Failure> {
    if !(context.environment.stdin_is_terminal && context.environment.stderr_is_terminal) {
        return Err(Failure::usage("nobody can be asked whether to trust this, without a terminal")
            .hint("look at it, then agree beforehand with --yes"));
    }
    Confirm::new("Keep it?")
        .with_default(false)
        .prompt()
        .map_err(|error| Failure::because(Kind::Usage, &error))
}

fn named(context: &Context, profile: Profile, name: Option<String>) -> Result<Stored, Failure> {
    let mut stored = Stored { name: String::new(), profile, bookmark: Bookmark::default() };
    let description = context.settings_of(stored.clone())?.description();
    let candidates = [name.as_deref().and_then(slug), slug(&description), slug(&stored.profile.vendor())];
    stored.name = candidates.into_iter().flatten().next().ok_or_else(|| {
        Failure::usage("nothing in the profile can be made a short name").hint("give one with --name")
    })?;
    Ok(stored)
}

async fn fetch(context: &Context, url: &str, path: Option<&str>) -> Result<Vec<Fetched>, Failure> {
    let address = url.strip_prefix("git+").unwrap_or(url);
    let parsed = Url::parse(address).map_err(|_| {
        Failure::usage(format!("`{url}` is not an address")).hint("a file here: wigeon profile import FILE")
    })?;
    let secure = parsed.scheme() == "https" || (parsed.scheme() == "http" && is_loopback(&parsed));
    let is_git = url.starts_with("git+") || parsed.path().ends_with(".git");
    let over_ssh = is_git && parsed.scheme() == "ssh";
    if !(secure || over_ssh) {
        return Err(Failure::error(format!(
            "`{url}` is not https: anyone on the way could change the profile"
        )));
    }
    if !parsed.username().is_empty() && parsed.scheme() != "ssh" || parsed.password().is_some() {
        return Err(Failure::usage("an address with a password in it is not kept"));
    }
    if is_git {
        return from_repository(address, path).await;
    }
    if path.is_some() {
        return Err(Failure::usage("--path is for a Git repository"));
    }
    let connector = Connector::new(&context.connect_options())?;
    let bytes = download(&connector, &parsed).await?;
    let last = parsed.path_segments().and_then(|mut segments| segments.next_back().map(str::to_owned));
    let stem = last.as_deref().and_then(|file| file.split('.').next()).filter(|stem| !stem.is_empty());
    Ok(vec![Fetched { profile: profile_of(&bytes, url)?, path: None, suggested: stem.map(str::to_owned) }])
}

async fn download(connector: &Connector, url: &Url) -> Result<Vec<u8>, Failure> {
    let failed = |error: &reqwest::Error| {
        let mut failure = Failure::because(Kind::Retry, error);
        failure.message = format!("cannot fetch `{url}`");
        failure
    };
    let answer = connector.request(Method::GET, url).send().await.map_err(|error| failed(&error))?;
    let status = answer.status();
    if status.is_redirection() {
        let target = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
        return Err(Failure::error(format!("`{url}` redirects to `{target}`"))
            .hint("install from there, if that is whom you trust"));
    }
    if !status.is_success() {
        let kind = if status.is_server_error() { Kind::Retry } else { Kind::Error };
        return Err(Failure::new(kind, format!("`{url}` answered with status {}", status.as_u16())));
    }
    connect::body(answer, SIZE_LIMIT).await.map_err(|error| {
        let mut failure = Failure::because(Kind::Error, &error);
        failure.message = format!("cannot fetch `{url}`: {}", failure.message);
        failure
    })
}

/// A shallow clone by the system's `git`, without its hooks, its submodules or questions.
async fn from_repository(url: &str, path: Option<&str>) -> Result<Vec<Fetched>, Failure> {
    let dir = tempfile::tempdir().map_err(|error| cannot("make", Path::new("a directory"), &error))?;
    let checkout = dir.path().join("r");
    let mut done = clone(url, &checkout, true).await?;
    if !done.status.success() && String::from_utf8_lossy(&done.stderr).contains("shallow") {
        // A server of plain files has the whole history or nothing.
        done = clone(url, &checkout, false).await?;
    }
    if !done.status.success() {
        let mut failure = Failure::error(format!("cannot clone `{url}`"));
        let words = String::from_utf8_lossy(&done.stderr);
        failure.causes.extend(words.lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned));
        return Err(failure);
    }
    let files = match path {
        Some(path) => vec![PathBuf::from(path)],
        None => offered(&checkout),
    };
    if files.is_empty() {
        return Err(Failure::error(format!("`{url}` has no profile at its top or in profiles/"))
            .hint("name one with --path FILE"));
    }
    if files.len() > COUNT_LIMIT {
        return Err(Failure::error(format!("`{url}` has {} profiles", files.len()))
            .hint("choose one with --path FILE"));
    }
    files.iter().map(|file| of_checkout(&checkout, file, url)).collect()
}

async fn clone(url: &str, checkout: &Path, shallow: bool) -> Result<std::process::Output, Failure> {
    let mut git = Command::new("git");
    git.args(["-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false", "-c", "core.fsmonitor=false"]);
    git.args(["clone", "--quiet", "--no-tags", "--template="]);
    if shallow {
        git.args(["--depth", "1"]);
    }
    git.arg("--").arg(url).arg(checkout);
    git.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ALLOW_PROTOCOL", "https:http:ssh");
    git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    git.output().await.map_err(|error| {
        cannot("run", Path::new("git"), &error)
            .hint("install git, or give the https address of the profile's file")
    })
}

/// The profiles at the top and in `profiles/`.
fn offered(checkout: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for place in ["", "profiles"] {
        let Ok(entries) = std::fs::read_dir(checkout.join(place)) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let path = PathBuf::from(place).join(entry.file_name());
            let is_profile = path.extension().is_some_and(|kind| kind == "cyberduckprofile")
                || (place == "profiles" && path.extension().is_some_and(|kind| kind == "toml"));
            if is_profile && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn of_checkout(checkout: &Path, file: &Path, url: &str) -> Result<Fetched, Failure> {
    let inside = file.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let whole = checkout.join(file);
    let metadata = std::fs::symlink_metadata(&whole).map_err(|error| cannot("read", file, &error))?;
    if !inside || !metadata.is_file() {
        return Err(Failure::error(format!("`{}` is not a file of `{url}`", file.display())));
    }
    if metadata.len() > SIZE_LIMIT as u64 {
        return Err(Failure::error(format!("`{}` is longer than {SIZE_LIMIT} bytes", file.display())));
    }
    let bytes = std::fs::read(&whole).map_err(|error| cannot("read", file, &error))?;
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let profile = profile_of(&bytes, &format!("{url} {}", file.display()))?;
    Ok(Fetched { profile, path: Some(file.display().to_string()), suggested: stem })
}

fn profile_of(bytes: &[u8], place: &str) -> Result<Profile, Failure> {
    match Document::parse(bytes, place)? {
        // Saved answers are one person's: those of the file's author are not taken.
        Document::Profile(profile, _) => Ok(profile),
        Document::Bookmark(_) => Err(Failure::error(format!("`{place}` is a bookmark, and no profile"))),
    }
}

fn source_file(context: &Context, name: &str) -> Result<PathBuf, Failure> {
    Ok(context.shelf()?.dir().join(format!("{name}.source.json")))
}

fn read_source(context: &Context, name: &str) -> Result<Source, Failure> {
    let file = source_file(context, name)?;
    let text = std::fs::read_to_string(&file).map_err(|_| {
        Failure::error(format!("profile `{name}` was not installed from an address"))
            .hint("one that was imported is replaced by: wigeon profile import FILE --replace")
    })?;
    serde_json::from_str(&text).map_err(|error| Failure::because(Kind::Error, &error))
}

fn cannot(what: &str, file: &Path, error: &std::io::Error) -> Failure {
    let mut failure = Failure::error(format!("cannot {what} `{}`", file.display()));
    failure.causes.push(error.to_string());
    failure
}
