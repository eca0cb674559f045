//! Traces: which steps a request took and how long each was, for a collector that speaks OpenTelemetry's protocol.
//!
//! Enters: a request's `traceparent`, if it has one, and each step as it begins. Leaves: the `traceparent` for a store
//! behind this one, and, where the request is in the sample, its spans as OTLP's JSON, to an outbox that holds nobody up.
//! Not sampled costs a branch per step. Attributes are few: the operation, the bucket, the status and code, the peer's
//! address, and the request's id, under which the audit record has the rest. No key, name, token or query is among them.

pub mod parent;

mod span;

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use wigeon_core::time::Timestamp;

use self::parent::{Parent, SpanId, TraceId};
use self::span::{Kind, Span};
use crate::outbox::{Framing, Outbox};
use crate::request_id::RequestId;

/// A step of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Whose request it is.
    Authenticate,
    /// What it asks for.
    Classify,
    /// Whether that is allowed.
    Authorize,
    /// It is done, by a store.
    Backend,
    /// A token for credentials.
    Exchange,
    /// The directory, read or changed.
    Administer,
    /// The answer's body goes out.
    Send,
}

impl Step {
    /// As the span is named.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Classify => "classify",
            Self::Authorize => "authorize",
            Self::Backend => "backend",
            Self::Exchange => "exchange",
            Self::Administer => "administer",
            Self::Send => "send",
        }
    }
}

/// Which requests are traced, and where the traces go.
#[derive(Debug)]
pub struct Tracer {
    outbox: Outbox,
    /// Of 2^32 requests that come without a decision so many are in the sample.
    sample: u64,
    /// Whether the decision of the one who sends a `traceparent` counts.
    follow: bool,
}

impl Tracer {
    /// `share` is that of requests that come without a decision, between 0 and 1.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 2^32 by the clamp"
    )]
    pub fn new(outbox: Outbox, share: f64, follow: bool) -> Self {
        let sample = (share.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
        Self { outbox, sample, follow }
    }

    /// The way of the spans.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// A request begins: its trace, where it is in the sample. The request's id is random already, and decides for those
    /// that come without a decision.
    #[must_use]
    pub fn begin(&self, headers: &HeaderMap, request_id: RequestId, at: Timestamp) -> Option<Trace> {
        let parent = Parent::of(headers);
        let sampled = match &parent {
            Some(parent) if self.follow => parent.sampled,
            // Parts of one trace decide alike: by its id.
            Some(parent) => self.samples(parent.trace.lot()),
            None => self.samples(lot_of(request_id)),
        };
        if !sampled {
            return None;
        }
        let trace = match &parent {
            Some(parent) => parent.trace,
            None => TraceId::random()?,
        };
        let [own, backend] = SpanId::random()?;
        let parent = parent.map(|parent| parent.span);
        Some(Trace { trace, parent, own, backend, at, began: Instant::now(), steps: Vec::with_capacity(6) })
    }

    fn samples(&self, lot: u32) -> bool {
        u64::from(lot) < self.sample
    }

    /// A request has ended: its spans go to the collector.
    pub fn end(&self, trace: Trace, ended: &Ended<'_>) {
        if let Some(spans) = trace.spans(ended) {
            self.outbox.offer(Bytes::from(spans));
        }
    }
}

/// A number out of a request's id, which is eight random bytes in hex.
fn lot_of(request_id: RequestId) -> u32 {
    request_id.as_str().get(8..16).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(u32::MAX)
}

/// How traces stand in a request to the collector: records are spans.
#[must_use]
pub fn framing(service: &str) -> Framing {
    let resource = json!({ "attributes": span::attributes([("service.name", service.into())]) });
    let scope = json!({ "name": "wigeon", "version": env!("CARGO_PKG_VERSION") });
    let before =
        format!(r#"{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"scope":{scope},"spans":["#);
    Framing::within(before.into_bytes(), b"]}]}]}".to_vec())
}

/// A request in the sample, under way.
#[derive(Debug)]
pub struct Trace {
    trace: TraceId,
    parent: Option<SpanId>,
    own: SpanId,
    /// The span that a store behind this one is told of.
    backend: SpanId,
    at: Timestamp,
    began: Instant,
    /// Each ends where the next begins.
    steps: Vec<(Step, Instant)>,
}

/// How a request ended.
#[derive(Debug, Clone)]
pub struct Ended<'a> {
    /// Its service, as signatures name it.
    pub service: &'static str,
    /// Its operation.
    pub operation: &'a str,
    /// The bucket.
    pub bucket: Option<&'a str>,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The code of a refusal.
    pub code: Option<&'a str>,
    /// The peer's address.
    pub peer: IpAddr,
    /// As in the answer and the audit record.
    pub request_id: &'a str,
    /// Whether the server failed.
    pub failed: bool,
}

impl Trace {
    /// A step begins, and the one before ends.
    pub fn enter(&mut self, step: Step) {
        self.steps.push((step, Instant::now()));
    }

    /// Its id, as records write it.
    #[must_use]
    pub fn id(&self) -> String {
        self.trace.to_string()
    }

    /// What a store behind this one is told.
    #[must_use]
    pub fn onward(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&Parent { trace: self.trace, span: self.backend, sampled: true }.to_string())
            .ok()
    }

    /// The spans, separated by commas; `None` where the system has no randomness.
    fn spans(self, ended: &Ended<'_>) -> Option<String> {
        let now = Instant::now();
        let since = |instant: Instant| {
            let elapsed = instant.saturating_duration_since(self.began);
            self.at.as_nanosecond() + i128::try_from(elapsed.as_nanos()).unwrap_or_default()
        };
        let mut whole = Span {
            trace: self.trace,
            id: self.own,
            parent: self.parent,
            name: ended.operation,
            kind: Kind::Server,
            begins: since(self.began),
            ends: since(now),
            attributes: Map::new(),
            failed: ended.failed,
        };
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                whole.attributes.insert(name.to_owned(), value);
            }
        };
        add("rpc.system", Some("aws-api".into()));
        add("rpc.service", Some(ended.service.into()));
        add("rpc.method", Some(ended.operation.into()));
        add("aws.s3.bucket", ended.bucket.map(Into::into));
        add("aws.request_id", Some(ended.request_id.into()));
        add("client.address", Some(ended.peer.to_string().into()));
        add("http.response.status_code", ended.status.map(Into::into));
        add("error.type", ended.code.map(Into::into));
        let mut text = whole.to_json();
        let ends = self.steps.iter().skip(1).map(|(_, began)| *began).chain([now]);
        for ((step, began), end) in self.steps.iter().zip(ends) {
            let [fresh] = SpanId::random()?;
            let (id, kind) = match step {
                Step::Backend => (self.backend, Kind::Client),
                _ => (fresh, Kind::Internal),
            };
            let span = Span {
                trace: self.trace,
                id,
                parent: Some(self.own),
                name: step.name(),
                kind,
                begins: since(*began),
                ends: since(end),
                attributes: Map::new(),
                failed: false,
            };
            text.push(',');
            text.push_str(&span.to_json());
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests;
