//! How long something that a provider gives is good.
//!
//! Enters: seconds, as token endpoints count them. Leaves: a point in time, or a [`Life`]; nothing where no end is known.

use serde::{Deserialize, Serialize};
use wigeon_core::time::{SignedDuration, Timestamp};

/// From when until when something is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// When it was given.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

impl Life {
    /// What lasts so many seconds from now on; `None`: it has no end, or none is known.
    pub(super) fn of(seconds: Option<u32>, now: Timestamp) -> Option<Self> {
        let until = end_of(seconds.filter(|seconds| *seconds > 0), now)?;
        Some(Self { from: now, until })
    }
}

pub(super) fn end_of(seconds: Option<u32>, now: Timestamp) -> Option<Timestamp> {
    seconds.and_then(|seconds| now.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok())
}
