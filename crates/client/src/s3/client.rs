//! Sends calls: signs each attempt, and remedies what can be remedied.
//!
//! Remedies, each bounded: a store that is busy or a connection that failed is tried again after a growing
//! wait; an expired session is replaced once; a bucket in another region is signed for there, once, and
//! remembered. Everything that is sent is in memory or idempotent, so the same bytes go out again.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use wigeon_core::credentials::Credentials;
use wigeon_core::s3::error::ErrorDocument;
use wigeon_core::sigv4::canonical::sha256_hex;
use wigeon_core::sigv4::sign::{Signer, UNSIGNED_PAYLOAD};
use wigeon_core::time::{Clock, Timestamp};

use super::call::Call;
use super::credential_source::CredentialSource;
use super::encryption::ObjectEncryption;
use super::endpoint::Endpoint;
use super::error::{ErrorKind, Refusal, S3Error};
use super::memory::Memory;
use super::pace::Pace;
use super::retry::RetryPolicy;
use crate::connect::{Connector, ExactResponse as Response, RateLimit};

/// A store, as one signed-in person sees it. Cheap to clone; clones share connections and what was learnt.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    encryption: Option<Arc<ObjectEncryption>>,
}

struct Inner {
    connector: Connector,
    endpoint: Endpoint,
    source: Arc<dyn CredentialSource>,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    /// Buckets that are in another region than the endpoint's.
    regions: Mutex<HashMap<String, String>>,
    /// The store refuses or ignores checksum headers.
    plain_uploads: AtomicBool,
    /// The store has answered with a checksum.
    keeps_checksums: AtomicBool,
    pace: Pace,
    limit: Option<Arc<RateLimit>>,
    memory: Option<Memory>,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The longest document that is read: a page of a thousand keys takes under 4 MiB.
const DOCUMENT_LIMIT: usize = 32 << 20;
/// The longest error document that is read.
const ERROR_LIMIT: usize = 256 << 10;

impl Client {
    /// A client of one endpoint.
    #[must_use]
    pub fn new(
        connector: Connector,
        endpoint: Endpoint,
        source: Arc<dyn CredentialSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::with_retries(connector, endpoint, source, clock, RetryPolicy::default())
    }

    /// The same with other bounds of trying again.
    #[must_use]
    pub fn with_retries(
        connector: Connector,
        endpoint: Endpoint,
        source: Arc<dyn CredentialSource>,
        clock: Arc<dyn Clock>,
        retry: RetryPolicy,
    ) -> Self {
        let inner = Inner {
            connector,
            endpoint,
            source,
            clock,
            retry,
            regions: Mutex::default(),
            plain_uploads: AtomicBool::new(false),
            keeps_checksums: AtomicBool::new(false),
            pace: Pace::default(),
            limit: None,
            memory: None,
        };
        Self { inner: Arc::new(inner), encryption: None }
    }

    /// The same store, whose objects are written and read with this encryption.
    ///
    /// # Errors
    /// Where a key of the customer's would travel to another machine in the clear.
    pub fn with_encryption(&self, encryption: ObjectEncryption) -> Result<Self, S3Error> {
        let endpoint = self.endpoint();
        if encryption.has_customer_key() && !endpoint.is_https() && !endpoint.is_loopback() {
            return Err(S3Error::InTheClear { origin: endpoint.origin() });
        }
        Ok(Self { inner: Arc::clone(&self.inner), encryption: Some(Arc::new(encryption)) })
    }

    /// The same, within a limit of bytes per second. Before it is cloned: clones share one limit or none.
    #[must_use]
    pub fn limited(mut self, limit: Option<Arc<RateLimit>>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.limit = limit;
        }
        self
    }

