//! A request's body on its way to an upstream.
//!
//! A body of an announced length that ends early is an error, upon which the connection is closed: an upstream
//! that has not got every byte commits nothing.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// A body.
#[derive(Debug)]
pub(super) enum Sent {
    /// In memory; empty where there is none.
    Whole(Bytes),
    /// Piece by piece.
    Piped {
        /// The pieces.
        pieces: mpsc::Receiver<Bytes>,
        /// How many bytes are still to come.
        left: u64,
    },
}

/// The pieces ended before the announced length, or went beyond it.
#[derive(Debug, thiserror::Error)]
#[error("the body was given up")]
pub(super) struct GivenUp;

impl Body for Sent {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Piped { left: 0, .. } => Poll::Ready(None),
            Self::Piped { pieces, left } => match pieces.poll_recv(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(Some(Err(GivenUp))),
                Poll::Ready(Some(piece)) => match left.checked_sub(piece.len() as u64) {
                    None => Poll::Ready(Some(Err(GivenUp))),
                    Some(rest) => {
                        *left = rest;
                        Poll::Ready(Some(Ok(Frame::data(piece))))
                    }
                },
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Piped { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Piped { left, .. } => *left,
        })
    }
}
