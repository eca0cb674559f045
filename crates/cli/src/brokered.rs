//! Credentials by way of the agent where one runs, of a session of this process where none does.
//!
//! Enters: a profile's name. Leaves: credentials, or the same failure in either case: whatever the agent cannot do
//! is tried here, so that its words are ours.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wigeon_client::broker::{AgentAddress, Answer, Ask, Holder, NotIssued, Places, Reason, Sessions, Source};
use wigeon_client::profile::{Settings, ShelfError};
use wigeon_client::session::Session;
use wigeon_core::credentials::Credentials;

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// A renewal at the agent may take as long as one here.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(90);

/// What an agent knows by heart.
const SHORT_PATIENCE: Duration = Duration::from_secs(3);

/// The person's profiles and sessions, for a holder of many.
pub(crate) struct Own(Context);

impl Own {
    /// With surroundings of its own.
    pub(crate) fn new(context: &Context) -> Self {
        Self(context.detached())
    }
}

impl Source for Own {
    fn settings(&self, profile: &str) -> Result<Settings, NotIssued> {
        let stored = self.0.shelf().map_err(not_issued)?.load(profile).map_err(|error| match error {
            ShelfError::Unknown { .. } | ShelfError::Name(_) => {
                NotIssued { reason: Reason::UnknownProfile, message: error.to_string() }
            }
            error => not_issued(error.into()),
        })?;
        self.0.settings_of(stored).map_err(not_issued)
    }

    fn open(&self, settings: &Settings) -> Result<Arc<Session>, NotIssued> {
        self.0.session_of(settings).map_err(not_issued)
    }

    async fn credentials(&self, session: &Session) -> Result<Arc<Credentials>, NotIssued> {
        session.credentials().await.map_err(|error| not_issued(error.into()))
    }
}

/// A failure in words for a program at the other end.
fn not_issued(failure: Failure) -> NotIssued {
    let reason = match failure.kind {
        Kind::SignInNeeded => Reason::SignInNeeded,
        Kind::Denied => Reason::Denied,
        Kind::Retry => Reason::Retry,
        Kind::Error | Kind::Usage | Kind::Partial => Reason::Failed,
    };
    let mut message = failure.message;
    for cause in failure.causes {
        message.push_str(": ");
        message.push_str(&cause);
    }
    NotIssued { reason, message }
}

/// Asks the agent, else this process's own sessions.
pub(crate) struct AgentFirst {
    agent: Option<AgentAddress>,
    own: Sessions<Own>,
}

impl AgentFirst {
    /// For as long as a program runs.
    pub(crate) fn new(context: &Context) -> Result<Self, Failure> {
        let own = Sessions::new(Own::new(context), Arc::clone(&context.clock));
        Ok(Self { agent: agent(context)?, own })
    }
}

impl Holder for AgentFirst {
    async fn credentials(&self, profile: &str) -> Result<Arc<Credentials>, NotIssued> {
        match from_agent(self.agent.clone(), profile).await {
            Some(credentials) => Ok(Arc::new(credentials)),
            None => self.own.credentials(profile).await,
        }
    }
}

/// A profile's credentials.
pub(crate) async fn credentials(context: &Context, profile: &str) -> Result<Arc<Credentials>, Failure> {
    if let Some(credentials) = from_agent(agent(context)?, profile).await {
        return Ok(Arc::new(credentials));
    }
    let settings = context.settings_of(context.load(profile)?)?;
    Ok(context.session_of(&settings)?.credentials().await?)
}

async fn from_agent(agent: Option<AgentAddress>, profile: &str) -> Option<Credentials> {
    match ask(agent?, Ask::Credentials(profile.to_owned()), RENEWAL_PATIENCE).await? {
        Answer::Credentials(credentials) => Some(credentials),
        _ => None,
    }
}

/// Tells the agent, if one runs, that a profile's sign-in is another one now, or none.
pub(crate) async fn forget(context: &Context, profile: Option<&str>) {
    if let Ok(Some(agent)) = agent(context) {
        let _ = ask(agent, Ask::Forget(profile.map(str::to_owned)), SHORT_PATIENCE).await;
    }
}

async fn ask(agent: AgentAddress, ask: Ask, patience: Duration) -> Option<Answer> {
    // Nothing to wait for where there is no socket, which is the usual case.
    if !agent.socket.exists() {
        return None;
    }
    let answer = tokio::task::spawn_blocking(move || agent.ask(ask, patience)).await.ok()?;
    answer.inspect_err(|error| tracing::debug!(%error, "the agent is passed over")).ok()
}

/// Where the agent would be; `None` where the person wants none (`WIGEON_AGENT=none`).
pub(crate) fn agent(context: &Context) -> Result<Option<AgentAddress>, Failure> {
    if context.environment.variable("WIGEON_AGENT") == Some("none") {
        return Ok(None);
    }
    address(context).map(Some)
}

/// Where the agent is, wanted or not.
pub(crate) fn address(context: &Context) -> Result<AgentAddress, Failure> {
    let socket = context.environment.runtime_dir()?.join("agent.sock");
    Ok(AgentAddress { socket, places: places(context)? })
}

/// What decides what a profile means here.
pub(crate) fn places(context: &Context) -> Result<Places, Failure> {
    let absolute = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
    Ok(Places {
        config: context.environment.config_dir()?,
        state: context.environment.state_dir()?,
        ca_file: context.options.ca_file.as_ref().map(absolute),
    })
}
