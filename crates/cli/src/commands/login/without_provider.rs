//! Sign-ins without an OpenID provider: at IAM Identity Center, with access keys, with the code of a second factor.

use std::sync::Arc;
use std::time::Duration;

use inquire::{Password, Select, Text};
use wigeon_client::identity_center::{Center, SsoSession};
use wigeon_client::profile::{IdentityCenter, Settings};
use wigeon_client::session::{Record, Session};
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;

use super::device_code;
use super::questions::not_answered;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says of such a sign-in.
pub(super) struct Said<'a> {
    pub(super) access_key_id: Option<&'a str>,
    pub(super) timeout: Duration,
}

/// Begins the session of such a profile.
pub(super) async fn without_provider(
    context: &Context,
    settings: &Settings,
    session: Arc<Session>,
    said: Said<'_>,
) -> Result<Record, Failure> {
    if let Some(place) = session.identity_center()? {
        return at_center(context, settings, &session, place, said.timeout).await;
    }
    let code = match session.mfa_serial()? {
        None => None,
        Some(serial) => Some(code_of(context, &serial)?),
    };
    if session.is_unattended()? {
        return Ok(session.begin_unattended(code).await?);
    }
    // Keys that were given before serve again: only the code is new.
    let kept = session.record().ok().flatten().is_some_and(|record| record.keys.is_some());
    if kept && said.access_key_id.is_none() && code.is_some() {
        return Ok(session.begin_unattended(code).await?);
    }
    let keys = keys(context, said.access_key_id)?;
    Ok(session.begin_with_keys(keys, code).await?)
}

fn person(context: &Context) -> bool {
    context.environment.stdin_is_terminal && context.environment.stderr_is_terminal
}

fn nobody_to_ask(what: &str, how: &str) -> Failure {
    Failure::usage(format!("the profile wants {what}, and there is no terminal to ask at"))
        .hint(how.to_owned())
}

fn code_of(context: &Context, serial: &str) -> Result<Secret, Failure> {
    if let Some(code) = context.environment.variable("WIGEON_MFA_CODE") {
        return Ok(Secret::new(code));
    }
    if !person(context) {
        return Err(nobody_to_ask(&format!("a code of the device `{serial}`"), "set WIGEON_MFA_CODE"));
    }
    let code = Text::new(&format!("Code of {serial}:")).prompt().map_err(not_answered)?;
    Ok(Secret::new(code.trim()))
}

fn keys(context: &Context, id: Option<&str>) -> Result<Credentials, Failure> {
    let access_key_id = match id {
        Some(id) => id.to_owned(),
        None if person(context) => {
            Text::new("Access key id:").prompt().map_err(not_answered)?.trim().to_owned()
        }
        None => return Err(nobody_to_ask("an access key", "give it with --access-key-id ID")),
    };
    let secret_key = match context.environment.variable("WIGEON_SECRET_KEY") {
        Some(key) => Secret::new(key),
        None if person(context) => {
            let key =
                Password::new("Secret access key:").without_confirmation().prompt().map_err(not_answered)?;
            Secret::new(key.trim())
        }
        None => return Err(nobody_to_ask("a secret access key", "set WIGEON_SECRET_KEY")),
    };
    Ok(Credentials { access_key_id, secret_key, session_token: None, expires_at: None })
}

async fn at_center(
    context: &Context,
    settings: &Settings,
    session: &Session,
    place: IdentityCenter,
    limit: Duration,
) -> Result<Record, Failure> {
    let center = session.center(&place)?;
    let sso = match center.shared() {
        Some(shared) => shared,
        None => {
            let with_picture = context.environment.stderr_is_terminal;
            let show =
                |invitation: &_| context.output.message(&device_code::message(invitation, with_picture));
            center.sign_in(&show, limit).await?
        }
    };
    if place.account_id.is_some() && place.role_name.is_some() {
        return Ok(session.begin_at_center(sso).await?);
    }
    if settings.identity_center()?.is_none() {
        return Err(Failure::error("the profile in ~/.aws/config names no account and role")
            .hint("set `sso_account_id` and `sso_role_name` there"));
    }
    let (account, role) = choose(context, &center, &place, &sso).await?;
    let mut stored = settings.stored().clone();
    stored.bookmark.answer("sso_account_id", &account);
    stored.bookmark.answer("sso_role_name", &role);
    context.shelf()?.save(&stored, true)?;
    let session = context.session_of(&context.settings_of(stored)?)?;
    Ok(session.begin_at_center(sso).await?)
}

/// The only account and role, or the ones that the person chooses.
async fn choose(
    context: &Context,
    center: &Center<'_>,
    place: &IdentityCenter,
    sso: &SsoSession,
) -> Result<(String, String), Failure> {
    let account = match &place.account_id {
        Some(account) => account.clone(),
        None => {
            let accounts = center.accounts(sso).await?;
            let shown = accounts.iter().map(|(id, name)| format!("{id}  {name}")).collect();
            let chosen = one_of(context, "account", "--account ID", shown)?;
            chosen.split_whitespace().next().unwrap_or_default().to_owned()
        }
    };
    let role = match &place.role_name {
        Some(role) => role.clone(),
        None => one_of(context, "role", "--role-name NAME", center.roles(sso, &account).await?)?,
    };
    Ok((account, role))
}

fn one_of(context: &Context, what: &str, option: &str, mut among: Vec<String>) -> Result<String, Failure> {
    match among.len() {
        0 => Err(Failure::error(format!("you have no {what} at this IAM Identity Center"))),
        1 => Ok(among.remove(0)),
        _ if person(context) => Select::new(&format!("Which {what}?"), among).prompt().map_err(not_answered),
        _ => Err(Failure::usage(format!("which {what}? There are {}", among.join(", ")))
            .hint(format!("give it with {option}"))),
    }
}
