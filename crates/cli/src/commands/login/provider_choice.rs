//! Which of a profile's providers, where it allows several: as the command line says, as chosen before, on a page in
//! the browser, or at the terminal. The choice is saved with the profile.

use std::time::Duration;

use inquire::Select;
use wigeon_client::profile::{ProviderChoice, Settings};
use wigeon_client::sign_in::{Browser as _, Chooser, Chosen, Offered, SignInError};

use super::desktop_browser::DesktopBrowser;
use super::questions::not_answered;
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// The settings with the provider chosen, and the tab that waits to be sent there.
pub(super) async fn at_provider(
    context: &Context,
    settings: Settings,
    named: Option<&str>,
    in_browser: bool,
    limit: Duration,
) -> Result<(Settings, Option<Chosen>), Failure> {
    let providers = settings.providers();
    if let Some(id) = named {
        if providers.is_empty() {
            return Err(Failure::usage(format!("profile `{}` has one provider", settings.name())));
        }
        let stored = settings.choosing(id)?;
        return Ok((context.settings_of(stored)?, None));
    }
    if providers.is_empty() || settings.chosen_provider()?.is_some() {
        return Ok((settings, None));
    }
    let program = context.environment.browser_program().filter(|_| in_browser);
    let (id, chosen) = if program.is_some() {
        let chosen = on_a_page(context, &settings, &providers, limit).await?;
        (chosen.id.clone(), Some(chosen))
    } else if context.environment.stdin_is_terminal && context.environment.stderr_is_terminal {
        let titles = providers.iter().map(|choice| format!("{}  {}", choice.title, choice.issuer)).collect();
        let at = Select::new("Which provider?", titles).raw_prompt().map_err(not_answered)?.index;
        (providers.get(at).map(|choice| choice.id.clone()).unwrap_or_default(), None)
    } else {
        let names = providers.iter().map(|choice| choice.id.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::usage(format!("which provider? There are {names}"))
            .hint("give it with --provider NAME; it is saved with the profile"));
    };
    let stored = settings.choosing(&id)?;
    Ok((context.settings_of(stored)?, chosen))
}

async fn on_a_page(
    context: &Context,
    settings: &Settings,
    providers: &[ProviderChoice],
    limit: Duration,
) -> Result<Chosen, Failure> {
    let offered = providers.iter().map(|choice| Offered {
        id: choice.id.clone(),
        title: choice.title.clone(),
        issuer: choice.issuer.clone(),
    });
    let chooser = Chooser::open(&settings.description(), offered.collect())
        .await
        .map_err(|error| Failure::because(Kind::Error, &error))?;
    DesktopBrowser::for_choosing(context).show(&chooser.address);
    match tokio::time::timeout(limit, chooser.chosen()).await {
        Ok(Some(chosen)) => Ok(chosen),
        Ok(None) | Err(_) => Err(SignInError::TimeLimit { limit, refused: None }.into()),
    }
}
