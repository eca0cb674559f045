//! A running server: listens, serves HTTP/1.1 and HTTP/2, and stops without cutting off what is under way.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;
use wigeon_core::secret::Secret;
use wigeon_core::time::Clock;

use crate::accept::{Door, accept};
use crate::audit::{Audit, AuditFile};
use crate::authenticate::Authenticator;
use crate::backend::local::expire::Expired;
use crate::backend::local::{Options, Store, StoreError};
use crate::backend::protocol::LocalBackend;
use crate::backend::stores::Stores;
use crate::backend::upstream::{UpstreamError, Upstreams};
use crate::chain::chain;
use crate::config::{
    AuditConfig, Certificate, Config, DirectoryConfig, DirectoryHome, Listen, ListenAt, TracesConfig,
};
use crate::directory::{Change, Directory, DirectoryError, StoredError};
use crate::figures::Figures;
use crate::gateway::Gateway;
use crate::iam::IamService;
use crate::issue::{KeyRingError, RingFile, Sealer};
use crate::limits::{Allowances, Limits};
use crate::listener::{Inherited, Listener};
use crate::metrics::Sources;
use crate::monitor;
use crate::outbox::{Outbox, OutboxError};
use crate::readiness::Readiness;
use crate::recording::Observers;
use crate::sts::StsService;
use crate::tls::{Tls, TlsError};
use crate::trace::Tracer;
use crate::verify::Verifier;
use crate::workers::{self, Workers};

/// How long collectors may take for the last records.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// How long a thread may take to do nothing.
const LONGEST_BEAT: Duration = Duration::from_secs(5);

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
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A way in, as people are told of it.
#[derive(Debug, Clone)]
struct Shown {
    at: ListenAt,
    address: Option<SocketAddr>,
    secure: bool,
}

/// A server that runs until it is stopped.
pub struct Running {
    doors: Vec<Shown>,
    gateway: Arc<Gateway>,
    certificates: Vec<Arc<Tls>>,
    keys: Arc<RingFile>,
    /// Those that serve connections.
    threads: Vec<Handle>,
    /// Where metrics are, and what serves them.
    monitor: Option<(SocketAddr, AbortOnDropHandle<()>)>,
    notice: Duration,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    observers: Arc<Observers>,
    /// What carries audit records and spans to their collectors.
    carrying: Vec<JoinHandle<()>>,
    /// What it was started with.
    config: Config,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("doors", &self.doors).finish_non_exhaustive()
    }
}

