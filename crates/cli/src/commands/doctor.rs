//! `wigeon doctor`: what stands between a profile and a first listing, step by step, each failure in the words of
//! whoever refused, with what to do.
//!
//! Steps that need one that failed are left out. Nothing is changed but the session, which is renewed once.

mod probes;

use serde_json::json;
use wigeon_client::profile::{Flow, Severity, check};
use wigeon_client::secret_store::Prepared;

use self::probes::Probes;
use super::findings::{Findings, State};
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,
}

/// Where the sign-in is, or would be, and whether it can be kept there.
fn place(context: &Context, name: &str, findings: &mut Findings) -> Result<(), Failure> {
    match context.store()?.prepare(name) {
        Ok(Prepared { place, passed_over: None }) => {
            findings.ok("secrets", format!("kept {}", place.words()));
        }
        Ok(Prepared { place, passed_over: Some(why) }) => {
            findings.ok("secrets", format!("kept {}: {why}", place.words()));
        }
        Err(error) => findings.failed("secrets", &error.into(), ""),
    }
    Ok(())
}

/// Runs the command. Exit code 1 where something fails, 4 where only the sign-in is missing.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let settings = context.settings_of(context.stored(args.name.as_deref())?)?;
    let mut findings = Findings::default();
    let objections: Vec<_> =
        check(&settings).into_iter().filter(|finding| finding.severity != Severity::Note).collect();
    for finding in &objections {
        let state = if finding.severity == Severity::Error { State::Failed } else { State::Warning };
        findings.add("profile", state, &finding.text, &[], &finding.fix);
    }
    if objections.is_empty() {
        findings.ok("profile", format!("{}: nothing to object to", settings.description()));
    }
    place(context, settings.name(), &mut findings)?;
    let by_person = matches!(settings.flow().value, Flow::AuthorizationCode | Flow::PasswordGrant);
    if let Some(probes) = Probes::new(context, &settings, &mut findings) {
        if by_person && let Some(provider) = probes.discovery(&mut findings).await {
            probes.redirect(context, &mut findings).await;
            probes.client(&provider, &mut findings).await;
        }
        probes.endpoints(&mut findings).await;
        if probes.token(&mut findings) && probes.exchange(&mut findings).await {
            probes.caller(&mut findings).await;
            probes.listing(context, &mut findings).await;
        }
    }
    let document =
        json!({ "profile": settings.name(), "healthy": findings.healthy(), "checks": findings.documents() });
    context.output.result(&document, |_| printable(&findings.text()))?;
    match findings.worst() {
        State::Ok | State::Warning => Ok(()),
        State::Missing => Err(crate::errors::sign_in_needed(settings.name())),
        State::Failed => {
            Err(Failure::new(Kind::Error, format!("profile `{}` does not work", settings.name())))
        }
    }
}
