//! The way of every request, on one screen: STS and IAM beside S3, on one address.
//!
//! ```text
//! S3:   read ─► authenticate ─► classify ─► authorize ─► backend
//! form: read ─► fields ─► authenticate ─► classify ─► authorize ─► backend ─► the answer for the page
//! STS:  read ─► parameters ─► (authenticate) ─► sts
//! IAM:  read ─► parameters ─► authenticate ─► iam ─► directory
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, SERVER, USER_AGENT};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, Response, StatusCode, Version};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use wigeon_core::s3::BucketName;
use wigeon_core::s3::operation::Operation;
use wigeon_core::s3::uri::{Target, UriError};
use wigeon_core::sigv4::canonical::sha256_hex;
use wigeon_core::sts::{FaultCode, Parameters, StsError};
use wigeon_core::time::Clock;

use crate::answers::{drain, is_unasked, refused, turned_away, xml_answer};
use crate::arriving::Arriving;
use crate::audit::Who;
use crate::authenticate::{Authenticated, Authenticator};
use crate::authorize::{Permit, authorize};
use crate::backend::stores::Stores;
use crate::body::{RequestBody, ResponseBody, empty, full};
use crate::classify::{classify, classify_form};
use crate::cors::{self, CorsRules};
use crate::directory::Directory;
use crate::form::{self, FormUpload, is_form};
use crate::iam::{Circumstances, IamCall, IamResponse, IamService};
use crate::limits::{Limits, Purse, Throttled};
use crate::proxies::Proxies;
use crate::readiness::Readiness;
use crate::recording::{Observers, Recorded, Recording};
use crate::refusal::Refusal;
use crate::request::{Arrival, Entrance, Request};
use crate::request_id::RequestId;
use crate::service::Service;
use crate::session::Caller;
use crate::sts::{Outcome, StsCall, StsResponse, StsService};
use crate::trace::Step;
use crate::trace::parent::TRACEPARENT;

const AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// The longest STS or IAM request, in bytes: a token of 20,000 characters, policies and tags fit well.
const LONGEST_QUERY_BODY: usize = 256 << 10;

/// Everything that requests go through.
pub struct Gateway {
    /// Tells when requests arrive.
    pub clock: Arc<dyn Clock>,
    /// Checks signatures.
    pub authenticator: Authenticator,
    /// Providers, roles, policies.
    pub directory: Arc<Directory>,
    /// Administers the directory.
    pub iam: IamService,
    /// Exchanges tokens.
    pub sts: StsService,
    /// Where objects are.
    pub backend: Stores,
    /// What one client may use.
    pub limits: Limits,
    /// Who is believed about whose requests it brings, as it is configured by now.
    pub proxies: ArcSwap<Proxies>,
    /// Whether the server should be sent requests.
    pub readiness: Readiness,
    /// Who wants to know of requests.
    pub observers: Arc<Observers>,
    /// Names under which buckets are hosts, as they are configured by now.
    pub domains: ArcSwap<Vec<String>>,
}

