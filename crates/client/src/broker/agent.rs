//! The agent: one small process for each person, which holds their sessions and answers on a Unix socket (mode 0600,
//! the caller's user checked) and at a loopback address.
//!
//! Enters: the places of its files, listeners that systemd may have opened, a [`Source`] of sessions; sign-ins that are
//! to be in memory alone. Leaves: nothing but answers; it ends when it is told to, or when nobody has asked for a while. Refused: a second agent, a caller
//! of another user, a caller whose profiles lie elsewhere.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::{Clock, SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::admission::TokenKey;
use super::endpoint::access;
use super::holder::{Holder, NotIssued, Sessions, Source};
use super::lasting;
use super::protocol::{Answer, Ask, HeldSession, LINE_LIMIT, Places, Request, Standing, VERSION};
use crate::secret_store::{MemoryStore, SecretStore as _, StoreError};

/// How often sessions are looked after.
const ROUND: Duration = Duration::from_secs(2);

/// Sessions that nobody asked for in this time are no longer renewed ahead.
const IN_USE: SignedDuration = SignedDuration::from_mins(15);

/// How long a caller may take for its line.
const CALLER_PATIENCE: Duration = Duration::from_secs(5);

/// How an agent is to run.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// Its socket, for itself to make; the lock is beside it.
    pub socket: PathBuf,
    /// The directory of what outlives it.
    pub dir: PathBuf,
    /// Whom it serves.
    pub places: Places,
    /// How long it stays when nobody asks; `None` for ever.
    pub idle_exit: Option<Duration>,
}

/// What was opened for the agent before it began (systemd's socket activation).
#[derive(Debug, Default)]
pub struct Listeners {
    /// The socket.
    pub socket: Option<std::os::unix::net::UnixListener>,
    /// The loopback address.
    pub endpoint: Option<std::net::TcpListener>,
}

/// The one agent at a socket: whoever has it holds the lock.
pub struct Agent<S> {
    options: AgentOptions,
    source: S,
    clock: Arc<dyn Clock>,
    lock: File,
}

struct Serving<S> {
    options: AgentOptions,
    sessions: Sessions<S>,
    clock: Arc<dyn Clock>,
    since: Timestamp,
    asked_at: AtomicI64,
    address: SocketAddr,
    key: TokenKey,
    stop: watch::Sender<bool>,
}

impl<S: Source> Agent<S> {
    /// Takes the lock. `None`: an agent runs already.
    ///
    /// # Errors
    /// A directory that cannot be used.
    pub fn new(options: AgentOptions, source: S, clock: Arc<dyn Clock>) -> io::Result<Option<Self>> {
        crate::durable::create_private_dir(&options.dir)?;
        let lock = options.socket.with_extension("lock");
        if let Some(dir) = lock.parent() {
            crate::durable::create_private_dir(dir)?;
        }
        let mut open = OpenOptions::new();
        open.write(true).create(true).truncate(false).mode(0o600);
        let lock = open.open(lock)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { options, source, clock, lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Serves until `until` ends, a caller says stop, or nobody has asked for the idle time.
    ///
    /// # Errors
    /// Listeners that cannot be had.
    pub async fn run(self, listeners: Listeners, until: impl Future<Output = ()>) -> io::Result<()> {
        let Self { options, source, clock, lock } = self;
        let ours = listeners.socket.is_none();
        let socket = match listeners.socket {
            Some(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener)?
            }
            None => bind(&options)?,
        };
        let kept = options.dir.join("endpoint.json");
        let endpoint = match listeners.endpoint {
            Some(listener) => {
                listener.set_nonblocking(true)?;
                lasting::endpoint_on(tokio::net::TcpListener::from_std(listener)?, &kept)?
            }
            None => lasting::endpoint(&kept).await?,
        };
        let (stop, mut stopped) = watch::channel(false);
        let serving = Arc::new(Serving {
            sessions: Sessions::new(source, Arc::clone(&clock)),
            since: clock.now(),
            asked_at: AtomicI64::new(clock.now().as_second()),
            address: endpoint.address(),
            key: endpoint.key().clone(),
            options,
            clock: Arc::clone(&clock),
            stop,
        });
        let mut end = stopped.clone();
        let ended = async move {
            let _ = end.wait_for(|stop| *stop).await;
        };
        // They end with this future, however it ends.
        let (mut over_http, mut others) = (JoinSet::new(), JoinSet::new());
        over_http.spawn(endpoint.serve(Arc::clone(&serving), clock, ended));
        others.spawn(callers(socket, Arc::clone(&serving)));
        others.spawn(look_after(Arc::clone(&serving)));
        tokio::select! {
            () = until => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        // Gone before the lock is: the next agent finds nothing of ours in its way.
        if ours {
            let _ = std::fs::remove_file(&serving.options.socket);
        }
        serving.stop.send_replace(true);
        others.abort_all();
        // A request that hangs is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(2), over_http.join_next()).await;
        drop(lock);
        Ok(())
    }
}

/// Makes the socket. A file that lies in its place is a dead agent's: we have the lock.
fn bind(options: &AgentOptions) -> io::Result<UnixListener> {
    if let Some(dir) = options.socket.parent() {
        crate::durable::create_private_dir(dir)?;
        if std::fs::metadata(dir)?.permissions().mode() & 0o022 != 0 {
            return Err(io::Error::other(format!("`{}` can be written by others", dir.display())));
        }
    }
    match std::fs::remove_file(&options.socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&options.socket)?;
    // The directory may be open to be entered; the callers' user is checked in any case.
    std::fs::set_permissions(&options.socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn callers<S: Source>(socket: UnixListener, serving: Arc<Serving<S>>) {
    let us = rustix::process::getuid().as_raw();
    loop {
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a caller");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        match stream.peer_cred() {
            Ok(caller) if caller.uid() == us => {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &serving).await {
                        tracing::debug!(%error, "a caller went away");
                    }
                });
            }
            Ok(caller) => tracing::warn!(user = caller.uid(), "a caller of another user was turned away"),
            Err(error) => tracing::warn!(%error, "a caller without a user was turned away"),
        }
    }
}

