//! `wigeon logout`: give the tokens back to the provider, and forget everything.

use serde_json::json;

use crate::brokered;
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,

    /// Every profile
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let names = if args.all {
        context.store()?.profiles()?
    } else {
        vec![context.profile_name(args.name.as_deref())?]
    };
    let mut done = Vec::new();
    let mut failed = None;
    for name in &names {
        let outcome = forget(context, name).await;
        brokered::forget(context, Some(name)).await;
        match outcome {
            Ok(outcome) => done.push((name.clone(), outcome)),
            Err(failure) => failed = Some(failure),
        }
    }
    let document: Vec<_> = done
        .iter()
        .map(|(name, outcome)| json!({ "profile": name, "was_signed_in": outcome.is_some(), "revoked": outcome.unwrap_or(false) }))
        .collect();
    context.output.result(&document, |_| {
        if done.is_empty() && failed.is_none() {
            return "Nobody was signed in.".to_owned();
        }
        let line = |(name, outcome): &(String, Option<bool>)| match outcome {
            None => format!("Nobody was signed in ({name})."),
            Some(true) => format!("Signed out ({name}). The provider took the tokens back."),
            Some(false) => format!("Signed out ({name})."),
        };
        done.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    match failed {
        None => Ok(()),
        Some(failure) if done.is_empty() => Err(failure),
        Some(failure) => Err(Failure { kind: Kind::Partial, ..failure }),
    }
}

/// Through the profile where it still is there, so that the provider hears of it; else from the store alone.
async fn forget(context: &Context, name: &str) -> Result<Option<bool>, Failure> {
    let session = context
        .stored(Some(name))
        .and_then(|stored| context.settings_of(stored))
        .and_then(|settings| context.session_of(&settings));
    match session {
        Ok(session) => Ok(session.end().await?),
        Err(failure) => match context.store()?.remove(name)? {
            true => Ok(Some(false)),
            false => Err(failure),
        },
    }
}