impl Gateway {
    /// Answers one request.
    pub async fn handle(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        through: Entrance,
    ) -> Response<Recorded> {
        let (parts, incoming) = request.into_parts();
        let parts = Arc::new(parts);
        if let Some(answer) = self.about_itself(&parts).await {
            return answer.map(Recorded::unrecorded);
        }
        let client = self.proxies.load().client(through.peer, &parts.headers);
        // The same for all of the request.
        let domains = self.domains.load_full();
        let source_ip = client.unwrap_or(through.peer);
        let arrival = Arrival { id: RequestId::next(), at: self.clock.now(), source_ip, tls: through.tls };
        let id = arrival.id;
        let named = Target::parse(host_of(&parts), parts.uri.path(), &domains);
        let service = Service::of(&parts, &named);
        // The rules for pages of the bucket that is named, whoever sent the request.
        let rules = named.as_ref().ok().and_then(|named| self.backend.cors(named.bucket()?));
        let mut recording = Recording::begin(&parts, &arrival, service, Arc::clone(&self.observers));
        let mut incoming = recording.arriving(incoming);
        let mut response = match service {
            _ if !through.serves.contains(service) => {
                let message = format!("{} is not served at this address.", service.name().to_uppercase());
                turned_away(&parts, service, FaultCode::InvalidAction, message, id, &mut recording)
            }
            _ if let Err(unreadable) = client => {
                let message = unreadable.to_string();
                turned_away(&parts, service, FaultCode::ValidationError, message, id, &mut recording)
            }
            // Each way on the heap: a request would else be as large as the largest, and be moved so.
            Service::Sts => Box::pin(self.sts(&parts, incoming, arrival, &mut recording)).await,
            Service::Iam => Box::pin(self.iam(&parts, incoming, arrival, &mut recording)).await,
            Service::S3 => {
                let address = (domains.as_slice(), named, rules.as_deref());
                let answered = Box::pin(self.s3(&parts, address, &mut incoming, arrival, &mut recording));
                let answered = answered.await;
                let unasked = is_unasked(&parts, &incoming);
                let mut response = match answered {
                    Ok(response) => response,
                    Err(refusal) => {
                        Box::pin(drain(&parts, incoming, recording.is_of_somebody())).await;
                        let denial = refusal.denial.as_deref().filter(|_| parts.method != Method::HEAD);
                        let encoded = denial.and_then(|document| self.sts.encode(document));
                        refused(&parts, refusal, encoded, id, &mut recording)
                    }
                };
                if unasked && !response.status().is_success() && parts.version == Version::HTTP_11 {
                    // The body never comes, and what would be sent in its place is no request.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        };
        if let Some(rules) = &rules {
            cors::mark(rules, &parts, response.headers_mut());
        }
        if let Some(remark) = response.extensions_mut().remove() {
            recording.remark(remark);
        }
        let headers = response.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("Wigeon"));
        if let Ok(id) = HeaderValue::from_str(id.as_str()) {
            headers.insert(AMZ_REQUEST_ID, id);
        }
        recording.answer(&parts.method, response)
    }

    /// Whether the server lives, and whether it should be sent requests. Why not is for those who watch it
    /// (`monitor.rs`), not for strangers.
    async fn about_itself(&self, parts: &Parts) -> Option<Response<ResponseBody>> {
        if parts.method != Method::GET || parts.uri.query().is_some() {
            return None;
        }
        match parts.uri.path() {
            "/healthz" => Some(Response::new(full("ok\n"))),
            "/readyz" => {
                let ready = Box::pin(self.objections()).await.is_empty();
                let mut response = Response::new(full(if ready { "ready\n" } else { "not ready\n" }));
                if !ready {
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                }
                Some(response)
            }
            _ => None,
        }
    }

    /// What speaks against sending requests here.
    pub async fn objections(&self) -> Vec<String> {
        self.readiness.objections(&self.backend).await
    }

    async fn s3(
        &self,
        parts: &Arc<Parts>,
        (domains, named, rules): (&[String], Result<Target, UriError>, Option<&CorsRules>),
        incoming: &mut Arriving,
        arrival: Arrival,
        recording: &mut Recording,
    ) -> Result<Response<ResponseBody>, Refusal> {
        self.admit(arrival.source_ip, recording)?;
        if self.limits.is_too_long(length_of_head(parts)) {
            return Err(Refusal::head_too_long());
        }
        let mut request = Request::read(parts, arrival)?;
        if parts.method == Method::OPTIONS {
            return preflight(parts, rules, recording);
        }
        if is_form(parts)
            && let Ok(Target::Bucket(bucket)) = named
        {
            return Box::pin(self.form(parts, incoming, request, bucket, recording)).await;
        }
        if let Some(onward) = recording.onward() {
            request.carry(TRACEPARENT, onward);
        }
        recording.enter(Step::Authenticate);
        let bucket_of_host = bucket_of_host(&request, domains);
        let authenticated =
            self.authenticator.authenticate_or_anonymous(&request, bucket_of_host.as_deref())?;
        recording.who(Who::of(authenticated.caller(), authenticated.access_key_id()));
        let up = self.identify(recording)?;
        recording.enter(Step::Classify);
        let classified = classify(&request, named).map_err(|refusal| match authenticated.caller() {
            // Strangers do not learn what there is.
            Caller::Anonymous => Refusal::access_denied(refusal.message),
            _ => refusal,
        })?;
        let version = request.query.value("versionId");
        recording.classified(classified.operation, &classified.target, version);
        recording.enter(Step::Authorize);
        let snapshot = self.directory.snapshot();
        let region = self.authenticator.region();
        let permit = authorize(request, authenticated, classified, snapshot, region, &self.backend).await?;
        recording.allowed(permit.allowed_by().cloned());
        no_stranger_renames(&permit)?;
        recording.enter(Step::Backend);
        let mut body = RequestBody::new(incoming, permit.authenticated(), permit.request().headers())?
            .at_pace(self.limits.pace())
            .paid_from(up);
        self.backend.serve(&permit, &mut body).await
    }

    /// A browser's upload: what the fields of the form say counts.
    async fn form(
        &self,
        parts: &Parts,
        incoming: &mut Arriving,
        request: Request,
        bucket: BucketName,
        recording: &mut Recording,
    ) -> Result<Response<ResponseBody>, Refusal> {
        recording.asks(Operation::PostObject.name(), bucket.as_str());
        let scheme = if request.secure() { "https" } else { "http" };
        let base = format!("{scheme}://{}", request.host);
        let FormUpload { fields, file, key } = FormUpload::read(parts, incoming).await?;
        recording.enter(Step::Authenticate);
        let (authenticated, range) = self.authenticator.authenticate_form(&request, &fields, &bucket)?;
        recording.who(Who::of(authenticated.caller(), authenticated.access_key_id()));
        let up = self.identify(recording)?;
        recording.enter(Step::Classify);
        let request = request.of_form(form::headers(&fields)?);
        let classified = classify_form(&request, bucket.clone(), key.clone());
        recording.classified(classified.operation, &classified.target, None);
        recording.enter(Step::Authorize);
        let snapshot = self.directory.snapshot();
        let region = self.authenticator.region();
        let permit = authorize(request, authenticated, classified, snapshot, region, &self.backend).await?;
        recording.allowed(permit.allowed_by().cloned());
        recording.enter(Step::Backend);
        let mut body = RequestBody::of_form(file, range).at_pace(self.limits.pace()).paid_from(up);
        let stored = self.backend.serve(&permit, &mut body).await?;
        if !stored.status().is_success() {
            // Another store's refusal.
            return Ok(stored);
        }
        Ok(form::answer(&fields, &bucket, &key, &base, stored.headers()).map(full))
    }

    /// Takes a place among the requests under way, if there is one for this address.
    fn admit(&self, peer: IpAddr, recording: &mut Recording) -> Result<(), Throttled> {
        recording.keep(self.limits.arrive(peer)?);
        Ok(())
    }

    /// Holds whoever asks to what one identity may use; gives what its body's bytes are to be paid from.
    fn identify(&self, recording: &mut Recording) -> Result<Option<Purse>, Throttled> {
        if !self.limits.tell_identities_apart() {
            return Ok(None);
        }
        let Some(identity) = recording.identity() else { return Ok(None) };
        self.limits.identify(&identity)?;
        let Some((up, down)) = self.limits.purses(&identity) else { return Ok(None) };
        recording.pay_from(down);
        Ok(Some(up))
    }

    async fn sts(
        &self,
        parts: &Arc<Parts>,
        incoming: Arriving,
        arrival: Arrival,
        recording: &mut Recording,
    ) -> Response<ResponseBody> {
        let id = arrival.id;
        let answered = match self.sts_answer(parts, incoming, arrival, recording).await {
            Ok(answered) => self.within_limits(answered, id),
            Err(error) => StsService::refuse(&error, id.as_str()),
        };
        let throttled = matches!(answered.outcome, Outcome::Refused { code: FaultCode::Throttling, .. });
        match answered.outcome {
            Outcome::Exchanged { session, by } => {
                recording.who(Who::issued(*session));
                recording.allowed(by);
            }
            Outcome::Answered => recording.allowed(None),
            Outcome::Refused { code, reason } => recording.refused(code.as_str(), reason, None),
        }
        xml_answer(answered.status, answered.xml.0, throttled)
    }

    /// A session that its role has no more room for is not handed out.
    fn within_limits(&self, answered: StsResponse, id: RequestId) -> StsResponse {
        let over = match &answered.outcome {
            Outcome::Exchanged { session, .. } => self.limits.session(session.role_arn.as_str()).err(),
            Outcome::Answered | Outcome::Refused { .. } => None,
        };
        match over {
            Some(throttled) => StsService::refuse(&throttled.into(), id.as_str()),
            None => answered,
        }
    }

    async fn sts_answer(
        &self,
        parts: &Arc<Parts>,
        incoming: Arriving,
        arrival: Arrival,
        recording: &mut Recording,
    ) -> Result<StsResponse, StsError> {
        self.admit(arrival.source_ip, recording)?;
        self.limits.exchange(arrival.source_ip)?;
        let (body, parameters) = self.query_parameters(parts, incoming).await?;
        let action = parameters.action().unwrap_or_default();
        recording.asks(action, parameters.value("RoleArn").unwrap_or_default());
        let (source_ip, secure_transport) = (Some(arrival.source_ip), arrival.tls.is_some());
        let request_id = arrival.id;
        recording.enter(Step::Authenticate);
        let caller = match StsService::needs_signature(action) {
            true => Some(self.query_caller(parts, arrival, &body, "sts")?),
            false => None,
        };
        if let Some(authenticated) = &caller {
            recording.who(Who::of(authenticated.caller(), authenticated.access_key_id()));
            self.identify(recording)?;
        }
        let call = StsCall {
            parameters: &parameters,
            caller: caller.as_ref().map(Authenticated::caller),
            access_key_id: caller.as_ref().map(Authenticated::access_key_id),
            source_ip,
            user_agent: parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()),
            secure_transport,
            region: Some(self.authenticator.region()),
            request_id: request_id.as_str(),
        };
        recording.enter(Step::Exchange);
        Ok(self.sts.handle(call).await)
    }

    async fn query_parameters(
        &self,
        parts: &Parts,
        incoming: Arriving,
    ) -> Result<(Bytes, Parameters), StsError> {
        // The parameters may all stand in the address, so it is as long as a body may be.
        if self.limits.is_too_long(length_of_headers(parts)) {
            return Err(malformed("The header of the request is too long"));
        }
        let body = query_body(incoming).await?;
        let text =
            std::str::from_utf8(&body).map_err(|_| malformed("The body of the request is not UTF-8"))?;
        let parameters = Parameters::parse(parts.uri.query().unwrap_or_default(), text)?;
        Ok((body, parameters))
    }

    fn query_caller(
        &self,
        parts: &Arc<Parts>,
        arrival: Arrival,
        body: &[u8],
        service: &str,
    ) -> Result<Authenticated, StsError> {
        let request = Request::read(parts, arrival).map_err(|refusal| malformed(&refusal.message))?;
        Ok(self.authenticator.authenticate(&request, service, None, Some(&sha256_hex(body)))?)
    }

    async fn iam(
        &self,
        parts: &Arc<Parts>,
        incoming: Arriving,
        arrival: Arrival,
        recording: &mut Recording,
    ) -> Response<ResponseBody> {
        let id = arrival.id;
        let answered = match self.iam_answer(parts, incoming, arrival, recording).await {
            Ok(answered) => answered,
            Err(error) => IamService::refuse(error.into(), id.as_str()),
        };
        let throttled =
            answered.refused.as_ref().is_some_and(|fault| fault.code == FaultCode::Throttling.as_str());
        match answered.refused {
            None => recording.allowed(answered.allowed_by),
            Some(fault) => {
                let reason = fault.reason.unwrap_or(fault.message);
                recording.refused(fault.code, reason, fault.by.map(|by| *by));
            }
        }
        xml_answer(answered.status, answered.xml, throttled)
    }

    async fn iam_answer(
        &self,
        parts: &Arc<Parts>,
        incoming: Arriving,
        arrival: Arrival,
        recording: &mut Recording,
    ) -> Result<IamResponse, StsError> {
        self.admit(arrival.source_ip, recording)?;
        let (body, parameters) = self.query_parameters(parts, incoming).await?;
        let subject = ["RoleName", "UserName", "GroupName", "PolicyArn", "OpenIDConnectProviderArn", "Url"];
        let subject = subject.iter().find_map(|name| parameters.value(name)).unwrap_or_default();
        recording.asks(parameters.action().unwrap_or_default(), subject);
        let circumstances = Circumstances {
            now: arrival.at,
            source_ip: arrival.source_ip,
            secure_transport: arrival.tls.is_some(),
            user_agent: parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()),
            region: self.authenticator.region(),
        };
        let request_id = arrival.id;
        recording.enter(Step::Authenticate);
        let authenticated = self.query_caller(parts, arrival, &body, "iam")?;
        let caller = authenticated.caller();
        recording.who(Who::of(caller, authenticated.access_key_id()));
        self.identify(recording)?;
        let call =
            IamCall { parameters: &parameters, caller, circumstances, request_id: request_id.as_str() };
        recording.enter(Step::Administer);
        Ok(self.iam.handle(call).await)
    }
}

