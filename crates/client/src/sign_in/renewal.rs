//! A refresh token becomes new tokens (RFC 6749, section 6; OpenID Connect Core 1.0, section 12).
//!
//! Enters: the refresh token, who signed in. Leaves: a [`Renewal`], whose new refresh token is to be kept at once; then what
//! it holds, checked. Refused: an ID token of somebody else.

use wigeon_core::secret::Secret;
use wigeon_core::time::Timestamp;

use super::accepted::{SignIn, check};
use super::discovery::Provider;
use super::error::SignInError;
use super::id_token::{IdTokenError, Identity};
use super::life::{Life, end_of};
use super::token_endpoint::{Grant, TokenEndpointError, Tokens, redeem};

/// What a refresh leaves.
#[derive(Debug)]
pub struct Refreshed {
    /// A new ID token and who it names, if the provider gives one.
    pub id_token: Option<(Secret, Identity)>,
    /// A new access token.
    pub access_token: Option<Secret>,
    /// When that ends, if the provider says it.
    pub access_token_expires_at: Option<Timestamp>,
    /// The refresh token to use from now on, if it is a new one.
    pub refresh_token: Option<Secret>,
    /// For how long the refresh token is good now, if the provider says it.
    pub refresh_token_life: Option<Life>,
}

/// Redeems a refresh token. Whatever it gives must be kept before anything else is done: the old refresh token may
/// be worthless now. The new ID token is still to be checked, by [`Renewal::verified`].
///
/// # Errors
/// The token endpoint's.
pub async fn refresh(
    sign_in: SignIn<'_>,
    provider: &Provider,
    refresh_token: &Secret,
) -> Result<Renewal, TokenEndpointError> {
    let tokens = redeem(
        sign_in.connector,
        provider,
        sign_in.client,
        Grant::Refresh { token: refresh_token, resource: sign_in.oauth.resource.as_deref() },
    )
    .await?;
    Ok(Renewal(tokens))
}

/// Tokens of a refresh whose ID token has not been checked.
#[derive(Debug)]
pub struct Renewal(Tokens);

impl Renewal {
    /// The refresh token that replaces the old one, to be kept at once.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.0.refresh_token.as_ref()
    }

    /// Checks the new ID token as section 12.2 of OpenID Connect Core says: as at the sign-in, without a nonce, and
    /// for the same issuer and subject as before.
    ///
    /// # Errors
    /// An ID token that does not hold, or names someone else.
    pub async fn verified(
        self,
        sign_in: SignIn<'_>,
        provider: &Provider,
        before: &Identity,
    ) -> Result<Refreshed, SignInError> {
        let Tokens { id_token, access_token, refresh_token, expires_in, refresh_expires_in } = self.0;
        let access_token_expires_at = end_of(expires_in, sign_in.clock.now());
        let refresh_token_life = Life::of(refresh_expires_in, sign_in.clock.now());
        let id_token = match id_token {
            None => None,
            Some(id_token) => {
                let identity =
                    check(sign_in, provider, &id_token, access_token.as_ref(), None, Some(&before.issuer))
                        .await?;
                if identity.subject != before.subject {
                    return Err(IdTokenError::Subject {
                        found: identity.subject,
                        expected: before.subject.clone(),
                    }
                    .into());
                }
                Some((id_token, identity))
            }
        };
        Ok(Refreshed { id_token, access_token, access_token_expires_at, refresh_token, refresh_token_life })
    }
}
