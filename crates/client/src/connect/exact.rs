//! Requests whose path and query go out byte for byte as they were signed.
//!
//! Addresses by the WHATWG rules resolve `.` and `..` segments, also percent-encoded ones, and in S3 both are
//! parts of keys: so these requests pass through no such type. Enters: scheme, authority, path with query,
//! headers and a body in memory. Leaves: the answer's head, and its body piece by piece. A time limit counts
//! from the last byte that moved in either direction, so a slow link is not a dead one.

use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri, response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::{Instant, Sleep, sleep_until};

use super::dial::Dialer;
use super::rate::RateLimit;

/// How much of a body is handed over at once: small enough to see a slow link move.
const PIECE: usize = 128 << 10;

/// The most that is read of an answer at once, and so the size of what [`ExactResponse::chunk`] gives.
const READ_SIZE: usize = 512 << 10;

/// How long a connection that nobody uses is kept. Many stores close theirs after a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Sends requests exactly. Cheap to clone; clones share connections.
#[derive(Clone)]
pub(crate) struct ExactClient {
    http: legacy::Client<HttpsConnector<Dialer>, Sent>,
    dialer: Dialer,
    patience: Duration,
}

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The parts together are no address.
    #[error("the request has no valid address")]
    Address(#[source] http::Error),
    /// No connection, or one that ended before the answer.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Nothing moved for so long.
    #[error("nothing was sent or received for {} seconds", .0.as_secs())]
    Silence(Duration),
    /// The connection ended in the middle of the answer.
    #[error("the connection ended")]
    Ended(#[source] hyper::Error),
}

/// What the connection says, without the names of the layers in between.
#[derive(Debug)]
pub struct ConnectionError(legacy::Error);

/// An answer: its head, and its body still to come.
pub(crate) struct ExactResponse {
    head: response::Parts,
    body: Incoming,
    patience: Duration,
    limit: Option<Arc<RateLimit>>,
}

impl ExactClient {
    pub(super) fn new(tls: ClientConfig, connect_timeout: Duration, patience: Duration) -> Self {
        let dialer = Dialer::new(connect_timeout);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(dialer.clone());
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(READ_SIZE)
            .build(connector);
        Self { http, dialer, patience }
    }

    /// Sends one request. `authority` is what is sent as Host; `path_and_query` is sent as it is.
    pub(crate) async fn send(
        &self,
        method: Method,
        (scheme, authority, path_and_query): (&str, &str, &str),
        headers: HeaderMap,
        body: Bytes,
        limit: Option<Arc<RateLimit>>,
    ) -> Result<ExactResponse, SendError> {
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path_and_query).build();
        let uri = uri.map_err(SendError::Address)?;
        let pulse = Pulse::start();
        let mut request = Request::new(Sent {
            left: body,
            pulse: pulse.clone(),
            limit: limit.clone(),
            turn: Turn::Unasked,
        });
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let own = HeaderValue::from_static(concat!("wigeon/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, own);
        if let Some(authorization) = self.dialer.proxy_authorization(&uri) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        *request.uri_mut() = uri;
        let answer = pulse.watch(self.patience, self.http.request(request)).await?;
        let (head, body) = answer.map_err(ConnectionError)?.into_parts();
        Ok(ExactResponse { head, body, patience: self.patience, limit })
    }
}

impl SendError {
    /// Whether the other side's certificate is the reason, so that the same again fails again.
    pub(crate) fn is_distrust(&self) -> bool {
        let Self::Connection(ConnectionError(error)) = self else { return false };
        std::error::Error::source(error).is_some_and(is_certificate_error)
    }
}

/// Looks for it in an error, in its sources, and in what an I/O error wraps.
fn is_certificate_error(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return matches!(error, rustls::Error::InvalidCertificate(_));
    }
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match wrapped {
        Some(wrapped) => is_certificate_error(wrapped),
        None => error.source().is_some_and(is_certificate_error),
    }
}

impl ExactResponse {
    pub(crate) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.headers
    }

    /// What was announced; of a HEAD's answer that is the object's, and no body follows.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        loop {
            let frame = tokio::time::timeout(self.patience, self.body.frame()).await;
            match frame.map_err(|_| SendError::Silence(self.patience))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(SendError::Ended(error)),
                Some(Ok(frame)) => {
                    // Trailers say nothing that we use.
                    if let Ok(bytes) = frame.into_data() {
                        if let Some(limit) = &self.limit {
                            limit.take(bytes.len()).await;
                        }
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

/// When something last moved.
#[derive(Clone)]
struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    fn start() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the work for as long as something moves.
    async fn watch<F: Future>(&self, patience: Duration, work: F) -> Result<F::Output, SendError> {
        let mut work = pin!(work);
        loop {
            let due = self.last() + patience;
            tokio::select! {
                biased;
                output = &mut work => return Ok(output),
                () = sleep_until(due) => {
                    if self.last() + patience <= Instant::now() {
                        return Err(SendError::Silence(patience));
                    }
                }
            }
        }
    }
}

/// A body on its way; each piece that is taken from it is a sign of life.
struct Sent {
    left: Bytes,
    pulse: Pulse,
    limit: Option<Arc<RateLimit>>,
    /// Of the next piece, where there is a limit.
    turn: Turn,
}

enum Turn {
    Unasked,
    At(Pin<Box<Sleep>>),
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        self.pulse.beat();
        let length = self.left.len().min(PIECE);
        if let (Some(limit), Turn::Unasked) = (&self.limit, &self.turn)
            && let Some(at) = limit.reserve(length)
        {
            self.turn = Turn::At(Box::pin(sleep_until(at)));
        }
        if let Turn::At(sleep) = &mut self.turn {
            std::task::ready!(sleep.as_mut().poll(context));
            self.turn = Turn::Unasked;
            self.pulse.beat();
        }
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::error::Error::source(&self.0) {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl std::error::Error for ConnectionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)?.source()
    }
}

impl From<legacy::Error> for ConnectionError {
    fn from(error: legacy::Error) -> Self {
        Self(error)
    }
}

impl fmt::Debug for ExactClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactClient").field("patience", &self.patience).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link on which something moves now and then is slow; one on which nothing moves is dead.
    #[tokio::test]
    async fn time_counts_from_the_last_sign_of_life() {
        let patience = Duration::from_millis(800);
        let pulse = Pulse::start();
        let slow = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(200)).await;
                pulse.beat();
            }
        };
        assert!(pulse.watch(patience, slow).await.is_ok());
        let begun = Instant::now();
        let dead = pulse.watch(patience, std::future::pending::<()>()).await;
        assert!(matches!(dead, Err(SendError::Silence(_))));
        assert!(begun.elapsed() >= patience / 2);
    }

    #[tokio::test]
    async fn a_body_goes_in_pieces_and_whole() {
        let bytes = Bytes::from(vec![7; PIECE * 2 + 1]);
        let sent = Sent { left: bytes.clone(), pulse: Pulse::start(), limit: None, turn: Turn::Unasked };
        assert_eq!(sent.size_hint().exact(), Some(bytes.len() as u64));
        assert_eq!(sent.collect().await.unwrap().to_bytes(), bytes);
    }

    /// What goes over the wire is what was signed, whatever a web address would make of it.
    #[tokio::test]
    async fn a_path_goes_as_it_is() {
        use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = format!("name.localhost:{}", listener.local_addr().unwrap().port());
        let served = tokio::spawn(async move {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            head
        });
        let tls = super::super::tls::client_config(&[]).unwrap();
        let client = ExactClient::new(tls, Duration::from_secs(5), Duration::from_secs(5));
        let path = "//b/%2e%2e/../a/./..?x=%2F..&y";
        let sent = client.send(Method::GET, ("http", &authority, path), HeaderMap::new(), Bytes::new(), None);
        assert_eq!(sent.await.unwrap().status(), StatusCode::NO_CONTENT);
        let head = served.await.unwrap();
        assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
        assert!(head.contains(&format!("host: {authority}\r\n")), "{head}");
    }
}
