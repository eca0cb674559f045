//! The names of requests: in answers, logs, traces and audit records.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde::{Serialize, Serializer};

/// Sixteen hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// Unique on this node, and in all likelihood among nodes: numbers from a random one on, shuffled (Steele, Lea, Flood:
    /// "Fast splittable pseudorandom number generators", 2014). It names a request and proves nothing.
    #[must_use]
    pub fn next() -> Self {
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
            let mut bytes = [0; 8];
            // Without randomness ids begin at 0: still unique here.
            let _ = SystemRandom::new().fill(&mut bytes);
            AtomicU64::new(u64::from_ne_bytes(bytes))
        });
        let mut id = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self::of(id ^ (id >> 31))
    }

    /// The name of a number.
    #[must_use]
    pub fn of(number: u64) -> Self {
        let mut digits = *b"0123456789ABCDEF";
        let hex = digits;
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit = *hex.get((number >> (4 * place)) as usize & 15).unwrap_or(&b'0');
        }
        Self(digits)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_sixteen_digits() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(RequestId::of(number).to_string(), format!("{number:016X}"));
        }
        assert_ne!(RequestId::next(), RequestId::next());
    }
}
