//! What versions are called, and whether a bucket keeps them.
//!
//! A version's id is opaque to clients: 32 hexadecimal digits, of which the first half orders the versions of a key in
//! time and the second is what nobody guesses. `null` is the version of objects that were written while the bucket did
//! not make versions. Source: Amazon S3 User Guide, "How S3 Versioning works".

use std::fmt;
use std::str::FromStr;

/// The name of one version of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VersionId {
    /// `null`
    Null,
    /// One that a bucket made.
    Made {
        /// Its place among the versions of its key: later ones have a higher one.
        seq: i64,
        /// What nobody guesses.
        token: i64,
    },
}

/// Why a text names no version that a bucket could have made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version id")]
pub struct VersionIdError(String);

impl VersionId {
    /// From the columns of the index: a version without a token is the `null` version.
    pub(super) fn from_columns(seq: i64, token: Option<i64>) -> Self {
        token.map_or(Self::Null, |token| Self::Made { seq, token })
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Made { seq, token } => write!(f, "{seq:016x}{token:016x}"),
        }
    }
}

impl FromStr for VersionId {
    type Err = VersionIdError;

    fn from_str(text: &str) -> Result<Self, VersionIdError> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let number = |digits: Option<&str>| u64::from_str_radix(digits?, 16).ok().map(u64::cast_signed);
        let made = match (number(text.get(..16)), number(text.get(16..))) {
            (Some(seq), Some(token)) => Some(Self::Made { seq, token }),
            _ => None,
        };
        // One spelling each: no signs, no capitals.
        made.filter(|made| made.to_string() == text).ok_or_else(|| VersionIdError(text.to_owned()))
    }
}

/// Whether a bucket keeps what is replaced and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versioning {
    /// It never did.
    #[default]
    Never,
    /// Each write makes a version.
    Enabled,
    /// It did: earlier versions stay, and each write replaces the `null` version.
    Suspended,
}

impl Versioning {
    pub(super) fn code(self) -> i64 {
        match self {
            Self::Never => 0,
            Self::Enabled => 1,
            Self::Suspended => 2,
        }
    }

    pub(super) fn from_code(code: i64) -> Option<Self> {
        [Self::Never, Self::Enabled, Self::Suspended].into_iter().find(|state| state.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip_and_order_as_their_versions() {
        let (older, newer) = (VersionId::Made { seq: 7, token: -1 }, VersionId::Made { seq: 8, token: 3 });
        assert_eq!(older.to_string(), "0000000000000007ffffffffffffffff");
        assert!(older.to_string() < newer.to_string());
        for version in [VersionId::Null, older, newer] {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        for text in ["", "Null", "7", &"G".repeat(32), &"A".repeat(32), &"+000000000000007".repeat(2), "é"] {
            assert!(text.parse::<VersionId>().is_err(), "{text}");
        }
    }
}
