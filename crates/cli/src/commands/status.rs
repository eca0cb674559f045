//! `wigeon status`: who is signed in where, as which role, for how long. Nobody is asked: it says what is kept.

use serde_json::{Value, json};
use wigeon_client::secret_store::Place;
use wigeon_client::session::Record;
use wigeon_core::time::Timestamp;

use crate::context::Context;
use crate::errors::{Failure, Kind, sign_in_needed};
use crate::output::printable;
use crate::wording::{clock_time, duration, role_name};

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The profile; by default all
    #[arg(value_name = "PROFILE")]
    name: Option<String>,
}

/// How a sign-in stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// There are credentials that work.
    Valid,
    /// There are none now, and there will be when they are asked for.
    Renewable,
    /// A person has to sign in.
    Needed,
}

impl Standing {
    /// An unattended profile, of a workload or with keys from elsewhere, needs no person.
    fn of(record: Option<&Record>, unattended: bool, now: Timestamp) -> Self {
        let Some(record) = record else { return if unattended { Self::Renewable } else { Self::Needed } };
        let end = record.session.as_ref().map(|session| session.credentials.expires_at);
        match end {
            Some(end) if end.is_none_or(|end| now < end) => Self::Valid,
            _ if unattended || renews(record) || now < record.identity.expires_at => Self::Renewable,
            _ => Self::Needed,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Renewable => "renewable",
            Self::Needed => "sign-in-needed",
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let names = match &args.name {
        Some(name) => vec![name.clone()],
        None => context.shelf()?.names()?,
    };
    let now = context.clock.now();
    let mut lines: Vec<(Value, String, Standing)> = Vec::new();
    let mut damaged = None;
    for name in &names {
        match record_of(context, name) {
            Ok((record, unattended, place)) => {
                let standing = Standing::of(record.as_ref(), unattended, now);
                lines.push((
                    document(name, record.as_ref(), standing, place),
                    sentence(name, record.as_ref(), standing, now),
                    standing,
                ));
            }
            // One that cannot be read does not hide the others.
            Err(failure) if args.name.is_none() => {
                lines.push((
                    json!({ "profile": name, "state": "error", "error": failure.message }),
                    format!("Profile \"{name}\": {}.", failure.message),
                    Standing::Needed,
                ));
                damaged = Some(Failure { kind: Kind::Partial, ..failure });
            }
            Err(failure) => return Err(failure),
        }
    }
    let documents: Vec<_> = lines.iter().map(|(document, ..)| document).collect();
    if let (Some(name), [(document, _, standing)]) = (&args.name, lines.as_slice()) {
        if *standing == Standing::Needed && !context.output.is_json() {
            return Err(sign_in_needed(name));
        }
        context.output.result(document, |_| lines.iter().map(|(_, text, _)| printable(text)).collect())?;
        return if *standing == Standing::Needed { Err(sign_in_needed(name)) } else { Ok(()) };
    }
    context.output.result(&documents, |_| {
        lines.iter().map(|(_, text, _)| printable(text)).collect::<Vec<_>>().join("\n")
    })?;
    if lines.is_empty() {
        context.output.note("There is no connection profile yet. Run: wigeon profile import FILE");
    }
    damaged.map_or(Ok(()), Err)
}

/// What is kept, and whether the profile needs no person.
fn record_of(context: &Context, name: &str) -> Result<(Option<Record>, bool, Option<Place>), Failure> {
    let settings = context.settings_of(context.shelf()?.load(name)?)?;
    let session = context.session_of(&settings)?;
    // A profile that cannot be used is `doctor`'s to explain; here it is one that nobody has signed in to.
    let (record, place) = (session.record()?, context.store()?.place(name)?);
    Ok((record, session.is_unattended().unwrap_or(false), place))
}

/// Whether something is kept that a new session can be had with.
fn renews(record: &Record) -> bool {
    record.refresh_token.is_some() || record.sso.is_some() || record.keys.is_some()
}

/// Until when it renews, where that is known: until the refresh token ends, without one until the ID token does.
fn renews_until(record: &Record) -> Option<Timestamp> {
    if let Some(end) = record.refresh_token_ends_at() {
        return Some(end);
    }
    (record.id_token.is_some() && !renews(record)).then_some(record.identity.expires_at)
}

fn document(name: &str, record: Option<&Record>, standing: Standing, place: Option<Place>) -> Value {
    let session = record.and_then(|record| record.session.as_ref());
    json!({
        "profile": name,
        "state": standing.name(),
        "user": record.map(|record| &record.identity.user),
        "issuer": record.map(|record| &record.identity.issuer),
        "subject": record.map(|record| &record.identity.subject),
        "role": session.and_then(|session| session.role.as_ref()),
        "role_name": record.and_then(role_name),
        "arn": session.and_then(|session| session.arn.as_ref()),
        "expires_at": session.and_then(|session| session.credentials.expires_at),
        "renews": record.is_some_and(renews),
        "renews_until": record.and_then(renews_until),
        "kept": place.map(Place::name),
        "signed_in_at": record.map(|record| record.signed_in_at),
    })
}

/// `Signed in as ada@example.org (lab). Role analyst. Valid 59 min, renews by itself until 18:00.`
fn sentence(name: &str, record: Option<&Record>, standing: Standing, now: Timestamp) -> String {
    if record.is_none() && standing == Standing::Renewable {
        return format!("Profile \"{name}\" needs no person: it signs in when it is used.");
    }
    let (Some(record), Standing::Valid | Standing::Renewable) = (record, standing) else {
        return format!("Sign-in needed for profile \"{name}\". Run: wigeon login {name}");
    };
    let mut text = format!("Signed in as {} ({name}).", record.identity.user);
    if let Some(role) = role_name(record) {
        text.push_str(&format!(" Role {role}."));
    }
    let end = record.session.as_ref().and_then(|session| session.credentials.expires_at);
    let until =
        renews_until(record).map_or_else(String::new, |end| format!(" until {}", clock_time(end, now)));
    let renews = match renews_until(record) {
        // The ID token ends with the session, or before it: there is nothing to renew with.
        Some(until) if !renews(record) && end.is_some_and(|end| until <= end) => String::new(),
        _ => format!("renews by itself{until}"),
    };
    let valid = match (standing, end) {
        (Standing::Valid, Some(end)) => format!("valid {}", duration(end.duration_since(now))),
        (Standing::Valid, None) => "valid".to_owned(),
        _ => "ended".to_owned(),
    };
    let state = [valid, renews].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let mut characters = state.chars();
    let first = characters.next().map_or_else(String::new, |first| first.to_uppercase().collect());
    format!("{text} {first}{}.", characters.as_str())
}
