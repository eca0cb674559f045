//! The typed values that a profile comes to.

use std::fmt;

use serde::Serialize;
use url::Url;
use wigeon_core::arn::Arn;
use wigeon_core::secret::Secret;

use super::redirect::Redirect;

/// Where a value comes from; the first that has one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The bookmark, or an answer that was saved with the profile.
    Bookmark,
    /// The profile.
    Profile,
    /// The person's `config.toml`.
    Configuration,
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bookmark => "saved",
            Self::Profile => "profile",
            Self::Configuration => "configuration",
            Self::Default => "default",
        })
    }
}

/// A value, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Valued<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Valued<T> {
    pub(super) fn default_of(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }

    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Valued<U> {
        Valued { value: f(self.value), origin: self.origin }
    }
}

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("profile `{profile}`: `{key}` ({origin}) {problem}")]
pub struct SettingsError {
    /// The profile's name.
    pub profile: String,
    /// The key, as in the property list.
    pub key: String,
    /// Where the value comes from.
    pub origin: Origin,
    /// What is wrong with it.
    pub problem: String,
}

/// How a person signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// In a browser (OAuth 2.0 authorization code).
    AuthorizationCode,
    /// With a user name and a password that we pass on (OAuth 2.0 resource owner password).
    PasswordGrant,
    /// Not at all: a token of the machine or the job takes the person's place.
    Workload,
    /// Through AWS IAM Identity Center.
    IdentityCenter,
    /// Not at all: access keys, from wherever the profile says.
    AccessKeys,
}

/// Which of the provider's tokens is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exchanged {
    /// The ID token.
    IdToken,
    /// The access token, for a provider or an STS that wants it.
    AccessToken,
}

/// The OAuth client id or secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCredential<T> {
    /// This one.
    Given(T),
    /// The profile says: none is sent, and nobody is asked.
    None,
    /// The profile says nothing: the person is asked.
    Ask,
}

/// The role to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// This one.
    Given(Arn),
    /// The person is asked.
    Ask,
    /// The STS knows by itself (MinIO).
    None,
}

/// What the sign-in needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// How.
    pub flow: Flow,
    /// The issuer, where it was said; discovery then has the addresses.
    pub issuer: Option<Url>,
    /// The profile's authorization endpoint.
    pub authorization_url: Option<Url>,
    /// The profile's token endpoint.
    pub token_url: Option<Url>,
    /// The client id.
    pub client_id: ClientCredential<String>,
    /// The client secret.
    pub client_secret: ClientCredential<Secret>,
    /// Where the answer comes to.
    pub redirect: Redirect,
    /// Always with `openid`, unless the access token is exchanged or no person signs in.
    pub scopes: Vec<String>,
    /// Whether PKCE is used; by default it is.
    pub pkce: bool,
    /// The `audience` parameter.
    pub audience: Option<String>,
    /// The `prompt` parameter.
    pub prompt: Option<String>,
    /// The `resource` parameter (RFC 8707).
    pub resource: Option<String>,
    /// Which of the provider's tokens is wanted.
    pub exchanged: Exchanged,
    /// Claims from which the shown user name is taken, the first that is there.
    pub username_claims: Vec<String>,
    /// A user name to suggest.
    pub username: Option<String>,
}

/// What the exchange needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sts {
    /// The endpoint.
    pub endpoint: Url,
    /// The role.
    pub role: Role,
    /// The session's name; without one it is made from the token's `sub`.
    pub session_name: Option<String>,
    /// Seconds; not sent when absent.
    pub duration_seconds: Option<u32>,
    /// An inline session policy.
    pub policy: Option<String>,
    /// `ProviderId`, for access tokens of Login with Amazon and Facebook.
    pub provider_id: Option<String>,
    /// Roles to assume one after the other, from the first role's credentials.
    pub chain: Vec<Arn>,
    /// What the roles of the chain, or the role of access keys, want to hear from us.
    pub external_id: Option<String>,
    /// The multi-factor device whose code the role of access keys wants.
    pub mfa_serial: Option<String>,
}
