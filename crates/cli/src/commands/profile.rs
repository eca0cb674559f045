//! `wigeon profile`: import, install, list, show, check, export and remove connection profiles.

mod install;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;
use wigeon_client::durable;
use wigeon_client::profile::{Bookmark, Document, Finding, Profile, Settings, Severity, Stored, check, slug};

use self::install::Consent;
use crate::brokered;
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read a .cyberduckprofile, a .duck bookmark or Wigeon's own TOML, and keep it
    Import {
        /// The file; `-` for standard input
        file: PathBuf,
        /// The short name to keep it under
        #[arg(long)]
        name: Option<String>,
        /// Replace a profile of the same name; its saved answers stay
        #[arg(long)]
        replace: bool,
    },
    /// List the profiles
    List {
        /// Only those whose name, description or endpoint has these words
        #[arg(value_name = "TEXT")]
        words: Vec<String>,
    },
    /// Install the profiles that an https address or a Git repository offers
    Install {
        /// https://…, or git+https://…, or https://….git
        #[arg(value_name = "URL")]
        url: String,
        /// The profile's file in the repository; by default all at its top and in profiles/
        #[arg(long, value_name = "FILE")]
        path: Option<String>,
        /// The name to keep it under
        #[arg(long)]
        name: Option<String>,
        /// Agree to what would be shown
        #[arg(long)]
        yes: bool,
        /// Allow it to run programs and read files of this machine
        #[arg(long)]
        allow_local: bool,
    },
    /// Fetch installed profiles again; a change of what they trust is shown first
    Update {
        /// The profile; by default all that were installed
        name: Option<String>,
        /// Agree to what would be shown
        #[arg(long)]
        yes: bool,
        /// Allow them to run programs and read files of this machine
        #[arg(long)]
        allow_local: bool,
    },
    /// Show what a profile comes to, and where each value is from
    Show {
        /// The profile
        name: Option<String>,
    },
    /// Say what of a profile or a file would not work, and what to do
    Check {
        /// A profile, or a file
        name: Option<String>,
    },
    /// Print a profile as TOML or as a property list
    Export {
        /// The profile
        name: Option<String>,
        /// The notation
        #[arg(long, value_enum, default_value_t = Format::Toml)]
        format: Format,
        /// The saved answers alone, as a bookmark (.duck)
        #[arg(long)]
        bookmark: bool,
        /// Write to a file instead of standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Remove a profile, and forget its sign-in
    Remove {
        /// The profile
        name: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Wigeon's TOML
    Toml,
    /// The XML property list (.cyberduckprofile)
    Plist,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.action {
        Action::Import { file, name, replace } => import(context, &file, name, replace),
        Action::List { words } => list(context, &words),
        Action::Install { url, path, name, yes, allow_local } => {
            let consent = Consent { yes, local: allow_local };
            install::install(context, &url, path.as_deref(), name, consent).await
        }
        Action::Update { name, yes, allow_local } => {
            install::update(context, name.as_deref(), Consent { yes, local: allow_local }).await
        }
        Action::Show { name } => show(context, name.as_deref()),
        Action::Check { name } => check_one(context, name.as_deref()),
        Action::Export { name, format, bookmark, output } => {
            export(context, name.as_deref(), format, bookmark, output.as_deref())
        }
        Action::Remove { name } => remove(context, &name).await,
    }
}

/// Reads a file and keeps it under a name.
pub(super) fn import(
    context: &Context,
    file: &Path,
    name: Option<String>,
    replace: bool,
) -> Result<(), Failure> {
    let shelf = context.shelf()?;
    let (profile, bookmark) = match read(file)? {
        Document::Profile(profile, bookmark) => (profile, bookmark),
        Document::Bookmark(bookmark) => (profile_of(context, &bookmark)?, bookmark),
    };
    let title = bookmark.title();
    let mut stored = Stored { name: String::new(), profile, bookmark };
    stored.name = match name {
        Some(name) => name,
        None => {
            let vendor = stored.profile.vendor();
            let description = context.settings_of(stored.clone())?.description();
            let candidates = [title, (vendor != "iterate GmbH").then_some(vendor), Some(description)];
            candidates.into_iter().flatten().find_map(|text| slug(&text)).ok_or_else(|| {
                Failure::usage("nothing in the file can be made a short name").hint("give one with --name")
            })?
        }
    };
    if replace
        && stored.bookmark.is_empty()
        && let Ok(before) = shelf.load(&stored.name)
    {
        stored.bookmark = before.bookmark;
    }
    let path = shelf.save(&stored, replace)?;
    let name = stored.name.clone();
    let settings = context.settings_of(stored)?;
    let findings = check(&settings);
    let document =
        json!({ "name": name, "description": settings.description(), "file": path, "findings": findings });
    context
        .output
        .result(&document, |_| format!("Imported \"{}\" as {name}.", printable(&settings.description())))?;
    let worth_saying: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Note).collect();
    for finding in &worth_saying {
        context.output.note(&line_of(finding));
    }
    if worth_saying.iter().all(|finding| finding.severity != Severity::Error) {
        context.output.note(&format!("Sign in: wigeon login {name}"));
    }
    Ok(())
}