/// A browser asks before it sends a page's request; it signs nothing, and learns only what the rules say.
fn preflight(
    parts: &Parts,
    rules: Option<&CorsRules>,
    recording: &mut Recording,
) -> Result<Response<ResponseBody>, Refusal> {
    recording.asks("PreflightRequest", parts.uri.path());
    let mut response = Response::new(empty());
    *response.headers_mut() = rules.ok_or_else(cors::not_enabled)?.preflight(&parts.headers)?;
    recording.allowed(None);
    Ok(response)
}

/// Bytes of the address and the headers.
fn length_of_head(parts: &Parts) -> usize {
    parts.uri.path_and_query().map_or(0, |address| address.as_str().len()) + length_of_headers(parts)
}

fn length_of_headers(parts: &Parts) -> usize {
    parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// The bucket that the host names, if it names one.
fn bucket_of_host(request: &Request, domains: &[String]) -> Option<String> {
    if domains.is_empty() {
        return None;
    }
    let target = Target::parse(&request.host, "/", domains).ok()?;
    target.bucket().map(|bucket| bucket.as_str().to_owned())
}

/// The Host header or `:authority`. That the two agree is seen to where a request is read.
fn host_of(parts: &Parts) -> &str {
    let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    header.or(parts.uri.authority().map(Authority::as_str)).unwrap_or_default()
}

async fn query_body(incoming: Arriving) -> Result<Bytes, StsError> {
    let limited = Limited::new(incoming, LONGEST_QUERY_BODY).collect();
    match tokio::time::timeout(Duration::from_secs(30), limited).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(malformed("The body of the request is too long, or ended early")),
        Err(_) => Err(malformed("The body of the request did not arrive in time")),
    }
}

fn malformed(message: &str) -> StsError {
    StsError::new(FaultCode::ValidationError, message)
}

/// What the public reads has the media type and the headers that it was stored with: a link of a stranger's makes no page of a
/// picture.
fn no_stranger_renames(permit: &Permit) -> Result<(), Refusal> {
    let stranger = matches!(permit.authenticated().caller(), Caller::Anonymous);
    match stranger && permit.request().query.iter().any(|(name, _)| name.starts_with("response-")) {
        true => Err(Refusal::invalid_request(
            "Request specific response headers cannot be used for anonymous GET requests.",
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Services;

    /// How large what such a function returns is.
    fn size<A, B, F: Future>(_: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// The network's library moves it for every request.
    #[test]
    fn a_request_under_way_is_small() {
        let through = Entrance { peer: [127, 0, 0, 1].into(), tls: None, serves: Services::ALL };
        let bytes = size(|gateway: Arc<Gateway>, request| gateway.handle(request, through));
        assert!(bytes < 4096, "{bytes} bytes");
    }
}
