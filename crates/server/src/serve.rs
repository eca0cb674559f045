//! A running server: listens, serves HTTP/1.1 and HTTP/2, and stops without cutting off what is under way.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use wigeon_core::secret::Secret;
use wigeon_core::time::Clock;

use crate::audit::{Audit, AuditFile};
use crate::authenticate::Authenticator;
use crate::backend::local::{Options, Store, StoreError};
use crate::backend::protocol::LocalBackend;
use crate::backend::stores::Stores;
use crate::backend::upstream::{UpstreamError, Upstreams};
use crate::config::{AuditConfig, Config, DirectoryConfig, DirectoryHome};
use crate::connection::Pulse;
use crate::directory::{Change, Connections, Directory, DirectoryError, StoredError};
use crate::gateway::Gateway;
use crate::iam::IamService;
use crate::issue::{KeyRingError, RingFile, Sealer};
use crate::outbox::{Outbox, OutboxError};
use crate::recording::Observers;
use crate::request::TlsVersion;
use crate::sts::StsService;
use crate::tls::{self, Tls, TlsError};
use crate::verify::Verifier;
use crate::workers::{self, Workers};

/// How long a connection may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The most connections at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 10_000;

/// How long requests may go on after the server was told to stop.
const LONGEST_GOODBYE: Duration = Duration::from_secs(30);

/// How long the collector may take for the last audit records.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The directory file.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The directory's database.
    #[error(transparent)]
    StoredDirectory(#[from] StoredError),
    /// The certificate authorities for the directory's database.
    #[error("the certificate authorities `{path}` cannot be read")]
    Authorities {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key ring.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// The local store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An upstream.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The audit file.
    #[error("the audit file `{path}` cannot be opened")]
    Audit {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A collector of records.
    #[error(transparent)]
    Collector(#[from] OutboxError),
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The threads.
    #[error("the system gives no threads to serve connections on")]
    Workers(#[source] io::Error),
    /// The address.
    #[error("cannot listen on {address}; is another server running there?")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A server that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    secure: bool,
    directory: Arc<Directory>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    observers: Arc<Observers>,
    /// Carries audit records to their collector.
    carrying: Option<JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS`, or with a certificate `https://ADDRESS`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.address)
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Takes no more requests, lets those under way finish, and returns when all is closed.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
        self.directory.write_last_uses().await;
        if let Some(collector) = self.observers.audit.collector() {
            collector.close();
        }
        if let Some(carrying) = self.carrying
            && tokio::time::timeout(LAST_RECORDS, carrying).await.is_err()
        {
            tracing::warn!("the collector did not take the last audit records in time");
        }
    }

    /// Opens the audit file anew, after something else moved it away.
    ///
    /// # Errors
    /// Where that cannot be done; the file before stays in use.
    pub fn reopen_audit(&self) -> io::Result<()> {
        self.observers.audit.reopen()
    }
}

/// Reads everything that a server would read at its start, and starts nothing.
///
/// # Errors
/// [`ServeError`]
pub fn check(config: &Config) -> Result<(), ServeError> {
    match &config.directory.home {
        DirectoryHome::File(path) => drop(Directory::from_file(path)?),
        // Opening a database would make it.
        DirectoryHome::Sqlite(_) | DirectoryHome::Postgres { .. } => {}
    }
    config.directory.connections.as_ref().map(Connections::check).transpose()?;
    config.tls.as_ref().map(Tls::open).transpose()?;
    Ok(())
}

/// Opens a directory at its home; a database that is not there is made.
///
/// # Errors
/// [`ServeError`]
pub async fn open_directory(config: &DirectoryConfig) -> Result<Directory, ServeError> {
    let directory = open_home(config).await?;
    match config.connections.clone() {
        None => Ok(directory),
        Some(connections) => Ok(directory.reached(connections)?),
    }
}

async fn open_home(config: &DirectoryConfig) -> Result<Directory, ServeError> {
    match &config.home {
        DirectoryHome::File(path) => Ok(Directory::from_file(path)?),
        DirectoryHome::Sqlite(path) => Ok(Directory::from_sqlite(path, config.account.as_deref())?),
        DirectoryHome::Postgres { address, password, ca_file } => {
            let password = password.as_ref().map(Secret::expose);
            let certificates = ca_file.as_ref().map(|path| {
                std::fs::read(path)
                    .map_err(|source| ServeError::Authorities { path: path.display().to_string(), source })
            });
            let certificates = certificates.transpose()?;
            let account = config.account.as_deref();
            Ok(Directory::from_postgres(address, password, certificates.as_deref(), account).await?)
        }
    }
}

/// The audit, and the work of what carries its records to a collector.
fn open_audit(
    config: &AuditConfig,
) -> Result<(Audit, Option<impl Future<Output = ()> + Send + use<>>), ServeError> {
    let unopened = |path: &Path| {
        let path = path.display().to_string();
        move |source| ServeError::Audit { path, source }
    };
    let file = match &config.file {
        None => None,
        Some(options) => Some(AuditFile::open(options.clone()).map_err(unopened(&options.path))?),
    };
    let (collector, carrying) = config.collector.clone().map(Outbox::open).transpose()?.unzip();
    Ok((Audit::new(file, collector), carrying))
}

/// After a rotation of the key ring: the secrets of access keys move to its newest key.
async fn reseal(directory: &Directory, sealer: &Sealer, clock: &dyn Clock) {
    let snapshot = directory.snapshot();
    let keys = snapshot.entries().access_keys.values();
    let sealed: Vec<(String, String)> = keys
        .filter_map(|key| Some((key.id.clone(), sealer.resealed(&key.id, &key.sealed_secret)?)))
        .collect();
    if sealed.is_empty() {
        return;
    }
    if let Err(error) = directory.change(&Change::ResealAccessKeys { sealed }, clock.now()).await {
        tracing::error!(%error, "the secrets of access keys stay under an older key of the key ring");
    }
}

/// Starts a server.
///
/// # Errors
/// [`ServeError`]
pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Running, ServeError> {
    let directory = Arc::new(open_directory(&config.directory).await?);
    let store = Store::open(&config.data.join("store"), Options::new(Arc::clone(&clock)))?;
    let upstreams = Upstreams::new(&config.upstreams, &clock)?;
    let keys = RingFile::open(config.session_keys.clone(), clock.now())?;
    let sealer = Arc::clone(keys.sealer());
    reseal(&directory, &sealer, &*clock).await;
    let verifier = Arc::new(Verifier::new(Arc::clone(&clock)));
    let (audit, carrying) = open_audit(&config.audit)?;
    let observers = Arc::new(Observers { clock: Arc::clone(&clock), audit });
    let tls = config.tls.as_ref().map(Tls::open).transpose()?.map(Arc::new);
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| ServeError::Listen { address: config.listen, source })?;
    let address =
        listener.local_addr().map_err(|source| ServeError::Listen { address: config.listen, source })?;
    let workers = Workers::start(workers::count()).map_err(ServeError::Workers)?;
    let time = Arc::clone(&clock);
    let gateway = Arc::new(Gateway {
        authenticator: Authenticator::new(
            Arc::clone(&sealer),
            Arc::clone(&directory),
            config.root.clone(),
            config.region.clone(),
        ),
        iam: IamService::new(Arc::clone(&directory), Arc::clone(&sealer), Arc::clone(&clock)),
        sts: StsService::new(Arc::clone(&directory), Arc::clone(&verifier), sealer, Arc::clone(&clock)),
        clock,
        directory: Arc::clone(&directory),
        backend: Stores::new(LocalBackend::new(store), upstreams),
        observers: Arc::clone(&observers),
        domains: config.domains.clone(),
    });
    let carrying = carrying.map(tokio::spawn);
    let (stop, stopped) = watch::channel(false);
    // A provider may come up later than this server: its keys are fetched beside serving, not before.
    let warming = Arc::clone(&directory);
    tokio::spawn(async move { verifier.warm(&warming.snapshot()).await });
    let watching = Arc::clone(&directory);
    let following = Arc::clone(&directory);
    let secure = tls.is_some();
    let task = tokio::spawn(async move {
        tokio::select! {
            () = accept(listener, workers, gateway, tls.clone(), stopped) => {}
            () = watching.watch(Duration::from_secs(1)) => {}
            () = renew(tls.as_deref()) => {}
            () = follow(&keys, &following, &*time) => {}
        }
    });
    tracing::info!(%address, secure, "serving");
    Ok(Running { address, secure, directory, stop, task, observers, carrying })
}

/// Takes up keys that were added to the ring's file, and those that begin to issue, for ever.
async fn follow(keys: &RingFile, directory: &Directory, clock: &dyn Clock) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match keys.refresh(clock.now()) {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(keys = ?keys.sealer(), "the session keys changed");
                reseal(directory, keys.sealer(), clock).await;
            }
            Err(error) => {
                tracing::error!(error = %crate::chain::chain(&error), "the session keys stay as they were")
            }
        }
    }
}