/// The profile that a bookmark belongs to.
fn profile_of(context: &Context, bookmark: &Bookmark) -> Result<Profile, Failure> {
    match bookmark.provider() {
        Some(vendor) => match context.shelf()?.find_vendor(&vendor)? {
            Some(stored) => Ok(stored.profile),
            None if vendor == "iterate GmbH" => Ok(Profile::of_protocol(&bookmark.protocol())),
            None => Err(Failure::error(format!(
                "the bookmark belongs to the profile `{vendor}`, which is not here"
            ))
            .hint("import that profile's .cyberduckprofile first")),
        },
        None => Ok(Profile::of_protocol(&bookmark.protocol())),
    }
}

fn list(context: &Context, words: &[String]) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line {
        name: String,
        description: String,
        endpoint: Option<String>,
        signed_in_as: Option<String>,
    }
    let shelf = context.shelf()?;
    let mut lines = Vec::new();
    let mut damaged = None;
    for name in shelf.names()? {
        let stored = match shelf.load(&name) {
            Ok(stored) => stored,
            Err(error) => {
                damaged = Some(Failure { kind: Kind::Partial, ..error.into() });
                continue;
            }
        };
        let settings = context.settings_of(stored)?;
        if !has_words(&settings, words) {
            continue;
        }
        let signed_in_as = context
            .session_of(&settings)
            .ok()
            .and_then(|session| session.record().ok().flatten())
            .map(|record| record.identity.user);
        lines.push(Line {
            description: settings.description(),
            endpoint: settings.endpoint().ok().map(|endpoint| endpoint.value.to_string()),
            signed_in_as,
            name,
        });
    }
    context.output.result(&lines, |lines| {
        let width = lines.iter().map(|line| line.name.len()).max().unwrap_or_default();
        let mut text = String::new();
        for line in lines {
            let _ = write!(text, "{:width$}  {}", line.name, printable(&line.description));
            if let Some(user) = &line.signed_in_as {
                let _ = write!(text, "  [{}]", printable(user));
            }
            text.push('\n');
        }
        text.trim_end().to_owned()
    })?;
    if lines.is_empty() && !words.is_empty() {
        context.output.note(&format!("No profile has \"{}\".", words.join(" ")));
    } else if lines.is_empty() && damaged.is_none() {
        context.output.note("There is no connection profile yet. Run: wigeon profile import FILE");
    }
    damaged.map_or(Ok(()), Err)
}

/// Whether all words are somewhere in what people know of a profile.
fn has_words(settings: &Settings, words: &[String]) -> bool {
    let endpoint = settings.endpoint().map(|endpoint| endpoint.value.to_string()).unwrap_or_default();
    let vendor = settings.stored().profile.vendor();
    let known = format!("{} {} {vendor} {endpoint}", settings.name(), settings.description()).to_lowercase();
    words.iter().all(|word| known.contains(&word.to_lowercase()))
}

