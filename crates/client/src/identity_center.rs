//! AWS IAM Identity Center: a person's sign-in there, and the credentials of a role in an account.
//!
//! Enters: start URL and region. Leaves: an [`SsoSession`], then [`Credentials`] of the role. The person signs in with
//! a code on any device, as `aws sso login --use-device-code` does. Refused: what the service refuses, in its words.
//! Sources: IAM Identity Center OIDC API Reference (`RegisterClient`, `StartDeviceAuthorization`, `CreateToken`) and
//! IAM Identity Center Portal API Reference (`GetRoleCredentials`, `ListAccounts`, `ListAccountRoles`).

mod error;

mod service;

mod token;

mod cache;

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::{Clock, SignedDuration, Timestamp};

use crate::connect::Connector;
use crate::profile::IdentityCenter;
use crate::sign_in::{Invitation, Pace};
use crate::surroundings::Surroundings;
use service::Service;

pub use error::CenterError;
pub use token::{SsoClient, SsoSession};

/// What is asked for with a device code.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A token is used only while it has this long to live.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// What every request to IAM Identity Center needs.
#[derive(Clone, Copy)]
pub struct Center<'a> {
    /// Where and what.
    pub place: &'a IdentityCenter,
    /// Makes the requests.
    pub connector: &'a Connector,
    /// Where the addresses of the services, and AWS's cache, may be said.
    pub around: &'a Surroundings,
    /// Tells the time.
    pub clock: &'a dyn Clock,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    client_id: String,
    client_secret: Secret,
    client_secret_expires_at: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    device_code: Secret,
    user_code: String,
    verification_uri: Url,
    verification_uri_complete: Option<Url>,
    expires_in: u64,
    interval: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    access_token: Secret,
    expires_in: i64,
    refresh_token: Option<Secret>,
}

