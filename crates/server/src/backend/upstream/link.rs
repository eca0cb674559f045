//! One connection to an upstream, driven by the task whose request is on it.
//!
//! No task of its own: a request, its answer and the answer's body are worked on by the task that serves the
//! client, so that nothing is handed from one task to another.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::dial::Stream;
use super::sent::Sent;

/// A connection with at most one request on it. It goes from hand to hand, and is large: hence on the heap.
#[derive(Debug)]
pub(super) struct Link(Box<Wire>);

#[derive(Debug)]
struct Wire {
    sender: SendRequest<Sent>,
    /// `None` once it has ended.
    connection: Option<Connection<TokioIo<Stream>, Sent>>,
    /// Whether a request was answered on it before.
    reused: bool,
    alarm: Alarm,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// Nothing of the request was sent.
    #[error("the connection had ended")]
    Unsent(#[source] hyper::Error),
    /// It may have been sent.
    #[error("the connection ended before the answer")]
    Lost(#[source] hyper::Error),
    /// It was sent, and nothing came.
    #[error("no answer in time")]
    Late,
}

impl Link {
    /// Over a fresh stream.
    pub(super) async fn new(stream: Stream, patience: Duration) -> Result<Self, LinkError> {
        let (sender, connection) = http1::Builder::new()
            .max_headers(200)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(LinkError::Unsent)?;
        let alarm = Alarm::new(Instant::now() + patience);
        Ok(Self(Box::new(Wire { sender, connection: Some(connection), reused: false, alarm })))
    }

    /// Sends a request and waits for the answer's head, until the limit if there is one.
    pub(super) async fn send(
        &mut self,
        request: Request<Sent>,
        limit: Option<Instant>,
    ) -> Result<Response<Incoming>, LinkError> {
        let Wire { sender, connection, alarm, .. } = &mut *self.0;
        let mut answer = pin!(sender.try_send_request(request));
        std::future::poll_fn(|context| {
            drive(connection, context);
            match answer.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(answer.map_err(|mut error| match error.take_message() {
                    Some(_) => LinkError::Unsent(error.into_error()),
                    None => LinkError::Lost(error.into_error()),
                })),
                Poll::Pending => match limit {
                    Some(limit) => alarm.poll(limit, context).map(|()| Err(LinkError::Late)),
                    None => Poll::Pending,
                },
            }
        })
        .await
    }

    /// Moves bytes.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        drive(&mut self.0.connection, context);
    }

    /// Ready once the limit is over.
    pub(super) fn poll_late(&mut self, limit: Instant, context: &mut Context<'_>) -> Poll<()> {
        self.0.alarm.poll(limit, context)
    }

    /// Whether another request can be sent now.
    pub(super) fn is_free(&mut self, context: &mut Context<'_>) -> bool {
        let Wire { sender, connection, .. } = &mut *self.0;
        drive(connection, context);
        connection.is_some() && matches!(sender.poll_ready(context), Poll::Ready(Ok(())))
    }

    /// Whether a request was answered on it before.
    pub(super) fn is_reused(&self) -> bool {
        self.0.reused
    }

    /// A request was answered on it.
    pub(super) fn was_used(&mut self) {
        self.0.reused = true;
    }
}

fn drive(connection: &mut Option<Connection<TokioIo<Stream>, Sent>>, context: &mut Context<'_>) {
    // What went wrong is said by the answer or by its body.
    if let Some(alive) = connection
        && Pin::new(alive).poll(context).is_ready()
    {
        *connection = None;
    }
}
