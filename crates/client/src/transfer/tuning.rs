//! How much is done at once, and in pieces of which size.

/// The measures of transfers. The default suits a few cores and any link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// From this size on an object moves in parts, in bytes.
    pub threshold: u64,
    /// The smallest part, in bytes (stores want 5 MiB at least, but for the last).
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
pub(crate) const FIRST_FILES: usize = 16;

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

impl Tuning {
    /// For a limit of bytes a second: few fill it, and more would only come to their ends later.
    #[must_use]
    pub fn within_a_limit() -> Self {
        Self { ranges: FIRST_RANGES, files: FIRST_FILES, ..Self::default() }
    }

    /// The size of the parts of an object of known size: the smallest that needs no more than 10,000.
    pub(crate) fn part_size_for(&self, size: u64) -> u64 {
        let least = size.div_ceil(MOST_PARTS);
        if least <= self.part_size { self.part_size.max(1) } else { least.div_ceil(MIB) * MIB }
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
        self.part_size_for(size).max(self.copy_threshold / 10).min(5 << 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_never_too_many() {
        let tuning = Tuning::default();
        for size in [0, 1, 80 << 30, (80 << 30) + 1, 5 << 40] {
            let part = tuning.part_size_for(size);
            assert!(size.div_ceil(part) <= MOST_PARTS && part >= tuning.part_size, "{size}");
            assert!(size.div_ceil(tuning.copy_part_size_for(size)) <= MOST_PARTS);
        }
        assert_eq!(tuning.part_size_for(1), 8 * MIB);
        assert_eq!(tuning.stream_part_size(1), 8 * MIB);
        assert_eq!(tuning.stream_part_size(10_000), 512 * MIB);
        let whole: u64 = (1..=10_000).map(|number| tuning.stream_part_size(number)).sum();
        assert!(whole >= 2000 << 30, "{whole}");
    }
}
