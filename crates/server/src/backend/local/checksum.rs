//! S3's additional checksums: what they are, how they are written, computed and combined.
//!
//! Source: Amazon S3 User Guide, "Checking object integrity". A *full object* checksum is that of all
//! bytes; a *composite* one is the checksum of the parts' checksums, written with `-` and their number.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;

/// The algorithms that S3 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO HDLC), four bytes.
    Crc32,
    /// CRC-32C (Castagnoli), four bytes.
    Crc32c,
    /// CRC-64/NVME, eight bytes.
    Crc64Nvme,
    /// SHA-1, twenty bytes.
    Sha1,
    /// SHA-256, thirty-two bytes.
    Sha256,
}

impl ChecksumAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// `CRC32`, …: as `x-amz-checksum-algorithm` writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// `x-amz-checksum-crc32`, …: the header that carries a value.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Reads the name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Length of a value in bytes.
    #[must_use]
    pub fn value_len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The kind that an upload has when it names none: composite where S3 knows it, else full.
    #[must_use]
    pub fn default_kind(self) -> ChecksumKind {
        match self {
            Self::Crc64Nvme => ChecksumKind::FullObject,
            Self::Crc32 | Self::Crc32c | Self::Sha1 | Self::Sha256 => ChecksumKind::Composite,
        }
    }

    /// Whether S3 offers this kind for multipart objects of this algorithm.
    #[must_use]
    pub fn allows(self, kind: ChecksumKind) -> bool {
        match kind {
            ChecksumKind::FullObject => self.crc().is_some(),
            ChecksumKind::Composite => self != Self::Crc64Nvme,
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Crc32 => 1,
            Self::Crc32c => 2,
            Self::Crc64Nvme => 3,
            Self::Sha1 => 4,
            Self::Sha256 => 5,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.code() == code)
    }
}

/// Over what a checksum was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumKind {
    /// All bytes of the object.
    FullObject,
    /// The checksums of its parts.
    Composite,
}

impl ChecksumKind {
    /// `FULL_OBJECT` or `COMPOSITE`: as `x-amz-checksum-type` writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// One checksum. `Display` gives S3's form: base64 and, of a composite, `-` and the number of parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    value: Vec<u8>,
    parts: Option<u32>,
}

impl Checksum {
    /// A full checksum; `None` when the value has not the algorithm's length.
    #[must_use]
    pub fn full(algorithm: ChecksumAlgorithm, value: Vec<u8>) -> Option<Self> {
        (value.len() == algorithm.value_len()).then_some(Self { algorithm, value, parts: None })
    }

    /// The full checksum of some bytes.
    #[must_use]
    pub fn of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Reads S3's form.
    #[must_use]
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Option<Self> {
        let (encoded, parts) = match text.split_once('-') {
            Some((encoded, parts)) => (encoded, Some(parts.parse().ok()?)),
            None => (text, None),
        };
        let full = Self::full(algorithm, STANDARD.decode(encoded).ok()?)?;
        Some(Self { parts, ..full })
    }

    /// Its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// The bytes of the value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Full or composite.
    #[must_use]
    pub fn kind(&self) -> ChecksumKind {
        match self.parts {
            Some(_) => ChecksumKind::Composite,
            None => ChecksumKind::FullObject,
        }
    }

    /// The checksum of an object made of parts with these full checksums and sizes. `None` if S3 does not
    /// know this kind for the algorithm, or a part has another algorithm.
    #[must_use]
    pub fn of_parts(
        algorithm: ChecksumAlgorithm,
        kind: ChecksumKind,
        parts: &[(Checksum, u64)],
    ) -> Option<Self> {
        if !algorithm.allows(kind) || parts.iter().any(|(part, _)| part.algorithm != algorithm) {
            return None;
        }
        match kind {
            ChecksumKind::Composite => {
                let mut hasher = Hasher::new(algorithm);
                parts.iter().for_each(|(part, _)| hasher.update(&part.value));
                Some(Self { parts: Some(u32::try_from(parts.len()).ok()?), ..hasher.finish() })
            }
            ChecksumKind::FullObject => {
                let crc = algorithm.crc()?;
                let empty = crc_fast::Digest::new(crc).finalize();
                let combined = parts.iter().fold(empty, |before, (part, size)| {
                    let value = part.value.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
                    crc_fast::checksum_combine(crc, before, value, *size)
                });
                Some(of_crc(algorithm, combined))
            }
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(&self.value))?;
        match self.parts {
            Some(parts) => write!(f, "-{parts}"),
            None => Ok(()),
        }
    }
}

/// The checksums kept with an object or part: at most one of each algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checksums(Vec<Checksum>);

impl Checksums {
    /// The checksum of this algorithm.
    #[must_use]
    pub fn of(&self, algorithm: ChecksumAlgorithm) -> Option<&Checksum> {
        self.0.iter().find(|checksum| checksum.algorithm == algorithm)
    }

