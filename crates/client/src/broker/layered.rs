//! A person's store: sealed files, and beside them the memory of their agent, for those who want nothing on the disk.
//!
//! Enters and leaves: what a [`SecretStore`] takes and gives. What is in memory is gone with the agent, and a person
//! signs in anew; the locks are files in either case. Refused: memory, where no agent answers.

use std::time::Duration;

use wigeon_core::secret::Secret;

use super::address::{AgentAddress, AgentError};
use super::protocol::{Answer, Ask};
use crate::secret_store::{
    Account, Lock, MemoryStore, Place, Prepared, Protection, SealedStore, SecretStore, StoreError,
};

/// What an agent knows by heart.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where a person wants new sign-ins to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// The keychain where there is one, else a file.
    #[default]
    Best,
    /// In a file, with this protection.
    Sealed(Protection),
    /// In the agent's memory.
    Memory,
}

/// Whose memory it is.
#[derive(Clone)]
pub enum Memory {
    /// This process is the agent.
    Own(MemoryStore),
    /// The agent's.
    Agent(AgentAddress),
    /// The person wants no agent.
    None,
}

/// Both places.
pub struct LayeredStore {
    sealed: SealedStore,
    memory: Memory,
    wanted: Wanted,
    moving: bool,
}

impl LayeredStore {
    /// `moving`: a person signs in anew, so that what is kept may go elsewhere.
    #[must_use]
    pub fn new(sealed: SealedStore, memory: Memory, wanted: Wanted, moving: bool) -> Self {
        Self { sealed, memory, wanted, moving }
    }

    fn in_memory(&self, profile: &str) -> Result<bool, StoreError> {
        if self.moving || self.sealed.place(profile)?.is_some() {
            return Ok(self.moving && self.wanted == Wanted::Memory);
        }
        Ok(self.wanted == Wanted::Memory || self.memory.load(profile)?.is_some())
    }
}

impl SecretStore for LayeredStore {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        match self.sealed.load(profile)? {
            Some(secret) => Ok(Some(secret)),
            None => self.memory.load(profile),
        }
    }

    fn accounts(&self, profile: &str) -> Result<Vec<Secret>, StoreError> {
        let mut secrets = self.sealed.accounts(profile)?;
        secrets.extend(self.memory.accounts(profile)?);
        Ok(secrets)
    }

    fn prepare(&self, profile: &str) -> Result<Prepared, StoreError> {
        if !self.in_memory(profile)? {
            return self.sealed.prepare(profile);
        }
        self.memory.profiles_or_refusal()?;
        Ok(Prepared { place: Place::Memory, passed_over: None })
    }

    fn place(&self, profile: &str) -> Result<Option<Place>, StoreError> {
        match self.sealed.place(profile)? {
            Some(place) => Ok(Some(place)),
            None => Ok(self.memory.load(profile)?.map(|_| Place::Memory)),
        }
    }

    fn save(&self, account: &Account, secret: &Secret) -> Result<(), StoreError> {
        if self.in_memory(&account.profile)? {
            self.memory.save(account, secret)?;
            // Only now: at no time is the sign-in nowhere.
            return self.sealed.remove(&account.profile).map(|_| ());
        }
        self.sealed.save(account, secret)?;
        self.memory.remove(&account.profile).map(|_| ())
    }

    fn remove(&self, profile: &str) -> Result<bool, StoreError> {
        let sealed = self.sealed.remove(profile)?;
        Ok(self.memory.remove(profile)? || sealed)
    }

    fn profiles(&self) -> Result<Vec<String>, StoreError> {
        let mut names = self.sealed.profiles()?;
        names.extend(self.memory.profiles()?);
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn try_lock(&self, profile: &str) -> Result<Option<Lock>, StoreError> {
        self.sealed.try_lock(profile)
    }
}

impl Memory {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        match self {
            Self::Own(store) => store.load(profile),
            Self::Agent(_) | Self::None => match self.asked(Ask::Kept(profile.to_owned()))? {
                Some(Answer::Kept(secret)) => Ok(secret),
                _ => Ok(None),
            },
        }
    }

    fn accounts(&self, profile: &str) -> Result<Vec<Secret>, StoreError> {
        match self {
            Self::Own(store) => store.accounts(profile),
            Self::Agent(_) | Self::None => match self.asked(Ask::Accounts(profile.to_owned()))? {
                Some(Answer::Accounts(secrets)) => Ok(secrets),
                // An agent of an earlier version does not know the question, and says what is current alone.
                _ => Ok(self.load(profile)?.into_iter().collect()),
            },
        }
    }

    fn save(&self, account: &Account, secret: &Secret) -> Result<(), StoreError> {
        match self {
            Self::Own(store) => store.save(account, secret),
            Self::Agent(_) | Self::None => match self.asked(Ask::Keep(account.clone(), secret.clone()))? {
                Some(Answer::Done) => Ok(()),
                _ => Err(StoreError::NoAgent("none runs".to_owned())),
            },
        }
    }

    fn remove(&self, profile: &str) -> Result<bool, StoreError> {
        match self {
            Self::Own(store) => store.remove(profile),
            Self::Agent(_) | Self::None => match self.asked(Ask::Drop(profile.to_owned()))? {
                Some(Answer::Kept(secret)) => Ok(secret.is_some()),
                _ => Ok(false),
            },
        }
    }

    fn profiles(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Own(store) => store.profiles(),
            Self::Agent(_) | Self::None => match self.asked(Ask::KeptProfiles)? {
                Some(Answer::Profiles(names)) => Ok(names),
                _ => Ok(Vec::new()),
            },
        }
    }

    fn profiles_or_refusal(&self) -> Result<(), StoreError> {
        match self {
            Self::Own(_) => Ok(()),
            Self::None => Err(StoreError::NoAgent("none is wanted".to_owned())),
            Self::Agent(_) => match self.asked(Ask::KeptProfiles)? {
                Some(Answer::Profiles(_)) => Ok(()),
                _ => Err(StoreError::NoAgent("none runs".to_owned())),
            },
        }
    }

    /// The agent's answer; `None` where there is no agent that serves us, whose memory then holds nothing of ours.
    fn asked(&self, ask: Ask) -> Result<Option<Answer>, StoreError> {
        let Self::Agent(agent) = self else { return Ok(None) };
        if !agent.socket.exists() {
            return Ok(None);
        }
        match agent.ask(ask, PATIENCE) {
            Ok(answer) => Ok(Some(answer)),
            Err(AgentError::None | AgentError::Other(_) | AgentError::Foreign(_)) => Ok(None),
            Err(error @ AgentError::Broken(_)) => Err(StoreError::NoAgent(error.to_string())),
        }
    }
}
