//! Credentials by way of the agent where one runs, of a session of this process where none does.
//!
//! Enters: a profile's name. Leaves: credentials, or the same failure in either case: whatever the agent cannot do
//! is tried here, so that its words are ours.

use std::sync::Arc;
use std::time::Duration;

use wigeon_client::broker::{AgentAddress, Answer, Ask, Holder, NotIssued, Reason, Sessions, Source};
use wigeon_client::profile::{Settings, ShelfError};
use wigeon_client::secret_store::MemoryStore;
use wigeon_client::session::Session;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// A renewal at the agent may take as long as one here.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(90);

/// What an agent knows by heart.
const SHORT_PATIENCE: Duration = Duration::from_secs(3);

/// The person's profiles and sessions, for a holder of many.
pub(crate) struct Own {
    context: Context,
    memory: MemoryStore,
}

impl Own {
    /// With surroundings of its own.
    pub(crate) fn new(context: &Context) -> Self {
        Self { context: context.detached(), memory: MemoryStore::default() }
    }

    /// As the agent, whose memory may be the only place of a sign-in.
    pub(crate) fn as_agent(context: &Context) -> Self {
        let memory = MemoryStore::default();
        Self { context: context.as_agent(memory.clone()), memory }
    }
}

impl Source for Own {
    fn settings(&self, profile: &str) -> Result<Settings, NotIssued> {
        let stored =
            self.context.shelf().map_err(not_issued)?.load(profile).map_err(|error| match error {
                ShelfError::Unknown { .. } | ShelfError::Name(_) => {
                    NotIssued { reason: Reason::UnknownProfile, message: error.to_string() }
                }
                error => not_issued(error.into()),
            })?;
        self.context.settings_of(stored).map_err(not_issued)
    }

    fn open(&self, settings: &Settings) -> Result<Arc<Session>, NotIssued> {
        self.context.session_of(settings).map_err(not_issued)
    }

    fn memory(&self) -> &MemoryStore {
        &self.memory
    }

    fn unlock(&self, passphrase: Secret) {
        self.context.say(passphrase);
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
    for cause in failure.causes.into_iter().filter(|_| !failure.one_line) {
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
        Ok(Self { agent: context.agent()?, own })
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
    if let Some(credentials) = from_agent(context.agent()?, profile).await {
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
    if let Ok(Some(agent)) = context.agent() {
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
