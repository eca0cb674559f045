//! Points in time and the textual forms that the protocols give them.
//!
//! All arithmetic is on [`Timestamp`] (UTC, nanoseconds). A clock is a dependency that callers pass in:
//! nothing in this crate knows what time it is.

use jiff::civil;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
pub use jiff::{SignedDuration, Timestamp};

/// A source of the current time. Programs pass the system's clock, tests a fixed one.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// `2026-11-23T20:07:00Z`: ISO 8601 in whole seconds, as AWS's query APIs write times.
#[must_use]
pub fn iso8601(at: Timestamp) -> String {
    digits(at, &[4, b'-', 2, b'-', 2, b'T', 2, b':', 2, b':', 2, b'Z'])
}

/// `2026-11-23T20:07:00.123Z`: ISO 8601 in milliseconds, as S3's XML writes times.
#[must_use]
pub fn iso8601_millis(at: Timestamp) -> String {
    digits(at, &[4, b'-', 2, b'-', 2, b'T', 2, b':', 2, b':', 2, b'.', 3, b'Z'])
}

/// `20261123T200700Z`: the `x-amz-date` form of Signature Version 4.
#[must_use]
pub fn amz(at: Timestamp) -> String {
    digits(at, &[4, 2, 2, b'T', 2, 2, 2, b'Z'])
}

/// `20261123`: the date of a Signature Version 4 credential scope.
#[must_use]
pub fn amz_date(at: Timestamp) -> String {
    digits(at, &[4, 2, 2])
}

/// Year, month, day, hour, minute, second and millisecond, each with so many digits, and what stands between them. By
/// hand, because every request needs several of these and a format that is read at run time costs as much as a hash.
fn digits(at: Timestamp, form: &[u8]) -> String {
    const POWERS: [u16; 4] = [1, 10, 100, 1000];
    let civil = TimeZone::UTC.to_datetime(at);
    let [month, day] = [civil.month(), civil.day()].map(i16::from);
    let [hour, minute, second] = [civil.hour(), civil.minute(), civil.second()].map(i16::from);
    let mut fields = [civil.year(), month, day, hour, minute, second, civil.millisecond()].into_iter();
    let mut text = Vec::with_capacity(24);
    for &part in form {
        let Some(powers) = POWERS.get(..usize::from(part)) else {
            text.push(part);
            continue;
        };
        let field = u16::try_from(fields.next().unwrap_or_default()).unwrap_or_default();
        for power in powers.iter().rev() {
            text.push(b'0' + u8::try_from(field / power % 10).unwrap_or_default());
        }
    }
    String::from_utf8(text).unwrap_or_default()
}

/// `Mon, 23 Nov 2026 20:07:00 GMT`: the HTTP form (RFC 9110, section 5.6.7).
#[must_use]
pub fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads ISO 8601 with any number of fractional digits, `Z` or an offset.
#[must_use]
pub fn parse_iso8601(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Reads `20261123T200700Z`. By hand, as it is written.
#[must_use]
pub fn parse_amz(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z').filter(|text| text.len() == 15)?.split_once('T')?;
    let (date, time) = (number(date, 8)?, number(time, 6)?);
    let small = |number: u32| i8::try_from(number % 100).ok();
    let year = i16::try_from(date / 10_000).ok()?;
    let date = civil::Date::new(year, small(date / 100)?, small(date)?).ok()?;
    let time = civil::Time::new(small(time / 10_000)?, small(time / 100)?, small(time)?, 0).ok()?;
    TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u32> {
    let all = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

/// Reads the three forms of an HTTP date (RFC 9110, section 5.6.7) that are still met: the preferred one,
/// RFC 2822's with a numeric zone, and ISO 8601, which some S3 tools send.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let utc = text.strip_suffix("GMT").map(|rest| format!("{rest}+0000"));
    strtime::parse("%a, %d %b %Y %H:%M:%S %z", utc.as_deref().unwrap_or(text))
        .ok()
        .and_then(|time| time.to_timestamp().ok())
        .or_else(|| parse_iso8601(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn forms_round_trip() {
        let time = at("2026-11-03T04:05:06Z");
        assert_eq!(iso8601(time), "2026-11-03T04:05:06Z");
        assert_eq!(iso8601_millis(at("2026-11-03T04:05:06.0789Z")), "2026-11-03T04:05:06.078Z");
        assert_eq!(amz(time), "20261103T040506Z");
        assert_eq!(amz_date(time), "20261103");
        assert_eq!(http_date(time), "Tue, 03 Nov 2026 04:05:06 GMT");
        assert_eq!(parse_amz("20261103T040506Z"), Some(time));
        assert_eq!(parse_http_date("Tue, 03 Nov 2026 04:05:06 GMT"), Some(time));
        assert_eq!(parse_http_date("Tue, 03 Nov 2026 05:05:06 +0100"), Some(time));
        assert_eq!(
            parse_iso8601("2026-11-03T04:05:06.000000001Z"),
            Some(at("2026-11-03T04:05:06.000000001Z"))
        );
    }

    #[test]
    fn written_by_hand_as_by_the_library() {
        for second in [0, -1, 1, 951_782_400, 1_795_500_000, 253_402_207_200, -62_135_596_800] {
            let time = Timestamp::from_second(second).unwrap();
            assert_eq!(iso8601(time), time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            assert_eq!(amz(time), time.strftime("%Y%m%dT%H%M%SZ").to_string());
            assert_eq!(amz_date(time), time.strftime("%Y%m%d").to_string());
            assert_eq!(parse_amz(&amz(time)), Some(time));
            assert_eq!(iso8601_millis(time), time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string());
        }
    }

    #[test]
    fn malformed_times_are_refused() {
        for text in [
            "",
            "20261103T040506",
            "20261303T040506Z",
            "20260230T040506Z",
            "20261103T240506Z",
            "20261103T0405067",
            "2026110T0405060Z",
            "20261103t040506Z",
            "+0261103T040506Z",
            "2026 103T040506Z",
            "2026-11-03",
            "2026ü103T040506Z",
        ] {
            assert_eq!(parse_amz(text), None, "{text}");
        }
        assert_eq!(parse_http_date("yesterday"), None);
    }
}
