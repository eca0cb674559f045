//! The roots that a person stands behind: an OpenID provider's token, which is refreshed when it has to be, and a
//! sign-in at IAM Identity Center.
//!
//! Enters: the record of a sign-in. Leaves: the first credentials of the plan, new tokens kept before anything else is
//! done with them. Refused: a sign-in that only a person can go on with ([`SessionError::SignInNeeded`]).

use wigeon_core::secret::Secret;
use wigeon_core::time::{SignedDuration, Timestamp, iso8601};

use super::error::SessionError;
use super::held::Session;
use super::plan::Plan;
use super::record::Record;
use crate::exchange::{Assumption, exchange};
use crate::identity_center::CenterError;
use crate::profile::{Exchanged, IdentityCenter};
use crate::sign_in::{self, Identity, TokenEndpointError};

/// An ID token is exchanged only while it has this long to live: the request takes time, too.
const ID_TOKEN_MARGIN: SignedDuration = SignedDuration::from_secs(5);

impl Session {
    /// Exchanges the person's token while it is valid and the refresh token has time; else refreshes first.
    pub(super) async fn enter_as_person(
        &self,
        plan: &Plan,
        mut record: Record,
    ) -> Result<(Record, Assumption), SessionError> {
        if record.client_id != self.client.id {
            return Err(self.sign_in_needed("the profile's client id has changed since"));
        }
        let (token, valid_until) = record.exchangeable(self.oauth.exchanged).ok_or_else(|| self.nobody())?;
        let now = self.clock.now();
        let to_be_refreshed = record.refresh_from().is_some_and(|from| from <= now);
        if now + ID_TOKEN_MARGIN < valid_until && !to_be_refreshed {
            match exchange(self.connector()?, &plan.sts, token, &record.identity).await {
                Err(error) if error.wants_newer_token() && record.refresh_token.is_some() => {
                    tracing::info!(%error, "the STS wants a newer token");
                }
                outcome => return Ok((record, outcome?.into())),
            }
        }
        let Some(refresh_token) = record.refresh_token.clone() else {
            let reason = format!(
                "the sign-in ended at {}, and the provider gave no refresh token",
                iso8601(valid_until)
            );
            return Err(self.sign_in_needed(&reason));
        };
        self.refresh(&mut record, &refresh_token).await?;
        let (token, _) = record.exchangeable(self.oauth.exchanged).ok_or_else(|| self.nobody())?;
        let assumed = exchange(self.connector()?, &plan.sts, token, &record.identity).await?;
        Ok((record, assumed.into()))
    }

    /// The credentials of the role at IAM Identity Center, with a sign-in that is refreshed when it has to be.
    pub(super) async fn enter_by_center(
        &self,
        place: &IdentityCenter,
        mut record: Record,
    ) -> Result<(Record, Assumption), SessionError> {
        let kept = record.sso.as_ref().ok_or_else(|| self.nobody())?;
        let (Some(account), Some(role)) = (&place.account_id, &place.role_name) else {
            return Err(self.sign_in_needed("no account and role have been chosen"));
        };
        let center = self.center(place)?;
        self.prepare()?;
        let sso = match center.fresh(kept).await {
            Err(CenterError::SignInNeeded(why)) => return Err(self.sign_in_needed(&why)),
            outcome => outcome?,
        };
        if record.sso.as_ref() != Some(&sso) {
            // First of all the new tokens are kept: the old ones may be worthless from now on.
            record.sso = Some(sso.clone());
            self.save(&record)?;
        }
        match center.role_credentials(&sso, account, role).await {
            Ok(credentials) => Ok((record, Assumption::plain(credentials))),
            Err(CenterError::Refused { status: 401, code, message, .. }) => Err(self
                .sign_in_needed(&format!("IAM Identity Center has ended the sign-in: {code} ({message})"))),
            Err(error) => Err(error.into()),
        }
    }

    async fn refresh(&self, record: &mut Record, refresh_token: &Secret) -> Result<(), SessionError> {
        let sign_in = self.sign_in()?;
        let provider = record.provider.clone().ok_or_else(|| self.nobody())?;
        // The old token may be worthless once the new one is there: first it is certain that that one can be kept.
        self.prepare()?;
        let renewal = match sign_in::refresh(sign_in, &provider, refresh_token).await {
            Ok(renewal) => renewal,
            Err(TokenEndpointError::Refused { code, description }) if code == "invalid_grant" => {
                // RFC 6749, section 5.2: it will never work again.
                record.refresh_token = None;
                self.save(record)?;
                let words = sign_in::words(&code, &description);
                return Err(self.sign_in_needed(&format!("the provider has ended the sign-in: {words}")));
            }
            Err(error) => return Err(SessionError::Renewal(error)),
        };
        // First of all the new refresh token is kept: the old one may be worthless from now on (RFC 9700, 4.14.2).
        if let Some(new) = renewal.refresh_token() {
            record.refresh_token = Some(new.clone());
            self.save(record)?;
        }
        let refreshed = renewal
            .verified(sign_in, &provider, &record.identity)
            .await
            .map_err(|error| SessionError::Untrusted(Box::new(error)))?;
        let newer = match self.oauth.exchanged {
            Exchanged::IdToken => refreshed.id_token.is_some(),
            Exchanged::AccessToken => refreshed.access_token.is_some(),
        };
        if refreshed.access_token.is_some() {
            record.access_token = refreshed.access_token;
            record.access_token_expires_at = refreshed.access_token_expires_at;
        }
        record.refresh_token_life = refreshed.refresh_token_life;
        if let Some((id_token, identity)) = refreshed.id_token {
            record.id_token = Some(id_token);
            record.identity = identity;
        }
        self.save(record)?;
        if newer {
            return Ok(());
        }
        let ended = iso8601(record.identity.expires_at);
        let reason =
            format!("the ID token ended at {ended}, and the provider gives no new one without a person");
        Err(self.sign_in_needed(&reason))
    }
}

/// Who signed in at IAM Identity Center, which names accounts and roles, and no person.
pub(super) fn identity_at(place: &IdentityCenter, now: Timestamp) -> Identity {
    let role = place.role_name.as_deref().unwrap_or_default();
    let account = place.account_id.as_deref().unwrap_or_default();
    Identity { user: format!("{role} in {account}"), ..Identity::of_keys(&place.start_url, account, now) }
}
