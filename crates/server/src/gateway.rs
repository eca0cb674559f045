//! The way of every request, on one screen: STS beside S3, on one address.
//!
//! ```text
//! S3:   read ─► authenticate ─► classify ─► authorize ─► backend
//! STS:  read ─► parameters ─► (authenticate) ─► sts
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, SERVER, USER_AGENT};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use wigeon_core::s3::error::ErrorDocument;
use wigeon_core::s3::uri::Target;
use wigeon_core::sigv4::canonical::{hex, sha256_hex};
use wigeon_core::sts::{Parameters, StsError};
use wigeon_core::time::Clock;

use crate::audit::{Audit, Record, Who, time_of};
use crate::authenticate::{Authenticated, Authenticator};
use crate::authorize::authorize;
use crate::backend::protocol::LocalBackend;
use crate::backend::protocol::xml::answer;
use crate::body::{RequestBody, ResponseBody, empty, full};
use crate::classify::classify;
use crate::directory::Directory;
use crate::refusal::Refusal;
use crate::request::{Arrival, Request};
use crate::sts::{Outcome, StsCall, StsResponse, StsService};

/// The longest STS request, in bytes: a token of 20,000 characters, policies and tags fit well.
const LONGEST_STS_BODY: usize = 256 << 10;

/// How much of a refused request's body is still read, so that its sender sees the answer.
const DRAINED: usize = 1 << 20;

/// Everything that requests go through.
pub struct Gateway {
    /// Tells when requests arrive.
    pub clock: Arc<dyn Clock>,
    /// Checks signatures.
    pub authenticator: Authenticator,
    /// Providers, roles, policies.
    pub directory: Arc<Directory>,
    /// Exchanges tokens.
    pub sts: StsService,
    /// Where objects are.
    pub backend: LocalBackend,
    /// Where records go.
    pub audit: Audit,
    /// Names under which buckets are hosts.
    pub domains: Vec<String>,
}

/// What an audit record will say, as far as it is known.
struct Trace {
    service: &'static str,
    who: Option<Who>,
    operation: String,
    resource: String,
    code: Option<String>,
    reason: Option<String>,
}

impl Gateway {
    /// Answers one request; `secure` says whether it came over TLS.
    pub async fn handle(
        &self,
        request: http::Request<Incoming>,
        peer: IpAddr,
        secure: bool,
    ) -> Response<ResponseBody> {
        let started = Instant::now();
        let (parts, mut incoming) = request.into_parts();
        if parts.method == Method::GET && parts.uri.path() == "/healthz" && parts.uri.query().is_none() {
            return Response::new(full("ok\n"));
        }
        let arrival = Arrival { id: request_id(), at: self.clock.now(), source_ip: peer, secure };
        let (id, at) = (arrival.id.clone(), arrival.at);
        let mut trace = Trace {
            service: if is_sts(&parts, &self.domains) { "sts" } else { "s3" },
            who: None,
            operation: parts.method.to_string(),
            resource: parts.uri.path().to_owned(),
            code: None,
            reason: None,
        };
        let mut response = match trace.service {
            "sts" => self.sts(&parts, incoming, arrival, &mut trace).await,
            _ => match self.s3(&parts, &mut incoming, arrival, &mut trace).await {
                Ok(response) => response,
                Err(refusal) => {
                    drain(&parts, incoming).await;
                    let denial = refusal.denial.as_deref().filter(|_| parts.method != Method::HEAD);
                    let encoded = denial.and_then(|document| self.sts.encode(document));
                    refused(&parts, refusal, encoded, &id, &mut trace)
                }
            },
        };
        let headers = response.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("Wigeon"));
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert("x-amz-request-id", id);
        }
        self.audit.write(&Record {
            time: time_of(at),
            request_id: id,
            service: trace.service,
            source_ip: peer.to_string(),
            who: trace.who,
            operation: trace.operation,
            resource: trace.resource,
            status: response.status().as_u16(),
            code: trace.code,
            reason: trace.reason,
            micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
        response
    }

    async fn s3(
        &self,
        parts: &Parts,
        incoming: &mut Incoming,
        arrival: Arrival,
        trace: &mut Trace,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let request = Request::read(parts, arrival)?;
        let bucket_of_host = self.bucket_of_host(&request);
        let authenticated =
            self.authenticator.authenticate(&request, "s3", bucket_of_host.as_deref(), None)?;
        trace.who = Some(Who::of(authenticated.caller()));
        let classified = classify(&request, &self.domains)?;
        trace.operation = classified.operation.name().to_owned();
        trace.resource = classified.target.arn();
        let snapshot = self.directory.snapshot();
        let permit = authorize(request, authenticated, classified, &snapshot, self.authenticator.region())
            .map_err(|refused| refused.0)?;
        let verified = permit.authenticated().verified();
        let mut body = RequestBody::new(incoming, verified, permit.request().headers())?;
        self.backend.serve(&permit, &mut body).await
    }

    /// The bucket that the host names, if it names one.
    fn bucket_of_host(&self, request: &Request) -> Option<String> {
        let target = Target::parse(&request.host, "/", &self.domains).ok()?;
        target.bucket().map(|bucket| bucket.as_str().to_owned())
    }

    async fn sts(
        &self,
        parts: &Parts,
        incoming: Incoming,
        arrival: Arrival,
        trace: &mut Trace,
    ) -> Response<ResponseBody> {
        let id = arrival.id.clone();
        let answered = match self.sts_answer(parts, incoming, arrival, trace).await {
            Ok(answered) => answered,
            Err(error) => StsService::refuse(&error, &id),
        };
        match answered.outcome {
            Outcome::Exchanged(session) => trace.who = Some(Who::of_session(&session)),
            Outcome::Answered => {}
            Outcome::Refused { code, reason } => {
                trace.code = Some(code.to_string());
                trace.reason = Some(reason);
            }
        }
        let mut response = Response::new(full(answered.xml.0));
        *response.status_mut() = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::BAD_REQUEST);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
        // The answer to a GET may hold credentials as well.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    async fn sts_answer(
        &self,
        parts: &Parts,
        incoming: Incoming,
        arrival: Arrival,
        trace: &mut Trace,
    ) -> Result<StsResponse, StsError> {
        let body = sts_body(incoming).await?;
        let text =
            std::str::from_utf8(&body).map_err(|_| malformed("The body of the request is not UTF-8"))?;
        let parameters = Parameters::parse(parts.uri.query().unwrap_or_default(), text)?;
        let action = parameters.action().unwrap_or_default();
        trace.operation = action.chars().take(64).collect();
        trace.resource = parameters.value("RoleArn").unwrap_or_default().chars().take(256).collect();
        let (source_ip, secure_transport) = (Some(arrival.source_ip), arrival.secure);
        let request_id = arrival.id.clone();
        let caller = match StsService::needs_signature(action) {
            true => Some(self.sts_caller(parts, arrival, &body)?),
            false => None,
        };
        trace.who = caller.as_ref().map(|authenticated| Who::of(authenticated.caller()));
        let call = StsCall {
            parameters: &parameters,
            caller: caller.as_ref().map(Authenticated::caller),
            access_key_id: caller.as_ref().map(Authenticated::access_key_id),
            source_ip,
            user_agent: parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()),
            secure_transport,
            request_id: &request_id,
        };
        Ok(self.sts.handle(call).await)
    }

    fn sts_caller(&self, parts: &Parts, arrival: Arrival, body: &[u8]) -> Result<Authenticated, StsError> {
        let request = Request::read(parts, arrival).map_err(|refusal| malformed(&refusal.message))?;
        Ok(self.authenticator.authenticate(&request, "sts", None, Some(&sha256_hex(body)))?)
    }
}

