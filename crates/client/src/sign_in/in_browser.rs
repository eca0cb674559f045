//! Sign-in by a browser, here or elsewhere: the request goes out, and exactly its answer comes back, by a listener, by the
//! desktop, or pasted (RFC 6749, section 4.1; RFC 8252).

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use wigeon_core::secret::Secret;

use super::accepted::{SignIn, TokenSet, accept};
use super::authorization::{Attempt, ResponseError, code_of_pasted, query_of_pasted};
use super::browser::Browser;
use super::discovery::{DiscoveryError, Provider};
use super::doorway::Doorway;
use super::error::SignInError;
use super::page::Page;
use super::redirect::{Arrival, Listener};
use super::token_endpoint::{Grant, redeem};
use crate::causes::with_causes;
use crate::profile::Redirect;

/// How the browser's answer comes back where there is no listener, or besides it.
#[derive(Debug)]
pub struct WayBack {
    /// Lines that a person pastes; closed where nobody can.
    pub pasted: mpsc::Receiver<String>,
    /// Where the desktop's handler looks for the sign-in that waits ([`hand_over`](super::doorway::hand_over)); `None` where there is no handler.
    pub doorway: Option<PathBuf>,
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
