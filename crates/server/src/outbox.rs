//! Records on their way to a collector over HTTP, beside the requests that they are about.
//!
//! Enters: JSON values, one per record, offered without waiting. Leaves: POST requests with many of them. A queue
//! of fixed length lies between: when it is full, because the collector is slow or gone, further records are dropped,
//! counted, and the log says so. A batch that the collector does not take is sent again, later and later, up to
//! `LONGEST_PAUSE`; one that it calls faulty is dropped and counted. A batch may arrive twice.
//!
//! Refused: a bearer token over plain HTTP, except on this machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use url::{Host, Url};

use crate::chain::chain;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long the collector may take to answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// How often the log says that records are dropped.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// The most bytes in one request, as far as whole records allow.
const LARGEST_BATCH: usize = 1 << 20;

/// How records stand in the body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framing {
    /// Before the first.
    pub before: Vec<u8>,
    /// Between two.
    pub between: u8,
    /// After the last.
    pub after: Vec<u8>,
    /// What the body is.
    pub content_type: &'static str,
}

impl Framing {
    /// One JSON value per line.
    #[must_use]
    pub fn lines() -> Self {
        let content_type = "application/x-ndjson";
        Self { before: Vec::new(), between: b'\n', after: b"\n".to_vec(), content_type }
    }

    /// One JSON array.
    #[must_use]
    pub fn array() -> Self {
        Self::within(b"[".to_vec(), b"]".to_vec())
    }

    /// The items of an array somewhere in a JSON document.
    #[must_use]
    pub fn within(before: Vec<u8>, after: Vec<u8>) -> Self {
        Self { before, between: b',', after, content_type: "application/json" }
    }

    fn body(&self, records: &[Bytes]) -> Vec<u8> {
        let mut body = self.before.clone();
        for (number, record) in records.iter().enumerate() {
            if number > 0 {
                body.push(self.between);
            }
            body.extend_from_slice(record);
        }
        body.extend_from_slice(&self.after);
        body
    }
}

/// Where records go, and how.
#[derive(Debug, Clone)]
pub struct Destination {
    /// What the records are, for the log: `audit records`.
    pub what: &'static str,
    /// Where to.
    pub url: Url,
    /// How they stand in the body.
    pub framing: Framing,
    /// A file with a bearer token, read for each request, so that it can be renewed.
    pub token_file: Option<PathBuf>,
    /// Certificate authorities (PEM) in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The most records that wait.
    pub queue: usize,
    /// The most records in one request.
    pub batch: usize,
    /// How long a record waits for others.
    pub linger: Duration,
}

/// Why records cannot be sent anywhere.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Neither http nor https.
    #[error("the collector's address `{0}` is neither http:// nor https://")]
    Scheme(String),
    /// The token would go over the network in the clear.
    #[error("the collector's address `{0}` is not https, and the token would be readable on the way")]
    PlainToken(String),
    /// The certificate authorities.
    #[error("the certificate authorities `{path}` cannot be read")]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client.
    #[error("the HTTP client for the collector cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// What became of records.
#[derive(Debug, Default)]
pub struct Tally {
    /// Taken by the collector.
    sent: AtomicU64,
    /// Dropped, because the queue was full or the collector called them faulty.
    dropped: AtomicU64,
}

impl Tally {
    /// How many the collector took.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many are lost.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Takes records.
#[derive(Debug, Clone)]
pub struct Outbox {
    queue: mpsc::Sender<Bytes>,
    tally: Arc<Tally>,
    closing: Arc<Notify>,
}

impl Outbox {
    /// The outbox, and the work of its task, which ends some time after [`Outbox::close`].
    ///
    /// # Errors
    /// [`OutboxError`]
    pub fn open(to: Destination) -> Result<(Self, impl Future<Output = ()> + Send + 'static), OutboxError> {
        let client = client(&to)?;
        let (sender, queue) = mpsc::channel(to.queue.max(1));
        let outbox = Self { queue: sender, tally: Arc::default(), closing: Arc::default() };
        let (tally, closing) = (Arc::clone(&outbox.tally), Arc::clone(&outbox.closing));
        let carrier = Carrier { to, client, queue, tally, closing, pause: Duration::ZERO };
        Ok((outbox, carrier.run()))
    }

