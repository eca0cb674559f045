//! Sign-in: a person at their identity provider becomes a [`TokenSet`].
//!
//! Enters: the profile's [`OAuth`] settings, the client, a browser. Leaves: a verified ID token, and the tokens that
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

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use wigeon_core::jwt::UnverifiedToken;
use wigeon_core::secret::Secret;
use wigeon_core::time::{Clock, Timestamp};

pub use authorization::ResponseError;
pub use browser::Browser;
pub use chooser::{Chooser, Chosen, WaitingTab};
pub use device::Invitation;
pub(crate) use device::Pace;
pub use discovery::{DiscoveryError, Provider, discover, locate};
pub use doorway::{HandOverError, hand_over};
pub use id_token::{Expected, IdTokenError, Identity, SKEW, verify};
pub use life::Life;
pub use offered::Offered;
pub use token_endpoint::{Client, Grant, TokenEndpointError, Tokens, redeem, revoke, words};

use crate::causes::with_causes;
use crate::connect::Connector;
use crate::profile::{Exchanged, OAuth, Redirect};
use authorization::{Attempt, code_of_pasted, query_of_pasted};
use device::PollError;
use doorway::Doorway;
use life::end_of;
use page::Page;
use redirect::{Arrival, Listener};

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

/// How the browser's answer comes back where there is no listener, or besides it.
#[derive(Debug)]
pub struct WayBack {
    /// Lines that a person pastes; closed where nobody can.
    pub pasted: mpsc::Receiver<String>,
    /// Where the desktop's handler looks for the sign-in that waits ([`hand_over`]); `None` where there is no handler.
    pub doorway: Option<PathBuf>,
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

fn words_for(limit: &Duration) -> String {
    match limit.as_secs() {
        seconds if seconds >= 120 && seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

/// Signs a person in by their browser.
///
/// # Errors
/// See [`SignInError`].
pub async fn in_browser(
    sign_in: SignIn<'_>,
    provider: Provider,
    browser: &dyn Browser,
    back: WayBack,
    limit: Duration,
) -> Result<TokenSet, SignInError> {
    let SignIn { connector, oauth, client, .. } = sign_in;
    let WayBack { mut pasted, doorway } = back;
    let endpoint =
        provider.authorization_endpoint.clone().ok_or(DiscoveryError::Missing("authorization URL"))?;
    let attempt = Attempt::new(oauth.pkce);
    let no_listener = |address: &String, source| SignInError::Listen { address: address.clone(), source };
    let mut entrance = match (&oauth.redirect, &doorway) {
        (Redirect::Loopback { text, url, port }, _) => {
            let listener = Listener::bind(url, *port).await.map_err(|source| no_listener(text, source))?;
            Some(Entrance::Loopback(listener))
        }
        (Redirect::CustomScheme(_), Some(dir)) => match Doorway::open(dir, &attempt.state) {
            Ok(doorway) => Some(Entrance::Desktop(doorway)),
            Err(error) => {
                tracing::warn!(%error, "the desktop cannot hand the address over; paste it");
                None
            }
        },
        (Redirect::CustomScheme(_) | Redirect::Elsewhere(_), _) => None,
    };
    let redirect_uri = oauth.redirect.uri(entrance.as_ref().and_then(Entrance::port));
    browser.show(&attempt.address(&endpoint, &provider, oauth, client, &redirect_uri));

    let mut refused = None;
    let answered = answer(&attempt, &provider, &mut entrance, &mut pasted, &oauth.redirect, &mut refused);
    let Ok(answered) = tokio::time::timeout(limit, answered).await else {
        return Err(SignInError::TimeLimit { limit, refused });
    };
    let (code, arrival) = answered?;

    // The code is redeemed before the browser has its page, so that the page can say who signed in.
    let (verifier, resource) = (attempt.verifier.as_ref(), oauth.resource.as_deref());
    let grant = Grant::Code { code: &code, redirect_uri: &redirect_uri, verifier, resource };
    let outcome = match redeem(connector, &provider, client, grant).await {
        Ok(tokens) => accept(sign_in, provider, tokens, Some(&attempt.nonce)).await,
        Err(error) => Err(error.into()),
    };
    if let Some(arrival) = arrival {
        let page = match &outcome {
            Ok(tokens) => Page::SignedIn {
                user: tokens.identity.user.clone(),
                provider: tokens.identity.issuer.clone(),
            },
            Err(error) => Page::Failed { reason: with_causes(error) },
        };
        let _ = arrival.answer.send(page);
    }
    if let Some(entrance) = entrance {
        entrance.close().await;
    }
    outcome
}

/// Where the browser's answer comes in by itself.
enum Entrance {
    Loopback(Listener),
    Desktop(Doorway),
}

impl Entrance {
    fn port(&self) -> Option<u16> {
        match self {
            Self::Loopback(listener) => Some(listener.port),
            Self::Desktop(_) => None,
        }
    }

    async fn arrival(&mut self) -> Option<Arrival> {
        match self {
            Self::Loopback(listener) => listener.arrival().await,
            Self::Desktop(doorway) => doorway.arrival().await,
        }
    }

    /// A code works once. The handler of a desktop finds the doorway closed soon enough.
    fn taken(&self) {
        if let Self::Loopback(listener) = self {
            listener.taken();
        }
    }

    async fn close(self) {
        match self {
            Self::Loopback(listener) => listener.close().await,
            Self::Desktop(doorway) => doorway.close().await,
        }
    }
}

/// Waits for the answer that belongs to this attempt, from the browser or pasted.
async fn answer(
    attempt: &Attempt,
    provider: &Provider,
    entrance: &mut Option<Entrance>,
    pasted: &mut mpsc::Receiver<String>,
    redirect: &Redirect,
    refused: &mut Option<String>,
) -> Result<(Secret, Option<Arrival>), SignInError> {
    let mut somebody_pastes = true;
    let mut mistaken = None;
    loop {
        let arrival = async {
            match entrance.as_mut() {
                Some(entrance) => entrance.arrival().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(arrival) = arrival => match attempt.read(&arrival.query, provider) {
                Ok(code) => {
                    if let Some(entrance) = entrance {
                        entrance.taken();
                    }
                    return Ok((code, Some(arrival)));
                }
                // Anyone on this machine can knock here; only an answer with our state ends the attempt.
                Err(error @ (ResponseError::State | ResponseError::Twice(_))) => {
                    *refused = Some(error.to_string());
                    let reason = "This answer does not belong to the sign-in that is under way.";
                    let _ = arrival.answer.send(Page::Refused { reason });
                }
                Err(error) => {
                    let _ = arrival.answer.send(Page::Failed { reason: error.to_string() });
                    if let Some(entrance) = entrance.take() {
                        entrance.close().await;
                    }
                    return Err(error.into());
                }
            },
            line = pasted.recv(), if somebody_pastes => match line {
                Some(line) if line.trim().is_empty() => {}
                Some(line) => match read_pasted(attempt, provider, redirect, &line) {
                    Ok(code) => return Ok((code, None)),
                    // A line that went wrong is no reason to begin again: the next one may be right.
                    Err(error @ (SignInError::NotAnAddress | SignInError::Response(ResponseError::State))) => {
                        tracing::warn!("{}; paste the whole address, it is still awaited", with_causes(&error));
                        *refused = Some(error.to_string());
                        mistaken = Some(error);
                    }
                    Err(error) => return Err(error),
                },
                None if mistaken.is_some() => return Err(mistaken.unwrap_or(SignInError::NotAnAddress)),
                None if entrance.is_none() => return Err(SignInError::NobodyPastes(redirect.uri(None))),
                None => somebody_pastes = false,
            },
        }
    }
}

/// Without `state` a code is taken only where the page of the redirect may show no more, and where PKCE binds it to this
/// attempt (RFC 9700, section 2.1.1): somebody else's is refused by the token endpoint.
fn read_pasted(
    attempt: &Attempt,
    provider: &Provider,
    redirect: &Redirect,
    line: &str,
) -> Result<Secret, SignInError> {
    let may_be_alone = matches!(redirect, Redirect::Elsewhere(_)) && attempt.verifier.is_some();
    if let Some(code) = code_of_pasted(line).filter(|_| may_be_alone) {
        return Ok(code);
    }
    let query = query_of_pasted(line).ok_or(SignInError::NotAnAddress)?;
    Ok(attempt.read(query, provider)?)
}

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

/// Checks the ID token that came and puts the set together.
async fn accept(
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

async fn check(
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

#[cfg(test)]
mod tests;
