//! A request under way, and the record that it leaves: written when the answer's last byte has gone, or when there
//! will be no more of it.
//!
//! Enters: what each step finds out. Leaves: one audit record per request, whatever becomes of the request: a
//! [`Recording`] that is dropped writes it, and it travels with the answer's body.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use wigeon_core::s3::operation::Operation;
use wigeon_core::s3::uri::Target;
use wigeon_core::time::Clock;

use crate::arriving::Arriving;
use crate::audit::{Audit, Ended, Record, Verdict, Who};
use crate::body::{BodyError, ResponseBody};
use crate::decided::DecidedBy;
use crate::figures::{Done, Figures, Outcome, Row};
use crate::gathered;
use crate::limits::{Place, Purse};
use crate::request::Arrival;
use crate::service::Service;
use crate::trace::parent::Parent;
use crate::trace::{self, Step, Trace, Tracer};

/// Who wants to know of requests.
pub struct Observers {
    /// Tells when a record is written.
    pub clock: Arc<dyn Clock>,
    /// Where records go.
    pub audit: Audit,
    /// What is counted.
    pub figures: Figures,
    /// Where traces go, if anywhere.
    pub tracer: Option<Tracer>,
}

impl Observers {
    /// Gathers what the thread that runs this records of its requests, for ever.
    pub async fn gather(self: Arc<Self>) {
        gathered::gather(move |lines| self.audit.write_lines(lines, self.clock.now())).await;
    }
}

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observers").field("audit", &self.audit).finish_non_exhaustive()
    }
}

/// The longest operation, resource or agent that a stranger can have recorded, in characters.
const LONGEST_STRANGER: usize = 256;

/// What is known so far of a request under way.
pub struct Recording {
    record: Record,
    service: Service,
    row: Row,
    trace: Option<Box<Trace>>,
    /// Among the requests under way.
    place: Option<Place>,
    /// Where its receiver's bandwidth is limited.
    purse: Option<Purse>,
    began: Instant,
    received: Arc<AtomicU64>,
    observers: Arc<Observers>,
}

/// What is to be recorded of an answer that was not refused here, carried among its extensions.
#[derive(Debug, Clone)]
pub struct Remark {
    /// An error code.
    pub code: String,
    /// For the operator.
    pub reason: String,
}

impl Recording {
    /// Of a request that has just arrived.
    #[must_use]
    pub fn begin(parts: &Parts, arrival: &Arrival, service: Service, observers: Arc<Observers>) -> Box<Self> {
        observers.figures.begun(service);
        let agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        let trace = observers
            .tracer
            .as_ref()
            .and_then(|tracer| tracer.begin(&parts.headers, arrival.id, arrival.at))
            .map(Box::new);
        let parent = || Parent::of(&parts.headers).map(|parent| parent.trace.to_string());
        let record = Record {
            time: arrival.at,
            request_id: arrival.id,
            service: service.name(),
            source_ip: arrival.source_ip,
            user_agent: agent.map(|agent| cut(agent, 200)),
            who: None,
            operation: method(&parts.method),
            resource: cut(parts.uri.path(), 2048),
            bucket: None,
            key: None,
            version_id: None,
            decision: None,
            by: None,
            status: None,
            code: None,
            reason: None,
            bytes_in: 0,
            bytes_out: 0,
            ended: Ended::Unanswered,
            micros: 0,
            total_micros: 0,
            trace_id: trace.as_ref().map(|trace| trace.id()).or_else(parent),
        };
        let row = observers.figures.other(service);
        // It goes with the request and its answer from hand to hand.
        Box::new(Self {
            record,
            service,
            row,
            trace,
            place: None,
            purse: None,
            began: Instant::now(),
            received: Arc::default(),
            observers,
        })
    }

    /// The request's body, counted.
    #[must_use]
    pub fn arriving(&self, body: Incoming) -> Arriving {
        Arriving::new(body, Arc::clone(&self.received))
    }

