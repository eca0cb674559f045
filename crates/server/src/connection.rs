//! When a connection has had its time: one on which nothing is asked, or nothing moves, is closed.
//!
//! Enters: a connection's stream, its requests and answers. Leaves: the same, watched, and a future that ends when
//! the connection should. A request that is being worked on keeps its connection; beyond that,
//!
//! - between requests a connection may stay for [`IDLE`], whatever a peer sends to keep it open (HTTP/2 pings, the
//!   first bytes of a head);
//! - while an answer goes out, some byte has to move every [`IDLE`].
//!
//! What is recorded of requests is written before their answers go ([`crate::gathered`]).
//!
//! HTTP/1.1 heads have a limit of their own at the server, and bodies at [`crate::body`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::gathered;

/// How long a connection may stay without a request, and an answer without a byte.
pub const IDLE: Duration = Duration::from_secs(60);

/// How often a connection is looked at in that time.
const LOOKS: u32 = 4;

/// What is known of one connection. It counts, and reads no clock: requests pay for nothing else, and whoever looks
/// now and then sees what has changed.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug, Default)]
struct Beats {
    /// How often bytes moved.
    moved: AtomicU64,
    /// How often a request began or ended.
    asked: AtomicU64,
    /// Requests that are being worked on.
    handling: AtomicUsize,
    /// Answers that are going out.
    answering: AtomicUsize,
}

impl Pulse {
    /// The stream, watched.
    pub fn watch<S>(&self, stream: S) -> Watched<S> {
        Watched { stream, pulse: self.clone() }
    }

    /// Answers a request with what `work` makes.
    pub async fn answer<B>(&self, work: impl Future<Output = Response<B>>) -> Response<Answering<B>> {
        let handling = Counted::new(self, |beats| &beats.handling);
        let response = work.await;
        let answering = Counted::new(self, |beats| &beats.answering);
        drop(handling);
        response.map(|body| Answering { body, _counted: answering })
    }

    /// Ends when the connection has had its time.
    pub async fn over(&self) {
        let mut before = self.0.counts();
        let mut quiet = 0;
        while quiet < LOOKS {
            tokio::time::sleep(IDLE / LOOKS).await;
            let now @ (asked, moved) = self.0.counts();
            let beats = match self.0.answering.load(Ordering::Relaxed) {
                0 => asked != before.0,
                _ => moved != before.1,
            };
            quiet = if beats || self.0.handling.load(Ordering::Relaxed) > 0 { 0 } else { quiet + 1 };
            before = now;
        }
    }

    fn moved(&self, bytes: usize) {
        if bytes > 0 {
            self.0.moved.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Beats {
    fn counts(&self) -> (u64, u64) {
        (self.asked.load(Ordering::Relaxed), self.moved.load(Ordering::Relaxed))
    }
}

/// Counts as long as it lives.
#[derive(Debug)]
struct Counted {
    pulse: Pulse,
    counter: fn(&Beats) -> &AtomicUsize,
}

impl Counted {
    fn new(pulse: &Pulse, counter: fn(&Beats) -> &AtomicUsize) -> Self {
        counter(&pulse.0).fetch_add(1, Ordering::Relaxed);
        pulse.0.asked.fetch_add(1, Ordering::Relaxed);
        Self { pulse: pulse.clone(), counter }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.pulse.0.asked.fetch_add(1, Ordering::Relaxed);
        (self.counter)(&self.pulse.0).fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body on its way.
#[derive(Debug)]
pub struct Answering<B> {
    body: B,
    _counted: Counted,
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells when bytes move.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    pulse: Pulse,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.pulse.moved(buffer.filled().len().saturating_sub(before));
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(gathered::poll_written(context));
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.pulse.wrote(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(gathered::poll_written(context));
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.pulse.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Pulse {
    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.moved(*bytes);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::{Instant, advance};

    use super::*;
    use crate::body::full;

    #[tokio::test(start_paused = true)]
    async fn work_keeps_a_connection_and_silence_ends_it() {
        let pulse = Pulse::default();
        let mut over = Box::pin(pulse.over());
        let (finish, finished) = tokio::sync::oneshot::channel();
        let work = async {
            finished.await.unwrap();
            Response::new(full("x"))
        };
        let mut answer = Box::pin(pulse.answer(work));
        assert!((&mut answer).now_or_never().is_none());
        for _ in 0..10 {
            advance(IDLE).await;
            assert!((&mut over).now_or_never().is_none(), "a long request");
        }
        finish.send(()).unwrap();
        let answer = answer.await;
        // An answer on its way: bytes that move keep it.
        for _ in 0..10 {
            advance(IDLE / 2).await;
            pulse.moved(1);
            assert!((&mut over).now_or_never().is_none(), "a slow answer");
        }
        // Once it has gone, they do not.
        drop(answer);
        for _ in 0..3 {
            advance(IDLE / 4).await;
            pulse.moved(1);
            assert!((&mut over).now_or_never().is_none());
        }
        advance(IDLE / 2).await;
        pulse.moved(1);
        over.await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_ends() {
        let (pulse, began) = (Pulse::default(), Instant::now());
        let _answer = pulse.answer(async { Response::new(full("x")) }).await;
        pulse.over().await;
        assert!((IDLE..IDLE * 2).contains(&began.elapsed()));
    }
}
