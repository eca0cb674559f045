//! The page on which a person chooses among a profile's providers, where it allows several.
//!
//! Enters: the providers. Leaves: which one, and the tab that waits: it is sent on to where one signs in there, so a
//! person sees one tab from the first page to the last. Refused: other paths, a `Host` that is not ours, and whoever
//! does not know the word in the page's address, which other pages and other users of the machine do not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{Method, header};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use url::{Url, form_urlencoded};
use wigeon_core::secret::Secret;

use super::authorization::random;
use super::browser::Browser;
use super::offered::Offered;
use super::page::{self, Page};
use super::redirect::respond;

/// How long a tab waits to be sent on, once somebody has chosen.
const PATIENCE: Duration = Duration::from_secs(60);

/// The page, until somebody has chosen.
#[derive(Debug)]
pub struct Chooser {
    /// The address for the browser.
    pub address: Url,
    choices: mpsc::Receiver<(String, oneshot::Sender<Url>)>,
    server: tokio::task::JoinHandle<()>,
}

/// What was chosen, and the tab that waits.
#[derive(Debug)]
pub struct Chosen {
    /// The provider's name in the profile.
    pub id: String,
    /// The tab.
    pub tab: WaitingTab,
    server: tokio::task::JoinHandle<()>,
}

/// A tab that waits for the next address.
#[derive(Debug)]
pub struct WaitingTab(Mutex<Option<oneshot::Sender<Url>>>);

struct Shared {
    authority: String,
    word: Secret,
    title: String,
    offered: Vec<Offered>,
    choices: mpsc::Sender<(String, oneshot::Sender<Url>)>,
}

impl Chooser {
    /// Opens the page at a free port of loopback.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(profile: &str, offered: Vec<Offered>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).await?;
        let authority = listener.local_addr()?.to_string();
        let word = random();
        let address = format!("http://{authority}/?word={}", word.expose());
        let address = Url::parse(&address).map_err(std::io::Error::other)?;
        let (sender, choices) = mpsc::channel(1);
        let title = format!("Sign in to {profile}");
        let shared = Arc::new(Shared { authority, word, title, offered, choices: sender });
        let router = Router::new().fallback(answer).with_state(shared);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the page of providers stopped");
            }
        });
        Ok(Self { address, choices, server })
    }

    /// Waits until somebody has chosen.
    pub async fn chosen(mut self) -> Option<Chosen> {
        let (id, tab) = self.choices.recv().await?;
        let server = std::mem::replace(&mut self.server, tokio::spawn(async {}));
        Some(Chosen { id, tab: WaitingTab(Mutex::new(Some(tab))), server })
    }
}

impl Drop for Chooser {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The tab is sent on.
impl Browser for WaitingTab {
    fn show(&self, address: &Url) {
        if let Some(tab) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = tab.send(address.clone());
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let parameters = |name: &str| {
        let query = request.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name).map(|(_, value)| value)
    };
    let knows = parameters("word").is_some_and(|word| Secret::new(word) == shared.word);
    if !host.eq_ignore_ascii_case(&shared.authority) || !knows {
        return respond(403, &Page::Refused { reason: "This page was not opened by the sign-in." }.html());
    }
    let provider = parameters("provider").map(std::borrow::Cow::into_owned);
    match (&request.method, request.uri.path(), provider) {
        (&Method::GET, "/", _) => {
            respond(200, &page::providers(&shared.title, &shared.offered, shared.word.expose()))
        }
        (&Method::GET, "/choose", Some(id)) if shared.offered.iter().any(|offered| offered.id == id) => {
            sent_on(&shared, id).await
        }
        (&Method::GET, "/choose", _) => {
            respond(400, &Page::Refused { reason: "There is no such provider." }.html())
        }
        _ => respond(404, &Page::Refused { reason: "There is nothing here." }.html()),
    }
}

async fn sent_on(shared: &Shared, id: String) -> Response {
    let (tab, address) = oneshot::channel();
    let taken = shared.choices.try_send((id, tab)).is_ok();
    match tokio::time::timeout(PATIENCE, address).await {
        Ok(Ok(address)) if taken => Response::builder()
            .status(303)
            .header(header::LOCATION, address.as_str())
            .header(header::REFERRER_POLICY, "no-referrer")
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::CONNECTION, "close")
            .body(Body::empty())
            .unwrap_or_default(),
        _ => {
            let reason = "The sign-in did not go on; the terminal says why.".to_owned();
            respond(400, &Page::Failed { reason }.html())
        }
    }
}
