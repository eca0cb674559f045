//! How a payload is written for the upstream: as it is, or in `aws-chunked` frames with a trailer.
//!
//! Frames of one size, so that the length of the whole is known before the first byte. Source: Amazon S3 API Reference,
//! "Signature calculations … Including Trailing Headers".

use bytes::{BufMut, Bytes, BytesMut};

use crate::backend::local::checksum::ChecksumAlgorithm;

/// Payload bytes of a frame.
const FRAME: usize = 64 << 10;

/// A payload on its way.
#[derive(Debug)]
pub(super) enum Framing {
    /// As it is.
    Plain,
    /// In frames, then a checksum.
    Trailer { algorithm: ChecksumAlgorithm, gathered: BytesMut },
}

impl Framing {
    /// With the checksum in a trailer.
    pub(super) fn trailer(algorithm: ChecksumAlgorithm) -> Self {
        Self::Trailer { algorithm, gathered: BytesMut::new() }
    }

    /// Bytes on the wire for so many bytes of payload.
    pub(super) fn length(&self, payload: u64) -> u64 {
        let Self::Trailer { algorithm, .. } = self else { return payload };
        let frame = |size: u64| format!("{size:x}").len() as u64 + 2 + size + 2;
        let whole = payload / FRAME as u64;
        let rest = payload % FRAME as u64;
        let rest = if rest == 0 { 0 } else { frame(rest) };
        let value = algorithm.value_len().div_ceil(3) * 4;
        let trailer = algorithm.header().len() + 1 + value + 2;
        whole * frame(FRAME as u64) + rest + 3 + trailer as u64 + 2
    }

    /// What can be sent once this piece is there.
    pub(super) fn push(&mut self, piece: Bytes) -> Option<Bytes> {
        let Self::Trailer { gathered, .. } = self else { return Some(piece) };
        gathered.extend_from_slice(&piece);
        if gathered.len() < FRAME {
            return None;
        }
        let mut frames = BytesMut::with_capacity(gathered.len() + 16);
        while gathered.len() >= FRAME {
            frame(&mut frames, &gathered.split_to(FRAME));
        }
        Some(frames.freeze())
    }

    /// The rest, when everything is there and has been found right.
    pub(super) fn finish(self, checksum: &str) -> Option<Bytes> {
        let Self::Trailer { algorithm, gathered } = self else { return None };
        let mut end = BytesMut::with_capacity(gathered.len() + 128);
        if !gathered.is_empty() {
            frame(&mut end, &gathered);
        }
        end.put_slice(format!("0\r\n{}:{checksum}\r\n\r\n", algorithm.header()).as_bytes());
        Some(end.freeze())
    }
}

fn frame(to: &mut BytesMut, payload: &[u8]) {
    to.put_slice(format!("{:x}\r\n", payload.len()).as_bytes());
    to.put_slice(payload);
    to.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wigeon_core::sigv4::chunked::Decoder;
    use wigeon_core::sigv4::verify::Payload;

    use super::*;
    use crate::backend::local::checksum::Checksum;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// What is written is what a server reads, and as long as was said.
        #[test]
        fn frames_are_read_back(pieces in prop::collection::vec(0_usize..150_000, 0..4), which in 0_usize..5) {
            let algorithm = ChecksumAlgorithm::ALL[which];
            let mut framing = Framing::trailer(algorithm);
            let payload: Vec<u8> = (0..pieces.iter().sum::<usize>()).map(|at| (at % 251) as u8).collect();
            let announced = framing.length(payload.len() as u64);
            let (mut wire, mut at) = (Vec::new(), 0);
            for size in pieces {
                let piece = Bytes::copy_from_slice(&payload[at..at + size]);
                at += size;
                wire.extend(framing.push(piece).unwrap_or_default());
            }
            let checksum = Checksum::of(algorithm, &payload).to_string();
            wire.extend(framing.finish(&checksum).unwrap());
            prop_assert_eq!(wire.len() as u64, announced);
            let kind = Payload::UnsignedChunksTrailer;
            let mut decoder = Decoder::new(&kind, None, payload.len() as u64, Some(algorithm.header())).unwrap();
            decoder.push(&wire);
            let mut read = Vec::new();
            while let Some(piece) = decoder.next_piece().unwrap() {
                read.extend_from_slice(&piece);
            }
            prop_assert_eq!(read, payload);
            prop_assert_eq!(decoder.finish().unwrap(), vec![(algorithm.header().to_owned(), checksum)]);
        }
    }
}
