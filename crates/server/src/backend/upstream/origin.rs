//! One upstream, spoken to: a head and a body in, an answer out.
//!
//! Each attempt is signed anew and sent over a connection of the pool, or a fresh one. A request is sent again only
//! where that is safe: nothing of it was sent; or its connection was an old one that ended before any answer, the
//! method is repeatable and the body still at hand; or the upstream itself asked for another region, another place or
//! other credentials. Refused with 503 and the reason for the operator: an upstream that cannot be reached, that is
//! silent, that does not take its credentials, or that points to a foreign host.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{Notify, mpsc};
use wigeon_core::credentials::Credentials;
use wigeon_core::s3::error::ErrorDocument;
use wigeon_core::time::Clock;

use super::credentials::{CredentialsError, Renewing};
use super::dial::{Dialer, TrustError};
use super::figures::Figures;
use super::head::Head;
use super::health::Health;
use super::link::{Link, LinkError};
use super::pool::Pool;
use super::relay::Relay;
use super::sent::Sent;
use super::settings::{Address, Environment, Style, Trailers, Upstream};
use super::signing::Signing;
use super::upload::Outgoing;
use crate::refusal::Refusal;

/// What a copy reads.
const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");

/// The longest error answer that is read.
const LONGEST_ERROR: usize = 64 << 10;

/// How often one request is sent at most.
const MOST_ATTEMPTS: usize = 4;

/// Copies and completions may take long before they answer.
const LONG_WORK: Duration = Duration::from_secs(600);

/// An upstream.
pub(super) struct Origin {
    pub(super) name: String,
    address: Address,
    pub(super) region: String,
    style: Style,
    pub(super) trailers: Trailers,
    pub(super) dot_segments: bool,
    /// Whether the server counts as ready only while this can be reached.
    pub(super) required: bool,
    patience: Duration,
    dialer: Dialer,
    /// Where buckets are that turned out to be nowhere else.
    home: Arc<Location>,
    pool: Arc<Pool>,
    pub(super) health: Health,
    pub(super) figures: Figures,
    credentials: Renewing,
    signing: Signing,
    /// Where buckets turned out to be.
    locations: ArcSwap<HashMap<String, Arc<Location>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Location {
    address: Address,
    /// The address's.
    authority: Arc<str>,
    region: String,
}

impl Location {
    fn new(address: Address, region: String) -> Self {
        Self { authority: address.authority().into(), address, region }
    }
}

/// An upstream's answer.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ReceivedBody,
}

#[derive(Debug)]
pub(super) enum ReceivedBody {
    /// Still to come.
    Relay(Box<Relay>),
    /// An error's, read whole.
    Error(Bytes, ErrorDocument),
}

