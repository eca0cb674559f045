//! Whether what is in memory or was kept is still this profile's, and valid for long enough.
//!
//! Enters: the plan, the record. Leaves: credentials that nobody has to ask for, or nothing.

use std::sync::{Arc, PoisonError};

use wigeon_core::credentials::Credentials;
use wigeon_core::time::{SignedDuration, Timestamp};

use super::error::SessionError;
use super::held::{Session, Warm};
use super::plan::{Plan, Root};
use super::record::{AssumedSession, Record};

/// After a renewal that failed, this process asks again after this long at the earliest, while the old credentials
/// work; all processes together keep the pause of the record.
const RETRY_PAUSE: SignedDuration = SignedDuration::from_secs(5);

impl Session {
    pub(super) fn warm(&self) -> Option<Arc<Credentials>> {
        let warm = self.warm.read().unwrap_or_else(PoisonError::into_inner);
        warm.as_ref()
            .filter(|warm| self.clock.now() < warm.renew_at)
            .map(|warm| Arc::clone(&warm.credentials))
    }

    /// The record's credentials, if they are this profile's and are not due for renewal.
    pub(super) fn usable(&self, plan: &Plan, record: &Record) -> Option<Arc<Credentials>> {
        let session = self.session_of(plan, record)?;
        (self.clock.now() < renew_from(record, session)).then(|| self.keep_warm(record, session))
    }

    /// The record's session, if it came the way that the profile names now.
    fn session_of<'r>(&self, plan: &Plan, record: &'r Record) -> Option<&'r AssumedSession> {
        if plan.root == Root::Person && record.client_id != self.client.id {
            return None;
        }
        record.session.as_ref().filter(|session| {
            let came: Vec<&String> = if session.way.is_empty() {
                session.role.iter().collect()
            } else {
                session.way.iter().collect()
            };
            session.endpoint == plan.sts.endpoint && came == plan.way().iter().collect::<Vec<_>>()
        })
    }

    /// The last failure, while nobody is to try again.
    pub(super) fn paused(&self, record: &Record) -> Option<SessionError> {
        let failure = record.failure.as_ref().filter(|failure| self.clock.now() < failure.until)?;
        Some(SessionError::Paused {
            profile: self.profile().to_owned(),
            words: failure.words.clone(),
            until: failure.until,
        })
    }

    pub(super) fn keep_warm(&self, record: &Record, session: &AssumedSession) -> Arc<Credentials> {
        let credentials = Arc::new(session.credentials.clone());
        let warm = Warm { credentials: Arc::clone(&credentials), renew_at: renew_from(record, session) };
        *self.warm.write().unwrap_or_else(PoisonError::into_inner) = Some(warm);
        credentials
    }

    /// New credentials that are due for renewal at once (very short ones) are used all the same.
    pub(super) fn warm_up(
        &self,
        plan: &Plan,
        record: &Record,
        now: Timestamp,
    ) -> Result<Arc<Credentials>, SessionError> {
        match self.session_of(plan, record) {
            Some(session) if session.credentials.expires_at.is_none_or(|end| now < end) => {
                Ok(self.keep_warm(record, session))
            }
            _ => Err(self
                .sign_in_needed("the STS gave credentials that have already expired; is the clock right?")),
        }
    }

    /// A renewal that fails for the moment is no reason to stop while the old credentials work.
    pub(super) fn still_valid(
        &self,
        plan: &Plan,
        record: Option<&Record>,
        error: SessionError,
    ) -> Result<Arc<Credentials>, SessionError> {
        let now = self.clock.now();
        let session = record.and_then(|record| self.session_of(plan, record));
        match session {
            Some(session) if session.credentials.expires_at.is_none_or(|end| now < end) => {
                tracing::info!(%error, "the session could not be renewed; its credentials still work");
                // Not every request in the meantime is to try again.
                let credentials = Arc::new(session.credentials.clone());
                let end = session.credentials.expires_at.unwrap_or(Timestamp::MAX);
                let renew_at = (now + RETRY_PAUSE).min(end);
                let warm = Warm { credentials: Arc::clone(&credentials), renew_at };
                *self.warm.write().unwrap_or_else(PoisonError::into_inner) = Some(warm);
                Ok(credentials)
            }
            _ => Err(error),
        }
    }

    /// Nothing in memory is to be used any more.
    pub(super) fn cool_down(&self) {
        *self.warm.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// From when on the session, or what keeps the sign-in alive, is to be renewed.
fn renew_from(record: &Record, session: &AssumedSession) -> Timestamp {
    record.refresh_from().unwrap_or(Timestamp::MAX).min(session.renew_from())
}
