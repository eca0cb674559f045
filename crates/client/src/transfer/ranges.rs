//! A large object into one file, in ranges, several at once.
//!
//! Ranges are as large as suits the link (`tuning`, `rates`), and as many at once as make it faster (`width`). Their bytes go
//! straight to their places; what has arrived of each is noted after every step of some MiB or a second, so that whatever
//! ends the download costs no more than a step of each connection. One task reads them all: a file has one writer.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::engine::Transfers;
use super::error::TransferError;
use super::file_slice::SharedFile;
use super::item::Address;
use super::partial::Partial;
use super::rates::Way;
use super::reader::ObjectReader;
use super::tuning::FIRST_RANGES;
use super::width::Width;
use crate::s3::{Client, Digest, ObjectHead};

/// What has arrived is noted as often.
const STEP: Duration = Duration::from_secs(1);

/// A range on its way.
struct Fetch {
    reader: ObjectReader,
    begun: Instant,
    first: u64,
    /// The next byte.
    at: u64,
    end: u64,
    /// Of what has arrived, where one is wanted.
    digest: Option<Digest>,
}

impl Transfers {
    /// Fetches what is not there. After the wish to stop nothing more is asked for, and steps on their way arrive.
    pub(crate) async fn fetch_missing(
        &self,
        client: &Client,
        from: &Address,
        head: &ObjectHead,
        partial: &mut Partial,
    ) -> Result<(), TransferError> {
        let store = client.endpoint().origin();
        let (file, algorithm) = (partial.file.clone(), partial.algorithm);
        let mut gaps = Gaps::new(partial.missing(head.size));
        let mut width = Width::new(FIRST_RANGES, self.tuning.ranges);
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < width.allowed() && !self.is_stopped() {
                let share = gaps.left() / width.allowed() as u64;
                let size = self.tuning.range_size(self.rates.of(&store, Way::Down), share);
                let Some((first, end)) = gaps.take(size) else { break };
                let reader = ObjectReader::part(client, from, head.etag.clone(), first, end);
                let digest = algorithm.map(Digest::new);
                let fetch = Fetch { reader, begun: Instant::now(), first, at: first, end, digest };
                under_way.push(self.advance(fetch, &file));
            }
            // Dropping the ranges on the way out ends them.
            let ended = match self.journals {
                Some(_) => under_way.next().await,
                // Nobody will go on with it: no reason to wait for what is on its way.
                None => self.unless_stopped(under_way.next()).await?,
            };
            let Some(step) = ended else { break };
            let (fetch, moved) = step?;
            width.moved(moved);
            let length = fetch.at - fetch.first;
            partial.arrive((fetch.first, length, fetch.digest.clone().map(Digest::finish)));
            if fetch.at == fetch.end {
                self.rates.note(&store, Way::Down, length, fetch.begun.elapsed());
            } else if !self.is_stopped() {
                under_way.push(self.advance(fetch, &file));
            }
        }
        if partial.missing(head.size).is_empty() { Ok(()) } else { Err(TransferError::Interrupted) }
    }

    /// Goes on with a range, for a step: a part's bytes or a second. Tells how many bytes moved.
    async fn advance(&self, mut fetch: Fetch, file: &SharedFile) -> Result<(Fetch, u64), TransferError> {
        let (begun, first) = (Instant::now(), fetch.at);
        while let Some(chunk) = fetch.reader.next().await? {
            if let Some(digest) = &mut fetch.digest {
                digest.update(&chunk);
            }
            file.write(fetch.at, &chunk)?;
            fetch.at += chunk.len() as u64;
            self.progress.moved(chunk.len() as u64);
            if fetch.at - first >= self.tuning.part_size || begun.elapsed() >= STEP {
                break;
            }
        }
        let moved = fetch.at - first;
        Ok((fetch, moved))
    }
}

/// What nobody fetches yet: first bytes and ends, in order.
struct Gaps(Vec<(u64, u64)>);

impl Gaps {
    fn new(mut gaps: Vec<(u64, u64)>) -> Self {
        gaps.reverse();
        Self(gaps)
    }

    /// In bytes.
    fn left(&self) -> u64 {
        self.0.iter().map(|(first, end)| end - first).sum()
    }

    /// The next range, of at most so many bytes.
    fn take(&mut self, size: u64) -> Option<(u64, u64)> {
        let (first, end) = self.0.last_mut()?;
        let range = (*first, (*end).min(*first + size.max(1)));
        *first = range.1;
        if first == end {
            self.0.pop();
        }
        Some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_taken_in_order_and_to_their_ends() {
        let mut gaps = Gaps::new(vec![(0, 5), (8, 9), (20, 30)]);
        assert_eq!(gaps.left(), 16);
        let taken: Vec<_> = std::iter::from_fn(|| gaps.take(4)).collect();
        assert_eq!(taken, [(0, 4), (4, 5), (8, 9), (20, 24), (24, 28), (28, 30)]);
        assert_eq!(gaps.left(), 0);
    }
}
