//! Completions: the shell asks this program, which knows profiles, buckets and keys.
//!
//! Enters: a word that is being typed. Leaves: how it may go on. It never asks anyone a question, never signs in, and
//! gives up after two seconds: whoever waits at a prompt waits for nothing else.

use std::ffi::OsStr;
use std::time::Duration;

use clap::{Arg, Command};
use clap_complete::ArgValueCompleter;
use clap_complete::engine::{CompletionCandidate, ValueCompleter as _};
use futures_util::TryStreamExt as _;
use wigeon_client::s3::{Client, Entry, ListQuery};

use crate::args::GlobalOptions;
use crate::commands::objects::address::StorePlace;
use crate::commands::objects::store;
use crate::context::Context;
use crate::environment::Environment;
use crate::output::Output;

const PATIENCE: Duration = Duration::from_secs(2);

/// The most keys that are offered.
const MOST: usize = 200;

/// The command line, with what can be asked about its words.
pub(crate) fn command(command: Command) -> Command {
    let command = command.mut_args(argument);
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, self::command))
}

/// Words are known by what the help calls them.
fn argument(argument: Arg) -> Arg {
    let called = argument.get_value_names().and_then(<[_]>::first).map(|name| name.as_str().to_owned());
    match called.as_deref() {
        Some("PROFILE") => argument.add(ArgValueCompleter::new(profiles)),
        Some("NAME") if matches!(argument.get_id().as_str(), "profile" | "name") => {
            argument.add(ArgValueCompleter::new(profiles))
        }
        Some("ADDRESS" | "SOURCE" | "TARGET" | "BUCKET" | "FROM" | "TO") => {
            argument.add(ArgValueCompleter::new(addresses))
        }
        _ => argument,
    }
}

fn profiles(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(current), Some(context)) = (current.to_str(), context(None)) else { return Vec::new() };
    let names = context.shelf().and_then(|shelf| Ok(shelf.names()?)).unwrap_or_default();
    let described = |name: String| {
        let description = context
            .shelf()
            .ok()
            .and_then(|shelf| context.settings_of(shelf.load(&name).ok()?).ok())
            .map(|settings| crate::output::printable(&settings.description()).into());
        CompletionCandidate::new(name).help(description)
    };
    names.into_iter().filter(|name| name.starts_with(current)).map(described).collect()
}

/// `s3://BUCKET/KEY`, `PROFILE:BUCKET/KEY`, and files.
fn addresses(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(text) = current.to_str() else { return Vec::new() };
    let mut candidates = Vec::new();
    // A bucket's name that is being typed is not one yet.
    let whole = if key_of(text).is_some() { text } else { text.strip_suffix(rest_of(text)).unwrap_or(text) };
    if let Some(place) = StorePlace::parse(whole).ok().filter(|_| text.contains(':')) {
        candidates.extend(within(&place, text));
        return candidates;
    }
    if "s3://".starts_with(text) {
        candidates.push(CompletionCandidate::new("s3://"));
    }
    for name in profiles(current) {
        let mut value = name.get_value().to_owned();
        value.push(":");
        candidates.push(CompletionCandidate::new(value).help(name.get_help().cloned()));
    }
    candidates.extend(clap_complete::PathCompleter::any().complete(current));
    candidates
}

fn within(place: &StorePlace, text: &str) -> Vec<CompletionCandidate> {
    let Some(context) = context(place.profile.clone()) else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let found = runtime.block_on(async {
        let client = store::open(&context, place).ok()?;
        tokio::time::timeout(PATIENCE, names(&client, place, text)).await.ok().flatten()
    });
    // What stands before the part that is completed: `s3://`, or `s3://BUCKET/`.
    let part = key_of(text).unwrap_or_else(|| rest_of(text));
    let base = text.strip_suffix(part).unwrap_or(text);
    found
        .unwrap_or_default()
        .into_iter()
        .map(|name| CompletionCandidate::new(format!("{base}{name}")))
        .collect()
}

/// The address behind `s3://` or `PROFILE:`.
fn rest_of(text: &str) -> &str {
    text.strip_prefix("s3://").or_else(|| Some(text.split_once(':')?.1)).unwrap_or(text)
}

/// The key, once the bucket is finished with a slash.
fn key_of(text: &str) -> Option<&str> {
    rest_of(text).split_once('/').map(|(_, key)| key)
}

/// Buckets while no bucket is finished, then keys, one level at a time.
async fn names(client: &Client, place: &StorePlace, text: &str) -> Option<Vec<String>> {
    if key_of(text).is_none() {
        let typed = rest_of(text);
        let buckets = client.list_buckets().await.ok()?;
        return Some(
            buckets
                .into_iter()
                .map(|bucket| format!("{}/", bucket.name))
                .filter(|name| name.starts_with(typed))
                .collect(),
        );
    }
    let query =
        ListQuery { prefix: place.key.clone(), delimiter: Some("/".to_owned()), ..ListQuery::default() };
    let mut entries = client.list(place.bucket.as_ref()?, query);
    let mut names = Vec::new();
    while let Some(entry) = entries.try_next().await.ok()? {
        names.push(match entry {
            Entry::Prefix(prefix) => prefix,
            Entry::Item(object) => object.key,
        });
        if names.len() == MOST {
            break;
        }
    }
    // What would drive the terminal cannot be typed either.
    names.retain(|name| !name.chars().any(char::is_control));
    Some(names)
}

/// The surroundings, with the profile that is named, or the one in use. An agent's or a kept session serves; nothing
/// is said to the person.
fn context(profile: Option<String>) -> Option<Context> {
    let environment = Environment::of_process();
    let options = GlobalOptions {
        profile: profile.or_else(|| environment.variable("WIGEON_PROFILE").map(str::to_owned)),
        json: false,
        quiet: true,
        verbose: 0,
        ca_file: environment.variable("WIGEON_CA_FILE").map(Into::into),
    };
    let output = Output::of_process(&environment, false, true, false);
    Some(Context::new(options, environment, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_fall_apart_where_they_are_completed() {
        for (text, rest, key) in [
            ("s3://", "", None),
            ("s3://sh", "sh", None),
            ("s3://shared/", "shared/", Some("")),
            ("s3://shared/a/b", "shared/a/b", Some("a/b")),
            ("lab:shared/a", "shared/a", Some("a")),
        ] {
            assert_eq!((rest_of(text), key_of(text)), (rest, key), "{text}");
        }
    }
}
