//! Object lock: until when a version may not be deleted, and who may say otherwise.
//!
//! A *retention* protects a version until a date; of its two modes, `GOVERNANCE` yields to those who may bypass it and
//! `COMPLIANCE` to nobody. A *legal hold* protects until it is taken off. Retentions may be extended by whoever may set
//! them. Source: Amazon S3 User Guide, "Locking objects with Object Lock".

use serde::{Deserialize, Serialize};
pub use wigeon_core::s3::RetentionMode;
use wigeon_core::time::Timestamp;

use super::error::StoreError;

/// Until when a version may not be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How strictly.
    pub mode: RetentionMode,
    /// Until when; whole milliseconds.
    pub until: Timestamp,
}

/// What protects a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lock {
    /// Until a date.
    pub retention: Option<Retention>,
    /// Until it is taken off; `None` where nobody said anything of it.
    pub legal_hold: Option<bool>,
}

/// As the index writes it; never changed.
#[derive(Serialize, Deserialize)]
struct Column {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<RetentionMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<bool>,
}

impl Lock {
    pub(super) fn to_column(self) -> Option<String> {
        let column = Column {
            mode: self.retention.map(|retention| retention.mode),
            until: self.retention.map(|retention| retention.until.as_millisecond()),
            hold: self.legal_hold,
        };
        (self != Self::default()).then(|| serde_json::to_string(&column).unwrap_or_default())
    }

    pub(super) fn from_column(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else { return Some(Self::default()) };
        let Column { mode, until, hold } = serde_json::from_str(text).ok()?;
        let retention = match (mode, until) {
            (Some(mode), Some(until)) => {
                Some(Retention { mode, until: Timestamp::from_millisecond(until).ok()? })
            }
            (None, None) => None,
            _ => return None,
        };
        Some(Self { retention, legal_hold: hold })
    }

    /// Whether the version must stay. `bypass`: whoever deletes may bypass `GOVERNANCE`.
    pub(super) fn forbids_deletion(&self, now: Timestamp, bypass: bool) -> bool {
        let retained = self.retention.is_some_and(|retention| {
            retention.until > now && !(bypass && retention.mode == RetentionMode::Governance)
        });
        retained || self.legal_hold == Some(true)
    }

    /// The lock with another retention, or none. One that still protects may be made longer or stricter; anything else
    /// takes a bypass, and of `COMPLIANCE` it takes time.
    pub(super) fn retained(
        self,
        retention: Option<Retention>,
        now: Timestamp,
        bypass: bool,
    ) -> Result<Self, StoreError> {
        let weaker = match (self.retention.filter(|before| before.until > now), retention) {
            (None, _) => None,
            (Some(before), Some(after))
                if after.until >= before.until
                    && (after.mode == before.mode || after.mode == RetentionMode::Compliance) =>
            {
                None
            }
            (Some(before), _) => Some(before.mode),
        };
        match weaker {
            Some(RetentionMode::Compliance) => Err(StoreError::Locked),
            Some(RetentionMode::Governance) if !bypass => Err(StoreError::Locked),
            Some(RetentionMode::Governance) | None => Ok(Self { retention, ..self }),
        }
    }
}

/// What new versions of a bucket are retained for, where their writers say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// How strictly.
    pub mode: RetentionMode,
    /// For how long.
    pub period: Period,
}

/// A length of time, as S3 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// Days.
    Days(u32),
    /// Years of 365 days.
    Years(u32),
}

impl DefaultRetention {
    /// From its setting's document.
    pub(super) fn parse(document: &str) -> Result<Self, StoreError> {
        serde_json::from_str(document).map_err(|_| {
            StoreError::Corrupt("the index holds a default retention that cannot be read".to_owned())
        })
    }

    /// The retention of what is written now.
    pub(super) fn from(&self, now: Timestamp) -> Result<Retention, StoreError> {
        let days = match self.period {
            Period::Days(days) => i64::from(days),
            Period::Years(years) => i64::from(years) * 365,
        };
        let until = now.as_millisecond().saturating_add(days.saturating_mul(86_400_000));
        let until = Timestamp::from_millisecond(until)
            .map_err(|_| StoreError::Corrupt("a default retention ends after the end of time".to_owned()))?;
        Ok(Retention { mode: self.mode, until })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn retained(mode: RetentionMode, until: i64) -> Lock {
        Lock { retention: Some(Retention { mode, until: at(until) }), legal_hold: None }
    }

    #[test]
    fn columns_round_trip() {
        for lock in [
            Lock::default(),
            retained(RetentionMode::Compliance, 7),
            Lock { legal_hold: Some(false), ..Lock::default() },
            Lock { legal_hold: Some(true), ..retained(RetentionMode::Governance, 8) },
        ] {
            assert_eq!(Lock::from_column(lock.to_column().as_deref()), Some(lock));
        }
        assert_eq!(Lock::from_column(Some(r#"{"mode":"GOVERNANCE"}"#)), None);
    }

    #[test]
    fn what_protects() {
        let governed = retained(RetentionMode::Governance, 100);
        assert!(governed.forbids_deletion(at(99), false));
        assert!(!governed.forbids_deletion(at(99), true) && !governed.forbids_deletion(at(100), false));
        assert!(retained(RetentionMode::Compliance, 100).forbids_deletion(at(99), true));
        let held = Lock { legal_hold: Some(true), ..governed };
        assert!(held.forbids_deletion(at(1000), true));
    }

    #[rstest]
    #[case(RetentionMode::Governance, Some((RetentionMode::Governance, 101)), false, true)]
    #[case(RetentionMode::Governance, Some((RetentionMode::Compliance, 100)), false, true)]
    #[case(RetentionMode::Governance, Some((RetentionMode::Governance, 99)), false, false)]
    #[case(RetentionMode::Governance, Some((RetentionMode::Governance, 99)), true, true)]
    #[case(RetentionMode::Governance, None, false, false)]
    #[case(RetentionMode::Governance, None, true, true)]
    #[case(RetentionMode::Compliance, Some((RetentionMode::Compliance, 101)), false, true)]
    #[case(RetentionMode::Compliance, Some((RetentionMode::Compliance, 99)), true, false)]
    #[case(RetentionMode::Compliance, Some((RetentionMode::Governance, 200)), true, false)]
    #[case(RetentionMode::Compliance, None, true, false)]
    fn retentions_grow(
        #[case] before: RetentionMode,
        #[case] after: Option<(RetentionMode, i64)>,
        #[case] bypass: bool,
        #[case] allowed: bool,
    ) {
        let after = after.map(|(mode, until)| Retention { mode, until: at(until) });
        let lock = retained(before, 100);
        assert_eq!(lock.retained(after, at(50), bypass).is_ok(), allowed);
        // What is over protects nothing.
        assert!(lock.retained(after, at(100), false).is_ok());
    }
}
