//! The header `traceparent`: which trace a request is part of, and which span it comes from.
//!
//! Source: W3C Trace Context, section 3.2. Refused, and then there is no parent: the version `ff`, ids of noughts alone,
//! upper case, more than one header, and a text of version 00 that is longer than that version's.

use std::fmt;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use http::{HeaderMap, HeaderName};
use wigeon_core::sigv4::canonical::hex;

/// The header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The id of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Whether its sender keeps it.
    pub sampled: bool,
}

impl TraceId {
    /// A new one; `None` where the system has no randomness.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// A number that is the same for all parts of the trace.
    #[must_use]
    pub fn lot(self) -> u32 {
        let [.., a, b, c, d] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl SpanId {
    /// So many new ones; `None` where the system has no randomness.
    #[must_use]
    pub fn random<const N: usize>() -> Option<[Self; N]> {
        let mut ids = [Self([0; 8]); N];
        for id in &mut ids {
            SystemRandom::new().fill(&mut id.0).ok()?;
        }
        Some(ids)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-0{}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl Parent {
    /// Of a request's headers.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let (one, further) = (all.next()?, all.next());
        further.is_none().then(|| Self::parse(one.to_str().ok()?)).flatten()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version] = bytes::<1>(parts.next()?)?;
        let trace = bytes::<16>(parts.next()?).filter(|id| *id != [0; 16])?;
        let span = bytes::<8>(parts.next()?).filter(|id| *id != [0; 8])?;
        let [flags] = bytes::<1>(parts.next()?)?;
        // Later versions may say more after these.
        let whole = (version == 0 && parts.next().is_none()) || (1..0xff).contains(&version);
        whole.then_some(Self { trace: TraceId(trace), span: SpanId(span), sampled: flags & 1 == 1 })
    }
}

/// Lowercase hex digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_written_the_same() {
        assert_eq!(Parent::parse(GOOD).unwrap().to_string(), GOOD);
        let unsampled = GOOD.replace("-01", "-00");
        assert_eq!(Parent::parse(&unsampled).unwrap().to_string(), unsampled);
        // Flags that are not known, and versions to come.
        assert!(Parent::parse(&GOOD.replace("-01", "-ff")).unwrap().sampled);
        assert!(Parent::parse(&format!("{}-more", GOOD.replacen("00", "01", 1))).is_some());
    }

    #[test]
    fn what_is_none_is_no_parent() {
        for text in [
            "",
            "00",
            &GOOD.replacen("00", "ff", 1),
            &GOOD.to_uppercase(),
            &format!("{GOOD}-more"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("4bf9", "4bé9"),
            &GOOD.replace("-01", "-1"),
        ] {
            assert_eq!(Parent::parse(text), None, "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        assert!(Parent::of(&headers).is_some());
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        assert_eq!(Parent::of(&headers), None);
    }
}
