//! What is said over the agent's socket: one line of JSON each way, then the connection ends.
//!
//! Enters and leaves: [`Request`] and [`Answer`]. Refused: lines beyond [`LINE_LIMIT`], another version.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::Timestamp;

use super::holder::NotIssued;
use crate::secret_store::Account;

/// The longest line, in bytes: a record of long tokens may be long.
pub(super) const LINE_LIMIT: u64 = 1 << 22;

/// The form of the lines; agent and caller must have the same.
pub(super) const VERSION: u32 = 1;

/// Where profiles and sign-ins lie, and what else decides what a profile means. An agent answers only those who
/// mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// The directory of the profiles.
    pub config: PathBuf,
    /// The directory of the sign-ins.
    pub state: PathBuf,
    /// Certificates to trust in addition.
    pub ca_file: Option<PathBuf>,
}

/// A caller's line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) version: u32,
    pub(super) places: Places,
    pub(super) ask: Ask,
}

/// What a caller wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// A profile's credentials.
    Credentials(String),
    /// The way to a profile's credentials over HTTP.
    Access(String),
    /// What the agent holds.
    Standing,
    /// To drop a profile's session, or all.
    Forget(Option<String>),
    /// What the agent's memory keeps of a profile's sign-in.
    Kept(String),
    /// What it keeps of all accounts of a profile.
    Accounts(String),
    /// To keep a sign-in in memory.
    Keep(Account, Secret),
    /// To forget what memory keeps of a profile; the answer is what it was.
    Drop(String),
    /// The profiles whose sign-ins are in memory.
    KeptProfiles,
    /// To open sealed files with this passphrase.
    Unlock(Secret),
    /// To end.
    Stop,
}

impl Ask {
    /// Whether the answer depends on where the profiles lie.
    pub(super) fn concerns_profiles(&self) -> bool {
        match self {
            Self::Credentials(_)
            | Self::Access(_)
            | Self::Forget(_)
            | Self::Kept(_)
            | Self::Accounts(_)
            | Self::Keep(..)
            | Self::Drop(_)
            | Self::KeptProfiles
            | Self::Unlock(_) => true,
            Self::Standing | Self::Stop => false,
        }
    }
}

/// What the agent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Here they are.
    Credentials(Credentials),
    /// This way.
    Access {
        /// The address.
        url: String,
        /// The token.
        token: Secret,
    },
    /// This is held.
    Standing(Standing),
    /// This is in memory.
    Kept(Option<Secret>),
    /// All of these are.
    Accounts(Vec<Secret>),
    /// Those of these profiles are.
    Profiles(Vec<String>),
    /// It is done.
    Done,
    /// There are none.
    NotIssued(NotIssued),
    /// The agent serves other places, or speaks another version.
    Other(String),
}

/// What an agent holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Since when it runs.
    pub since: Timestamp,
    /// The loopback address of its endpoint.
    pub endpoint: String,
    /// The sessions in its memory.
    pub sessions: Vec<HeldSession>,
}

/// A session in an agent's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSession {
    /// The profile.
    pub profile: String,
    /// When it was last asked for.
    pub asked_at: Timestamp,
    /// The end of the credentials that were last given.
    pub expires_at: Option<Timestamp>,
}