    /// A step begins.
    pub fn enter(&mut self, step: Step) {
        if let Some(trace) = &mut self.trace {
            trace.enter(step);
        }
    }

    /// The `traceparent` for a store behind this one, where this request is traced.
    #[must_use]
    pub fn onward(&self) -> Option<HeaderValue> {
        self.trace.as_ref().and_then(|trace| trace.onward())
    }

    /// It counts among the requests under way until it has ended.
    pub fn keep(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// Whom limits are about, if that is known.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        self.record.who.as_ref()?.identity()
    }

    /// Whether it is known who asks.
    #[must_use]
    pub fn is_of_somebody(&self) -> bool {
        self.record.who.as_ref().is_some_and(Who::is_somebody)
    }

    /// What is sent counts against its receiver's bandwidth.
    pub fn pay_from(&mut self, purse: Purse) {
        self.purse = Some(purse);
    }

    /// Who asks.
    pub fn who(&mut self, who: Who) {
        self.record.who = Some(who);
    }

    /// What is asked of STS or IAM, in the words of the request.
    pub fn asks(&mut self, operation: &str, resource: &str) {
        self.row = self.observers.figures.named(self.service, operation);
        self.record.operation = Cow::Owned(cut(operation, 64));
        self.record.resource = cut(resource, LONGEST_STRANGER);
    }

    /// What is asked of S3.
    pub fn classified(&mut self, operation: Operation, target: &Target, version_id: Option<&str>) {
        self.row = Figures::of_s3(operation);
        self.record.operation = Cow::Borrowed(operation.name());
        self.record.resource = target.arn();
        self.record.bucket = target.bucket().map(|bucket| bucket.as_str().to_owned());
        self.record.key = match target {
            Target::Object(_, key) => Some(key.to_string()),
            Target::Service | Target::Bucket(_) => None,
        };
        self.record.version_id = version_id.map(|version| cut(version, LONGEST_STRANGER));
    }

    /// Policies allow it, by this statement.
    pub fn allowed(&mut self, by: Option<DecidedBy>) {
        self.record.decision = Some(Verdict::Allowed);
        self.record.by = by;
    }

    /// The answer is not from here, and says this.
    pub fn remark(&mut self, remark: Remark) {
        self.record.code = Some(remark.code);
        self.record.reason = Some(remark.reason);
    }

    /// It is refused. What policies allowed and then failed stays allowed, unless it is policies that refuse it now.
    pub fn refused(&mut self, code: &str, reason: String, by: Option<DecidedBy>) {
        if self.record.decision.is_none() || code == "AccessDenied" {
            self.record.decision = Some(Verdict::Denied);
            self.record.by = by;
        }
        self.record.code = Some(code.to_owned());
        self.record.reason = Some(reason);
    }

    /// The answer, whose end ends the recording.
    pub fn answer(
        mut self: Box<Self>,
        method: &Method,
        response: Response<ResponseBody>,
    ) -> Response<Recorded> {
        self.record.status = Some(response.status().as_u16());
        self.record.micros = micros(self.began.elapsed());
        self.record.ended = Ended::Cut;
        self.enter(Step::Send);
        let announced = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let expected = match *method == Method::HEAD {
            true => Some(0),
            false => announced.and_then(|text| text.parse().ok()).or(response.body().size_hint().exact()),
        };
        response.map(|body| Recorded { body, expected, recording: Some(self) })
    }
}

impl Recording {
    fn done(&self) -> Done<'_> {
        let record = &self.record;
        Done {
            row: self.row,
            outcome: outcome(record),
            code: record.code.as_deref(),
            micros: record.micros,
            total_micros: record.total_micros,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
        }
    }
}

