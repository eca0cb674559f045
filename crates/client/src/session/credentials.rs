//! Valid credentials, whoever asks and how often: the gate that one renewal goes through.
//!
//! Enters: a caller. Leaves: credentials, from memory, from the store, or renewed under the locks of this process and
//! of all.

use std::sync::Arc;

use wigeon_core::credentials::Credentials;

use super::error::SessionError;
use super::held::Session;
use crate::causes::with_causes;

impl Session {
    /// Credentials that are valid now, and for a while. Cheap while they are warm.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn credentials(&self) -> Result<Arc<Credentials>, SessionError> {
        if let Some(credentials) = self.warm() {
            return Ok(credentials);
        }
        // One renewal for all callers of this process: the others find its result in memory.
        let _renewing = self.renewing.lock().await;
        if let Some(credentials) = self.warm() {
            return Ok(credentials);
        }
        let plan = self.plan()?;
        if let Some(credentials) = self.load()?.and_then(|record| self.usable(&plan, &record)) {
            return Ok(credentials);
        }
        let _lock = self.lock().await?;
        // Another process may have renewed while we waited.
        let record = self.load()?;
        if let Some(credentials) = record.as_ref().and_then(|record| self.usable(&plan, record)) {
            return Ok(credentials);
        }
        // Or it may have tried in vain, and the next attempt is not due yet.
        if let Some(paused) = record.as_ref().and_then(|record| self.paused(record)) {
            return self.still_valid(&plan, record.as_ref(), paused);
        }
        match self.renew(&plan, record.clone(), None).await {
            Ok(renewed) => match self.usable(&plan, &renewed) {
                Some(credentials) => Ok(credentials),
                None => self.warm_up(&plan, &renewed, self.clock.now()),
            },
            Err(error) => {
                // The renewal may have kept new tokens before it failed.
                let record = self.load()?;
                if let Some(mut record) = record.clone().filter(|_| error.is_temporary()) {
                    record.failed(with_causes(&error), self.clock.now());
                    self.save(&record)?;
                }
                self.still_valid(&plan, record.as_ref(), error)
            }
        }
    }

    /// Credentials other than these, which a store has refused as expired although by our clock they are not: the
    /// store has ended the session, or one of the clocks is wrong. Renews unless someone else already has.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn instead_of(&self, refused: &Credentials) -> Result<Arc<Credentials>, SessionError> {
        let _renewing = self.renewing.lock().await;
        if let Some(credentials) = self.warm().filter(|warm| warm.access_key_id != refused.access_key_id) {
            return Ok(credentials);
        }
        let _lock = self.lock().await?;
        let plan = self.plan()?;
        let record = self.load()?;
        if let Some(credentials) = record
            .as_ref()
            .and_then(|record| self.usable(&plan, record))
            .filter(|kept| kept.access_key_id != refused.access_key_id)
        {
            return Ok(credentials);
        }
        self.cool_down();
        let record = self.renew(&plan, record, None).await?;
        self.warm_up(&plan, &record, self.clock.now())
    }
}
