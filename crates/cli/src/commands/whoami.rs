//! `wigeon whoami`: who is signed in, as which role, until when.

use serde_json::json;
use wigeon_client::caller::caller_identity;

use crate::context::Context;
use crate::errors::{Failure, sign_in_needed};
use crate::output::printable;
use crate::wording::{role_name, signed_in};

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,
}

/// Runs the command. The credentials are asked for first: an answer that was true yesterday is none.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let settings = context.settings_of(context.stored(args.name.as_deref())?)?;
    let session = context.session_of(&settings)?;
    let credentials = session.credentials().await?;
    let record = session.record()?.ok_or_else(|| sign_in_needed(session.profile()))?;
    let assumed = record.session.as_ref();
    let caller =
        caller_identity(session.connector()?, &session.sts().endpoint, &credentials, context.clock.now())
            .await;
    let own = assumed.and_then(|session| session.arn.clone());
    let arn = caller.as_ref().map(|caller| caller.arn.clone()).or(own);
    let document = json!({
        "profile": session.profile(),
        "user": record.identity.user,
        "issuer": record.identity.issuer,
        "subject": record.identity.subject,
        "audience": record.identity.audience,
        "role": assumed.and_then(|session| session.role.clone()),
        "role_name": role_name(&record),
        "arn": arn,
        "account": caller.as_ref().map(|caller| caller.account.clone()),
        "confirmed_by_sts": caller.is_some(),
        "access_key_id": credentials.access_key_id,
        "expires_at": credentials.expires_at,
        "signed_in_at": record.signed_in_at,
        "id_token_expires_at": record.identity.expires_at,
        "renews": record.renews(),
        "signature_checked": record.identity.signature_checked,
        "endpoint": settings.endpoint()?.value,
    });
    context.output.result(&document, |_| {
        let mut text = signed_in(session.profile(), &record, context.clock.now());
        if let Some(arn) = &arn {
            text.push_str(&format!("\n{arn}"));
        }
        printable(&text)
    })
}