fn show(context: &Context, name: Option<&str>) -> Result<(), Failure> {
    let settings = context.settings_of(context.stored(name)?)?;
    let values = settings.shown();
    let unknown = settings.unknown_keys();
    let document = json!({ "name": settings.name(), "values": values, "unknown": unknown });
    context.output.result(&document, |_| {
        let width = values.iter().map(|value| value.key.len()).max().unwrap_or_default();
        let mut text = String::new();
        for value in &values {
            let shown = printable(&value.value);
            let _ = writeln!(text, "{:width$}  {shown}  ({})", value.key, value.origin);
        }
        if !unknown.is_empty() {
            let keys: Vec<_> = unknown
                .iter()
                .map(|unknown| format!("{} ({})", printable(&unknown.key), unknown.place))
                .collect();
            let _ = writeln!(text, "kept, and not used: {}", keys.join(", "));
        }
        text.trim_end().to_owned()
    })
}

fn check_one(context: &Context, name: Option<&str>) -> Result<(), Failure> {
    let file = name.map(Path::new).filter(|path| path.is_file());
    let stored = match file {
        Some(file) => match read(file)? {
            Document::Profile(profile, bookmark) => {
                Stored { name: file.display().to_string(), profile, bookmark }
            }
            Document::Bookmark(bookmark) => Stored {
                name: file.display().to_string(),
                profile: profile_of(context, &bookmark)?,
                bookmark,
            },
        },
        None => context.stored(name)?,
    };
    let settings = context.settings_of(stored)?;
    let findings = check(&settings);
    let document = json!({ "name": settings.name(), "findings": findings });
    context.output.result(&document, |_| {
        if findings.is_empty() {
            return format!("{}: nothing to object to.", settings.name());
        }
        findings.iter().map(line_of).collect::<Vec<_>>().join("\n")
    })?;
    match findings.iter().filter(|finding| finding.severity == Severity::Error).count() {
        0 => Ok(()),
        _ => Err(Failure::error(format!("profile `{}` cannot be used like this", settings.name()))),
    }
}

fn export(
    context: &Context,
    name: Option<&str>,
    format: Format,
    bookmark: bool,
    output: Option<&Path>,
) -> Result<(), Failure> {
    let stored = context.stored(name)?;
    let cannot =
        |problem: String| Failure::error(format!("profile `{}` cannot be exported: {problem}", stored.name));
    let text = match (format, bookmark) {
        (Format::Toml, false) => Document::Profile(stored.profile.clone(), stored.bookmark.clone()).to_toml(),
        (Format::Toml, true) => Document::Bookmark(stored.bookmark.clone()).to_toml(),
        (Format::Plist, true) => stored.bookmark.to_property_list().map_err(cannot)?,
        (Format::Plist, false) => {
            if !stored.bookmark.is_empty() {
                context
                    .output
                    .note("The saved answers are not part of the property list; --bookmark exports them.");
            }
            stored.profile.to_property_list().map_err(cannot)?
        }
    };
    match output {
        None => context.output.bytes(text.as_bytes()),
        Some(path) => durable::replace(path, text.as_bytes()).map_err(|error| {
            let mut failure = Failure::error(format!("cannot write `{}`", path.display()));
            failure.causes.push(error.to_string());
            failure
        }),
    }
}

async fn remove(context: &Context, name: &str) -> Result<(), Failure> {
    context.shelf()?.remove(name)?;
    install::forget(context, name)?;
    brokered::forget(context, Some(name)).await;
    let had = context.store()?.remove(name)?;
    let document = json!({ "removed": name, "forgot_sign_in": had });
    context.output.result(&document, |_| {
        let forgot = if had { " Its sign-in is forgotten." } else { "" };
        format!("Removed {name}.{forgot}")
    })
}

fn read(file: &Path) -> Result<Document, Failure> {
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let bytes = bytes.map_err(|error| {
        let mut failure = Failure::error(format!("cannot read `{name}`"));
        failure.causes.push(error.to_string());
        failure
    })?;
    Ok(Document::parse(&bytes, &name)?)
}

fn line_of(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let fix = if finding.fix.is_empty() { String::new() } else { format!("\n  fix: {}", finding.fix) };
    printable(&format!("{severity}: {}{fix}", finding.text))
}