impl Recording {
    fn end_trace(&mut self) {
        let (Some(trace), Some(tracer)) = (self.trace.take(), &self.observers.tracer) else { return };
        let record = &self.record;
        let ended = trace::Ended {
            service: record.service,
            operation: &record.operation,
            bucket: record.bucket.as_deref(),
            status: record.status,
            code: record.code.as_deref(),
            peer: record.source_ip,
            request_id: record.request_id.as_str(),
            failed: record.status.is_none() || is_failure(record) || record.ended == Ended::Failed,
        };
        tracer.end(*trace, &ended);
    }
}

/// Whether the server failed, or a store behind it. What there is not, and what is more than one may use here (a store behind that
/// says so was allowed to be asked), is no failure, though S3 says it with 501 and 503.
fn is_failure(record: &Record) -> bool {
    record.status.is_some_and(|status| status >= 500)
        && match record.code.as_deref() {
            Some("NotImplemented") => false,
            Some("SlowDown") => record.decision != Some(Verdict::Denied),
            _ => true,
        }
}

fn outcome(record: &Record) -> Outcome {
    match (record.status, record.ended) {
        _ if is_failure(record) => Outcome::Failed,
        (Some(400..), _)
            if record.decision == Some(Verdict::Denied) && record.code.as_deref() == Some("AccessDenied") =>
        {
            Outcome::Denied
        }
        (Some(400..), _) => Outcome::Refused,
        (_, Ended::Complete) => Outcome::Ok,
        (_, Ended::Cut | Ended::Failed | Ended::Unanswered) => Outcome::Cut,
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.record.bytes_in = self.received.load(Ordering::Relaxed);
        self.record.total_micros = micros(self.began.elapsed());
        if self.record.ended == Ended::Unanswered {
            self.record.micros = self.record.total_micros;
        }
        self.observers.figures.done(&self.done());
        self.end_trace();
        self.observers.audit.write(&self.record, &*self.observers.clock);
    }
}

/// What stands for the operation until that is known.
fn method(method: &Method) -> Cow<'static, str> {
    match *method {
        Method::GET => Cow::Borrowed("GET"),
        Method::PUT => Cow::Borrowed("PUT"),
        Method::HEAD => Cow::Borrowed("HEAD"),
        Method::POST => Cow::Borrowed("POST"),
        Method::DELETE => Cow::Borrowed("DELETE"),
        _ => Cow::Owned(cut(method.as_str(), LONGEST_STRANGER)),
    }
}

fn cut(text: &str, most: usize) -> String {
    // No text has more characters than bytes.
    if text.len() <= most { text.to_owned() } else { text.chars().take(most).collect() }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// An answer's body, whose end ends the recording.
pub struct Recorded {
    body: ResponseBody,
    /// How many bytes it has, if that is known: the network takes no more than that, and does not ask for the end.
    expected: Option<u64>,
    /// None where nothing is recorded.
    recording: Option<Box<Recording>>,
}

impl Recorded {
    /// A body that nothing is recorded of.
    #[must_use]
    pub fn unrecorded(body: ResponseBody) -> Self {
        Self { body, expected: None, recording: None }
    }
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(Recording { purse: Some(purse), .. }) = self.recording.as_deref_mut() {
            ready!(purse.poll_paid(context));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Some(Recording { record, purse, .. }) = self.recording.as_deref_mut() else { return polled };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                record.bytes_out += bytes as u64;
                if let Some(purse) = purse {
                    purse.pay(bytes);
                }
            }
            Poll::Ready(Some(Err(error))) => {
                record.ended = Ended::Failed;
                record.reason = Some(error.to_string());
            }
            Poll::Ready(None) if record.ended == Ended::Cut => record.ended = Ended::Complete,
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let Some(Recording { record, .. }) = self.recording.as_deref_mut() else { return };
        let whole = self.body.is_end_stream() || self.expected.is_some_and(|bytes| record.bytes_out >= bytes);
        if record.ended == Ended::Cut && whole {
            record.ended = Ended::Complete;
        }
    }
}
