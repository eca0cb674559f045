//! Sizes and ages as rclone writes them.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use wigeon_core::time::{SignedDuration, Timestamp, parse_iso8601};

use super::error::FilterError;

/// A size in bytes: `10`, `10K` and `10KiB` are all 10 KiB, `10B` is 10 bytes, `1.5G` is a GiB and a half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let refused = || FilterError::Size(text.to_owned());
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let doublings = match text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
            "b" => 0,
            "" | "k" | "ki" | "kib" => 10,
            "m" | "mi" | "mib" => 20,
            "g" | "gi" | "gib" => 30,
            "t" | "ti" | "tib" => 40,
            "p" | "pi" | "pib" => 50,
            "e" | "ei" | "eib" => 60,
            _ => return Err(refused()),
        };
        let number = positive(digits).ok_or_else(refused)?;
        #[expect(clippy::cast_precision_loss, reason = "powers of two are exact")]
        let bytes = number * (1_u64 << doublings) as f64;
        if bytes >= 9_223_372_036_854_775_808.0 {
            return Err(refused());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within its bounds")]
        Ok(Self(bytes as u64))
    }
}

/// How long ago: `90` and `90s` are seconds, `1h30m`, `2d`, `1w`, `6M` (of 30 days), `1y` (of 365 days); or a
/// point in time, such as `2026-01-31` or `2026-01-31T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Before now.
    Ago(SignedDuration),
    /// That point; where no zone is given, in this machine's.
    At(Timestamp),
}

impl Age {
    /// The point in time, seen from `now`.
    #[must_use]
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::MIN),
            Self::At(at) => at,
        }
    }
}

impl FromStr for Age {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let ago = summed(text).or_else(|| seconds(text)).and_then(|seconds| {
            (seconds < 1e12).then(|| SignedDuration::try_from_secs_f64(seconds).ok()).flatten()
        });
        if let Some(ago) = ago {
            return Ok(Self::Ago(ago));
        }
        let at = parse_iso8601(text).or_else(|| {
            let civil: DateTime = text.replacen(' ', "T", 1).parse().ok()?;
            TimeZone::system().to_timestamp(civil).ok()
        });
        at.map(Self::At).ok_or_else(|| FilterError::Age(text.to_owned()))
    }
}

/// One number with one unit.
fn seconds(text: &str) -> Option<f64> {
    const DAY: f64 = 86_400.0;
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", DAY), ("w", 7.0 * DAY)];
    let long = [("M", 30.0 * DAY), ("y", 365.0 * DAY), ("", 1.0)];
    let (unit, length) = units.into_iter().chain(long).find(|(unit, _)| text.ends_with(unit))?;
    positive(text.strip_suffix(unit)?).map(|number| number * length)
}

/// Several numbers with a unit each, such as `1h30m`.
fn summed(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let unit = rest.get(digits..)?.find(|letter: char| !letter.is_ascii_alphabetic());
        let end = unit.map_or(rest.len(), |unit| digits + unit);
        let one = rest.get(..end)?;
        if !["ms", "s", "m", "h"].contains(&rest.get(digits..end)?) {
            return None;
        }
        sum += seconds(one)?;
        rest = rest.get(end..)?;
    }
    (!text.is_empty()).then_some(sum)
}

fn positive(text: &str) -> Option<f64> {
    let written = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|number: &f64| written && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1024),
            ("10B", 10),
            ("1k", 1024),
            ("1KiB", 1024),
            ("1.5M", 3 << 19),
            ("2Gi", 2 << 30),
            ("1e", 1 << 60),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for bad in ["", "K", "1KB", "-1", "1x", "1 K", "nan", "16E", "1e3"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ages() {
        let now: Timestamp = "2026-11-23T20:00:00Z".parse().unwrap();
        for (text, at) in [
            ("90", "2026-11-23T19:58:30Z"),
            ("1.5s", "2026-11-23T19:59:58.5Z"),
            ("500ms", "2026-11-23T19:59:59.5Z"),
            ("1h30m", "2026-11-23T18:30:00Z"),
            ("2d", "2026-11-21T20:00:00Z"),
            ("1w", "2026-11-16T20:00:00Z"),
            ("1M", "2026-10-24T20:00:00Z"),
            ("1y", "2025-11-23T20:00:00Z"),
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ] {
            let age: Age = text.parse().unwrap();
            assert_eq!(age.before(now), at.parse().unwrap(), "{text}");
        }
        assert!(matches!("2026-01-31".parse(), Ok(Age::At(_))));
        assert!(matches!("2026-01-31 10:00:00".parse(), Ok(Age::At(_))));
        for bad in ["", "h", "1x", "1d2h", "-1s", "yesterday"] {
            assert!(bad.parse::<Age>().is_err(), "{bad}");
        }
    }
}
