//! What came from the token endpoint becomes a [`TokenSet`]: the last step of every way to sign in.
//!
//! Enters: tokens, the nonce of the attempt where there was one. Leaves: a set whose ID token holds. Refused: tokens that do
//! not say who signed in, unless the profile exchanges the access token.

use wigeon_core::jwt::UnverifiedToken;
use wigeon_core::secret::Secret;
use wigeon_core::time::{Clock, Timestamp};

use super::discovery::{self, Provider, discover};
use super::error::SignInError;
use super::id_token::{Expected, Identity, verify};
use super::life::{Life, end_of};
use super::token_endpoint::{Client, Tokens};
use crate::connect::Connector;
use crate::profile::{Exchanged, OAuth};

/// What every sign-in needs.
#[derive(Clone, Copy)]
pub struct SignIn<'a> {
    /// Makes the requests.
    pub connector: &'a Connector,
    /// Tells the time.
    pub clock: &'a dyn Clock,
    /// The profile's settings.
    pub oauth: &'a OAuth,
    /// Who we are at the provider.
    pub client: &'a Client,
}

/// What a sign-in leaves.
#[derive(Debug)]
pub struct TokenSet {
    /// The ID token; missing only where the profile exchanges the access token.
    pub id_token: Option<Secret>,
    /// Who signed in, as the ID token says.
    pub identity: Identity,
    /// For the provider's own services, or to be exchanged.
    pub access_token: Option<Secret>,
    /// When the access token ends, if the provider says it.
    pub access_token_expires_at: Option<Timestamp>,
    /// Keeps the sign-in alive.
    pub refresh_token: Option<Secret>,
    /// For how long, if the provider says it.
    pub refresh_token_life: Option<Life>,
    /// The provider, for renewal and for giving the tokens back.
    pub provider: Provider,
}

/// Checks the ID token that came and puts the set together.
pub(super) async fn accept(
    sign_in: SignIn<'_>,
    mut provider: Provider,
    tokens: Tokens,
    nonce: Option<&Secret>,
) -> Result<TokenSet, SignInError> {
    let access_token_expires_at = end_of(tokens.expires_in, sign_in.clock.now());
    let refresh_token_life = Life::of(tokens.refresh_expires_in, sign_in.clock.now());
    let Some(id_token) = tokens.id_token else {
        // A provider of access tokens alone: who signed in is known to whoever takes the token.
        let Some(access_token) =
            tokens.access_token.filter(|_| sign_in.oauth.exchanged == Exchanged::AccessToken)
        else {
            return Err(SignInError::NoIdToken);
        };
        return Ok(TokenSet {
            id_token: None,
            identity: Identity::claimed(&access_token, sign_in.clock.now()),
            access_token: Some(access_token),
            access_token_expires_at,
            refresh_token: tokens.refresh_token,
            refresh_token_life,
            provider,
        });
    };
    if provider.issuer.is_none() {
        adopt_issuer(sign_in.connector, &mut provider, &id_token).await;
    }
    let identity =
        check(sign_in, &provider, &id_token, tokens.access_token.as_ref(), nonce, provider.issuer.as_deref())
            .await?;
    Ok(TokenSet {
        id_token: Some(id_token),
        identity,
        access_token: tokens.access_token,
        access_token_expires_at,
        refresh_token: tokens.refresh_token,
        refresh_token_life,
        provider,
    })
}

/// Where the profile's addresses lead to no discovery document, the token's own `iss` may: the token came over a
/// secure connection from the profile's token endpoint, so its issuer is that endpoint's word.
async fn adopt_issuer(connector: &Connector, provider: &mut Provider, id_token: &Secret) {
    let Ok(token) = UnverifiedToken::parse(id_token.expose()) else { return };
    let Some(issuer) = token.unverified_claims().string("iss") else { return };
    match discover(connector, issuer).await {
        Ok(found) => {
            *provider = Provider {
                authorization_endpoint: provider.authorization_endpoint.clone(),
                token_endpoint: provider.token_endpoint.clone(),
                ..found
            };
        }
        Err(error) => tracing::debug!(issuer, %error, "the token's issuer has no discovery"),
    }
}

pub(super) async fn check(
    sign_in: SignIn<'_>,
    provider: &Provider,
    id_token: &Secret,
    access_token: Option<&Secret>,
    nonce: Option<&Secret>,
    issuer: Option<&str>,
) -> Result<Identity, SignInError> {
    let keys = match &provider.jwks_uri {
        Some(url) => Some(discovery::key_set(sign_in.connector, url).await?),
        None => None,
    };
    let expected = Expected {
        issuer,
        client_id: sign_in.client.id.as_deref(),
        nonce,
        access_token,
        algorithms: provider.algorithms(),
        username_claims: &sign_in.oauth.username_claims,
    };
    Ok(verify(id_token, keys.as_ref(), &expected, sign_in.clock.now())?)
}
