//! S3's additional checksums: computed as bytes pass, combined over parts, written as S3 writes them.
//!
//! Source: Amazon S3 User Guide, "Checking object integrity". The CRCs of the parts of an object combine into
//! the CRC of the whole, so parts may be read and sent in any order.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;
use http::HeaderMap;

/// A checksum that covers a whole object whatever its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// The default of AWS since 2024, and ours.
    Crc64Nvme,
    /// Castagnoli's.
    Crc32c,
    /// Ethernet's.
    Crc32,
}

impl ChecksumAlgorithm {
    const ALL: [Self; 3] = [Self::Crc64Nvme, Self::Crc32c, Self::Crc32];

    /// The header that carries the value.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc32 => "x-amz-checksum-crc32",
        }
    }

    /// The name in `x-amz-checksum-algorithm`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32c => "CRC32C",
            Self::Crc32 => "CRC32",
        }
    }

    fn crc(self) -> CrcAlgorithm {
        match self {
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
            Self::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Crc64Nvme => 8,
            Self::Crc32c | Self::Crc32 => 4,
        }
    }
}

/// A finished checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// Of which kind.
    pub algorithm: ChecksumAlgorithm,
    value: u64,
}

impl Checksum {
    /// The checksum of these bytes.
    #[must_use]
    pub fn of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Self {
        Self { algorithm, value: crc_fast::checksum(algorithm.crc(), bytes) }
    }

    /// The checksum of these bytes followed by `next_len` bytes with the checksum `next`.
    #[must_use]
    pub fn followed_by(self, next: Self, next_len: u64) -> Self {
        let value = crc_fast::checksum_combine(self.algorithm.crc(), self.value, next.value, next_len);
        Self { algorithm: self.algorithm, value }
    }

    /// Big-endian, in base64.
    #[must_use]
    pub fn base64(self) -> String {
        let bytes = self.value.to_be_bytes();
        BASE64_STANDARD.encode(bytes.get(8 - self.algorithm.bytes()..).unwrap_or_default())
    }

    /// The checksum of a whole object among an answer's headers; a checksum of checksums of parts is none.
    pub(crate) fn of_object(headers: &HeaderMap) -> Option<Self> {
        let composite = headers
            .get("x-amz-checksum-type")
            .is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"COMPOSITE"));
        if composite {
            return None;
        }
        ChecksumAlgorithm::ALL
            .into_iter()
            .find_map(|algorithm| Self::parse(algorithm, headers.get(algorithm.header())?.to_str().ok()?))
    }

    /// As S3 writes it.
    pub(crate) fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        if bytes.len() != algorithm.bytes() {
            return None;
        }
        let value = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        Some(Self { algorithm, value })
    }
}

/// A checksum in the making. Its copy tells the checksum so far.
#[derive(Clone)]
pub struct Digest {
    algorithm: ChecksumAlgorithm,
    crc: crc_fast::Digest,
}

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        Self { algorithm, crc: crc_fast::Digest::new(algorithm.crc()) }
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
    }

    /// Of all that was taken.
    #[must_use]
    pub fn finish(self) -> Checksum {
        Checksum { algorithm: self.algorithm, value: self.crc.finalize() }
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Digest").field(&self.algorithm).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The check values of the CRC catalogue, for "123456789".
    #[test]
    fn catalogue() {
        let of = |algorithm| Checksum::of(algorithm, b"123456789").value;
        assert_eq!(of(ChecksumAlgorithm::Crc64Nvme), 0xae8b_1486_0a79_9888);
        assert_eq!(of(ChecksumAlgorithm::Crc32c), 0xe306_9283);
        assert_eq!(of(ChecksumAlgorithm::Crc32), 0xcbf4_3926);
        assert_eq!(Checksum::of(ChecksumAlgorithm::Crc32, b"123456789").base64(), "y/Q5Jg==");
    }

    #[test]
    fn headers() {
        let mut headers = HeaderMap::new();
        assert_eq!(Checksum::of_object(&headers), None);
        headers.insert("x-amz-checksum-crc32", "y/Q5Jg==".parse().unwrap());
        let expected = Checksum::of(ChecksumAlgorithm::Crc32, b"123456789");
        assert_eq!(Checksum::of_object(&headers), Some(expected));
        headers.insert("x-amz-checksum-type", "COMPOSITE".parse().unwrap());
        assert_eq!(Checksum::of_object(&headers), None);
        assert_eq!(Checksum::parse(ChecksumAlgorithm::Crc32, "y/Q5Jg==-2"), None);
        assert_eq!(Checksum::parse(ChecksumAlgorithm::Crc64Nvme, "y/Q5Jg=="), None);
    }

    proptest! {
        #[test]
        fn parts_combine(bytes in prop::collection::vec(any::<u8>(), 0..3000), at in 0usize..3000) {
            let (head, tail) = bytes.split_at(at.min(bytes.len()));
            for algorithm in ChecksumAlgorithm::ALL {
                let whole = Checksum::of(algorithm, &bytes);
                let joined = Checksum::of(algorithm, head)
                    .followed_by(Checksum::of(algorithm, tail), tail.len() as u64);
                prop_assert_eq!(whole, joined);
                prop_assert_eq!(Checksum::parse(algorithm, &whole.base64()), Some(whole));
                let mut digest = Digest::new(algorithm);
                digest.update(head);
                digest.update(tail);
                prop_assert_eq!(digest.finish(), whole);
            }
        }
    }
}