/// Why an upstream cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Its certificate authorities.
    #[error("the upstream `{0}` cannot be used")]
    Trust(String, #[source] TrustError),
    /// Its credentials.
    #[error("the upstream `{0}` cannot be used")]
    Credentials(String, #[source] CredentialsError),
}

/// What one attempt came to.
enum Failed {
    /// Nothing was sent.
    Unsent(String),
    /// The connection ended; whether it was an old one.
    Lost { reason: String, reused: bool },
    /// Not to be tried again.
    Refused(Refusal),
}

impl Origin {
    pub(super) fn new(
        settings: &Upstream,
        environment: &Environment,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, UpstreamError> {
        let name = settings.name.clone();
        let dialer = Dialer::new(settings.ca_file.as_deref(), settings.address.secure)
            .map_err(|error| UpstreamError::Trust(name.clone(), error))?;
        let (source, region) = (settings.credentials.clone(), settings.region.clone());
        let credentials = Renewing::new(source, environment.clone(), region.clone(), Arc::clone(&clock))
            .map_err(|error| UpstreamError::Credentials(name.clone(), error))?;
        let home = Arc::new(Location::new(settings.address.clone(), region.clone()));
        Ok(Self {
            name,
            address: settings.address.clone(),
            region,
            home,
            style: settings.style,
            trailers: settings.trailers,
            dot_segments: settings.dot_segments,
            required: settings.required,
            patience: settings.patience,
            dialer,
            pool: Arc::new(Pool::new()),
            health: Health::default(),
            figures: Figures::default(),
            credentials,
            signing: Signing::default(),
            locations: ArcSwap::default(),
            clock,
        })
    }

    /// Sends a request about a bucket, or about the service, and gives the answer.
    pub(super) async fn send(
        &self,
        bucket: Option<&str>,
        head: &Head,
        mut body: Outgoing<'_, '_>,
    ) -> Result<Received, Refusal> {
        if let Some(bucket) = bucket {
            self.find(bucket, &body).await?;
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let location = self.location(bucket);
            let credentials = self.credentials.current().await.map_err(|reason| self.unavailable(&reason))?;
            let began = Instant::now();
            let sent =
                self.attempt(bucket, head, &mut body, (&location, &credentials), (began, attempt > 1)).await;
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.figures.sent(sent.as_ref().ok().map(|received| received.status), micros);
            let again = attempt < MOST_ATTEMPTS && body.can_be_sent_again();
            let received = match sent {
                Ok(received) => received,
                Err(Failed::Refused(refusal)) => return Err(refusal),
                Err(Failed::Unsent(_)) if again => continue,
                Err(Failed::Lost { reused: true, .. }) if again && is_repeatable(head) => continue,
                Err(Failed::Unsent(reason) | Failed::Lost { reason, .. }) => {
                    return Err(self.unavailable(&reason));
                }
            };
            match self.advice(bucket, &received, &location, &credentials) {
                Advice::Take => return Ok(received),
                Advice::Again(reason) if again => tracing::debug!(upstream = self.name, reason, "once more"),
                Advice::Again(reason) | Advice::Unusable(reason) => return Err(self.unavailable(&reason)),
            }
        }
    }

    /// At AWS a bucket may be in another region than the endpoint: whoever sends a body there has to know before.
    async fn find(&self, bucket: &str, body: &Outgoing<'_, '_>) -> Result<(), Refusal> {
        let needless = !self.address.is_aws() || matches!(body, Outgoing::Whole(..));
        if needless || self.locations.load().contains_key(bucket) {
            return Ok(());
        }
        let head = Head::own(Method::HEAD, String::new(), &[]);
        Box::pin(self.send(Some(bucket), &head, Outgoing::nothing())).await?;
        let found = self.location(Some(bucket));
        self.remember(bucket, found);
        Ok(())
    }

    async fn attempt(
        &self,
        bucket: Option<&str>,
        head: &Head,
        body: &mut Outgoing<'_, '_>,
        (location, credentials): (&Location, &Arc<Credentials>),
        (now, fresh): (Instant, bool),
    ) -> Result<Received, Failed> {
        let (address, in_path) = self.addressed(bucket, &location.address);
        let authority = match &address {
            Cow::Borrowed(_) => Arc::clone(&location.authority),
            Cow::Owned(address) => address.authority().into(),
        };
        let (mut request, pieces, go) = self
            .request(head, body, (&authority, in_path), (&location.region, credentials))
            .map_err(|reason| Failed::Refused(Refusal::internal(reason)))?;
        let waiting = (!fresh).then(|| self.pool.take(&authority, now)).flatten();
        let mut link = match waiting {
            Some(link) => link,
            None => self.connect(&address).await.map_err(Failed::Unsent)?,
        };
        if let Some(go) = go.clone() {
            hyper::ext::on_informational(&mut request, move |answer| {
                if answer.status() == StatusCode::CONTINUE {
                    go.notify_one();
                }
            });
        }
        let answer = match (body, pieces) {
            (Outgoing::Stream(upload), Some(pieces)) => {
                let mut answer = std::pin::pin!(link.send(request, None));
                let mut pump = std::pin::pin!(upload.pump(pieces, go, self.patience));
                tokio::select! {
                    biased;
                    // Before the body has ended there is nothing that could have succeeded.
                    early = &mut answer => match early {
                        Ok(early) if early.status().is_success() => {
                            let reason = "it answered before it had the whole body";
                            return Err(Failed::Refused(self.unavailable(reason)));
                        }
                        early => early,
                    },
                    pumped = &mut pump => {
                        pumped.map_err(Failed::Refused)?;
                        let limited = tokio::time::timeout(self.patience_for(head), answer).await;
                        limited.unwrap_or(Err(LinkError::Late))
                    }
                }
            }
            _ => link.send(request, Some(tokio::time::Instant::now() + self.patience_for(head))).await,
        };
        match answer {
            Ok(answer) => self.received(head, answer, link, authority).await,
            Err(error) => {
                let reason = crate::chain::chain(&error);
                Err(match error {
                    LinkError::Unsent(_) => Failed::Unsent(reason),
                    LinkError::Lost(_) => Failed::Lost { reason, reused: link.is_reused() },
                    LinkError::Late => {
                        let seconds = self.patience_for(head).as_secs();
                        Failed::Lost { reason: format!("no answer within {seconds} seconds"), reused: false }
                    }
                })
            }
        }
    }

    /// The host to connect to, and the bucket where it stands in the path.
    fn addressed<'a>(
        &self,
        bucket: Option<&'a str>,
        address: &'a Address,
    ) -> (Cow<'a, Address>, Option<&'a str>) {
        match (bucket, self.style) {
            // A certificate for `*.host` says nothing of names with further dots.
            (Some(bucket), Style::VirtualHost) if !(address.secure && bucket.contains('.')) => {
                (Cow::Owned(address.with_host(format!("{bucket}.{}", address.host))), None)
            }
            _ => (Cow::Borrowed(address), bucket),
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "the request, where its pieces go in, and what opens the gate"
    )]
    fn request(
        &self,
        head: &Head,
        body: &Outgoing<'_, '_>,
        (authority, in_path): (&str, Option<&str>),
        (region, credentials): (&str, &Arc<Credentials>),
    ) -> Result<(Request<Sent>, Option<mpsc::Sender<Bytes>>, Option<Arc<Notify>>), String> {
        let path = head.path(in_path);
        let mut headers = head.headers.clone();
        let target = (&head.method, authority, path.as_str(), &head.query);
        self.signing
            .sign(credentials, (region, self.clock.now()), target, &mut headers, body.word())
            .map_err(|_| {
                "the session token of the upstream's credentials cannot stand in a header".to_owned()
            })?;
        headers.insert(HOST, HeaderValue::from_str(authority).map_err(|error| error.to_string())?);
        if body.length() > 0 || head.method == Method::PUT || head.method == Method::POST {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.length()));
        }
        let (sent, pieces, go) = match body {
            Outgoing::Whole(bytes, _) => (Sent::Whole(bytes.clone()), None, None),
            Outgoing::Stream(upload) => {
                let (sender, pieces) = mpsc::channel(2);
                let go = head.expects.then(|| Arc::new(Notify::new()));
                if go.is_some() {
                    headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
                }
                (Sent::Piped { pieces, left: upload.length }, Some(sender), go)
            }
        };
        let query = head.query.canonical(None);
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        let mut request = Request::new(sent);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = Uri::try_from(target).map_err(|error| error.to_string())?;
        *request.headers_mut() = headers;
        Ok((request, pieces, go))
    }

    async fn connect(&self, address: &Address) -> Result<Link, String> {
        self.health.admit()?;
        let dialed = async {
            let stream = self.dialer.dial(address).await.map_err(|error| crate::chain::chain(&error))?;
            Link::new(stream, self.patience).await.map_err(|error| crate::chain::chain(&error))
        };
        match dialed.await {
            Ok(link) => {
                self.health.connected();
                self.figures.connected(true);
                Ok(link)
            }
            Err(reason) => {
                self.health.failed(&reason);
                self.figures.connected(false);
                Err(reason)
            }
        }
    }

    /// Errors are read whole; everything else streams.
    async fn received(
        &self,
        head: &Head,
        answer: Response<Incoming>,
        link: Link,
        authority: Arc<str>,
    ) -> Result<Received, Failed> {
        let (parts, body) = answer.into_parts();
        let (status, headers) = (parts.status, parts.headers);
        let mut relay = Relay::new(body, link, Arc::clone(&self.pool), authority, self.patience);
        let is_error =
            status.as_u16() >= 300 && status != StatusCode::NOT_MODIFIED && head.method != Method::HEAD;
        if !is_error {
            relay.settle();
            return Ok(Received { status, headers, body: ReceivedBody::Relay(Box::new(relay)) });
        }
        let lost = |reason: String| Failed::Lost { reason, reused: false };
        let limited = http_body_util::Limited::new(relay, LONGEST_ERROR).collect();
        let bytes =
            limited.await.map_err(|error| lost(format!("an error answer broke off: {error}")))?.to_bytes();
        let document = std::str::from_utf8(&bytes).ok().and_then(ErrorDocument::from_xml).unwrap_or_default();
        Ok(Received { status, headers, body: ReceivedBody::Error(bytes, document) })
    }

    /// The region that a new bucket has to name: everywhere at AWS but in its first region.
    pub(super) fn needs_constraint(&self) -> Option<&str> {
        (self.address.is_aws() && self.region != "us-east-1").then_some(self.region.as_str())
    }

    /// Tries whether a connection comes about, unless one is known to.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn reach(&self, limit: Duration) -> Result<(), String> {
        if self.health.is_known_good() {
            return Ok(());
        }
        let late = || format!("no connection within {} seconds", limit.as_secs());
        // Whoever sends a request has connections of its own.
        tokio::time::timeout(limit, self.connect(&self.address)).await.map_err(|_| late())?.map(drop)
    }

    fn patience_for(&self, head: &Head) -> Duration {
        let long = head.method == Method::POST || head.headers.contains_key(&COPY_SOURCE);
        if long { self.patience.max(LONG_WORK) } else { self.patience }
    }

    fn location(&self, bucket: Option<&str>) -> Arc<Location> {
        let known = self.locations.load();
        let learned = bucket.and_then(|bucket| known.get(bucket));
        Arc::clone(learned.unwrap_or(&self.home))
    }

    fn remember(&self, bucket: &str, location: Arc<Location>) {
        self.locations.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(bucket.to_owned(), Arc::clone(&location));
            known
        });
    }

    /// What an answer asks for.
    fn advice(
        &self,
        bucket: Option<&str>,
        received: &Received,
        used: &Location,
        credentials: &Arc<Credentials>,
    ) -> Advice {
        let document = match &received.body {
            ReceivedBody::Error(_, document) => Some(document),
            ReceivedBody::Relay(_) => None,
        };
        let code = document.map(|document| document.code.as_str()).unwrap_or_default();
        let redirected = matches!(received.status.as_u16(), 301 | 302 | 307 | 308);
        if redirected || code == "AuthorizationHeaderMalformed" || received.status == StatusCode::BAD_REQUEST
        {
            let region = text(&received.headers, "x-amz-bucket-region")
                .or(document.and_then(|document| document.region.as_deref()));
            let place = text(&received.headers, LOCATION.as_str())
                .or(document.and_then(|document| document.endpoint.as_deref()))
                .filter(|_| redirected);
            let next = self.elsewhere(bucket, used, region, place);
            match (bucket, next) {
                (Some(bucket), Some(next)) if next != *used => {
                    self.remember(bucket, Arc::new(next));
                    return Advice::Again(format!("the bucket `{bucket}` is elsewhere"));
                }
                _ if redirected => {
                    let place = place.or(region).unwrap_or("nowhere");
                    return Advice::Unusable(format!("it redirects to `{place}`, which is not followed"));
                }
                _ => {}
            }
        }
        match code {
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "InvalidClientTokenId" => {
                let reason = format!("it refuses its credentials: {code}");
                if self.credentials.refused(credentials) {
                    Advice::Again(reason)
                } else {
                    Advice::Unusable(reason)
                }
            }
            "RequestTimeTooSkewed"
            | "AuthorizationHeaderMalformed"
            | "InvalidSecurity"
            | "MissingSecurityHeader"
            | "XAmzContentSHA256Mismatch" => {
                Advice::Unusable(format!("it refuses the gateway's signature: {code}"))
            }
            _ => Advice::Take,
        }
    }

    /// Where else to go, if that is a place of the same upstream.
    fn elsewhere(
        &self,
        bucket: Option<&str>,
        used: &Location,
        region: Option<&str>,
        place: Option<&str>,
    ) -> Option<Location> {
        let is_region = |text: &&str| {
            !text.is_empty()
                && text.len() < 64
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let region = region.filter(is_region);
        if let (true, Some(region)) = (self.address.is_aws(), region) {
            let domain =
                if self.address.host.ends_with(".cn") { "amazonaws.com.cn" } else { "amazonaws.com" };
            let address = self.address.with_host(format!("s3.{region}.{domain}"));
            return Some(Location::new(address, region.to_owned()));
        }
        let (mut address, mut next_region) = (used.address.clone(), used.region.clone());
        if let Some(place) = place {
            let text = if place.contains("://") {
                place.to_owned()
            } else {
                format!("{}://{place}", scheme(&self.address))
            };
            let url = url::Url::parse(&text).ok()?;
            let host = url.host_str()?;
            let named = bucket.map(|bucket| format!("{bucket}."));
            let host = named.as_deref().and_then(|named| host.strip_prefix(named)).unwrap_or(host);
            let ours = host == self.address.host || host.ends_with(&format!(".{}", self.address.host));
            let same = ours && url.scheme() == scheme(&self.address);
            let port = url.port_or_known_default()?;
            address = same.then(|| Address { port, ..self.address.with_host(host.to_owned()) })?;
        }
        if let Some(region) = region {
            region.clone_into(&mut next_region);
        }
        Some(Location::new(address, next_region))
    }

    /// 503, with the reason for the operator.
    pub(super) fn unavailable(&self, reason: &str) -> Refusal {
        let message = "Service is unable to handle request.";
        let refusal = Refusal::new("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE, message);
        Refusal { reason: Some(format!("the upstream `{}`: {reason}", self.name)), ..refusal }
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What to do with an answer.
enum Advice {
    Take,
    Again(String),
    Unusable(String),
}

impl Received {
    /// The whole body, of at most `limit` bytes.
    pub(super) async fn collect(self, limit: usize) -> Result<Bytes, String> {
        match self.body {
            ReceivedBody::Error(bytes, _) => Ok(bytes),
            ReceivedBody::Relay(relay) => {
                let limited = http_body_util::Limited::new(*relay, limit).collect();
                limited
                    .await
                    .map(http_body_util::Collected::to_bytes)
                    .map_err(|error| format!("its answer broke off: {error}"))
            }
        }
    }
}

/// Whether a request that may have arrived can be sent again: reading and deleting can; writing what is at hand can
/// where no condition would find it written already.
fn is_repeatable(head: &Head) -> bool {
    let conditional = ["if-match", "if-none-match"].iter().any(|name| head.headers.contains_key(*name));
    match head.method.as_str() {
        "GET" | "HEAD" | "DELETE" => true,
        "PUT" => !conditional,
        _ => false,
    }
}

fn scheme(address: &Address) -> &'static str {
    if address.secure { "https" } else { "http" }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
