//! How a session begins: with a person's tokens, a sign-in at IAM Identity Center, access keys, or nobody.
//!
//! Enters: what the person or the machine gives. Leaves: a [`Record`], kept before it is exchanged.

use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;

use super::error::SessionError;
use super::held::Session;
use super::person::identity_at;
use super::plan::Root;
use super::record::Record;
use crate::identity_center::SsoSession;
use crate::sign_in::{Identity, TokenSet};

impl Session {
    /// Begins the session with a fresh sign-in: keeps the tokens, exchanges, keeps the credentials.
    ///
    /// # Errors
    /// A store that does not work; an exchange that fails. The tokens are kept all the same, so that another role
    /// can be tried without signing in again.
    pub async fn begin(&self, tokens: TokenSet) -> Result<Record, SessionError> {
        let record = Record::new(tokens, self.client.id.clone(), self.clock.now());
        self.begin_with(record, None).await
    }

    /// Begins the session with a sign-in at IAM Identity Center.
    ///
    /// # Errors
    /// As [`Session::begin`].
    pub async fn begin_at_center(&self, sso: SsoSession) -> Result<Record, SessionError> {
        let plan = self.plan()?;
        let Root::IdentityCenter(place) = &plan.root else { return Err(self.nobody()) };
        let record =
            Record { sso: Some(sso), ..Record::of(identity_at(place, self.clock.now()), self.clock.now()) };
        self.begin_with(record, None).await
    }

    /// Begins the session with access keys that a person gives, and the code of their multi-factor device where
    /// the role wants one.
    ///
    /// # Errors
    /// As [`Session::begin`].
    pub async fn begin_with_keys(
        &self,
        keys: Credentials,
        code: Option<Secret>,
    ) -> Result<Record, SessionError> {
        let identity = Identity::of_keys("access-keys", &keys.access_key_id, self.clock.now());
        let record = Record { keys: Some(keys), ..Record::of(identity, self.clock.now()) };
        self.begin_with(record, code).await
    }

    /// Begins the session of a profile that needs nobody, or only a person's code.
    ///
    /// # Errors
    /// As [`Session::begin`].
    pub async fn begin_unattended(&self, code: Option<Secret>) -> Result<Record, SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        let plan = self.plan()?;
        let kept = self.load().ok().flatten().filter(|record| record.keys.is_some());
        self.renew(&plan, kept, code.as_ref()).await
    }

    async fn begin_with(&self, record: Record, code: Option<Secret>) -> Result<Record, SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        let plan = self.plan()?;
        self.save(&record)?;
        self.renew(&plan, Some(record), code.as_ref()).await
    }
}
