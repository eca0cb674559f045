//! Sign-in without a browser of ours: with a code on another device, or with a password that the profile passes on.

use std::time::Duration;

use wigeon_core::secret::Secret;

use super::accepted::{SignIn, TokenSet, accept};
use super::device::{self, Invitation, PollError};
use super::discovery::{Provider, locate};
use super::error::SignInError;
use super::token_endpoint::{Grant, redeem};

/// Signs a person in on another device: `show` gets the code and the address, at once.
///
/// # Errors
/// See [`SignInError`]; [`SignInError::NoDeviceEndpoint`] and a client that may not do this
/// ([`SignInError::wants_another_way`]) are known before anything is shown.
pub async fn on_another_device(
    sign_in: SignIn<'_>,
    provider: Provider,
    show: &(dyn Fn(&Invitation) + Send + Sync),
    limit: Duration,
) -> Result<TokenSet, SignInError> {
    let SignIn { connector, oauth, client, .. } = sign_in;
    let endpoint = provider.device_authorization_endpoint.clone().ok_or(SignInError::NoDeviceEndpoint)?;
    let pending = device::begin(connector, &provider, &endpoint, oauth, client).await?;
    show(&pending.invitation);

    let good_for = pending.invitation.expires_in;
    let answered = device::poll(connector, &provider, client, pending);
    let tokens = match tokio::time::timeout(limit.min(good_for), answered).await {
        Ok(Ok(tokens)) => tokens,
        Ok(Err(PollError::Expired)) => return Err(SignInError::CodeExpired),
        Ok(Err(PollError::Tokens(error))) => return Err(error.into()),
        Err(_) if good_for <= limit => return Err(SignInError::CodeExpired),
        Err(_) => return Err(SignInError::TimeLimit { limit, refused: None }),
    };
    accept(sign_in, provider, tokens, None).await
}

/// Signs a person in by their password, for profiles whose provider's client allows only that.
///
/// # Errors
/// See [`SignInError`].
pub async fn with_password(
    sign_in: SignIn<'_>,
    username: &str,
    password: &Secret,
) -> Result<TokenSet, SignInError> {
    let provider = locate(sign_in.connector, sign_in.oauth).await?;
    let scope = sign_in.oauth.scopes.join(" ");
    let grant = Grant::Password { username, password, scope: &scope };
    let tokens = redeem(sign_in.connector, &provider, sign_in.client, grant).await?;
    accept(sign_in, provider, tokens, None).await
}
