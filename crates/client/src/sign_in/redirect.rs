//! The listener that the browser comes back to, on loopback only (RFC 8252, sections 7.3 and 8.3).
//!
//! Enters: the redirect address of the profile. Leaves: each arrival's query, with a way to answer the browser once
//! it is known what came of it. Refused: other paths, other methods, a `Host` that is not ours (a page elsewhere
//! whose name was pointed at us), and every arrival after the one that was taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{Method, header};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use url::{Host, Url};

use super::page::Page;

/// A browser that came back and waits for its page.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The query of its address.
    pub(super) query: String,
    /// Takes the page.
    pub(super) answer: oneshot::Sender<Page>,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    /// The port that it got.
    pub(super) port: u16,
    arrivals: mpsc::Receiver<Arrival>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// `127.0.0.1:1234`, as the browser has to name us.
    authority: String,
    path: String,
    arrivals: mpsc::Sender<Arrival>,
    /// Whether a code has been taken: it works once.
    taken: AtomicBool,
}

impl Listener {
    /// Listens at the address; without a port, at any free one.
    pub(super) async fn bind(url: &Url, port: Option<u16>) -> std::io::Result<Self> {
        let first: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        };
        let listener = TcpListener::bind(SocketAddr::new(first, port.unwrap_or(0))).await?;
        let port = listener.local_addr()?.port();
        let mut listeners = vec![listener];
        // `localhost` may mean either address to the browser.
        if matches!(url.host(), Some(Host::Domain(_)))
            && let Ok(second) = TcpListener::bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)).await
        {
            listeners.push(second);
        }
        let (sender, arrivals) = mpsc::channel(8);
        let (stop, _) = watch::channel(false);
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let authority = if port == 80 { host } else { format!("{host}:{port}") };
        let shared = Arc::new(Shared {
            authority,
            path: url.path().to_owned(),
            arrivals: sender,
            taken: AtomicBool::new(false),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let servers = listeners
            .into_iter()
            .map(|listener| {
                let mut stopped = stop.subscribe();
                let server = axum::serve(listener, router.clone()).with_graceful_shutdown(async move {
                    let _ = stopped.wait_for(|stop| *stop).await;
                });
                tokio::spawn(async move {
                    if let Err(error) = server.await {
                        tracing::warn!(%error, "the redirect listener stopped");
                    }
                })
            })
            .collect();
        Ok(Self { port, arrivals, shared, stop, servers })
    }

    /// The next browser that comes back.
    pub(super) async fn arrival(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// From now on every further arrival is refused: the code has been taken.
    pub(super) fn taken(&self) {
        self.shared.taken.store(true, Ordering::SeqCst);
    }

    /// Stops listening, once the browser has its page or has had two seconds to take it.
    pub(super) async fn close(mut self) {
        self.arrivals.close();
        let _ = self.stop.send(true);
        for server in std::mem::take(&mut self.servers) {
            let abort = server.abort_handle();
            if tokio::time::timeout(Duration::from_secs(2), server).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let page = if !host.eq_ignore_ascii_case(&shared.authority) {
        Page::Refused { reason: "This address was reached under a name that is not ours." }
    } else if request.uri().path() != shared.path {
        return respond(404, &Page::Refused { reason: "There is nothing here." }.html());
    } else if request.method() != Method::GET {
        let reason = "Only a browser that comes back from signing in is awaited here.";
        return respond(405, &Page::Refused { reason }.html());
    } else if shared.taken.load(Ordering::SeqCst) {
        Page::Refused { reason: "This sign-in has already been answered; a code works once." }
    } else {
        let (answer, page) = oneshot::channel();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let gone = Page::Refused { reason: "Nobody waits for this sign-in any more." };
        match shared.arrivals.send(Arrival { query, answer }).await {
            Ok(()) => page.await.unwrap_or(gone),
            Err(_) => gone,
        }
    };
    respond(page.status(), &page.html())
}

/// A page that loads nothing, is in no frame, and stays nowhere.
pub(super) fn respond(status: u16, html: &str) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
        .header(header::CONNECTION, "close")
        .body(Body::from(html.to_owned()))
        .expect("the status and the headers are constants")
}