/// Looks for a renewed certificate, for ever; without one there is nothing to look for.
async fn renew(tls: Option<&Tls>) {
    match tls {
        Some(tls) => tls.watch(Duration::from_secs(5)).await,
        None => std::future::pending().await,
    }
}

async fn accept(
    listener: TcpListener,
    workers: Workers,
    gateway: Arc<Gateway>,
    tls: Option<Arc<Tls>>,
    mut stopped: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        // The worker that serves it waits for it from its first byte on.
        let (stream, peer) = match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Small answers should not wait for each other.
        let _ = stream.set_nodelay(true);
        let (gateway, watcher) = (Arc::clone(&gateway), graceful.watcher());
        let acceptor = tls.as_ref().map(|tls| tls.acceptor());
        workers.spawn(async move {
            let stream = match TcpStream::from_std(stream) {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, %peer, "a connection could not be served"),
            };
            match acceptor {
                None => serve_connection(stream, peer, None, gateway, watcher).await,
                Some(acceptor) => match tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let version = tls::version(&stream);
                        serve_connection(stream, peer, Some(version), gateway, watcher).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%error, %peer, "no TLS connection came about"),
                    Err(_) => tracing::debug!(%peer, "no TLS connection came about in time"),
                },
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(LONGEST_GOODBYE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way when the server stopped");
    }
    workers.stop().await;
}

async fn serve_connection<S>(
    stream: S,
    peer: SocketAddr,
    tls: Option<TlsVersion>,
    gateway: Arc<Gateway>,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Pulse::start();
    let answering = pulse.clone();
    let service = service_fn(move |request| {
        let (gateway, pulse) = (Arc::clone(&gateway), answering.clone());
        async move {
            let answer = pulse.answer(gateway.handle(request, peer.ip(), tls)).await;
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let stream = TokioIo::new(pulse.watch(stream));
    let connection = watcher.watch(builder.serve_connection(stream, service).into_owned());
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection ended");
        },
        () = pulse.over() => tracing::debug!(%peer, "a connection had nothing to do and was closed"),
    }
}