    /// The same, which knows what earlier commands have learnt of the store, and writes what it learns to that file.
    /// Before it is cloned.
    #[must_use]
    pub fn remembering(mut self, file: PathBuf) -> Self {
        let (now, origin) = (self.now(), self.endpoint().origin());
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            let memory = Memory::in_file(file);
            inner.plain_uploads = AtomicBool::new(memory.takes_no_checksums(&origin, now));
            inner.memory = Some(memory);
        }
        self
    }

    /// Whether the other is a clone of this one: the same store, as the same person.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Whether it has an encryption of its own.
    pub(crate) fn has_encryption(&self) -> bool {
        self.encryption.is_some()
    }

    /// Where it sends.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    #[cfg(test)]
    pub(crate) fn allowed_at_once(&self) -> u32 {
        self.inner.pace.allowed()
    }

    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        self.inner.retry
    }

    pub(crate) async fn credentials(&self) -> Result<Arc<Credentials>, S3Error> {
        Ok(self.inner.source.credentials().await?)
    }

    /// Whether the store has shown that checksum headers are of no use to it.
    pub(crate) fn uploads_plainly(&self) -> bool {
        self.inner.plain_uploads.load(Ordering::Relaxed)
    }

    pub(crate) fn remember_checksums(&self) {
        self.inner.keeps_checksums.store(true, Ordering::Relaxed);
    }

    /// Whether a checksum alone vouches for a body: nobody can change it on its way, over https and inside this machine.
    /// Here the store must have shown that it keeps checksums, so that the weaker proof is never the only one.
    pub(crate) fn leaves_payloads_unsigned(&self) -> bool {
        let endpoint = self.endpoint();
        endpoint.is_https() || (endpoint.is_loopback() && self.inner.keeps_checksums.load(Ordering::Relaxed))
    }

    pub(crate) fn remember_plain_uploads(&self) {
        if !self.inner.plain_uploads.swap(true, Ordering::Relaxed) {
            tracing::info!(endpoint = %self.endpoint().origin(), "the store takes no checksum headers");
            if let Some(memory) = &self.inner.memory {
                memory.note_no_checksums(&self.endpoint().origin(), self.now());
            }
        }
    }

    /// The answer's head, with the body still to come.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, S3Error> {
        self.with_remedies(call, |response| async { Ok(response) }).await
    }

    /// The whole answer. A body that breaks off is asked for again, which is right for what only reads or is
    /// idempotent. Some operations tell of their failure in an answer with status 200.
    pub(crate) async fn send_whole(&self, call: &Call) -> Result<Answer, S3Error> {
        self.with_remedies(call, |mut response| async move {
            let status = response.status();
            let headers = std::mem::take(response.headers_mut());
            let body = self.read(&mut response, DOCUMENT_LIMIT, call).await?;
            match late_refusal(&body) {
                Some(document) if status == StatusCode::OK => Err(S3Error::Refused(Box::new(Refusal::new(
                    call.operation,
                    call.subject(),
                    StatusCode::INTERNAL_SERVER_ERROR,
                    Some(document),
                )))),
                _ if !self.has_encrypted(call, &headers) => {
                    Err(S3Error::NotEncrypted { operation: call.operation, subject: call.subject() })
                }
                _ => Ok(Answer { headers, body }),
            }
        })
        .await
    }

    /// Whether what was asked for in encryption has been done, where it was.
    fn has_encrypted(&self, call: &Call, answer: &HeaderMap) -> bool {
        self.encryption.as_ref().is_none_or(|wished| wished.is_seen_in(call.operation, answer))
    }

    async fn with_remedies<T, F: Future<Output = Result<T, S3Error>>>(
        &self,
        call: &Call,
        finish: impl Fn(Response) -> F,
    ) -> Result<T, S3Error> {
        let mut credentials = self.credentials().await?;
        let mut region = self.known_region(call);
        let (mut renewed, mut moved) = (false, false);
        let mut attempt = 1;
        loop {
            let permit = self.inner.pace.permit().await;
            let attempted = self.attempt(call, &credentials, region.as_deref()).await;
            match &attempted {
                Err(error) if error.is_too_much() => self.inner.pace.too_much(permit),
                _ => self.inner.pace.answered(permit),
            }
            let outcome = match attempted {
                Ok(response) => finish(response).await,
                Err(error) => Err(error),
            };
            let error = match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => self.expired_if_over(error, &credentials),
            };
            match &error {
                error if error.kind() == ErrorKind::Expired && !renewed => {
                    tracing::debug!(
                        operation = call.operation,
                        "the session has expired: asking for another"
                    );
                    credentials = self.inner.source.instead_of(&credentials).await?;
                    renewed = true;
                    continue;
                }
                S3Error::Refused(refusal) if refusal.kind == ErrorKind::Elsewhere && !moved => {
                    let Some(elsewhere) =
                        refusal.region.clone().filter(|other| Some(other) != region.as_ref())
                    else {
                        return Err(error);
                    };
                    self.remember_region(call, &elsewhere);
                    region = Some(elsewhere);
                    moved = true;
                    continue;
                }
                error if !error.is_transient() => {}
                error => {
                    let asked = match error {
                        S3Error::Refused(refusal) => refusal.retry_after,
                        _ => None,
                    };
                    if let Some(wait) = self.inner.retry.wait_after(attempt, asked) {
                        tracing::debug!(operation = call.operation, attempt, %error, ?wait, "trying again");
                        tokio::time::sleep(wait).await;
                        attempt += 1;
                        // They may have been renewed in the meantime.
                        credentials = self.credentials().await?;
                        continue;
                    }
                }
            }
            return Err(error);
        }
    }

    async fn attempt(
        &self,
        call: &Call,
        credentials: &Credentials,
        region: Option<&str>,
    ) -> Result<Response, S3Error> {
        let endpoint = &self.inner.endpoint;
        let place = endpoint.locate(&call.target, region);
        let mut headers = call.headers.clone();
        if let Some(encryption) = &self.encryption {
            encryption.on(call.operation, &mut headers)?;
        }
        let hash = if call.has_checksum && self.leaves_payloads_unsigned() {
            UNSIGNED_PAYLOAD.to_owned()
        } else {
            sha256_hex(&call.body)
        };
        let signer = Signer {
            credentials,
            region: region.unwrap_or_else(|| endpoint.region()),
            service: "s3",
            at: self.now(),
        };
        signer
            .sign(&call.method, &place.host, &place.path, &call.query, &mut headers, &hash)
            .map_err(|_| S3Error::Header("the session token"))?;
        if call.body.is_empty() && matches!(call.method, Method::PUT | Method::POST) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let path_and_query = place.path_and_query(&call.query);
        let address = (place.scheme(), place.host.as_str(), path_and_query.as_str());
        let sent = {
            let limit = self.inner.limit.clone();
            self.inner
                .connector
                .exact()
                .send(call.method.clone(), address, headers, call.body.clone(), limit)
                .await
        };
        let mut response = sent.map_err(|source| S3Error::Unreachable {
            operation: call.operation,
            host: place.host.clone(),
            source,
        })?;
        tracing::debug!(
            operation = call.operation, subject = %call.subject(), status = response.status().as_u16(), "answered"
        );
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(&mut response, call).await)
    }

    async fn refusal(&self, response: &mut Response, call: &Call) -> S3Error {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        // An error document that breaks off is as good as none: the status says enough.
        let body = self.read(response, ERROR_LIMIT, call).await.unwrap_or_default();
        S3Error::Refused(Box::new(refusal(status, &headers, &body, call)))
    }

    async fn read(&self, response: &mut Response, limit: usize, call: &Call) -> Result<Bytes, S3Error> {
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
                Ok(Some(_)) => {
                    let what = format!("it is longer than {limit} bytes");
                    return Err(self.not_understood(call.operation, what));
                }
                Ok(None) => return Ok(body.freeze()),
                Err(source) => return Err(S3Error::BrokenOff { host: self.endpoint().origin(), source }),
            }
        }
    }

    /// Ceph RGW answers an expired session with AccessDenied: when our clock says that it is over, it is.
    fn expired_if_over(&self, mut error: S3Error, credentials: &Credentials) -> S3Error {
        if let S3Error::Refused(refusal) = &mut error {
            let unclear = matches!(refusal.kind, ErrorKind::Denied | ErrorKind::BadCredentials);
            if unclear && credentials.expires_at.is_some_and(|end| end <= self.now()) {
                refusal.kind = ErrorKind::Expired;
            }
        }
        error
    }

    fn known_region(&self, call: &Call) -> Option<String> {
        let regions = self.inner.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions.get(call.target.bucket()?.as_str()).cloned()
    }

    fn remember_region(&self, call: &Call, region: &str) {
        if let Some(bucket) = call.target.bucket() {
            let mut regions = self.inner.regions.lock().unwrap_or_else(PoisonError::into_inner);
            regions.insert(bucket.to_string(), region.to_owned());
        }
    }

    /// The region that is known for a bucket, or the endpoint's.
    pub(crate) fn region_of(&self, call: &Call) -> Option<String> {
        self.known_region(call)
    }

    /// An answer that cannot be read.
    pub(crate) fn not_understood(&self, operation: &'static str, what: impl fmt::Display) -> S3Error {
        S3Error::NotUnderstood { operation, host: self.endpoint().origin(), what: what.to_string() }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.inner.endpoint).finish_non_exhaustive()
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], call: &Call) -> Refusal {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let document = std::str::from_utf8(body).ok().and_then(ErrorDocument::from_xml);
    let mut refusal = Refusal::new(call.operation, call.subject(), status, document);
    refusal.region = text("x-amz-bucket-region").or(refusal.region);
    refusal.request_id = refusal.request_id.or_else(|| text("x-amz-request-id"));
    refusal.retry_after = text("retry-after").and_then(|seconds| seconds.parse().ok());
    // A HEAD has no document: 400 with the region of the bucket means that the signature was for another.
    if status == StatusCode::BAD_REQUEST && refusal.region.is_some() && body.is_empty() {
        refusal.kind = ErrorKind::Elsewhere;
    }
    refusal
}

/// `<Error>` under status 200 (CopyObject, UploadPartCopy, CompleteMultipartUpload).
fn late_refusal(body: &[u8]) -> Option<ErrorDocument> {
    let text = std::str::from_utf8(body).ok()?;
    let start = text.get(..text.len().min(256)).unwrap_or(text);
    if !start.contains("<Error") { None } else { ErrorDocument::from_xml(text) }
}