impl Center<'_> {
    /// A sign-in that AWS's tools have made, where the profile shares it with them and it still holds.
    #[must_use]
    pub fn shared(&self) -> Option<SsoSession> {
        if !self.place.shared {
            return None;
        }
        cache::load(self.place, self.around).filter(|session| self.holds(session))
    }

    /// Signs a person in; `show` gets the code and the address.
    ///
    /// # Errors
    /// See [`CenterError`].
    pub async fn sign_in(
        &self,
        show: &(dyn Fn(&Invitation) + Send + Sync),
        limit: Duration,
    ) -> Result<SsoSession, CenterError> {
        let oidc = self.oidc()?;
        let registered: Registered = oidc
            .post(
                "/client/register",
                &json!({
                    "clientName": "wigeon",
                    "clientType": "public",
                    "scopes": self.place.scopes,
                    "grantTypes": [DEVICE_GRANT, "refresh_token"],
                }),
            )
            .await?;
        let client = SsoClient {
            id: registered.client_id,
            secret: registered.client_secret,
            expires_at: Timestamp::from_second(registered.client_secret_expires_at).unwrap_or(Timestamp::MAX),
        };
        let started: Started = oidc
            .post(
                "/device_authorization",
                &json!({
                    "clientId": client.id,
                    "clientSecret": client.secret.expose(),
                    "startUrl": self.place.start_url,
                }),
            )
            .await?;
        let good_for = Duration::from_secs(started.expires_in);
        show(&Invitation {
            user_code: started.user_code,
            verification_uri: started.verification_uri,
            verification_uri_complete: started.verification_uri_complete,
            expires_in: good_for,
        });
        let request = json!({
            "clientId": client.id,
            "clientSecret": client.secret.expose(),
            "grantType": DEVICE_GRANT,
            "deviceCode": started.device_code.expose(),
        });
        let pace = Pace::of_interval(started.interval);
        match tokio::time::timeout(limit.min(good_for), poll(&oidc, &request, pace)).await {
            Ok(created) => self.keep(created?, client, None),
            Err(_) => Err(CenterError::CodeExpired),
        }
    }

    /// The same sign-in with a token that holds: itself, or refreshed.
    ///
    /// # Errors
    /// [`CenterError::SignInNeeded`] where a person has to act; else see [`CenterError`].
    pub async fn fresh(&self, session: &SsoSession) -> Result<SsoSession, CenterError> {
        if self.holds(session) {
            return Ok(session.clone());
        }
        // Somebody may have run `aws sso login` in the meantime.
        if let Some(shared) = self.shared() {
            return Ok(shared);
        }
        let Some(refresh_token) = &session.refresh_token else {
            return Err(CenterError::SignInNeeded("it has ended, and cannot be renewed".to_owned()));
        };
        if self.clock.now() >= session.client.expires_at {
            return Err(CenterError::SignInNeeded("its client registration has ended".to_owned()));
        }
        let request = json!({
            "clientId": session.client.id,
            "clientSecret": session.client.secret.expose(),
            "grantType": "refresh_token",
            "refreshToken": refresh_token.expose(),
        });
        let created: Result<Created, CenterError> = self.oidc()?.post("/token", &request).await;
        match created {
            Ok(created) => self.keep(created, session.client.clone(), Some(refresh_token)),
            Err(CenterError::Refused { code, message, .. }) if code.contains("invalid_grant") => {
                Err(CenterError::SignInNeeded(format!("{code} ({message})")))
            }
            Err(error) => Err(error),
        }
    }

    /// The credentials of a role in an account.
    ///
    /// # Errors
    /// See [`CenterError`].
    pub async fn role_credentials(
        &self,
        session: &SsoSession,
        account: &str,
        role: &str,
    ) -> Result<Credentials, CenterError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            role_credentials: Keys,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Keys {
            access_key_id: String,
            secret_access_key: Secret,
            session_token: Secret,
            expiration: i64,
        }
        let query = [("role_name", role), ("account_id", account)];
        let answer: Answer =
            self.portal()?.get("/federation/credentials", &query, &session.access_token).await?;
        let keys = answer.role_credentials;
        Ok(Credentials {
            access_key_id: keys.access_key_id,
            secret_key: keys.secret_access_key,
            session_token: Some(keys.session_token),
            expires_at: Timestamp::from_millisecond(keys.expiration).ok(),
        })
    }

    /// The accounts that the person has, by id, each with its name.
    ///
    /// # Errors
    /// See [`CenterError`].
    pub async fn accounts(&self, session: &SsoSession) -> Result<Vec<(String, String)>, CenterError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            account_list: Vec<Account>,
            next_token: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Account {
            account_id: String,
            account_name: Option<String>,
        }
        let portal = self.portal()?;
        let mut accounts = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let query: Vec<_> = next.as_deref().map(|token| ("next_token", token)).into_iter().collect();
            let page: Page = portal.get("/assignment/accounts", &query, &session.access_token).await?;
            accounts.extend(
                page.account_list
                    .into_iter()
                    .map(|account| (account.account_id, account.account_name.unwrap_or_default())),
            );
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(accounts);
            }
        }
    }

    /// The roles that the person has in an account.
    ///
    /// # Errors
    /// See [`CenterError`].
    pub async fn roles(&self, session: &SsoSession, account: &str) -> Result<Vec<String>, CenterError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            role_list: Vec<Role>,
            next_token: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Role {
            role_name: String,
        }
        let portal = self.portal()?;
        let mut roles = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut query = vec![("account_id", account)];
            query.extend(next.as_deref().map(|token| ("next_token", token)));
            let page: Page = portal.get("/assignment/roles", &query, &session.access_token).await?;
            roles.extend(page.role_list.into_iter().map(|role| role.role_name));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(roles);
            }
        }
    }

    fn oidc(&self) -> Result<Service<'_>, CenterError> {
        Service::oidc(&self.place.region, self.around, self.connector)
    }

    fn portal(&self) -> Result<Service<'_>, CenterError> {
        Service::portal(&self.place.region, self.around, self.connector)
    }

    fn holds(&self, session: &SsoSession) -> bool {
        self.clock.now() + MARGIN < session.expires_at
    }

    fn keep(
        &self,
        created: Created,
        client: SsoClient,
        before: Option<&Secret>,
    ) -> Result<SsoSession, CenterError> {
        let session = SsoSession {
            access_token: created.access_token,
            expires_at: self.clock.now() + SignedDuration::from_secs(created.expires_in.clamp(0, 31_536_000)),
            refresh_token: created.refresh_token.or_else(|| before.cloned()),
            client,
        };
        if self.place.shared {
            cache::save(self.place, self.around, &session)?;
        }
        Ok(session)
    }
}

async fn poll(
    oidc: &Service<'_>,
    request: &serde_json::Value,
    mut pace: Pace,
) -> Result<Created, CenterError> {
    loop {
        tokio::time::sleep(pace.pause()).await;
        match oidc.post("/token", request).await {
            Ok(created) => return Ok(created),
            Err(CenterError::Refused { code, .. }) if code == "authorization_pending" => pace.pending(),
            Err(CenterError::Refused { code, .. }) if code == "slow_down" => pace.slow_down(),
            Err(CenterError::Refused { code, .. }) if code == "expired_token" => {
                return Err(CenterError::CodeExpired);
            }
            Err(error) if error.is_temporary() => pace.unreachable(),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
