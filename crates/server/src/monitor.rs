//! The address for those who watch a server: metrics, and whether it lives and is ready, with reasons.
//!
//! It says which upstreams and providers there are, so it has an address of its own that requests do not reach. Nothing is
//! answered to anything but a plain GET of its three paths.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::metrics::Sources;
use crate::metrics::page::CONTENT_TYPE as METRICS;

/// How long a connection may take to ask.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The most connections at once.
const MOST_CONNECTIONS: usize = 64;

/// Listens, and says where.
///
/// # Errors
/// Where that cannot be done.
pub async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Answers, for ever.
pub async fn serve(listener: TcpListener, sources: Arc<Sources>) {
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let sources = Arc::clone(&sources);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let sources = Arc::clone(&sources);
                async move { Ok::<_, Infallible>(answer(&request, &sources).await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(LONGEST_SILENCE);
            // Who breaks off has what he wanted, or nothing.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}

async fn answer(request: &Request<Incoming>, sources: &Sources) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => {
            let mut response = text(StatusCode::OK, sources.page().await);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METRICS));
            response
        }
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match sources.gateway.objections().await {
            objections if objections.is_empty() => text(StatusCode::OK, "ready\n".to_owned()),
            objections => {
                let lines: String =
                    objections.iter().map(|objection| format!("not ready: {objection}\n")).collect();
                text(StatusCode::SERVICE_UNAVAILABLE, lines)
            }
        },
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n".to_owned()),
    }
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
