//! When a connection has had its time: one on which nothing is asked, or nothing moves, is closed.
//!
//! Enters: a connection's stream, its requests and answers. Leaves: the same, watched, and a future that ends when
//! the connection should. A request that is being worked on keeps its connection; beyond that,
//!
//! - between requests, and before the first, an HTTP/1.1 connection may stay for half a minute and an HTTP/2 connection
//!   for a minute, whatever a peer sends to keep it open (pings, the first bytes of a head);
//! - while an answer goes out, some byte has to move every minute.
//!
//! It is looked every ten seconds whether that holds, so all of it may take so much longer.
//!
//! What is recorded of requests is written before their answers go ([`crate::gathered`]). Bodies have a limit of their own
//! at [`crate::body`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Response, Version};
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::gathered;

/// How often it is looked at what a connection does.
const LOOK: Duration = Duration::from_secs(10);

/// For how many looks an HTTP/1.1 connection may stay without a request: half a minute, as for the first head.
const LONGEST_UNASKED: u32 = 3;

/// The same of an HTTP/2 connection, and for how many looks an answer may stay without a byte: a minute.
const LONGEST_IDLE: u32 = 6;

/// What is known of one connection. Only what happened since the last look is kept: a request reads no clock.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug, Default)]
struct Beats {
    /// Whether a byte moved since the last look.
    moved: AtomicBool,
    /// Whether a request began or ended since then.
    asked: AtomicBool,
    /// Whether a request came over HTTP/2.
    multiplexed: AtomicBool,
    /// Requests that are being worked on.
    handling: AtomicUsize,
    /// Answers that are going out.
    answering: AtomicUsize,
}

impl Pulse {
    /// Of a connection that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Arc::default())
    }

    /// The stream, watched.
    pub fn watch<S>(&self, stream: S) -> Watched<S> {
        Watched { stream, pulse: self.clone() }
    }

    /// Answers a request of this version with what `work` makes.
    pub async fn answer<B>(
        &self,
        version: Version,
        work: impl Future<Output = Response<B>>,
    ) -> Response<Answering<B>> {
        if version == Version::HTTP_2 {
            self.0.multiplexed.store(true, Ordering::Relaxed);
        }
        let handling = Counted::new(self, |beats| &beats.handling);
        let response = work.await;
        let answering = Counted::new(self, |beats| &beats.answering);
        self.moved(1);
        drop(handling);
        response.map(|body| Answering { body, _counted: answering })
    }

    /// Ends when the connection has had its time.
    pub async fn over(&self) {
        let beats = &self.0;
        let (mut unasked, mut unmoved) = (0, 0);
        loop {
            tokio::time::sleep(LOOK).await;
            let looks = |flag: &AtomicBool, before| match flag.swap(false, Ordering::Relaxed) {
                true => 0,
                false => before + 1,
            };
            (unasked, unmoved) = (looks(&beats.asked, unasked), looks(&beats.moved, unmoved));
            if beats.handling.load(Ordering::Relaxed) > 0 {
                continue;
            }
            let longest_unasked = match beats.multiplexed.load(Ordering::Relaxed) {
                true => LONGEST_IDLE,
                false => LONGEST_UNASKED,
            };
            let over = match beats.answering.load(Ordering::Relaxed) {
                0 => unasked >= longest_unasked,
                _ => unmoved >= LONGEST_IDLE,
            };
            if over {
                return;
            }
        }
    }

    fn moved(&self, bytes: usize) {
        if bytes > 0 {
            self.0.moved.store(true, Ordering::Relaxed);
        }
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
        pulse.0.asked.store(true, Ordering::Relaxed);
        Self { pulse: pulse.clone(), counter }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.pulse.0.asked.store(true, Ordering::Relaxed);
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

    const IDLE: Duration = LOOK.saturating_mul(LONGEST_IDLE);

    /// So much later, each look on the way done.
    async fn later(mut over: Pin<&mut impl Future<Output = ()>>, looks: u32) -> bool {
        for _ in 0..looks {
            advance(LOOK).await;
            if over.as_mut().now_or_never().is_some() {
                return true;
            }
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn work_keeps_a_connection_and_silence_ends_it() {
        let pulse = Pulse::start();
        let mut over = Box::pin(pulse.over());
        assert!((&mut over).now_or_never().is_none());
        let (finish, finished) = tokio::sync::oneshot::channel();
        let work = async {
            finished.await.unwrap();
            Response::new(full("x"))
        };
        let mut answer = Box::pin(pulse.answer(Version::HTTP_11, work));
        assert!((&mut answer).now_or_never().is_none());
        assert!(!later(over.as_mut(), 10 * LONGEST_IDLE).await, "a long request");
        finish.send(()).unwrap();
        let answer = answer.await;
        // An answer on its way: bytes that move keep it.
        for _ in 0..10 {
            assert!(!later(over.as_mut(), LONGEST_IDLE - 1).await, "a slow answer");
            pulse.moved(1);
        }
        // Once it has gone, they do not.
        drop(answer);
        for _ in 0..LONGEST_UNASKED {
            pulse.moved(1);
            assert!(!later(over.as_mut(), 1).await);
        }
        pulse.moved(1);
        assert!(later(over.as_mut(), 1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_without_a_whole_head_ends_and_http_2_stays_for_longer() {
        let pulse = Pulse::start();
        let began = Instant::now();
        pulse.over().await;
        assert_eq!(began.elapsed().as_secs(), 30);
        let answer = pulse.answer(Version::HTTP_2, async { Response::new(full("x")) }).await;
        drop(answer);
        let began = Instant::now();
        pulse.over().await;
        assert_eq!(began.elapsed().as_secs(), 70);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_ends() {
        let pulse = Pulse::start();
        let began = Instant::now();
        let _answer = pulse.answer(Version::HTTP_11, async { Response::new(full("x")) }).await;
        pulse.over().await;
        assert!(began.elapsed() < IDLE * 2);
    }
}
