//! Where this person's sign-ins are kept: what `--store`, `WIGEON_STORE` and `config.toml` say, and who knows the
//! passphrase.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use inquire::Password;
use wigeon_client::broker::{AgentAddress, Ask, Wanted};
use wigeon_client::secret_store::{MemoryStore, Passphrases, Protection};
use wigeon_core::secret::Secret;

use crate::environment::Environment;
use crate::errors::Failure;

/// Where new sign-ins are to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreChoice {
    /// The keychain where there is one, else an encrypted file
    Auto,
    /// A file whose key is in the Secret Service, or the system's keychain
    Keychain,
    /// A file whose key is on this machine
    File,
    /// A file under a passphrase
    Passphrase,
    /// The agent's memory: gone when it ends
    Memory,
}

impl StoreChoice {
    /// As the configuration has it.
    pub(crate) fn read(text: &str, from: &str) -> Result<Self, Failure> {
        Self::from_str(text, false).map_err(|_| {
            Failure::usage(format!("`{text}` in {from} is no place for sign-ins"))
                .hint("there are: auto, keychain, file, passphrase, memory")
        })
    }

    pub(crate) fn wanted(self) -> Wanted {
        match self {
            Self::Auto => Wanted::Best,
            Self::Keychain => Wanted::Sealed(Protection::Keychain),
            Self::File => Wanted::Sealed(Protection::File),
            Self::Passphrase => Wanted::Sealed(Protection::Passphrase),
            Self::Memory => Wanted::Memory,
        }
    }
}

/// How this process keeps sign-ins.
#[derive(Clone, Default)]
pub(crate) struct Keeping {
    /// What the command line says.
    pub(crate) choice: Option<StoreChoice>,
    /// A person signs in anew.
    pub(crate) moving: bool,
    /// This process is the agent.
    pub(crate) memory: Option<MemoryStore>,
    /// A passphrase that was said.
    pub(crate) said: Said,
}

/// A passphrase, once it was said.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Option<Secret>>>);

impl Said {
    /// From now on it is known.
    pub(crate) fn say(&self, passphrase: Secret) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(passphrase);
    }

    fn heard(&self) -> Option<Secret> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Asks the surroundings, then the person; what a person says, the agent is told, so that it is asked for once.
pub(crate) struct Asking {
    said: Said,
    variable: Option<Secret>,
    file: Option<PathBuf>,
    person: bool,
    agent: Option<AgentAddress>,
}

impl Asking {
    pub(crate) fn new(environment: &Environment, said: Said, agent: Option<AgentAddress>) -> Self {
        Self {
            said,
            variable: environment.variable("WIGEON_PASSPHRASE").map(Secret::new),
            file: environment.variable("WIGEON_PASSPHRASE_FILE").map(PathBuf::from),
            person: environment.stdin_is_terminal && environment.stderr_is_terminal,
            agent,
        }
    }

    fn of_file(&self) -> Option<Secret> {
        let path = self.file.as_ref()?;
        match std::fs::read_to_string(path).map(Secret::new) {
            Ok(text) => Some(Secret::new(text.expose().trim_end_matches(['\r', '\n']))),
            Err(error) => {
                tracing::warn!(%error, file = %path.display(), "the passphrase's file cannot be read");
                None
            }
        }
    }
}

impl Passphrases for Asking {
    fn passphrase(&self, new: bool) -> Option<Secret> {
        let known = self.said.heard().or_else(|| self.variable.clone()).or_else(|| self.of_file());
        if known.is_some() || !self.person {
            return known.filter(|passphrase| !passphrase.is_empty());
        }
        let asked = match new {
            true => Password::new("Choose a passphrase for your sign-ins:")
                .with_custom_confirmation_message("The same again:")
                .prompt(),
            false => Password::new("Passphrase of your sign-ins:").without_confirmation().prompt(),
        };
        let said = asked.ok().map(Secret::new).filter(|said| !said.is_empty())?;
        self.said.say(said.clone());
        if let Some(agent) = self.agent.as_ref().filter(|agent| agent.socket.exists()) {
            let _ = agent.ask(Ask::Unlock(said.clone()), Duration::from_secs(3));
        }
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surroundings_before_the_person() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passphrase");
        std::fs::write(&file, "from a file\n").unwrap();
        let path = file.to_string_lossy();
        let asked = |variables: &[(&str, &str)], said: Said| {
            let environment = Environment::of(variables.iter().copied());
            let said = Asking::new(&environment, said, None).passphrase(false);
            said.map(|said| said.expose().to_owned())
        };
        assert_eq!(asked(&[], Said::default()), None);
        assert_eq!(asked(&[("WIGEON_PASSPHRASE_FILE", &path)], Said::default()).unwrap(), "from a file");
        let both = [("WIGEON_PASSPHRASE_FILE", path.as_ref()), ("WIGEON_PASSPHRASE", "of the variable")];
        assert_eq!(asked(&both, Said::default()).unwrap(), "of the variable");
        let said = Said::default();
        said.say(Secret::new("said"));
        assert_eq!(asked(&both, said).unwrap(), "said");
    }
}
