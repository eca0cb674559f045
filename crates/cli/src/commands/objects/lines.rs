//! Results of many lines: written in pieces, not line by line, and never more than one piece in memory.

use serde::Serialize;

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// When a piece is written.
const PIECE: usize = 32 << 10;

/// Lines on their way to standard output. What was taken is written with [`Lines::finish`], or before.
pub(crate) struct Lines<'a> {
    context: &'a Context,
    piece: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// No lines yet.
    pub(crate) fn new(context: &'a Context) -> Self {
        Self { context, piece: Vec::new() }
    }

    /// One more item: a line of JSON, or the line of text that `human` makes of it.
    pub(crate) fn item<T: Serialize>(
        &mut self,
        data: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.context.output.is_json() {
            serde_json::to_writer(&mut self.piece, data)
                .map_err(|error| Failure::because(Kind::Error, &error))?;
        } else {
            self.piece.extend_from_slice(human(data).as_bytes());
        }
        self.end(b"\n")
    }

    /// Text, and what ends it.
    pub(crate) fn text(&mut self, text: &str, end: &[u8]) -> Result<(), Failure> {
        self.piece.extend_from_slice(text.as_bytes());
        self.end(end)
    }

    fn end(&mut self, end: &[u8]) -> Result<(), Failure> {
        self.piece.extend_from_slice(end);
        if self.piece.len() >= PIECE { self.finish() } else { Ok(()) }
    }

    /// Writes what is left.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        let outcome = self.context.output.bytes(&self.piece);
        self.piece.clear();
        outcome
    }
}
