//! Connections, made directly or through the proxy that the environment names.
//!
//! Enters: an address. Leaves: a byte stream to its host. `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and
//! `NO_PROXY` are followed, except for loopback addresses; https goes through a CONNECT tunnel. Names under
//! `localhost` lead to this machine and are asked of nobody (RFC 6761, section 6.3), because elsewhere we treat
//! them as safe. Refused: a proxy that is itself neither `http://` nor without a scheme.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::loopback::is_loopback_host;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections.
#[derive(Clone)]
pub(super) struct Dialer {
    tcp: HttpConnector<Resolver>,
    proxies: Arc<Matcher>,
}

/// A connection, and whether a proxy wants whole addresses on it.
pub(super) struct Dialed {
    stream: TokioIo<TcpStream>,
    asks_proxy: bool,
}

/// Asks the system for addresses, except for those of this machine.
#[derive(Clone)]
struct Resolver(GaiResolver);

#[derive(Debug, thiserror::Error)]
#[error("the proxy `{0}` is not an http:// one")]
struct UnknownProxy(String);

impl Dialer {
    pub(super) fn new(connect_timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(connect_timeout));
        Self { tcp, proxies: Arc::new(Matcher::from_env()) }
    }

    /// What a proxy wants to see of a plain http request.
    pub(super) fn proxy_authorization(&self, to: &Uri) -> Option<HeaderValue> {
        if to.scheme_str() != Some("http") { None } else { self.proxy_for(to)?.basic_auth().cloned() }
    }

    fn proxy_for(&self, to: &Uri) -> Option<Intercept> {
        if is_loopback_host(to.host()?) { None } else { self.proxies.intercept(to) }
    }
}

impl Service<Uri> for Dialer {
    type Response = Dialed;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Dialed, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Service::poll_ready(&mut self.tcp, context).map_err(BoxError::from)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let proxy = self.proxy_for(&to);
        let mut tcp = self.tcp.clone();
        Box::pin(async move {
            let Some(proxy) = proxy else {
                return Ok(Dialed { stream: tcp.call(to).await?, asks_proxy: false });
            };
            let address = proxy.uri().clone();
            if address.scheme_str() != Some("http") {
                let host = address.host().unwrap_or_default();
                let scheme = address.scheme_str().unwrap_or_default();
                return Err(UnknownProxy(format!("{scheme}://{host}")).into());
            }
            if to.scheme_str() == Some("http") {
                return Ok(Dialed { stream: tcp.call(address).await?, asks_proxy: true });
            }
            let mut tunnel = Tunnel::new(address, tcp);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            Ok(Dialed { stream: tunnel.call(to).await?, asks_proxy: false })
        })
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if is_loopback_host(name.as_str()) {
            let here = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let here: Vec<_> = here.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            return Box::pin(async { Ok(here.into_iter()) });
        }
        let asked = self.0.call(name);
        Box::pin(async { Ok(asked.await?.collect::<Vec<_>>().into_iter()) })
    }
}

impl Connection for Dialed {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.asks_proxy)
    }
}

impl Read for Dialed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Dialed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
