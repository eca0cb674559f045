//! A small OpenID provider for development, demos and tests. It listens on loopback only.
//!
//! ```text
//! authorize ─► log in ─► code ─► token ─► ID token, access token, refresh token ─► userinfo · revoke
//! ```
//!
//! What it speaks it speaks strictly: authorization code with PKCE (S256) for public clients, exact redirect
//! addresses (any port on loopback, RFC 8252 section 7.3), the `iss` response parameter (RFC 9207), refresh
//! tokens that rotate and reveal their theft, revocation (RFC 7009). Nothing is kept on disk: what was
//! issued ends with the process. The modules stand in flow order, and each imports only from those above it.

pub(crate) mod parameters;

pub(crate) mod opaque;

pub(crate) mod redirect;

pub mod config;

pub(crate) mod authorization_request;

pub(crate) mod grants;

pub(crate) mod mint;

pub mod provider;

pub(crate) mod answer;

pub(crate) mod page;

pub(crate) mod authorize;

pub(crate) mod token;

pub(crate) mod userinfo;

pub(crate) mod revoke;

pub(crate) mod metadata;

pub(crate) mod router;

pub mod serve;

pub use config::{Algorithm, Client, Config, ConfigError, Lifetimes, User};
pub use provider::{Provider, ProviderError};
pub use serve::{Running, StartError};

#[cfg(test)]
mod tests;
