//! Sign-in on another device (RFC 8628): for machines without a browser.
//!
//! Enters: a provider with a device authorization endpoint. Leaves: tokens, once the person has entered the code
//! somewhere else. Refused: addresses for the person that are not http or https, and waiting beyond the code's life.
//! A provider that cannot be reached in the meantime is asked again, ever more slowly (section 3.5).

use std::time::Duration;

use serde::Deserialize;
use url::Url;
use wigeon_core::secret::Secret;

use super::authorization::scopes;
use super::discovery::Provider;
use super::token_endpoint::{Client, Grant, TokenEndpointError, Tokens, ask, redeem};
use crate::connect::Connector;
use crate::profile::OAuth;

/// Section 3.2: what counts where the provider names no interval.
const INTERVAL: Duration = Duration::from_secs(5);

/// Section 3.5: by how much `slow_down` slows us down, for good.
const SLOWER: Duration = Duration::from_secs(5);

/// The longest pause between two attempts while the provider cannot be reached.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the person needs to sign in on another device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The code to enter, as it is to be shown.
    pub user_code: String,
    /// Where to enter it.
    pub verification_uri: Url,
    /// The same with the code already in it, where the provider has that.
    pub verification_uri_complete: Option<Url>,
    /// For how long the code is good.
    pub expires_in: Duration,
}

/// A sign-in that has begun and waits for the person.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) invitation: Invitation,
    device_code: Secret,
    pace: Pace,
}

/// How a wait for the person can end without tokens.
#[derive(Debug, thiserror::Error)]
pub(super) enum PollError {
    /// The code's life is over.
    #[error("the code has expired")]
    Expired,
    /// The provider says no.
    #[error(transparent)]
    Tokens(#[from] TokenEndpointError),
}

/// Section 3.2.
#[derive(Deserialize)]
struct Answer {
    device_code: Secret,
    user_code: String,
    // Google's early form of the field has another name.
    #[serde(alias = "verification_url")]
    verification_uri: Url,
    #[serde(alias = "verification_url_complete")]
    verification_uri_complete: Option<Url>,
    expires_in: u64,
    interval: Option<u64>,
}

/// Asks for a code (section 3.1).
pub(super) async fn begin(
    connector: &Connector,
    provider: &Provider,
    endpoint: &Url,
    oauth: &OAuth,
    client: &Client,
) -> Result<Pending, TokenEndpointError> {
    let scope = scopes(provider, oauth).join(" ");
    let mut form = vec![("scope", scope.as_str())];
    form.extend(oauth.audience.as_deref().map(|audience| ("audience", audience)));
    form.extend(oauth.resource.as_deref().map(|resource| ("resource", resource)));
    let answer: Answer = ask(connector, provider, client, endpoint, form).await?;
    let shown = |url: &Url| matches!(url.scheme(), "http" | "https");
    if !shown(&answer.verification_uri) {
        return Err(TokenEndpointError::Unreadable { url: endpoint.clone(), status: 200 });
    }
    Ok(Pending {
        invitation: Invitation {
            user_code: answer.user_code,
            verification_uri: answer.verification_uri,
            verification_uri_complete: answer.verification_uri_complete.filter(shown),
            expires_in: Duration::from_secs(answer.expires_in),
        },
        device_code: answer.device_code,
        pace: Pace::of_interval(answer.interval),
    })
}

/// Asks for the tokens until the person has answered (sections 3.4 and 3.5). The caller limits the time.
pub(super) async fn poll(
    connector: &Connector,
    provider: &Provider,
    client: &Client,
    pending: Pending,
) -> Result<Tokens, PollError> {
    let Pending { device_code, mut pace, .. } = pending;
    loop {
        tokio::time::sleep(pace.pause()).await;
        match redeem(connector, provider, client, Grant::Device(&device_code)).await {
            Ok(tokens) => return Ok(tokens),
            Err(TokenEndpointError::Refused { code, .. }) if code == "authorization_pending" => {
                pace.pending()
            }
            Err(TokenEndpointError::Refused { code, .. }) if code == "slow_down" => pace.slow_down(),
            Err(TokenEndpointError::Refused { code, .. }) if code == "expired_token" => {
                return Err(PollError::Expired);
            }
            Err(error) if error.is_temporary() => {
                tracing::info!(%error, "the provider is asked again");
                pace.unreachable();
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// How long to wait before each attempt.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The least that the provider wants.
    interval: Duration,
    pause: Duration,
}

impl Pace {
    /// The provider's interval in seconds, if it names one.
    pub(crate) fn of_interval(seconds: Option<u64>) -> Self {
        let interval =
            seconds.map_or(INTERVAL, Duration::from_secs).clamp(Duration::from_secs(1), LONGEST_PAUSE);
        Self { interval, pause: interval }
    }

    /// How long to wait now.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }

    /// The person has not answered yet.
    pub(crate) fn pending(&mut self) {
        self.pause = self.interval;
    }

    /// We are too fast.
    pub(crate) fn slow_down(&mut self) {
        self.interval += SLOWER;
        self.pause = self.interval;
    }

    /// Nobody answered.
    pub(crate) fn unreachable(&mut self) {
        self.pause = (self.pause * 2).min(LONGEST_PAUSE.max(self.interval));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_the_providers() {
        let mut pace = Pace::of_interval(Some(2));
        let mut seen = vec![pace.pause.as_secs()];
        for step in [Pace::pending, Pace::slow_down, Pace::pending, Pace::slow_down] {
            step(&mut pace);
            seen.push(pace.pause.as_secs());
        }
        assert_eq!(seen, [2, 2, 7, 7, 12]);
    }

    #[test]
    fn a_provider_that_is_down_is_asked_ever_more_slowly() {
        let mut pace = Pace::of_interval(None);
        let mut seen = Vec::new();
        for _ in 0..6 {
            pace.unreachable();
            seen.push(pace.pause.as_secs());
        }
        pace.pending();
        seen.push(pace.pause.as_secs());
        assert_eq!(seen, [10, 20, 40, 60, 60, 60, 5]);
    }

    #[test]
    fn an_interval_of_nothing_is_a_second() {
        assert_eq!(Pace::of_interval(Some(0)).pause, Duration::from_secs(1));
    }
}