impl Running {
    /// Where it listens: of several addresses the first, and `0.0.0.0:0` where there are only Unix sockets.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let first = self.doors.iter().find_map(|door| door.address);
        first.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// `http://ADDRESS`, or with a certificate `https://ADDRESS`, or `unix:PATH`: each way in.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        self.doors.iter().map(|door| match door.address {
            Some(address) => format!("{}://{address}", if door.secure { "https" } else { "http" }),
            None => door.at.to_string(),
        })
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.gateway.directory
    }

    /// Where metrics are served.
    #[must_use]
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.monitor.as_ref().map(|(address, _)| *address)
    }

    /// Says that it is not ready; after the notice that is configured takes no more requests, lets those under way
    /// finish, and returns when all is closed.
    pub async fn stop(self) {
        self.gateway.readiness.stop();
        tokio::time::sleep(self.notice).await;
        let _ = self.stop.send(true);
        let _ = self.task.await;
        self.gateway.directory.write_last_uses().await;
        let outboxes = [self.observers.audit.collector(), self.observers.tracer.as_ref().map(Tracer::outbox)];
        outboxes.into_iter().flatten().for_each(Outbox::close);
        let carrying = join_all(self.carrying);
        if tokio::time::timeout(LAST_RECORDS, carrying).await.is_err() {
            tracing::warn!("a collector did not take the last records in time");
        }
    }

    /// Takes up what was changed outside: the directory file, certificates, session keys; and opens the audit file anew,
    /// after something else moved it away. Says what could not be: that stays as it was.
    pub async fn reload(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut note =
            |what: &str, error: &dyn std::error::Error| faults.push(format!("{what}: {}", chain(error)));
        if let Err(error) = self.observers.audit.reopen() {
            note("the audit file", &error);
        }
        let directory = Arc::clone(&self.gateway.directory);
        match tokio::task::spawn_blocking(move || directory.reload()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => note("the directory", &error),
            Err(error) => note("the directory", &error),
        }
        for tls in &self.certificates {
            if let Err(error) = tls.reload_if_changed() {
                note("a certificate", &error);
            }
        }
        if let Err(error) = self.keys.refresh(self.gateway.clock.now()) {
            note("the session keys", &error);
        }
        faults
    }

    /// Takes up what another configuration says of limits, upstreams, proxies, domains and the administrator's key. Gives the names of what it says otherwise than the
    /// one that the server was started with, and that takes a restart.
    ///
    /// # Errors
    /// [`UpstreamError`]: nothing was taken up.
    pub fn take_up(&self, config: &Config) -> Result<Vec<String>, UpstreamError> {
        let gateway = &self.gateway;
        let upstreams = gateway.backend.upstreams().renewed(&config.upstreams, &gateway.clock)?;
        gateway.backend.change(upstreams);
        let connections = self.config.limits.connections;
        gateway.limits.change(Allowances { connections, ..config.limits.clone() });
        gateway.proxies.store(Arc::new(config.proxies.clone()));
        gateway.domains.store(Arc::new(config.domains.clone()));
        gateway.authenticator.change_root(config.root.clone());
        Ok(self.config.restart_for(config))
    }

    /// Whether every thread still does what it is given.
    pub async fn is_alive(&self) -> bool {
        let asked = join_all(self.threads.iter().map(|thread| thread.spawn(std::future::ready(()))));
        !self.task.is_finished() && tokio::time::timeout(LONGEST_BEAT, asked).await.is_ok()
    }
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
        DirectoryHome::Sqlite(path) => Ok(Directory::from_sqlite(path, &config.account)?),
        DirectoryHome::Postgres { address, password, ca_file } => {
            let password = password.as_ref().map(Secret::expose);
            let certificates = ca_file.as_ref().map(|path| {
                std::fs::read(path)
                    .map_err(|source| ServeError::Authorities { path: path.display().to_string(), source })
            });
            let certificates = certificates.transpose()?;
            let certificates = certificates.as_deref();
            Ok(Directory::from_postgres(address, password, certificates, &config.account).await?)
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

/// What takes traces, and the work of what carries them to a collector.
fn open_traces(
    config: Option<&TracesConfig>,
) -> Result<(Option<Tracer>, Option<impl Future<Output = ()> + Send + use<>>), OutboxError> {
    let Some(config) = config else { return Ok((None, None)) };
    let (outbox, carrying) = Outbox::open(config.destination.clone())?;
    Ok((Some(Tracer::new(outbox, config.sample, config.follow)), Some(carrying)))
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
    start_with(config, clock, Inherited::default()).await
}

/// Starts a server that may listen on sockets that this process was given.
///
/// # Errors
/// [`ServeError`]
pub async fn start_with(
    config: &Config,
    clock: Arc<dyn Clock>,
    inherited: Inherited,
) -> Result<Running, ServeError> {
    let directory = Arc::new(open_directory(&config.directory).await?);
    let store = Store::open(&config.data.join("store"), Options::new(Arc::clone(&clock)))?;
    let upstreams = Upstreams::new(&config.upstreams, &clock)?;
    let keys = Arc::new(RingFile::open(config.session_keys.clone(), clock.now())?);
    let sealer = Arc::clone(keys.sealer());
    reseal(&directory, &sealer, &*clock).await;
    let verifier = Arc::new(Verifier::new(Arc::clone(&clock)));
    let (audit, carrying) = open_audit(&config.audit)?;
    let (tracer, spanning) = open_traces(config.traces.as_ref())?;
    let figures = Figures::default();
    let observers = Arc::new(Observers { clock: Arc::clone(&clock), audit, figures, tracer });
    let (doors, shown) = open_doors(&config.listen, &inherited).await?;
    let certificates: Vec<Arc<Tls>> = doors.iter().filter_map(|door| door.tls.clone()).collect();
    let monitor = match config.metrics {
        None => None,
        Some(address) => {
            let bound = monitor::bind(address).await;
            Some(bound.map_err(|source| ServeError::Listen { address: address.to_string(), source })?)
        }
    };
    let workers = Workers::start(workers::count()).map_err(ServeError::Workers)?;
    workers.each(|| Arc::clone(&observers).gather());
    let threads = workers.runtimes();
    let time = Arc::clone(&clock);
    let started_at = clock.now();
    let readiness = Readiness::new(Arc::clone(&sealer));
    let ring = Arc::clone(&sealer);
    let (expiring, lifecycle_every) = (store.clone(), config.lifecycle_every);
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
        limits: Limits::new(config.limits.clone()),
        proxies: ArcSwap::from_pointee(config.proxies.clone()),
        readiness,
        observers: Arc::clone(&observers),
        domains: ArcSwap::from_pointee(config.domains.clone()),
    });
    let carrying = carrying.map(tokio::spawn).into_iter().chain(spanning.map(tokio::spawn)).collect();
    let sources = Arc::new(Sources {
        gateway: Arc::clone(&gateway),
        verifier: Arc::clone(&verifier),
        sealer: ring,
        certificates: certificates.clone(),
        clock: Arc::clone(&time),
        started_at,
    });
    let monitor = monitor.map(|(listener, address)| {
        (address, AbortOnDropHandle::new(tokio::spawn(monitor::serve(listener, sources))))
    });
    let (stop, stopped) = watch::channel(false);
    // A provider may come up later than this server: its keys are fetched beside serving, not before.
    let warming = Arc::clone(&directory);
    tokio::spawn(async move { verifier.warm(&warming.snapshot()).await });
    let watching = Arc::clone(&directory);
    let following = Arc::clone(&directory);
    let (renewing, ringing) = (certificates.clone(), Arc::clone(&keys));
    let (serving, grace) = (Arc::clone(&gateway), config.stop.grace);
    let task = tokio::spawn(async move {
        tokio::select! {
            () = accept(doors, workers, serving, (stopped, grace)) => {}
            () = watching.watch(Duration::from_secs(1)) => {}
            () = renew(&renewing) => {}
            () = follow(&ringing, &following, &*time) => {}
            () = expire(&expiring, lifecycle_every) => {}
        }
    });
    let notice = config.stop.notice;
    let running = Running {
        doors: shown,
        gateway,
        certificates,
        keys,
        threads,
        monitor,
        notice,
        stop,
        task,
        observers,
        carrying,
        config: config.clone(),
    };
    let urls: Vec<String> = running.urls().collect();
    tracing::info!(?urls, "serving");
    Ok(running)
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
                tracing::error!(error = %chain(&error), "the session keys stay as they were")
            }
        }
    }
}

