//! How much is done at once, and in pieces of which size.
//!
//! Pieces suit the link: one takes some seconds of its connection, so that a slow link loses little where it breaks, and a
//! fast one is not kept waiting for requests. What nothing is known of yet gets `part_size`.

/// The measures of transfers. The default suits a few cores and any link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// From this size on an object moves in parts, in bytes.
    pub threshold: u64,
    /// The size of a part before the link is known, in bytes (stores want 5 MiB at least, but for the last).
    pub part_size: u64,
    /// What all parts in flight may hold together, in bytes.
    pub memory: u64,
    /// The most ranges of one object that are fetched, or parts of one upload that are sent, at once.
    pub ranges: usize,
    /// The most files that are on their way at once, in a tree.
    pub files: usize,
    /// Up to this size the store copies an object in one request, in bytes (5 GiB by S3's rules).
    pub copy_threshold: u64,
}

pub(crate) const MIB: u64 = 1 << 20;

/// Of `ranges` and `files`, so many to begin with.
pub(crate) const FIRST_RANGES: usize = 4;
pub(crate) const FIRST_FILES: usize = 32;

impl Default for Tuning {
    fn default() -> Self {
        Self {
            threshold: 16 * MIB,
            part_size: 8 * MIB,
            memory: 64 * MIB,
            ranges: 16,
            files: 256,
            copy_threshold: 5 << 30,
        }
    }
}

/// The most parts of an upload, by S3's rules.
const MOST_PARTS: u64 = 10_000;

/// How long a piece is to take.
const PIECE_SECONDS: f64 = 4.0;

impl Tuning {
    /// For a limit of bytes a second: few fill it, and more would only come to their ends later.
    #[must_use]
    pub fn within_a_limit() -> Self {
        Self { ranges: FIRST_RANGES, files: FIRST_FILES, ..Self::default() }
    }

    /// The size of all parts of an upload of known size: what suits a connection of this rate (bytes a second), but no more
    /// than 10,000 of them. Memory holds them, so fast links get twice the usual at most; stores take no part below 5 MiB.
    pub(crate) fn part_size_for(&self, size: u64, rate: Option<f64>) -> u64 {
        let suits = self.suits(rate, (self.part_size * 5).div_ceil(8), self.part_size * 2);
        let least = size.div_ceil(MOST_PARTS);
        if least <= suits { suits } else { least.div_ceil(MIB) * MIB }
    }

    /// The size of the next range of a download, whose bytes go straight into the file: what suits a connection of this rate,
    /// but not more than its share of what is left, so that all connections come to their ends together.
    pub(crate) fn range_size(&self, rate: Option<f64>, share: u64) -> u64 {
        let suits = self.suits(rate, self.part_size / 8, self.part_size * 8);
        suits.min(share.max(self.part_size)).max(1)
    }

    fn suits(&self, rate: Option<f64>, least: u64, most: u64) -> u64 {
        let Some(rate) = rate else { return self.part_size.max(1) };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size need not be exact"
        )]
        let carried = (rate * PIECE_SECONDS) as u64;
        carried.clamp(least.max(1), most.max(1))
    }

    /// The size of a part of a stream of unknown length: it grows, so that 10,000 parts hold
    /// 2000 GiB.
    pub(crate) fn stream_part_size(&self, number: u32) -> u64 {
        let doublings =
            (number.saturating_sub(1001) / 1000 + u32::from(number > 1000)).saturating_sub(1).min(6);
        self.part_size << doublings
    }

    /// The size of the pieces in which the store copies an object of this size.
    pub(crate) fn copy_part_size_for(&self, size: u64) -> u64 {
        self.part_size_for(size, None).max(self.copy_threshold / 10).min(5 << 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_never_too_many() {
        let tuning = Tuning::default();
        for size in [0, 1, 80 << 30, (80 << 30) + 1, 5 << 40] {
            for rate in [None, Some(0.0), Some(1e12)] {
                let part = tuning.part_size_for(size, rate);
                assert!(size.div_ceil(part) <= MOST_PARTS && part >= 5 * MIB, "{size}");
            }
            assert!(size.div_ceil(tuning.copy_part_size_for(size)) <= MOST_PARTS);
        }
        assert_eq!(tuning.part_size_for(1, None), 8 * MIB);
        assert_eq!(tuning.stream_part_size(1), 8 * MIB);
        assert_eq!(tuning.stream_part_size(10_000), 512 * MIB);
        let whole: u64 = (1..=10_000).map(|number| tuning.stream_part_size(number)).sum();
        assert!(whole >= 2000 << 30, "{whole}");
    }

    #[test]
    fn pieces_suit_the_link() {
        let tuning = Tuning::default();
        let mib = |mib: f64| Some(mib * 1024.0 * 1024.0);
        let part = |rate| tuning.part_size_for(1 << 30, rate) / MIB;
        assert_eq!([mib(0.1), mib(1.5), mib(3.0), mib(300.0)].map(part), [5, 6, 12, 16]);
        let range = |rate| tuning.range_size(rate, 1 << 30) / MIB;
        assert_eq!([None, mib(0.1), mib(3.0), mib(300.0)].map(range), [8, 1, 12, 64]);
        // The last ones end together, and are no crumbs.
        assert_eq!(tuning.range_size(mib(300.0), 20 * MIB), 20 * MIB);
        assert_eq!(tuning.range_size(mib(300.0), MIB), 8 * MIB);
        assert_eq!(Tuning { part_size: 0, ..tuning }.range_size(mib(1.0), 0), 1);
    }
}
