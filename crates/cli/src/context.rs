//! What a command is given: its surroundings, and the way from a profile's name to a session.

use std::path::PathBuf;
use std::sync::Arc;

use wigeon_client::broker::{AgentAddress, LayeredStore, Memory, Places, Wanted};
use wigeon_client::connect::ConnectOptions;
use wigeon_client::profile::{
    Configuration, Document, Profile, ProfileError, Settings, Shelf, ShelfError, Stored, TokenSource,
};
use wigeon_client::secret_store::{MemoryStore, Options, SealedStore, SecretStore};
use wigeon_client::session::Session;
use wigeon_core::secret::Secret;
use wigeon_core::time::Clock;

use crate::args::GlobalOptions;
use crate::directory::of_directory;
use crate::environment::{Environment, SystemClock};
use crate::errors::Failure;
use crate::keeping::{Asking, Keeping, StoreChoice};
use crate::output::Output;

/// The profile that AWS's variables make up where none is stored: for pods and jobs.
const ENVIRONMENT: &str = "environment";

/// AWS's variables, and the settings that they stand in for.
const AWS_VARIABLES: [(&str, &str); 6] = [
    ("AWS_ROLE_ARN", "role_arn"),
    ("AWS_ROLE_SESSION_NAME", "role_session_name"),
    ("AWS_REGION", "Region"),
    ("AWS_DEFAULT_REGION", "Region"),
    ("AWS_ENDPOINT_URL_STS", "STS Endpoint"),
    ("AWS_ENDPOINT_URL_S3", "Default Hostname"),
];

/// Everything a command may use besides its own arguments.
pub(crate) struct Context {
    pub(crate) options: GlobalOptions,
    pub(crate) environment: Environment,
    pub(crate) output: Output,
    pub(crate) clock: Arc<dyn Clock>,
    keeping: Keeping,
}

impl Context {
    /// The surroundings of this process.
    pub(crate) fn new(options: GlobalOptions, environment: Environment, output: Output) -> Self {
        let keeping = Keeping::default();
        Self { options, environment, output, clock: Arc::new(SystemClock), keeping }
    }

    /// The same surroundings, for a task of its own.
    pub(crate) fn detached(&self) -> Self {
        let output = self.output.again(&self.environment);
        Self {
            options: self.options.clone(),
            environment: self.environment.clone(),
            output,
            clock: Arc::clone(&self.clock),
            keeping: self.keeping.clone(),
        }
    }

    /// The same surroundings, for a person who signs in anew and may say where that is to be kept.
    pub(crate) fn signing_in(&self, choice: Option<StoreChoice>) -> Self {
        let mut context = self.detached();
        (context.keeping.choice, context.keeping.moving) = (choice, true);
        context
    }

    /// The same surroundings, for the agent, whose memory may be a place.
    pub(crate) fn as_agent(&self, memory: MemoryStore) -> Self {
        let mut context = self.detached();
        context.keeping.memory = Some(memory);
        context
    }

    /// The passphrase of sealed files, once it was said.
    pub(crate) fn say(&self, passphrase: Secret) {
        self.keeping.said.say(passphrase);
    }

    /// The stored profiles: `profiles/` in the configuration directory.
    pub(crate) fn shelf(&self) -> Result<Shelf, Failure> {
        Ok(Shelf::new(self.environment.config_dir()?.join("profiles")))
    }

    /// The person's `config.toml`.
    pub(crate) fn configuration(&self) -> Result<Configuration, Failure> {
        Ok(Configuration::load(&self.environment.config_dir()?.join("config.toml"))?)
    }

    /// Where new sign-ins are to be kept: `--store`, `WIGEON_STORE`, `store` in `config.toml`, else the best place.
    pub(crate) fn wanted(&self) -> Result<Wanted, Failure> {
        if let Some(choice) = self.keeping.choice {
            return Ok(choice.wanted());
        }
        if let Some(text) = self.environment.variable("WIGEON_STORE") {
            return Ok(StoreChoice::read(text, "WIGEON_STORE")?.wanted());
        }
        match self.configuration()?.store {
            Some(text) => Ok(StoreChoice::read(&text, "config.toml")?.wanted()),
            None => Ok(Wanted::Best),
        }
    }

    /// Where sign-ins are kept: `sessions/` in the state directory, sealed, and the agent's memory.
    pub(crate) fn store(&self) -> Result<Arc<dyn SecretStore>, Failure> {
        let (keeping, wanted) = (&self.keeping, self.wanted()?);
        let agent = self.agent()?;
        let asking = Asking::new(&self.environment, keeping.said.clone(), agent.clone());
        let options = Options {
            keychain: self.environment.may_have_keychain(),
            machine_id: Environment::machine_id(),
            passphrases: Arc::new(asking),
            chosen: match wanted {
                Wanted::Sealed(protection) => Some(protection),
                Wanted::Best | Wanted::Memory => None,
            },
            moving: keeping.moving,
        };
        let sealed = SealedStore::new(self.environment.state_dir()?.join("sessions"), options);
        let memory = match (&keeping.memory, agent) {
            (Some(memory), _) => Memory::Own(memory.clone()),
            (None, Some(agent)) => Memory::Agent(agent),
            (None, None) => Memory::None,
        };
        Ok(Arc::new(LayeredStore::new(sealed, memory, wanted, keeping.moving)))
    }

