//! What the provider is told: where to listen, its clients, its users, its lifetimes.
//!
//! Read with serde or built in code; [`Config::check`] refuses what could not work or would be unsafe.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::{Host, Url};
use wigeon_core::jwt;
use wigeon_core::secret::Secret;

pub use crate::redirect::{RedirectUri, RedirectUriError};

/// The whole configuration of a provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A loopback address; port 0 takes a free one.
    #[serde(default = "any_loopback_port")]
    pub listen: SocketAddr,
    /// The issuer identifier; `http://ADDRESS` of the listener when it is absent.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What ID tokens are signed with.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Who may ask for tokens.
    pub clients: Vec<Client>,
    /// Who can log in.
    pub users: Vec<User>,
    /// How long what is issued lasts.
    #[serde(default)]
    pub lifetimes: Lifetimes,
}

/// The signature algorithm of ID tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256: fast to make.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSA, 2048 bits: what every verifier understands.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    pub(crate) fn in_jwt(self) -> jwt::Algorithm {
        match self {
            Self::Es256 => jwt::Algorithm::ES256,
            Self::Rs256 => jwt::Algorithm::RS256,
        }
    }
}

/// A public client: no secret, PKCE required.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// `client_id`, and the audience of its ID tokens.
    pub id: String,
    /// Where it may be sent back to; at least one.
    pub redirect_uris: Vec<RedirectUri>,
}

/// A person who can log in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What is typed into the form; `preferred_username`.
    pub login: String,
    /// What proves it.
    pub password: Secret,
    /// The stable identifier; the login when it is absent.
    #[serde(default)]
    pub sub: Option<String>,
    /// The full name.
    #[serde(default)]
    pub name: Option<String>,
    /// The address, given out as verified.
    #[serde(default)]
    pub email: Option<String>,
    /// Released with the scope `groups`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// More claims, always released; none of those that the protocol itself sets.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

impl User {
    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.sub.as_deref().unwrap_or(&self.login)
    }
}

/// How long what is issued lasts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lifetimes {
    /// Of an authorization code: 60 s.
    pub code: SignedDuration,
    /// Of an ID token: 1 h.
    pub id_token: SignedDuration,
    /// Of an access token: 1 h.
    pub access_token: SignedDuration,
    /// Of a refresh token, from its own issue: 30 days.
    pub refresh_token: SignedDuration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            code: SignedDuration::from_secs(60),
            id_token: SignedDuration::from_hours(1),
            access_token: SignedDuration::from_hours(1),
            refresh_token: SignedDuration::from_hours(30 * 24),
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The provider hands out identities on plain passwords: it is for one machine.
    #[error("the development provider listens on loopback only, not on `{0}`: use 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// An issuer must be reachable where the provider listens.
    #[error("the issuer `{0}` is not `http://` on 127.0.0.1, [::1] or localhost without query and fragment")]
    Issuer(String),
    /// Two clients or users of one name, or an empty name.
    #[error("the {kind} `{name}` is empty or given twice")]
    Name {
        /// `client`, `user` or `subject`.
        kind: &'static str,
        /// Which one.
        name: String,
    },
    /// A client that nobody could come back to.
    #[error("the client `{0}` has no redirect address")]
    NoRedirect(String),
    /// An empty password would let anyone in.
    #[error("the user `{0}` has an empty password")]
    NoPassword(String),
    /// A claim that the protocol sets.
    #[error("the user `{user}` sets the claim `{claim}`, which the provider sets itself")]
    ReservedClaim {
        /// Whose.
        user: String,
        /// Which.
        claim: String,
    },
    /// Something that would have ended before it began.
    #[error("the lifetime of the {0} is not positive")]
    Lifetime(&'static str),
}

const RESERVED_CLAIMS: [&str; 12] =
    ["iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "auth_time"];

impl Config {
    /// Refuses what could not work or would be unsafe.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !self.listen.ip().is_loopback() {
            return Err(ConfigError::NotLoopback(self.listen));
        }
        if let Some(issuer) = &self.issuer {
            check_issuer(issuer)?;
        }
        unique("client", self.clients.iter().map(|client| client.id.as_str()))?;
        unique("user", self.users.iter().map(|user| user.login.as_str()))?;
        unique("subject", self.users.iter().map(User::subject))?;
        self.clients.iter().try_for_each(check_client)?;
        self.users.iter().try_for_each(check_user)?;
        self.lifetimes.check()
    }
}

/// The issuer as an address: `http`, a loopback host, no query, no fragment, no credentials.
pub(crate) fn check_issuer(issuer: &str) -> Result<Url, ConfigError> {
    let refused = || ConfigError::Issuer(issuer.to_owned());
    let url = Url::parse(issuer).map_err(|_| refused())?;
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() == "http" && loopback && bare { Ok(url) } else { Err(refused()) }
}

fn unique<'a>(kind: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), ConfigError> {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() || !seen.insert(name) {
            return Err(ConfigError::Name { kind, name: name.to_owned() });
        }
    }
    Ok(())
}

fn check_client(client: &Client) -> Result<(), ConfigError> {
    if client.redirect_uris.is_empty() {
        return Err(ConfigError::NoRedirect(client.id.clone()));
    }
    Ok(())
}

fn check_user(user: &User) -> Result<(), ConfigError> {
    if user.password.is_empty() {
        return Err(ConfigError::NoPassword(user.login.clone()));
    }
    match user.claims.keys().find(|claim| RESERVED_CLAIMS.contains(&claim.as_str())) {
        Some(claim) => Err(ConfigError::ReservedClaim { user: user.login.clone(), claim: claim.clone() }),
        None => Ok(()),
    }
}

impl Lifetimes {
    fn check(&self) -> Result<(), ConfigError> {
        let all = [
            ("code", self.code),
            ("ID token", self.id_token),
            ("access token", self.access_token),
            ("refresh token", self.refresh_token),
        ];
        match all.into_iter().find(|(_, lifetime)| !lifetime.is_positive()) {
            Some((name, _)) => Err(ConfigError::Lifetime(name)),
            None => Ok(()),
        }
    }
}

fn any_loopback_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
