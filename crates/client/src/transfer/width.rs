//! How many things are on their way at once: as many as make it faster.
//!
//! Enters: what ended when, and how many bytes it moved; of what takes long, how many have moved by and by. Leaves: how many may be under way. It
//! begins low and doubles for as long as a doubling makes the whole faster by a fifth; one that does not is taken back.
//! Links change, and what made one round faster may be chance, so now and then it tries more again, and fewer, which stay
//! where they are as fast. A fast server nearby is kept busy by few, which saves memory; one far away needs many, because each
//! waits for it. A store that complains is spared whatever this says (`crate::s3`'s pace).

use std::time::{Duration, Instant};

/// What a request costs beside its bytes, in bytes: small things count, too.
const EACH: u64 = 64 << 10;
/// Shorter times measure chance.
const ROUND: Duration = Duration::from_millis(100);
/// Rounds until the next number is tried again.
const CONTENT: u32 = 20;

/// How many at once, of one kind of thing.
#[derive(Debug)]
pub(crate) struct Width {
    now: usize,
    least: usize,
    most: usize,
    state: State,
    round: Round,
}

#[derive(Debug)]
enum State {
    /// What was begun under another number is still ending: this round says nothing.
    Changing(Trial),
    /// This round shows whether it is worth it.
    Trying(Trial),
    /// So many rounds at this number; then the next trial.
    Settled { rounds: u32, next: Turn },
}

/// Another number, beside the rate of the number before: bytes a second.
#[derive(Debug, Clone, Copy)]
struct Trial {
    turn: Turn,
    before: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    More,
    Fewer,
}

#[derive(Debug)]
struct Round {
    since: Instant,
    ended: usize,
    moved: u64,
}

impl Width {
    /// Begins with `least`, or with `most` where that is lower.
    pub(crate) fn new(least: usize, most: usize) -> Self {
        let most = most.max(1);
        let least = least.clamp(1, most);
        let round = Round { since: Instant::now(), ended: 0, moved: 0 };
        // Connections are still being made: the first round says nothing, either.
        let state = State::Changing(Trial { turn: Turn::More, before: 0.0 });
        Self { now: least, least, most, state, round }
    }

    /// So many may be under way.
    pub(crate) fn allowed(&self) -> usize {
        self.now
    }

    /// Something ended, now, and had moved so many bytes.
    pub(crate) fn ended(&mut self, bytes: u64) {
        self.moved_at(bytes + EACH, Instant::now());
    }

    /// A piece of something that takes long has moved.
    pub(crate) fn moved(&mut self, bytes: u64) {
        self.moved_at(bytes, Instant::now());
    }

    fn moved_at(&mut self, bytes: u64, at: Instant) {
        self.round.ended += 1;
        self.round.moved += bytes;
        let took = at.saturating_duration_since(self.round.since);
        if self.round.ended < self.now || took < ROUND {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "a rate of bytes need not be exact")]
        let rate = self.round.moved as f64 / took.as_secs_f64();
        self.round = Round { since: at, ended: 0, moved: 0 };
        self.state = match self.state {
            State::Changing(trial) => State::Trying(trial),
            State::Trying(trial) if trial.is_worth_it(rate) => self.turn(trial.turn, rate),
            State::Trying(trial) => {
                self.now = self.after(trial.turn.back());
                State::Settled { rounds: 0, next: trial.turn.back() }
            }
            State::Settled { rounds, next } if rounds < CONTENT => {
                State::Settled { rounds: rounds + 1, next }
            }
            State::Settled { next, .. } => self.turn(next, rate),
        };
    }

    /// Tries another number, if there is one.
    fn turn(&mut self, turn: Turn, before: f64) -> State {
        let now = self.after(turn);
        if now == self.now {
            return State::Settled { rounds: 0, next: turn.back() };
        }
        self.now = now;
        State::Changing(Trial { turn, before })
    }

    fn after(&self, turn: Turn) -> usize {
        match turn {
            Turn::More => (self.now * 2).min(self.most),
            Turn::Fewer => (self.now / 2).max(self.least),
        }
    }
}

impl Trial {
    fn is_worth_it(self, rate: f64) -> bool {
        match self.turn {
            Turn::More => rate >= self.before * 1.2,
            Turn::Fewer => rate >= self.before * 0.95,
        }
    }
}

impl Turn {
    fn back(self) -> Self {
        match self {
            Self::More => Self::Fewer,
            Self::Fewer => Self::More,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that answers after `wait`, over a link that carries `rate` bytes a second. Gives the numbers at which
    /// `count` things of `bytes` ended, each begun as soon as it was allowed.
    fn over(link: (Duration, f64), bytes: u64, count: usize, (least, most): (usize, usize)) -> Vec<usize> {
        let (wait, rate) = link;
        let mut width = Width::new(least, most);
        let begun = width.round.since;
        let carry = Duration::from_secs_f64(bytes as f64 / rate);
        let (mut free, mut under_way) = (begun, std::collections::VecDeque::new());
        let mut now = begun;
        let mut seen = Vec::new();
        for _ in 0..count {
            while under_way.len() < width.allowed() {
                free = free.max(now + wait) + carry;
                under_way.push_back(free);
            }
            now = under_way.pop_front().unwrap();
            width.moved_at(bytes + EACH, now);
            seen.push(width.allowed());
        }
        seen
    }

    #[test]
    fn a_store_far_away_gets_many() {
        // 100 ms away, 1 GB/s: each of 256 adds to it.
        let seen = over((Duration::from_millis(100), 1e9), 4096, 20_000, (16, 256));
        assert_eq!(seen[0], 16);
        assert_eq!(seen.last(), Some(&256));
    }

    #[test]
    fn a_link_that_is_full_gets_no_more() {
        // 1 ms away, 100 MB/s: four parts fill it.
        let seen = over((Duration::from_millis(1), 1e8), 8 << 20, 500, (4, 16));
        let settled = &seen[seen.len() / 2..];
        assert!(settled.iter().filter(|width| **width == 4).count() > settled.len() / 2, "{settled:?}");
        assert!(seen.iter().all(|width| *width <= 8), "one doubling is tried, and taken back");
    }

    #[test]
    fn never_below_one_nor_above_the_most() {
        assert_eq!(Width::new(4, 0).allowed(), 1);
        assert_eq!(Width::new(16, 3).allowed(), 3);
        let seen = over((Duration::from_millis(100), 1e9), 4096, 5000, (16, 40));
        assert_eq!(seen.iter().max(), Some(&40));
    }

    /// What a full link does not need is tried again, in case the link has changed.
    #[test]
    fn it_tries_again() {
        let seen = over((Duration::from_millis(1), 1e8), 8 << 20, 2000, (4, 16));
        let tries = seen.windows(2).filter(|pair| pair[0] == 4 && pair[1] == 8).count();
        assert!(tries > 3, "{tries}");
    }
}