    /// Adds one, in place of another of its algorithm.
    pub fn insert(&mut self, checksum: Checksum) {
        self.0.retain(|other| other.algorithm != checksum.algorithm);
        self.0.push(checksum);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Checksum> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For the index: of each, the algorithm's code, the number of parts (0: full), the value.
    pub(super) fn to_column(&self) -> Option<Vec<u8>> {
        let mut column = Vec::new();
        for checksum in &self.0 {
            column.push(checksum.algorithm.code());
            column.extend(checksum.parts.unwrap_or(0).to_be_bytes());
            column.extend(&checksum.value);
        }
        (!column.is_empty()).then_some(column)
    }

    /// The reverse; `None` for bytes that [`Checksums::to_column`] does not make.
    pub(super) fn from_column(column: Option<&[u8]>) -> Option<Self> {
        let mut rest = column.unwrap_or_default();
        let mut checksums = Vec::new();
        while let Some((code, after)) = rest.split_first() {
            let algorithm = ChecksumAlgorithm::from_code(*code)?;
            let (parts, after) = after.split_first_chunk::<4>()?;
            let (value, after) = after.split_at_checked(algorithm.value_len())?;
            let parts = Some(u32::from_be_bytes(*parts)).filter(|parts| *parts != 0);
            checksums.push(Checksum { algorithm, value: value.to_owned(), parts });
            rest = after;
        }
        Some(Self(checksums))
    }
}

impl FromIterator<Checksum> for Checksums {
    fn from_iter<I: IntoIterator<Item = Checksum>>(checksums: I) -> Self {
        let mut set = Self::default();
        checksums.into_iter().for_each(|checksum| set.insert(checksum));
        set
    }
}

/// Computes one checksum.
pub(crate) struct Hasher {
    algorithm: ChecksumAlgorithm,
    state: State,
}

enum State {
    Crc(Box<crc_fast::Digest>),
    Sha(digest::Context),
}

impl Hasher {
    pub(crate) fn new(algorithm: ChecksumAlgorithm) -> Self {
        let state = match (algorithm, algorithm.crc()) {
            (_, Some(crc)) => State::Crc(Box::new(crc_fast::Digest::new(crc))),
            (ChecksumAlgorithm::Sha1, _) => {
                State::Sha(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))
            }
            _ => State::Sha(digest::Context::new(&digest::SHA256)),
        };
        Self { algorithm, state }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(bytes),
            State::Sha(sha) => sha.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Checksum {
        match self.state {
            State::Crc(crc) => of_crc(self.algorithm, crc.finalize()),
            State::Sha(sha) => {
                Checksum { algorithm: self.algorithm, value: sha.finish().as_ref().to_vec(), parts: None }
            }
        }
    }
}

fn of_crc(algorithm: ChecksumAlgorithm, crc: u64) -> Checksum {
    let value = crc.to_be_bytes().into_iter().skip(8 - algorithm.value_len()).collect();
    Checksum { algorithm, value, parts: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The check values of the CRC catalogue and of the SHA standards, for `123456789`.
    #[rstest::rstest]
    #[case(ChecksumAlgorithm::Crc32, "cbf43926")]
    #[case(ChecksumAlgorithm::Crc32c, "e3069283")]
    #[case(ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888")]
    #[case(ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441")]
    #[case(ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225")]
    fn check_values(#[case] algorithm: ChecksumAlgorithm, #[case] expected: &str) {
        let found = checksum(algorithm, b"123456789");
        let hex: String = found.value().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
        assert_eq!(Checksum::parse(algorithm, &found.to_string()), Some(found));
    }

    #[test]
    fn full_checksums_of_parts_are_those_of_the_whole() {
        let parts: [&[u8]; 4] = [b"one", b"", b"two and more", b"3"];
        for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
            let each: Vec<_> =
                parts.iter().map(|part| (checksum(algorithm, part), part.len() as u64)).collect();
            let combined = Checksum::of_parts(algorithm, ChecksumKind::FullObject, &each);
            assert_eq!(combined, Some(checksum(algorithm, &parts.concat())), "{algorithm:?}");
        }
    }

    #[test]
    fn composite_checksums_name_their_parts() {
        let part = checksum(ChecksumAlgorithm::Sha256, b"x");
        let parts = [(part.clone(), 1), (part.clone(), 1)];
        let composite =
            Checksum::of_parts(ChecksumAlgorithm::Sha256, ChecksumKind::Composite, &parts).unwrap();
        assert!(composite.to_string().ends_with("-2"));
        assert_eq!(composite.value(), checksum(ChecksumAlgorithm::Sha256, &part.value().repeat(2)).value());
        assert_eq!(Checksum::of_parts(ChecksumAlgorithm::Sha256, ChecksumKind::FullObject, &parts), None);
        assert_eq!(Checksum::of_parts(ChecksumAlgorithm::Sha1, ChecksumKind::Composite, &parts), None);
    }

    #[test]
    fn columns_round_trip() {
        let all: Checksums = ChecksumAlgorithm::ALL.into_iter().map(|each| checksum(each, b"x")).collect();
        assert_eq!(Checksums::from_column(all.to_column().as_deref()), Some(all));
        assert_eq!(Checksums::default().to_column(), None);
        assert_eq!(Checksums::from_column(Some(&[9])), None);
        assert_eq!(Checksums::from_column(Some(&[1, 0, 0, 0, 0, 1])), None);
    }
}