/// STS shares its address with S3: its requests are forms posted to `/`, or carry an `Action`. On the host of a bucket
/// `/` is the bucket.
fn is_sts(parts: &Parts, domains: &[String]) -> bool {
    let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = header.or(parts.uri.authority().map(Authority::as_str)).unwrap_or_default();
    if Target::parse(host, "/", domains) != Ok(Target::Service) {
        return false;
    }
    let form = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    let action = parts.uri.query().unwrap_or_default().split('&').any(|pair| pair.starts_with("Action="));
    parts.uri.path() == "/" && (action || (form && parts.method == Method::POST))
}

async fn sts_body(incoming: Incoming) -> Result<Bytes, StsError> {
    let limited = Limited::new(incoming, LONGEST_STS_BODY).collect();
    match tokio::time::timeout(Duration::from_secs(30), limited).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(malformed("The body of the request is too long, or ended early")),
        Err(_) => Err(malformed("The body of the request did not arrive in time")),
    }
}

fn malformed(message: &str) -> StsError {
    StsError::new(wigeon_core::sts::FaultCode::ValidationError, message)
}

/// S3's answer to a refused request; without a body where the method has none.
fn refused(
    parts: &Parts,
    refusal: Refusal,
    encoded_message: Option<String>,
    id: &str,
    trace: &mut Trace,
) -> Response<ResponseBody> {
    if refusal.status.is_server_error() {
        tracing::error!(id, code = refusal.code, reason = refusal.reason, "a request failed");
    }
    trace.code = Some(refusal.code.to_owned());
    trace.reason = refusal.reason.clone().or_else(|| Some(refusal.message.clone()));
    let document = ErrorDocument { encoded_message, ..refusal.document(parts.uri.path(), id) };
    let mut response = answer(refusal.status, document.to_xml());
    if parts.method == Method::HEAD {
        *response.body_mut() = empty();
    }
    response
}

/// Reads what is left of a short body, so that a sender that writes before it reads sees the answer. One that
/// waits for `100 Continue` is not asked for its body at all.
async fn drain(parts: &Parts, incoming: Incoming) {
    if parts.headers.contains_key("expect") {
        return;
    }
    let mut rest = Limited::new(incoming, DRAINED);
    // The answer stands either way; what could not be read ends with the connection. Nothing of it is kept: this
    // is where the bodies of strangers come.
    let read = async { while let Some(Ok(_)) = rest.frame().await {} };
    let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
}

fn request_id() -> String {
    let mut bytes = [0; 8];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => hex(&bytes).to_ascii_uppercase(),
        Err(_) => "0000000000000000".to_owned(),
    }
}
