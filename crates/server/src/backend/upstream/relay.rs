//! An upstream's answer on its way to the client: bytes as they come, and the connection back to the pool at their
//! end.
//!
//! Nothing is read ahead of what the client takes. An upstream that is silent for too long, or that ends early, cuts
//! the answer off, which its client sees by the length.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use super::link::Link;
use super::pool::Pool;
use crate::body::BodyError;

/// An answer's body that comes from an upstream.
#[derive(Debug)]
pub(super) struct Relay {
    body: Incoming,
    /// Only ever reached through `&mut`: the lock is there because connections are not shared between threads.
    link: Mutex<Option<Link>>,
    home: Arc<Pool>,
    authority: Arc<str>,
    patience: Duration,
    /// When the upstream was last waited for anew.
    silent_since: Option<Instant>,
}

/// The upstream sends nothing.
#[derive(Debug, thiserror::Error)]
#[error("the upstream sent nothing for {} seconds", .0.as_secs())]
struct Silent(Duration);

impl Relay {
    /// Of an answer whose head came over `link`.
    pub(super) fn new(
        body: Incoming,
        link: Link,
        home: Arc<Pool>,
        authority: Arc<str>,
        patience: Duration,
    ) -> Self {
        Self { body, link: Mutex::new(Some(link)), home, authority, patience, silent_since: None }
    }

    /// An answer without a body gives its connection back at once.
    pub(super) fn settle(&mut self) {
        if self.body.is_end_stream() {
            self.release(&mut Context::from_waker(std::task::Waker::noop()));
        }
    }

    fn link(&mut self) -> &mut Option<Link> {
        self.link.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&mut self, context: &mut Context<'_>) {
        if let Some(mut link) = self.link().take()
            && link.is_free(context)
        {
            self.home.put(&self.authority, link);
        }
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        if let Some(link) = self.link() {
            link.drive(context);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Silent> {
        let patience = self.patience;
        let limit = *self.silent_since.get_or_insert_with(Instant::now) + patience;
        match self.link() {
            Some(link) => link.poll_late(limit, context).map(|()| Silent(patience)),
            None => Poll::Pending,
        }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match this.poll_body(context) {
            Poll::Pending => match this.poll_silence(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(silent) => {
                    this.link().take();
                    Poll::Ready(Some(Err(silent.into())))
                }
            },
            Poll::Ready(Some(Ok(frame))) => {
                this.silent_since = None;
                if this.body.is_end_stream() {
                    this.release(context);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.link().take();
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.release(context);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
