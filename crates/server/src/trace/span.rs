//! A span in the form of OpenTelemetry's protocol over HTTP.
//!
//! Source: OpenTelemetry Protocol, "JSON Protobuf Encoding": ids as hex digits, 64-bit numbers as text.

use serde_json::{Map, Value, json};

use super::parent::{SpanId, TraceId};

/// On which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// A span.
#[derive(Debug)]
pub(super) struct Span<'a> {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    /// In nanoseconds since 1970.
    pub(super) begins: i128,
    pub(super) ends: i128,
    pub(super) attributes: Map<String, Value>,
    pub(super) failed: bool,
}

impl Span<'_> {
    pub(super) fn to_json(&self) -> String {
        let attributes =
            attributes(self.attributes.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let mut span = json!({
            "traceId": self.trace.to_string(),
            "spanId": self.id.to_string(),
            "name": self.name,
            "kind": self.kind as u8,
            "startTimeUnixNano": self.begins.to_string(),
            "endTimeUnixNano": self.ends.to_string(),
            "attributes": attributes,
            // 2 is an error; a request that was refused as it should be is none.
            "status": if self.failed { json!({ "code": 2 }) } else { json!({}) },
        });
        if let (Some(parent), Value::Object(span)) = (self.parent, &mut span) {
            span.insert("parentSpanId".to_owned(), parent.to_string().into());
        }
        span.to_string()
    }
}

/// Attributes, each value in the form of its type.
pub(super) fn attributes<'a>(all: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let typed = |value: Value| match value {
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Bool(yes) => json!({ "boolValue": yes }),
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "stringValue": other.to_string() }),
    };
    all.into_iter().map(|(name, value)| json!({ "key": name, "value": typed(value) })).collect()
}