/// One line, one answer.
async fn converse<S: Source>(mut stream: UnixStream, serving: &Arc<Serving<S>>) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = Zeroizing::new(String::new());
    tokio::time::timeout(CALLER_PATIENCE, BufReader::new(read.take(LINE_LIMIT)).read_line(&mut line))
        .await
        .map_err(io::Error::from)??;
    let (answer, stop) = match serde_json::from_str::<Request>(&line) {
        Ok(request) if request.version != VERSION => {
            (Answer::Other("it is of another version".to_owned()), false)
        }
        Ok(request) if request.ask.concerns_profiles() && request.places != serving.options.places => {
            let config = serving.options.places.config.display();
            (Answer::Other(format!("it serves the profiles in `{config}`")), false)
        }
        Ok(request) => {
            let stop = request.ask == Ask::Stop;
            (serving.answer(request.ask).await, stop)
        }
        Err(error) => (Answer::Other(format!("it does not understand: {error}")), false),
    };
    let text = Zeroizing::new(serde_json::to_string(&answer)?);
    write.write_all(text.as_bytes()).await?;
    write.write_all(b"\n").await?;
    write.shutdown().await?;
    if stop {
        serving.stop.send_replace(true);
    }
    Ok(())
}

/// Renews ahead what is in use, and ends the agent when it has been idle for long enough.
async fn look_after<S: Source>(serving: Arc<Serving<S>>) {
    loop {
        tokio::time::sleep(ROUND).await;
        let now = serving.clock.now();
        serving.sessions.refresh(now.checked_sub(IN_USE).unwrap_or(now)).await;
        let idle = now.as_second().saturating_sub(serving.asked_at.load(Ordering::Relaxed));
        let limit = serving.options.idle_exit.map(|limit| i64::try_from(limit.as_secs()).unwrap_or(i64::MAX));
        if limit.is_some_and(|limit| idle >= limit) {
            tracing::info!("nobody has asked for {idle} s");
            serving.stop.send_replace(true);
        }
    }
}

impl<S: Source> Serving<S> {
    async fn answer(&self, ask: Ask) -> Answer {
        self.asked();
        match ask {
            Ask::Credentials(profile) => match self.sessions.credentials(&profile).await {
                Ok(credentials) => Answer::Credentials(Credentials::clone(&credentials)),
                Err(error) => Answer::NotIssued(error),
            },
            Ask::Access(profile) => {
                let access = access(self.address, &self.key, &profile);
                Answer::Access { url: access.url, token: access.token }
            }
            Ask::Standing => Answer::Standing(self.standing()),
            Ask::Forget(profile) => {
                self.sessions.forget(profile.as_deref());
                Answer::Done
            }
            Ask::Kept(profile) => kept(self.memory().load(&profile)),
            Ask::Accounts(profile) => match self.memory().accounts(&profile) {
                Ok(secrets) => Answer::Accounts(secrets),
                Err(error) => Answer::Other(error.to_string()),
            },
            Ask::Keep(account, secret) => match self.memory().save(&account, &secret) {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Other(error.to_string()),
            },
            Ask::Drop(profile) => {
                let was = self.memory().load(&profile);
                match self.memory().remove(&profile) {
                    Ok(_) => kept(was),
                    Err(error) => Answer::Other(error.to_string()),
                }
            }
            Ask::KeptProfiles => match self.memory().profiles() {
                Ok(names) => Answer::Profiles(names),
                Err(error) => Answer::Other(error.to_string()),
            },
            Ask::Unlock(passphrase) => {
                self.sessions.source().unlock(passphrase);
                Answer::Done
            }
            Ask::Stop => Answer::Done,
        }
    }

    fn memory(&self) -> &MemoryStore {
        self.sessions.source().memory()
    }

    fn standing(&self) -> Standing {
        let sessions = self.sessions.standing().into_iter();
        Standing {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: self.since,
            endpoint: format!("http://{}", self.address),
            sessions: sessions
                .map(|(profile, asked_at, expires_at)| HeldSession { profile, asked_at, expires_at })
                .collect(),
        }
    }

    fn asked(&self) {
        self.asked_at.store(self.clock.now().as_second(), Ordering::Relaxed);
    }
}

fn kept(secret: Result<Option<Secret>, StoreError>) -> Answer {
    secret.map_or_else(|error| Answer::Other(error.to_string()), Answer::Kept)
}

impl<S: Source> Holder for Serving<S> {
    async fn credentials(&self, profile: &str) -> Result<Arc<Credentials>, NotIssued> {
        self.asked();
        self.sessions.credentials(profile).await
    }
}