/// Carries out the buckets' lifecycle rules, for ever.
async fn expire(store: &Store, every: Duration) {
    loop {
        match store.expire().await {
            Ok(expired) if expired == Expired::default() => {}
            Ok(expired) => tracing::info!(?expired, "carried out lifecycle rules"),
            Err(error) => {
                tracing::error!(error = %chain(&error), "could not carry out lifecycle rules");
            }
        }
        tokio::time::sleep(every).await;
    }
}

/// Looks for renewed certificates, for ever.
async fn renew(certificates: &[Arc<Tls>]) {
    join_all(certificates.iter().map(|tls| tls.watch(Duration::from_secs(5)))).await;
    // Without any there is nothing to look for.
    std::future::pending().await
}

/// Listens everywhere; listeners with the same certificate share it.
async fn open_doors(listen: &[Listen], inherited: &Inherited) -> Result<(Vec<Door>, Vec<Shown>), ServeError> {
    let mut certificates: Vec<(&Certificate, Arc<Tls>)> = Vec::new();
    let (mut doors, mut shown) = (Vec::new(), Vec::new());
    for Listen { at, serves, tls } in listen {
        let tls = match tls {
            None => None,
            Some(files) => match certificates.iter().find(|(known, _)| *known == files) {
                Some((_, tls)) => Some(Arc::clone(tls)),
                None => {
                    let opened = Arc::new(Tls::open(files)?);
                    certificates.push((files, Arc::clone(&opened)));
                    Some(opened)
                }
            },
        };
        let bound = Listener::bind(at, inherited).await;
        let listener = bound.map_err(|source| ServeError::Listen { address: at.to_string(), source })?;
        shown.push(Shown { at: at.clone(), address: listener.address(), secure: tls.is_some() });
        doors.push(Door { listener, serves: *serves, tls });
    }
    Ok((doors, shown))
}
