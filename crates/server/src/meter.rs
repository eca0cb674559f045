//! Counts and times that every thread adds to without waiting for another.
//!
//! Enters: numbers, on the path of requests. Leaves: sums, to whoever asks now and then. A table lies in memory once per
//! lane, and a thread keeps its lane for life: adding is one instruction on memory that other threads rarely touch, with
//! no lock, no lookup and no text. Names and labels are given where the sums are shown ([`crate::metrics`]).

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The most lanes; more threads than that share them.
const MOST_LANES: usize = 64;

/// The upper bounds of the ranges that times are sorted into, in microseconds; beyond the last is one more range.
pub const BOUNDS: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// How many cells times take: one per range, and one for their sum.
pub const TIME_CELLS: usize = BOUNDS.len() + 2;

static NEXT_LANE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LANE: Cell<Option<usize>> = const { Cell::new(None) };
}

fn lane() -> usize {
    LANE.with(|lane| match lane.get() {
        Some(lane) => lane,
        None => {
            let next = NEXT_LANE.fetch_add(1, Ordering::Relaxed);
            lane.set(Some(next));
            next
        }
    })
}

/// A row of counts.
#[derive(Debug)]
pub struct Table {
    lanes: Box<[Box<[AtomicU64]>]>,
}

impl Table {
    /// With so many cells, all of them nought.
    #[must_use]
    pub fn new(cells: usize) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = threads.next_power_of_two().min(MOST_LANES);
        let lane = || (0..cells).map(|_| AtomicU64::new(0)).collect();
        Self { lanes: (0..lanes).map(|_| lane()).collect() }
    }

    /// Adds to a cell; one that is not there counts nothing.
    pub fn add(&self, cell: usize, number: u64) {
        let lane = lane() & (self.lanes.len() - 1);
        if let Some(cell) = self.lanes.get(lane).and_then(|cells| cells.get(cell)) {
            cell.fetch_add(number, Ordering::Relaxed);
        }
    }

    /// Sorts a time into the [`TIME_CELLS`] cells that begin here.
    pub fn time(&self, first: usize, micros: u64) {
        let range = BOUNDS.partition_point(|bound| *bound < micros);
        self.add(first + range, 1);
        self.add(first + BOUNDS.len() + 1, micros);
    }

    /// What a cell has come to.
    #[must_use]
    pub fn sum(&self, cell: usize) -> u64 {
        let cells = self.lanes.iter().filter_map(|lane| lane.get(cell));
        cells.fold(0, |sum, cell| sum.wrapping_add(cell.load(Ordering::Relaxed)))
    }

    /// The times in the cells that begin here.
    #[must_use]
    pub fn times(&self, first: usize) -> Times {
        let mut ranges = [0; BOUNDS.len() + 1];
        for (number, range) in ranges.iter_mut().enumerate() {
            *range = self.sum(first + number);
        }
        Times { ranges, micros: self.sum(first + BOUNDS.len() + 1) }
    }
}

/// Times, sorted into ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How many were in each range of [`BOUNDS`], and beyond.
    pub ranges: [u64; BOUNDS.len() + 1],
    /// Their sum, in microseconds.
    pub micros: u64,
}

impl Times {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_among_threads() {
        let table = Table::new(3);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| table.add(1, 2)));
            }
        });
        assert_eq!((table.sum(0), table.sum(1), table.sum(2)), (0, 16_000, 0));
        table.add(7, 1);
        assert_eq!(table.sum(7), 0);
    }

    #[test]
    fn a_time_stands_in_the_range_whose_bound_it_reaches() {
        let table = Table::new(TIME_CELLS);
        for micros in [0, 100, 101, 1_000, 30_000_000, 30_000_001, u64::from(u32::MAX)] {
            table.time(0, micros);
        }
        let times = table.times(0);
        assert_eq!((times.ranges[0], times.ranges[1], times.ranges[3]), (2, 1, 1));
        assert_eq!((times.ranges[16], times.ranges[17], times.count()), (1, 2, 7));
        assert_eq!(times.micros, 60_001_202 + u64::from(u32::MAX));
    }
}
