//! What a command is given: its surroundings, and the way from a profile's name to a session.

use std::path::PathBuf;
use std::sync::Arc;

use wigeon_client::connect::ConnectOptions;
use wigeon_client::profile::{
    Configuration, Document, Profile, ProfileError, Settings, Shelf, ShelfError, Stored, TokenSource,
};
use wigeon_client::secret_store::{FileStore, SecretStore};
use wigeon_client::session::Session;
use wigeon_core::time::Clock;

use crate::args::GlobalOptions;
use crate::directory::of_directory;
use crate::environment::{Environment, SystemClock};
use crate::errors::Failure;
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
}

impl Context {
    /// The surroundings of this process.
    pub(crate) fn new(options: GlobalOptions, environment: Environment, output: Output) -> Self {
        Self { options, environment, output, clock: Arc::new(SystemClock) }
    }

    /// The same surroundings, for a task of its own.
    pub(crate) fn detached(&self) -> Self {
        let output = Output::of_process(&self.environment, self.output.is_json(), self.options.quiet);
        Self {
            options: self.options.clone(),
            environment: self.environment.clone(),
            output,
            clock: Arc::clone(&self.clock),
        }
    }

    /// The stored profiles: `profiles/` in the configuration directory.
    pub(crate) fn shelf(&self) -> Result<Shelf, Failure> {
        Ok(Shelf::new(self.environment.config_dir()?.join("profiles")))
    }

    /// The person's `config.toml`.
    pub(crate) fn configuration(&self) -> Result<Configuration, Failure> {
        Ok(Configuration::load(&self.environment.config_dir()?.join("config.toml"))?)
    }

    /// Where sign-ins are kept: `sessions/` in the state directory.
    pub(crate) fn store(&self) -> Result<Arc<dyn SecretStore>, Failure> {
        Ok(Arc::new(FileStore::new(self.environment.state_dir()?.join("sessions"))))
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
            [] => {
                Err(Failure::error("there is no connection profile yet")
                    .hint("run: wigeon profile import FILE"))
            }
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
