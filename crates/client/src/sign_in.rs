//! Sign-in: a person at their identity provider becomes a [`TokenSet`].
//!
//! Enters: the profile's [`OAuth`](crate::profile::OAuth) settings, the client, a browser. Leaves: a verified ID token, and the tokens that
//! keep the sign-in alive. Refused: whatever does not answer exactly this attempt (`state`, `nonce`, PKCE, `iss`), a
//! code that arrives twice, an ID token that does not hold, and waiting beyond the time limit.
//!
//! ```text
//! discovery ─► authorization request ─► browser ─► redirect ─► token endpoint ─► ID token ─► TokenSet
//! ```
//!
//! OpenID Connect Core 1.0, section 3.1, with RFC 7636 (PKCE), RFC 8252 (native apps), RFC 8628 (on another device),
//! RFC 9207 (`iss`) and RFC 9700 (security of OAuth 2.0).

mod discovery;

mod token_endpoint;

mod life;

mod id_token;

mod browser;

mod offered;

mod page;

mod redirect;

mod authorization;

mod doorway;

mod chooser;

mod device;

mod error;

mod accepted;

mod in_browser;

mod without_browser;

mod renewal;

pub use accepted::{SignIn, TokenSet};
pub use authorization::ResponseError;
pub use browser::Browser;
pub use chooser::{Chooser, Chosen, WaitingTab};
pub use device::Invitation;
pub(crate) use device::Pace;
pub use discovery::{DiscoveryError, Provider, discover, locate};
pub use doorway::{HandOverError, hand_over};
pub use error::SignInError;
pub use id_token::{Expected, IdTokenError, Identity, SKEW, verify};
pub use in_browser::{WayBack, in_browser};
pub use life::Life;
pub use offered::Offered;
pub use renewal::{Refreshed, Renewal, refresh};
pub use token_endpoint::{Client, Grant, TokenEndpointError, Tokens, redeem, revoke, words};
pub use without_browser::{on_another_device, with_password};

#[cfg(test)]
mod tests;
