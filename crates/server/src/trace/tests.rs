use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::*;
use crate::outbox::Destination;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

fn tracer(share: f64, follow: bool) -> Tracer {
    let to = Destination {
        what: "spans",
        url: Url::parse("http://127.0.0.1:9/v1/traces").unwrap(),
        framing: framing("wigeon"),
        token_file: None::<PathBuf>,
        ca_file: None,
        queue: 10,
        batch: 10,
        linger: Duration::from_secs(1),
    };
    let (outbox, _) = Outbox::open(to).unwrap();
    Tracer::new(outbox, share, follow)
}

fn begin(tracer: &Tracer, flags: Option<char>) -> Option<Trace> {
    let mut headers = HeaderMap::new();
    if let Some(flags) = flags {
        headers.insert(parent::TRACEPARENT, format!("{PARENT}{flags}").parse().unwrap());
    }
    tracer.begin(&headers, RequestId::next(), Timestamp::from_second(1_700_000_000).unwrap())
}

#[test]
fn who_decides() {
    // Without a parent the share does; all or nothing here.
    assert!(begin(&tracer(1.0, true), None).is_some());
    assert!((0..100).all(|_| begin(&tracer(0.0, true), None).is_none()));
    // A parent decides for its children, if it is followed.
    assert!(begin(&tracer(0.0, true), Some('1')).is_some());
    assert!(begin(&tracer(1.0, true), Some('0')).is_none());
    assert!(begin(&tracer(0.0, false), Some('1')).is_none());
    assert!(begin(&tracer(1.0, false), Some('0')).is_some());
    let half = tracer(0.5, true);
    let kept = (0..1000).filter(|_| begin(&half, None).is_some()).count();
    assert!((350..650).contains(&kept), "{kept}");
}

#[test]
fn a_request_is_a_span_with_one_for_each_step() {
    let mut trace = begin(&tracer(1.0, true), Some('1')).unwrap();
    let onward = trace.onward().unwrap();
    trace.enter(Step::Authenticate);
    trace.enter(Step::Backend);
    let ended = Ended {
        service: "s3",
        operation: "GetObject",
        bucket: Some("b"),
        status: Some(503),
        code: Some("ServiceUnavailable"),
        peer: [127, 0, 0, 1].into(),
        request_id: "ABC",
        failed: true,
    };
    let framing = framing("gateway-1");
    let spans = trace.spans(&ended).unwrap();
    let document = [framing.before, spans.into_bytes(), framing.after].concat();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let resource = &document["resourceSpans"][0];
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "gateway-1");
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["GetObject", "authenticate", "backend"]);
    let whole = &spans[0];
    assert_eq!(
        (&whole["traceId"], &whole["parentSpanId"]),
        (&json!("4bf92f3577b34da6a3ce929d0e0e4736"), &json!("00f067aa0ba902b7"))
    );
    assert_eq!((&whole["kind"], &whole["status"]["code"]), (&json!(2), &json!(2)));
    assert!(spans[1..].iter().all(|span| span["parentSpanId"] == whole["spanId"]));
    // The store behind is told of the span of the step that asks it.
    let backend = spans[2]["spanId"].as_str().unwrap();
    assert_eq!(onward.to_str().unwrap(), format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{backend}-01"));
    let status =
        whole["attributes"].as_array().unwrap().iter().find(|of| of["key"] == "http.response.status_code");
    assert_eq!(status.unwrap()["value"]["intValue"], "503");
    // Each step ends where the next begins, and the last with the whole.
    assert_eq!(
        (&spans[1]["endTimeUnixNano"], &spans[2]["endTimeUnixNano"]),
        (&spans[2]["startTimeUnixNano"], &whole["endTimeUnixNano"])
    );
    assert!(whole["startTimeUnixNano"].as_str().unwrap().starts_with("1700000000"));
}