    /// Where the agent would be; `None` where the person wants none (`WIGEON_AGENT=none`).
    pub(crate) fn agent(&self) -> Result<Option<AgentAddress>, Failure> {
        if self.environment.variable("WIGEON_AGENT") == Some("none") {
            return Ok(None);
        }
        self.agent_address().map(Some)
    }

    /// Where the agent is, wanted or not.
    pub(crate) fn agent_address(&self) -> Result<AgentAddress, Failure> {
        let socket = self.environment.runtime_dir()?.join("agent.sock");
        Ok(AgentAddress { socket, places: self.places()? })
    }

    /// What decides what a profile means here.
    pub(crate) fn places(&self) -> Result<Places, Failure> {
        let absolute = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
        Ok(Places {
            config: self.environment.config_dir()?,
            state: self.environment.state_dir()?,
            ca_file: self.options.ca_file.as_ref().map(absolute),
        })
    }

    /// How to connect, before the profile has its say.
    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            ca_files: self.options.ca_file.iter().cloned().collect(),
            ..ConnectOptions::default()
        }
    }

    /// The name of the profile to use: the one that a command was given, `--profile` or `WIGEON_PROFILE`, the one
    /// of the directory, the one in `config.toml`, or the only one that there is.
    pub(crate) fn profile_name(&self, named: Option<&str>) -> Result<String, Failure> {
        if let Some(name) = named.or(self.options.profile.as_deref()) {
            return Ok(name.to_owned());
        }
        if let Some(name) = of_directory(&self.environment)? {
            return Ok(name);
        }
        if let Some(name) = self.configuration()?.profile {
            return Ok(name);
        }
        let names = self.shelf()?.names()?;
        if names.is_empty() && self.environment.variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
            return Ok(ENVIRONMENT.to_owned());
        }
        match names.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Failure::error("there is no connection profile yet")
                .hint("run: wigeon profile import FILE")
                .hint("or try everything on this machine: wigeon demo")),
            many => Err(Failure::usage(format!("which profile? There are {}", many.join(", ")))
                .hint("name one with --profile NAME, or for good in config.toml: profile = \"NAME\"")),
        }
    }

    /// The stored profile of that name, or the one to use when none is named.
    pub(crate) fn stored(&self, named: Option<&str>) -> Result<Stored, Failure> {
        self.load(&self.profile_name(named)?)
    }

    /// The stored profile of that name; [`ENVIRONMENT`] where none is stored under it.
    pub(crate) fn load(&self, name: &str) -> Result<Stored, Failure> {
        match self.shelf()?.load(name) {
            Err(ShelfError::Unknown { .. }) if name == ENVIRONMENT => Ok(self.environment_profile()?),
            outcome => Ok(outcome?),
        }
    }

    /// The profile of a workload that only AWS's variables describe.
    fn environment_profile(&self) -> Result<Stored, ProfileError> {
        let text = format!("protocol = 's3'\nvendor = '{ENVIRONMENT}'\ntoken = 'environment'\n");
        match Document::parse(text.as_bytes(), "environment.toml")? {
            Document::Profile(profile, bookmark) => {
                Ok(Stored { name: ENVIRONMENT.to_owned(), profile, bookmark })
            }
            Document::Bookmark(bookmark) => {
                let profile = Profile::of_protocol("s3");
                Ok(Stored { name: ENVIRONMENT.to_owned(), profile, bookmark })
            }
        }
    }

    /// A stored profile's values.
    pub(crate) fn settings_of(&self, stored: Stored) -> Result<Settings, Failure> {
        let settings = Settings::new(stored, self.configuration()?);
        let from_environment =
            settings.token_source()?.is_some_and(|found| found.value == TokenSource::Environment);
        if !from_environment {
            return Ok(settings);
        }
        // What AWS's own tools would take stands in for what the profile leaves open.
        let mut configuration = self.configuration()?;
        for (variable, name) in AWS_VARIABLES {
            if let Some(value) = self.environment.variable(variable) {
                configuration.stand_in(name, value);
            }
        }
        Ok(Settings::new(settings.into_stored(), configuration))
    }

    /// The session that a profile's commands share.
    pub(crate) fn session_of(&self, settings: &Settings) -> Result<Arc<Session>, Failure> {
        let session = Session::new(settings, self.connect_options(), self.store()?, Arc::clone(&self.clock))?;
        Ok(Arc::new(session.in_surroundings(self.environment.surroundings())))
    }

    /// A directory for what the program itself keeps as data.
    pub(crate) fn data_dir(&self) -> Result<PathBuf, Failure> {
        Ok(self.environment.data_dir()?)
    }
}
