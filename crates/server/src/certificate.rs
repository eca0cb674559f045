//! When a certificate ends: the one thing that its own server has to know of it.
//!
//! Enters: DER. Leaves: the `notAfter` of its validity. Refused: whatever is not laid out as RFC 5280, section 4.1, says;
//! what else stands in it is for those who trust it to judge.

use wigeon_core::time::Timestamp;

/// ASN.1 tags that stand on the way.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Bytes of DER that are still to be read.
#[derive(Clone, Copy)]
struct Der<'d>(&'d [u8]);

impl<'d> Der<'d> {
    /// The next value, whose tag has to be this.
    fn take(&mut self, tag: u8) -> Option<Der<'d>> {
        let (found, rest) = self.0.split_first()?;
        if *found != tag {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            // The long form: so many bytes of length.
            long => {
                let count = usize::from(long & 0x7f);
                let (bytes, rest) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
                (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Der(value))
    }

    fn next_is(self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }
}

/// When the certificate ends; `None` where it does not say so in a way that can be read.
#[must_use]
pub(crate) fn expires_at(der: &[u8]) -> Option<Timestamp> {
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version, serialNumber, signature, issuer, validity …
    let mut certificate = Der(der).take(SEQUENCE)?.take(SEQUENCE)?;
    if certificate.next_is(VERSION) {
        certificate.take(VERSION)?;
    }
    certificate.take(INTEGER)?;
    certificate.take(SEQUENCE)?;
    certificate.take(SEQUENCE)?;
    let mut validity = certificate.take(SEQUENCE)?;
    time(&mut validity)?;
    time(&mut validity)
}

/// UTCTime `YYMMDDHHMMSSZ` or GeneralizedTime `YYYYMMDDHHMMSSZ`.
fn time(validity: &mut Der<'_>) -> Option<Timestamp> {
    let short = validity.next_is(UTC_TIME);
    let value = validity.take(if short { UTC_TIME } else { GENERALIZED_TIME })?;
    let text = std::str::from_utf8(value.0).ok()?;
    let text = match short {
        // RFC 5280, section 4.1.2.5.1: 50 and later are of the twentieth century.
        true if text.get(..2)? >= "50" => format!("19{text}"),
        true => format!("20{text}"),
        false => text.to_owned(),
    };
    let part = |range: std::ops::Range<usize>| text.get(range);
    let (date, hour) = (format!("{}-{}-{}", part(0..4)?, part(4..6)?, part(6..8)?), part(8..10)?);
    format!("{date}T{hour}:{}:{}Z", part(10..12)?, part(12..14)?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut der = vec![tag];
        match u8::try_from(length) {
            Ok(short @ 0..=0x7f) => der.push(short),
            _ => der.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        [der, content.to_vec()].concat()
    }

    fn certificate(version: &[u8], not_after: &[u8]) -> Vec<u8> {
        let long_name = value(SEQUENCE, &[7; 300]);
        let validity = value(SEQUENCE, &[&value(UTC_TIME, b"261130000000Z"), not_after].concat());
        let signed = [version, &value(INTEGER, &[1]), &value(SEQUENCE, &[]), &long_name, &validity].concat();
        value(SEQUENCE, &value(SEQUENCE, &signed))
    }

    #[test]
    fn the_end_is_read_in_both_forms() {
        let version = value(VERSION, &value(INTEGER, &[2]));
        let of =
            |version: &[u8], end: Vec<u8>| expires_at(&certificate(version, &end)).map(|at| at.to_string());
        let utc = value(UTC_TIME, b"270228235959Z");
        assert_eq!(of(&version, utc.clone()).as_deref(), Some("2027-02-28T23:59:59Z"));
        assert_eq!(of(&[], utc).as_deref(), Some("2027-02-28T23:59:59Z"));
        let general = value(GENERALIZED_TIME, b"20510101000000Z");
        assert_eq!(of(&version, general).as_deref(), Some("2051-01-01T00:00:00Z"));
        assert_eq!(of(&version, value(UTC_TIME, b"991231235959Z")).as_deref(), Some("1999-12-31T23:59:59Z"));
        assert_eq!(of(&version, value(UTC_TIME, b"271399000000Z")), None);
    }

    #[test]
    fn nothing_else_is_taken_for_one() {
        let whole = certificate(&[], &value(UTC_TIME, b"270228235959Z"));
        assert!(expires_at(&whole).is_some());
        // Nothing after the validity is looked at; cut anywhere, the outermost length does not hold.
        for cut in 0..whole.len() {
            assert_eq!(expires_at(&whole[..cut]), None);
        }
        assert_eq!(expires_at(&[SEQUENCE, 0x85, 1, 1, 1, 1, 1]), None);
    }
}
