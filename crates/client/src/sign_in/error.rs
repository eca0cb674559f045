//! Why nobody is signed in.

use std::time::Duration;

use super::authorization::ResponseError;
use super::discovery::DiscoveryError;
use super::id_token::IdTokenError;
use super::token_endpoint::TokenEndpointError;

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The provider, or its keys, cannot be found.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// There is no place for the browser to come back to.
    #[error("cannot listen at `{address}` for the browser to come back to")]
    Listen {
        /// The redirect address.
        address: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The browser came back with something that is not followed.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// The provider gives no tokens.
    #[error(transparent)]
    Tokens(#[from] TokenEndpointError),
    /// The provider gives tokens, but none that says who signed in.
    #[error(
        "the provider gives no ID token; the client there must be one of OpenID Connect, with the scope `openid`"
    )]
    NoIdToken,
    /// The ID token does not hold.
    #[error(transparent)]
    IdToken(#[from] IdTokenError),
    /// The person did not finish in time.
    #[error("nobody signed in within {}{}", words_for(limit), refused.as_ref().map(|why| format!("; an answer was refused: {why}")).unwrap_or_default())]
    TimeLimit {
        /// How long it was.
        limit: Duration,
        /// Why an answer that came was refused.
        refused: Option<String>,
    },
    /// The provider has no place to begin a sign-in on another device.
    #[error("the provider has no device authorization endpoint")]
    NoDeviceEndpoint,
    /// Nobody has entered the code in time.
    #[error("the code has expired: nobody has signed in with it in time")]
    CodeExpired,
    /// The redirect address has to be pasted, and there is nobody who could.
    #[error(
        "the provider sends the browser to `{0}`, an address that has to be pasted back, and standard input is closed"
    )]
    NobodyPastes(String),
    /// What was pasted is not an address with a response.
    #[error("what was pasted is not the address that the browser was sent back to: it has no `code=`")]
    NotAnAddress,
}

impl SignInError {
    /// Whether the provider only minds the way, so that the person may sign in by another one: it has no place for
    /// sign-ins on another device, or our client may not begin one (RFC 6749, section 5.2).
    #[must_use]
    pub fn wants_another_way(&self) -> bool {
        match self {
            Self::NoDeviceEndpoint => true,
            Self::Tokens(TokenEndpointError::Refused { code, .. }) => {
                matches!(code.as_str(), "unauthorized_client" | "unsupported_grant_type" | "invalid_request")
            }
            _ => false,
        }
    }
}

fn words_for(limit: &Duration) -> String {
    match limit.as_secs() {
        seconds if seconds >= 120 && seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}
