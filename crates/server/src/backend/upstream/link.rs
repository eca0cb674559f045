//! One connection to an upstream, driven by the task whose request is on it.
//!
//! No task of its own: a request, its answer and the answer's body are worked on by the task that serves the
//! client, so that nothing is handed from one task to another.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::dial::Stream;
use super::sent::Sent;

/// A connection with at most one request on it.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Sent>,
    /// `None` once it has ended.
    connection: Option<Connection<TokioIo<Stream>, Sent>>,
    /// Whether a request was answered on it before.
    pub(super) reused: bool,
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
}

impl Link {
    /// Over a fresh stream.
    pub(super) async fn new(stream: Stream) -> Result<Self, LinkError> {
        let (sender, connection) = http1::Builder::new()
            .max_headers(200)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(LinkError::Unsent)?;
        Ok(Self { sender, connection: Some(connection), reused: false })
    }

    /// Sends a request and waits for the answer's head.
    pub(super) async fn send(&mut self, request: Request<Sent>) -> Result<Response<Incoming>, LinkError> {
        let mut answer = pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|context| {
            drive(&mut self.connection, context);
            answer.as_mut().poll(context)
        })
        .await
        .map_err(|mut error| match error.take_message() {
            Some(_) => LinkError::Unsent(error.into_error()),
            None => LinkError::Lost(error.into_error()),
        })
    }

    /// Moves bytes.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        drive(&mut self.connection, context);
    }

    /// Whether another request can be sent now.
    pub(super) fn is_free(&mut self, context: &mut Context<'_>) -> bool {
        drive(&mut self.connection, context);
        self.connection.is_some() && matches!(self.sender.poll_ready(context), Poll::Ready(Ok(())))
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
