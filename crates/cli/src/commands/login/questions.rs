//! What a profile leaves open: asked of the person at the terminal, and saved with the profile.

use inquire::{Password, Text};
use wigeon_client::profile::{ClientCredential, Flow, Role, Settings, TokenSource};
use wigeon_core::arn::Arn;

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// Asks for what the profile leaves open; the answers are saved with it.
pub(super) fn ask(context: &Context, settings: Settings) -> Result<Settings, Failure> {
    let oauth = settings.oauth()?;
    let sts = settings.sts()?;
    let client_credentials =
        settings.token_source()?.is_some_and(|source| source.value == TokenSource::ClientCredentials);
    let person = context.environment.stdin_is_terminal && context.environment.stderr_is_terminal;
    let missing = |what: &str, option: &str| {
        Failure::usage(format!("the profile leaves the {what} to you, and there is no terminal to ask at"))
            .hint(format!("give it with {option}"))
    };
    let open_host = settings.host_to_ask_for();
    let mut stored = settings.into_stored();
    if let Some(example) = open_host {
        if !person {
            return Err(missing("store's host", "--hostname HOST"));
        }
        let host =
            Text::new("The store's host:").with_placeholder(&example).prompt().map_err(not_answered)?;
        stored.bookmark.answer("Default Hostname", host.trim());
    }
    let at_provider = match oauth.flow {
        Flow::AuthorizationCode | Flow::PasswordGrant => true,
        Flow::Workload => client_credentials,
        Flow::IdentityCenter | Flow::AccessKeys => false,
    };
    if at_provider && oauth.client_id == ClientCredential::Ask {
        if !person {
            return Err(missing("client id", "--client-id ID"));
        }
        let id = Text::new("Client id at the provider:").prompt().map_err(not_answered)?;
        stored.bookmark.answer("OAuth Client ID", id.trim());
        if oauth.client_secret == ClientCredential::Ask {
            let secret = Password::new("Client secret (empty if there is none):")
                .without_confirmation()
                .prompt()
                .map_err(not_answered)?;
            stored.bookmark.answer("OAuth Client Secret", secret.trim());
        }
    }
    if sts.role == Role::Ask {
        if !person {
            return Err(missing("role", "--role-arn ARN"));
        }
        let role = Text::new("Role to assume (ARN):").prompt().map_err(not_answered)?;
        let role: Arn = role.trim().parse().map_err(|error| Failure::because(Kind::Usage, &error))?;
        stored.bookmark.answer("role_arn", role.as_str());
    }
    context.settings_of(stored)
}

#[expect(clippy::needless_pass_by_value, reason = "it is made to be given to `map_err`")]
pub(crate) fn not_answered(error: inquire::InquireError) -> Failure {
    Failure::because(Kind::Usage, &error)
}
