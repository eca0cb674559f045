//! The typed operands of conditions: numbers, dates, truth values, networks and binary values, read from
//! the text of a policy or of a request.
//!
//! Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators".

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::time::{self, Timestamp};

/// A number; whole ones are compared exactly.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'));
        if !plain {
            return None;
        }
        text.parse().map(Self::Whole).or_else(|_| text.parse().map(Self::Real)).ok()
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Some(left.cmp(&right)),
            (left, right) => left.real().partial_cmp(&right.real()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "only against fractions, where exactness has no meaning")]
    fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

/// Reads a date in one of the W3C forms of ISO 8601, from the year alone to the fraction of a second, or in
/// seconds since 1970. Without a zone it is UTC.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if text.len() != 4 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    }
    time::parse_iso8601(text).or_else(|| {
        let rest = match text.len() {
            4 => "-01-01T00:00:00Z",
            7 => "-01T00:00:00Z",
            10 => "T00:00:00Z",
            _ => "Z",
        };
        time::parse_iso8601(&format!("{text}{rest}"))
    })
}

/// Reads `true` or `false`, in any case.
pub(super) fn flag(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else {
        text.eq_ignore_ascii_case("false").then_some(false)
    }
}

/// The base64 text of a binary value without its padding, so that equal bytes have equal texts.
pub(super) fn binary(text: &str) -> Option<Box<str>> {
    STANDARD.decode(text).ok().map(|bytes| STANDARD.encode(bytes).trim_end_matches('=').into())
}

/// A range of addresses. IPv4 within IPv6 is IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    base: IpAddr,
    prefix: u32,
}

impl Network {
    /// Reads `ADDRESS/PREFIX`, or an address alone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                (address, Some(prefix.parse::<u32>().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(width);
        if prefix > width {
            return None;
        }
        match address.to_canonical() {
            base @ IpAddr::V4(_) if width == 128 && prefix >= 96 => Some(Self { base, prefix: prefix - 96 }),
            base if width == 32 => Some(Self { base, prefix }),
            _ => Some(Self { base: address, prefix }),
        }
    }

    /// Whether the address lies in the range.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differing = base.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differing = base.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10", "10.0", Some(Ordering::Equal))]
    #[case("9007199254740993", "9007199254740992", Some(Ordering::Greater))]
    #[case("-1", "0", Some(Ordering::Less))]
    #[case("1e3", "1000", Some(Ordering::Equal))]
    #[case("0.1", "0.2", Some(Ordering::Less))]
    fn numbers(#[case] left: &str, #[case] right: &str, #[case] expected: Option<Ordering>) {
        assert_eq!(Number::parse(left).unwrap().compare(Number::parse(right).unwrap()), expected);
    }

    #[test]
    fn what_is_not_a_number() {
        for text in ["", "abc", "NaN", "inf", "infinity", "1 ", "0x1", "1,5", "--1", "."] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }

    #[rstest]
    #[case("2026", "2026-01-01T00:00:00Z")]
    #[case("2026-11", "2026-11-01T00:00:00Z")]
    #[case("2026-11-23", "2026-11-23T00:00:00Z")]
    #[case("2026-11-23T20:07Z", "2026-11-23T20:07:00Z")]
    #[case("2026-11-23T20:07:01", "2026-11-23T20:07:01Z")]
    #[case("2026-11-23T20:07:01.5+01:00", "2026-11-23T19:07:01.5Z")]
    #[case("0", "1970-01-01T00:00:00Z")]
    #[case("1795464420", "2026-11-23T20:07:00Z")]
    #[case("-60", "1969-12-31T23:59:00Z")]
    fn dates(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(date(text), Some(expected.parse().unwrap()));
    }

    #[test]
    fn what_is_not_a_date() {
        for text in ["", "-", "tomorrow", "2026-13-01", "23.11.2026", "99999999999999999999"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[rstest]
    #[case("10.0.0.0/8", "10.255.0.1", true)]
    #[case("10.0.0.0/8", "11.0.0.1", false)]
    #[case("10.1.2.3/8", "10.9.9.9", true)]
    #[case("10.0.0.1", "10.0.0.1", true)]
    #[case("10.0.0.1/32", "10.0.0.2", false)]
    #[case("0.0.0.0/0", "255.255.255.255", true)]
    #[case("0.0.0.0/0", "2001:db8::1", false)]
    #[case("2001:db8::/32", "2001:db8:1::1", true)]
    #[case("2001:db8::/32", "2001:db9::1", false)]
    #[case("::/0", "2001:db8::1", true)]
    #[case("::/0", "10.0.0.1", false)]
    #[case("2001:db8::1", "2001:db8:0:0::1", true)]
    #[case("::ffff:10.0.0.0/104", "10.1.1.1", true)]
    #[case("10.0.0.0/8", "::ffff:10.1.1.1", true)]
    fn networks(#[case] network: &str, #[case] address: &str, #[case] expected: bool) {
        assert_eq!(Network::parse(network).unwrap().contains(address.parse().unwrap()), expected);
    }

    #[test]
    fn what_is_not_a_network() {
        for text in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.*", "a/8"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn flags_and_binaries() {
        assert_eq!(
            (flag("TRUE"), flag("False"), flag("yes"), flag("")),
            (Some(true), Some(false), None, None)
        );
        assert_eq!(binary("AQ=="), Some("AQ".into()));
        assert_eq!((binary("AQ"), binary("?")), (None, None));
    }
}
