//! The accounts of a profile: which there are, which is in use, and how they end.
//!
//! Enters: nothing but the store. Leaves: records; tokens given back to the provider, where it takes them.

use super::error::SessionError;
use super::held::Session;
use super::record::Record;
use crate::sign_in;

impl Session {
    /// What is kept of the sign-in, whether or not it is still good.
    ///
    /// # Errors
    /// A store that does not work.
    pub fn record(&self) -> Result<Option<Record>, SessionError> {
        self.load()
    }

    /// What is kept of every account of the profile, the current one among them.
    ///
    /// # Errors
    /// A store that does not work.
    pub fn accounts(&self) -> Result<Vec<Record>, SessionError> {
        Ok(self.store.accounts(self.profile())?.iter().filter_map(Record::from_text).collect())
    }

    /// Makes another account of the profile the current one.
    ///
    /// # Errors
    /// A store that does not work.
    pub async fn switch_to(&self, record: &Record) -> Result<(), SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        self.save(record)?;
        self.cool_down();
        Ok(())
    }

    /// Gives the tokens back to the provider, where it takes them, and forgets everything. `None`: there was
    /// nothing to forget; else whether the provider took them back.
    ///
    /// # Errors
    /// A store that does not work.
    pub async fn end(&self) -> Result<Option<bool>, SessionError> {
        let _renewing = self.renewing.lock().await;
        let _lock = self.lock().await?;
        let mut records = self.accounts().unwrap_or_default();
        if records.is_empty() {
            records.extend(self.load().ok().flatten());
        }
        self.cool_down();
        let had = self.store.remove(self.profile())?;
        if records.is_empty() {
            return Ok(had.then_some(false));
        }
        let mut revoked = false;
        for record in &records {
            revoked |= self.give_back(record).await;
        }
        Ok(Some(revoked))
    }

    /// Gives an account's tokens back; whether the provider took one.
    async fn give_back(&self, record: &Record) -> bool {
        let mut taken_back = false;
        for (token, kind) in
            [(&record.refresh_token, "refresh_token"), (&record.access_token, "access_token")]
        {
            let (Some(token), Some(provider), Ok(connector)) = (token, &record.provider, self.connector())
            else {
                continue;
            };
            match sign_in::revoke(connector, provider, &self.client, token, kind).await {
                Ok(taken) => taken_back |= taken,
                Err(error) => tracing::warn!(%error, kind, "the provider did not take a token back"),
            }
        }
        taken_back
    }
}
