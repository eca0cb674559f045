//! The broker: sessions' credentials in the hands of other programs.
//!
//! Enters: sessions, by the names of their profiles. Leaves: credentials in the forms that AWS's tools take, through
//! a loopback address ([`Endpoint`], the container-credentials protocol) and through the socket of an [`Agent`] that
//! holds the sessions of one person. Refused: a caller without the token, a browser, a name that is not this
//! machine's, another user, another person's places.
//!
//! ```text
//! Session ─► Holder ─┬► Endpoint   http://127.0.0.1:PORT/v1/credentials/PROFILE, with a token
//!                    └► Agent      a Unix socket, lines of JSON ◄─ AgentAddress
//! ```

mod issued;

mod holder;

mod admission;

mod endpoint;

mod protocol;

mod address;

mod layered;

mod lasting;

mod agent;

pub use address::{AgentAddress, AgentError};
pub use admission::TokenKey;
pub use agent::{Agent, AgentOptions, Listeners};
pub use endpoint::{Access, Endpoint};
pub use holder::{Holder, NotIssued, Reason, Sessions, Source};
pub use issued::Issued;
pub use layered::{LayeredStore, Memory, Wanted};
pub use protocol::{Answer, Ask, HeldSession, Places, Standing};

#[cfg(test)]
mod tests;
