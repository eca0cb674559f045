//! Answers that no backend and no service gives: refusals, in the form of the service that was asked, and what is still
//! read of a refused body.

use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use wigeon_core::s3::error::ErrorDocument;
use wigeon_core::sts::{FaultCode, StsError};

use crate::arriving::Arriving;
use crate::backend::protocol::xml::answer;
use crate::body::{ResponseBody, empty, full};
use crate::recording::Recording;
use crate::refusal::Refusal;
use crate::request_id::RequestId;
use crate::service::Service;

/// How much of a refused request's body is still read, and for how long, so that its sender sees the answer.
const DRAINED: (usize, Duration) = (1 << 20, Duration::from_secs(2));

/// The same of a sender who is known, as long as it goes on sending: most tools send a part of an upload whole before they
/// look for an answer.
const DRAINED_OF_KNOWN: (usize, Duration) = (64 << 20, Duration::from_secs(10));

/// The answer to a request that is not looked at, in the form of the service that it is for.
#[must_use]
pub fn turned_away(
    parts: &Parts,
    service: Service,
    code: FaultCode,
    message: String,
    id: RequestId,
    recording: &mut Recording,
) -> Response<ResponseBody> {
    match service {
        Service::S3 => refused(parts, Refusal::invalid_request(message), None, id, recording),
        Service::Sts | Service::Iam => {
            let error = StsError::new(code, message);
            recording.refused(error.code.as_str(), error.message.clone(), None);
            xml_answer(error.code.status(), error.to_xml(id.as_str()), false)
        }
    }
}

/// STS's or IAM's answer, with its status.
#[must_use]
pub fn xml_answer(status: u16, xml: String, throttled: bool) -> Response<ResponseBody> {
    let mut response = Response::new(full(xml));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if throttled {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    // An answer may hold credentials, that to a GET as well.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// S3's answer to a refused request; without a body where the method has none.
#[must_use]
pub fn refused(
    parts: &Parts,
    refusal: Refusal,
    encoded_message: Option<String>,
    id: RequestId,
    recording: &mut Recording,
) -> Response<ResponseBody> {
    if refusal.is_failure() {
        tracing::error!(%id, code = refusal.code, reason = refusal.reason, "a request failed");
    }
    let reason = refusal.reason.clone().unwrap_or_else(|| refusal.message.clone());
    recording.refused(refusal.code, reason, refusal.by.clone().map(|by| *by));
    let document = ErrorDocument { encoded_message, ..refusal.document(parts.uri.path(), id.as_str()) };
    let mut response = answer(refusal.status, document.to_xml());
    response.headers_mut().extend(refusal.headers.map(|headers| *headers).unwrap_or_default());
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.get()));
    }
    if parts.method == Method::HEAD {
        *response.body_mut() = empty();
    }
    response
}

/// Whether the sender still waits for `100 Continue`, and has not been asked for its body.
#[must_use]
pub fn is_unasked(parts: &Parts, incoming: &Arriving) -> bool {
    parts.headers.contains_key(EXPECT) && incoming.received() == 0
}

/// Reads what is left of a short body, so that a sender that writes before it reads sees the answer; more of one who is
/// known. One that still waits for `100 Continue` is not asked for its body at all.
pub async fn drain(parts: &Parts, incoming: Arriving, known: bool) {
    if is_unasked(parts, &incoming) {
        return;
    }
    let (bytes, time) = if known { DRAINED_OF_KNOWN } else { DRAINED };
    let mut rest = Limited::new(incoming, bytes);
    // The answer stands either way; what could not be read ends with the connection. Nothing of it is kept: this
    // is where the bodies of strangers come.
    let read = async { while let Ok(Some(Ok(_))) = tokio::time::timeout(DRAINED.1, rest.frame()).await {} };
    let _ = tokio::time::timeout(time, read).await;
}
