//! The way back of a custom scheme: the desktop starts a handler with the address that the browser was sent to, and
//! the handler hands it to the sign-in that waits for it.
//!
//! Enters: a directory that belongs to the person alone, and the `state` of the attempt. Leaves: arrivals, as from
//! the listener on loopback. Each waiting sign-in has a socket of its own, named after its `state`, so that an address
//! of another attempt, or of none, finds nobody. Refused: a caller of another user (RFC 8252, section 7.1).

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as Caller;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use url::form_urlencoded;
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::hex;
use zeroize::Zeroizing;

use super::authorization::query_of_pasted;
use super::page::Page;
use super::redirect::Arrival;
use crate::durable;

/// The longest address, in bytes.
const LINE_LIMIT: u64 = 1 << 16;

/// How long a handler waits for the code to be redeemed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a handler may take for its line.
const CALLER_PATIENCE: Duration = Duration::from_secs(5);

/// Why nobody took the address.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// It is no answer of a provider.
    #[error("the address has no `state`, so it answers no sign-in")]
    NotAnAnswer,
    /// The sign-in has ended, or never was.
    #[error("nobody waits for this sign-in any more")]
    Nobody,
    /// It was taken, and no one signed in.
    #[error("{0}")]
    NotSignedIn(String),
    /// It broke off.
    #[error("the sign-in that waits does not answer")]
    Broken(#[source] io::Error),
}

/// Gives an address to the sign-in that waits for it; what came of it, in words for the person.
///
/// # Errors
/// See [`HandOverError`].
pub fn hand_over(dir: &Path, address: &str) -> Result<String, HandOverError> {
    let query = query_of_pasted(address).ok_or(HandOverError::NotAnAnswer)?;
    let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
    let (_, state) = state.ok_or(HandOverError::NotAnAnswer)?;
    let stream = Caller::connect(socket(dir, &state)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => HandOverError::Nobody,
        _ => HandOverError::Broken(error),
    })?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(HandOverError::Broken)?;
    (&stream).write_all(format!("{query}\n").as_bytes()).map_err(HandOverError::Broken)?;
    let mut said = String::new();
    BufReader::new(stream.take(LINE_LIMIT)).read_line(&mut said).map_err(HandOverError::Broken)?;
    match said.trim_end().split_once(' ') {
        Some(("200", words)) => Ok(words.to_owned()),
        Some((_, words)) => Err(HandOverError::NotSignedIn(words.to_owned())),
        None => Err(HandOverError::Nobody),
    }
}

/// Waits until it is dropped; then its socket is gone.
#[derive(Debug)]
pub(super) struct Doorway {
    socket: PathBuf,
    arrivals: mpsc::Receiver<Arrival>,
    server: tokio::task::JoinHandle<()>,
    /// Handlers that have not had their answer yet.
    answering: watch::Receiver<()>,
}

impl Doorway {
    /// Waits for the answer to the attempt with this `state`.
    pub(super) fn open(dir: &Path, state: &Secret) -> io::Result<Self> {
        durable::create_private_dir(dir)?;
        let socket = socket(dir, state.expose());
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        let (sender, arrivals) = mpsc::channel(8);
        // Whoever answers holds a sender of this, and nobody sends: it ends with the last of them.
        let (busy, answering) = watch::channel(());
        let busy = Arc::new(busy);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, busy) = (sender.clone(), Arc::clone(&busy));
                tokio::spawn(async move {
                    receive(stream, sender).await;
                    drop(busy);
                });
            }
        });
        Ok(Self { socket, arrivals, server, answering })
    }

    /// Waits no longer, once the handler has its answer or has had two seconds to take it.
    pub(super) async fn close(mut self) {
        self.arrivals.close();
        self.server.abort();
        let _ = std::fs::remove_file(&self.socket);
        let answered = async { while self.answering.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
    }

    /// The next address that is handed over.
    pub(super) async fn arrival(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.server.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn receive(mut stream: UnixStream, arrivals: mpsc::Sender<Arrival>) {
    let us = rustix::process::getuid().as_raw();
    if stream.peer_cred().is_ok_and(|caller| caller.uid() != us) {
        return;
    }
    let (read, mut write) = stream.split();
    let mut line = Zeroizing::new(String::new());
    let mut lines = tokio::io::BufReader::new(read.take(LINE_LIMIT));
    if !matches!(tokio::time::timeout(CALLER_PATIENCE, lines.read_line(&mut line)).await, Ok(Ok(_))) {
        return;
    }
    let (answer, page) = oneshot::channel();
    let query = line.trim_end().to_owned();
    let page = match arrivals.send(Arrival { query, answer }).await {
        Ok(()) => page.await.ok(),
        Err(_) => None,
    };
    let page = page.unwrap_or(Page::Refused { reason: "Nobody waits for this sign-in any more." });
    // The handler may have gone.
    let _ = write.write_all(format!("{} {}\n", page.status(), page.sentence()).as_bytes()).await;
}

/// A name that says nothing of the state, which is a secret until it is answered; short, as socket names have to be.
fn socket(dir: &Path, state: &str) -> PathBuf {
    let name = hex(digest(&SHA256, state.as_bytes()).as_ref().get(..12).unwrap_or_default());
    dir.join(format!("back-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn handed(dir: &Path, address: &str) -> Result<String, HandOverError> {
        let (dir, address) = (dir.to_owned(), address.to_owned());
        tokio::task::spawn_blocking(move || hand_over(&dir, &address)).await.unwrap()
    }

    #[tokio::test]
    async fn an_address_finds_the_sign_in_that_waits_for_it_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("run");
        let mut ada = Doorway::open(&place, &Secret::new("ada's state")).unwrap();
        let bob = Doorway::open(&place, &Secret::new("bob's state")).unwrap();
        let waiting = tokio::spawn(async move {
            let arrival = ada.arrival().await.unwrap();
            let page = Page::SignedIn { user: "ada\n200 x".to_owned(), provider: "https://i".to_owned() };
            arrival.answer.send(page).unwrap();
            (arrival.query, ada)
        });
        let words = handed(&place, "x-cyberduck-action:oauth?code=c&state=ada%27s+state").await.unwrap();
        assert_eq!(words, "Signed in as ada 200 x at https://i");
        let (query, ada) = waiting.await.unwrap();
        assert_eq!(query, "code=c&state=ada%27s+state");
        drop((ada, bob));
        let late = handed(&place, "x-cyberduck-action:oauth?code=c&state=ada%27s+state").await;
        assert!(matches!(late, Err(HandOverError::Nobody)));
        assert!(matches!(handed(&place, "x-cyberduck-action:oauth").await, Err(HandOverError::NotAnAnswer)));
        assert!(matches!(handed(&place, "x:oauth?code=c").await, Err(HandOverError::NotAnAnswer)));
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "nothing stays behind");
    }
}