    /// Takes a record, or drops it when too many wait already. Never waits.
    pub fn offer(&self, record: Bytes) {
        if self.queue.try_send(record).is_err() {
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of the records so far.
    #[must_use]
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// How many records wait to be sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Takes no more records; those that wait are tried once more.
    pub fn close(&self) {
        self.closing.notify_one();
    }
}

fn client(to: &Destination) -> Result<reqwest::Client, OutboxError> {
    let address = || to.url.to_string();
    let on_this_machine = match to.url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match to.url.scheme() {
        "https" => {}
        "http" if to.token_file.is_none() || on_this_machine => {}
        "http" => return Err(OutboxError::PlainToken(address())),
        _ => return Err(OutboxError::Scheme(address())),
    }
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(LONGEST_ANSWER)
        .user_agent(concat!("wigeon/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &to.ca_file {
        let unreadable = |source| OutboxError::Authorities { path: path.clone(), source };
        let pem = std::fs::read(path).map_err(unreadable)?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(OutboxError::Client)?;
        client = client.tls_certs_only(authorities);
    }
    client.build().map_err(OutboxError::Client)
}

/// Carries records to the collector.
struct Carrier {
    to: Destination,
    client: reqwest::Client,
    queue: mpsc::Receiver<Bytes>,
    tally: Arc<Tally>,
    closing: Arc<Notify>,
    /// Before the next attempt.
    pause: Duration,
}

/// What the collector did with a batch.
enum Delivery {
    Taken,
    /// It will never take it.
    Faulty(String),
    /// It may take it later.
    Later(String),
}

impl Carrier {
    async fn run(mut self) {
        let mut complaints = Complaints::new();
        let mut open = true;
        while open {
            let mut batch = Vec::new();
            open = self.fill(&mut batch).await;
            open = self.carry(batch, open, &mut complaints).await;
        }
        self.queue.close();
        let mut rest = Vec::new();
        while let Ok(record) = self.queue.try_recv() {
            rest.push(record);
        }
        self.carry(rest, false, &mut complaints).await;
    }

    /// Waits for records, which end up in `batch`; says whether more are taken after them.
    async fn fill(&mut self, batch: &mut Vec<Bytes>) -> bool {
        let mut bytes = 0;
        let mut until: Option<Instant> = None;
        loop {
            let lingering = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.closing.notified() => return false,
                record = self.queue.recv() => {
                    let Some(record) = record else { return false };
                    bytes += record.len();
                    batch.push(record);
                    until.get_or_insert_with(|| Instant::now() + self.to.linger);
                    if batch.len() >= self.to.batch || bytes >= LARGEST_BATCH {
                        return true;
                    }
                }
                () = lingering => return true,
            }
        }
    }

    /// Sends a batch until the collector takes it; once only when no more are taken after it. Says whether more are.
    async fn carry(&mut self, batch: Vec<Bytes>, mut open: bool, complaints: &mut Complaints) -> bool {
        if batch.is_empty() {
            return open;
        }
        let body = Bytes::from(self.to.framing.body(&batch));
        let count = batch.len() as u64;
        loop {
            match self.deliver(&body).await {
                Delivery::Taken => {
                    self.pause = Duration::ZERO;
                    self.tally.sent.fetch_add(count, Ordering::Relaxed);
                    complaints.look(&self.to, &self.tally);
                    return open;
                }
                Delivery::Later(why) if open => {
                    complaints.say(&self.to, &self.tally, &why);
                    self.pause = (self.pause * 2).clamp(Duration::from_millis(250), LONGEST_PAUSE);
                    open = timeout(self.pause, self.closing.notified()).await.is_err();
                }
                Delivery::Faulty(why) | Delivery::Later(why) => {
                    self.tally.dropped.fetch_add(count, Ordering::Relaxed);
                    complaints.say(&self.to, &self.tally, &why);
                    return open;
                }
            }
        }
    }

    async fn deliver(&self, body: &Bytes) -> Delivery {
        let mut request = self
            .client
            .post(self.to.url.clone())
            .header(http::header::CONTENT_TYPE, self.to.framing.content_type)
            .body(body.clone());
        if let Some(path) = &self.to.token_file {
            match tokio::fs::read_to_string(path).await {
                Ok(token) => request = request.bearer_auth(token.trim()),
                Err(error) => {
                    return Delivery::Later(format!("`{}` cannot be read: {error}", path.display()));
                }
            }
        }
        match request.send().await {
            Ok(answer) => match answer.status() {
                status if status.is_success() => Delivery::Taken,
                status @ (StatusCode::BAD_REQUEST
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY) => Delivery::Faulty(format!("it answers {status}")),
                status => Delivery::Later(format!("it answers {status}")),
            },
            Err(error) => Delivery::Later(chain(&error.without_url())),
        }
    }
}

/// Says in the log that a collector does not take records, and how many are lost, now and then.
struct Complaints {
    said: Option<Instant>,
    dropped: u64,
}

impl Complaints {
    fn new() -> Self {
        Self { said: None, dropped: 0 }
    }

    /// The collector does not take a batch.
    fn say(&mut self, to: &Destination, tally: &Tally, why: &str) {
        if self.due() {
            let dropped = tally.dropped.load(Ordering::Relaxed);
            let collector = to.url.host_str().unwrap_or_default();
            tracing::warn!(collector, dropped, why, "the collector does not take the {}", to.what);
            self.dropped = dropped;
        }
    }

    /// It does, and yet some were dropped.
    fn look(&mut self, to: &Destination, tally: &Tally) {
        let dropped = tally.dropped.load(Ordering::Relaxed);
        if dropped > self.dropped && self.due() {
            let collector = to.url.host_str().unwrap_or_default();
            tracing::warn!(collector, dropped, "{} are dropped: the collector is too slow", to.what);
            self.dropped = dropped;
        }
    }

    fn due(&mut self) -> bool {
        let due = self.said.is_none_or(|at| at.elapsed() >= COMPLAINT_INTERVAL);
        if due {
            self.said = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests;
