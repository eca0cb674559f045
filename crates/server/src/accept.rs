//! Connections, from their beginning to their end.
//!
//! Enters: the doors of a server, each with its services and certificate. Leaves: requests, to the gateway, with the door
//! that they came through. Refused: more connections of one address than it may have, with an answer where it costs
//! little; TLS that does not come about in time. More connections in all than there may be wait to be accepted.
//! When the server is told to stop, doors are shut, and requests under way may finish for a while.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::connection::Pulse;
use crate::figures::Connection;
use crate::gateway::Gateway;
use crate::limits::{Limit, Visitor, Visitors, network};
use crate::listener::{Accepted, Listener};
use crate::request::Entrance;
use crate::service::Services;
use crate::tls::{self, Tls};
use crate::workers::Workers;

/// How long the handshake of TLS may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// As many headers as hyper takes without being told; telling it costs time with every request.
const USUAL_HEADERS: usize = 100;

/// How many refused connections are told so at once.
const MOST_REFUSALS: usize = 64;

/// More than any system has; what is configured beyond it is no limit.
const MOST_CONNECTIONS: usize = 1 << 24;

/// What a connection too many is told; it has not asked for anything yet.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nRetry-After: 1\r\n\
    Connection: close\r\nContent-Length: 131\r\n\r\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <Error><Code>SlowDown</Code><Message>Too many connections of your address.</Message></Error>";

/// A way in.
pub struct Door {
    /// Where connections come from.
    pub listener: Listener,
    /// What is served there.
    pub serves: Services,
    /// With which certificate.
    pub tls: Option<Arc<Tls>>,
}

/// A connection that may be served, until it is dropped.
struct Guest {
    _permit: OwnedSemaphorePermit,
    _visitor: Option<Visitor>,
    gateway: Arc<Gateway>,
    entrance: Entrance,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.gateway.observers.figures.connection(Connection::Closed);
    }
}

/// Serves at these doors until it is told to stop, and then for at most `grace`.
pub async fn accept(
    doors: Vec<Door>,
    workers: Workers,
    gateway: Arc<Gateway>,
    (stopped, grace): (watch::Receiver<bool>, Duration),
) {
    let graceful = GracefulShutdown::new();
    let house = House {
        // Each door waits with a place for the next one.
        connections: Arc::new(Semaphore::new(
            gateway.limits.allowances().connections.min(MOST_CONNECTIONS) + doors.len(),
        )),
        refusals: Arc::new(Semaphore::new(MOST_REFUSALS)),
        visitors: Visitors::default(),
        workers,
        gateway,
    };
    join_all(doors.into_iter().map(|door| house.open(door, stopped.clone(), &graceful))).await;
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way when the server stopped");
    }
    house.workers.stop().await;
}

/// What all doors share.
struct House {
    connections: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    visitors: Visitors,
    workers: Workers,
    gateway: Arc<Gateway>,
}

impl House {
    /// Lets connections in, until the server is told to stop.
    async fn open(&self, door: Door, mut stopped: watch::Receiver<bool>, graceful: &GracefulShutdown) {
        loop {
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = door.listener.accept() => accepted,
                _ = stopped.changed() => return,
            };
            match accepted {
                Ok(accepted) => self.let_in(accepted, &door, permit, graceful.watcher()),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn let_in(&self, accepted: Accepted, door: &Door, permit: OwnedSemaphorePermit, watcher: Watcher) {
        let peer = accepted.peer();
        let limits = &self.gateway.limits;
        let visitor = match &accepted {
            // A proxy brings those of everybody.
            Accepted::Tcp(..) if self.gateway.proxies.load().trust(peer) => None,
            Accepted::Tcp(..) => {
                let most = limits.allowances().connections_per_address;
                let Some(visitor) = self.visitors.enter(network(peer), most) else {
                    limits.count(Limit::Connections);
                    return self.turn_away(accepted, door);
                };
                Some(visitor)
            }
            // So does one of this machine.
            Accepted::Unix(_) => None,
        };
        self.gateway.observers.figures.connection(Connection::Opened);
        let entrance = Entrance { peer, tls: None, serves: door.serves };
        let gateway = Arc::clone(&self.gateway);
        let guest = Guest { _permit: permit, _visitor: visitor, gateway, entrance };
        let tls = door.tls.clone();
        self.workers.spawn(async move {
            match accepted {
                Accepted::Tcp(stream, _) => match TcpStream::from_std(stream) {
                    Ok(stream) => welcome(stream, tls, guest, watcher).await,
                    Err(error) => tracing::warn!(%error, %peer, "a connection could not be served"),
                },
                Accepted::Unix(stream) => match UnixStream::from_std(stream) {
                    Ok(stream) => welcome(stream, tls, guest, watcher).await,
                    Err(error) => tracing::warn!(%error, "a connection could not be served"),
                },
            }
        });
    }

    /// Says why, where no handshake is needed for that and not too many are told so already.
    fn turn_away(&self, accepted: Accepted, door: &Door) {
        let Accepted::Tcp(stream, _) = accepted else { return };
        let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        if door.tls.is_some() {
            return;
        }
        tokio::spawn(async move {
            if let Ok(mut stream) = TcpStream::from_std(stream) {
                let told = async {
                    stream.write_all(TOO_MANY).await?;
                    stream.shutdown().await?;
                    // What it has sent is read, or the system would cut the answer off.
                    let mut rest = [0; 4096];
                    while stream.read(&mut rest).await? > 0 {}
                    std::io::Result::Ok(())
                };
                let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
            }
            drop(place);
        });
    }
}

async fn welcome<S>(stream: S, tls: Option<Arc<Tls>>, mut guest: Guest, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = guest.entrance.peer;
    let Some(tls) = tls else { return serve(stream, guest, watcher).await };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => {
            guest.entrance.tls = Some(tls::version(&stream));
            serve(stream, guest, watcher).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %peer, "no TLS connection came about"),
        Err(_) => tracing::debug!(%peer, "no TLS connection came about in time"),
    }
}

async fn serve<S>(stream: S, guest: Guest, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Pulse::start();
    let (gateway, entrance, answering) = (Arc::clone(&guest.gateway), guest.entrance, pulse.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (pulse, version) = (answering.clone(), request.version());
        // On the heap: the network's library moves what it is given several times.
        let answer = Box::pin(Arc::clone(&gateway).handle(request, entrance));
        async move { Ok::<_, Infallible>(pulse.answer(version, answer).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // That a head comes in time is the pulse's affair, which needs no timer of each request.
    builder.http1().header_read_timeout(None);
    let allowances = guest.gateway.limits.allowances();
    if allowances.headers != USUAL_HEADERS {
        builder.http1().max_headers(allowances.headers);
    }
    let head_bytes = u32::try_from(allowances.head_bytes).unwrap_or(u32::MAX);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(head_bytes);
    let stream = TokioIo::new(pulse.watch(stream));
    let connection = watcher.watch(builder.serve_connection(stream, service).into_owned());
    let peer = entrance.peer;
    tokio::select! {
        biased;
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection ended");
        },
        () = pulse.over() => tracing::debug!(%peer, "a connection had nothing to do and was closed"),
    }
    drop(guest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_one_too_many_is_as_long_as_it_says() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{}", body.len());
        assert!(
            wigeon_core::s3::error::ErrorDocument::from_xml(body)
                .is_some_and(|document| document.code == "SlowDown")
        );
    }
}
