//! `wigeon token`: what the ID token of a sign-in says. The token itself is only printed with `--raw`.

use serde_json::{Value, json};
use wigeon_core::jwt::UnverifiedToken;
use wigeon_core::time::{Timestamp, iso8601};

use crate::brokered;
use crate::context::Context;
use crate::errors::{Failure, Kind, sign_in_needed};
use crate::output::printable;
use crate::wording::duration;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,

    /// Print the token itself: whoever has it can sign in as you until it ends
    #[arg(long)]
    raw: bool,

    /// Renew the session first, and the token where it has ended
    #[arg(long)]
    fresh: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let settings = context.settings_of(context.stored(args.name.as_deref())?)?;
    let session = context.session_of(&settings)?;
    if args.fresh {
        let credentials = session.credentials().await?;
        session.instead_of(&credentials).await?;
        brokered::forget(context, Some(session.profile())).await;
    }
    let record = session.record()?.ok_or_else(|| sign_in_needed(session.profile()))?;
    let Some(id_token) = &record.id_token else {
        return Err(Failure::error(format!(
            "the sign-in of profile `{}` has no ID token",
            session.profile()
        )));
    };
    let now = context.clock.now();
    if args.raw {
        if record.identity.expires_at <= now {
            context.output.note("This token has ended. A new one: wigeon token --raw --fresh");
        }
        return context.output.line(id_token.expose());
    }
    let token =
        UnverifiedToken::parse(id_token.expose()).map_err(|error| Failure::because(Kind::Error, &error))?;
    let claims = token.unverified_claims();
    let document = json!({
        "profile": session.profile(),
        "header": { "alg": token.algorithm().to_string(), "kid": token.kid() },
        "claims": Value::Object(claims.clone().into_map()),
        "signature_checked": record.identity.signature_checked,
        "expired": record.identity.expires_at <= now,
    });
    context.output.result(&document, |_| {
        let kid = token.kid().map_or_else(String::new, |kid| format!(", key {kid}"));
        let mut text = format!(
            "ID token of {} ({}), {}{kid}",
            record.identity.user,
            session.profile(),
            token.algorithm()
        );
        let width = claims.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, value) in claims.iter() {
            text.push_str(&format!("\n  {name:width$}  {}", shown(name, value, now)));
        }
        printable(&text)
    })
}

/// A claim in one line; times as people read them.
fn shown(name: &str, value: &Value, now: Timestamp) -> String {
    let is_time = matches!(name, "exp" | "iat" | "nbf" | "auth_time" | "updated_at");
    let time = value.as_i64().filter(|_| is_time).and_then(|seconds| Timestamp::from_second(seconds).ok());
    match (time, value) {
        (Some(at), _) if at > now => format!("{} (in {})", iso8601(at), duration(at.duration_since(now))),
        (Some(at), _) => format!("{} ({} ago)", iso8601(at), duration(now.duration_since(at))),
        (None, Value::String(text)) => text.clone(),
        (None, other) => other.to_string(),
    }
}
