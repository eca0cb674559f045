//! An upstream's answer as the client gets it.
//!
//! Status, headers and body go as they came, but for what belongs to the upstream's connection, for the region, which
//! is the gateway's here, and for errors about buckets that have other names there. What the upstream refused is
//! remarked for the audit record.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt;
use wigeon_core::s3::error::ErrorDocument;

use super::mapping::Place;
use super::origin::{Received, ReceivedBody};
use crate::authorize::Permit;
use crate::backend::protocol::xml::Answer;
use crate::body::{ResponseBody, full};
use crate::recording::Remark;
use crate::refusal::Refusal;

/// The answer to the client.
pub(super) fn relayed(received: Received, permit: &Permit, place: &Place) -> Answer {
    let mut response = Response::new(());
    *response.status_mut() = received.status;
    *response.headers_mut() = cleaned(received.headers, permit.region());
    Ok(match received.body {
        ReceivedBody::Relay(relay) => response.map(|()| (*relay).boxed()),
        ReceivedBody::Error(bytes, document) => {
            response.headers_mut().remove(CONTENT_LENGTH);
            let body = match (document.code.is_empty(), place.differs()) {
                (false, true) => {
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                    full(
                        ErrorDocument {
                            code: document.code.clone(),
                            message: document.message.clone(),
                            resource: Some(permit.request().path().to_owned()),
                            request_id: permit.request().id.to_string(),
                            ..ErrorDocument::default()
                        }
                        .to_xml(),
                    )
                }
                (true, true) => full(""),
                (_, false) => full(bytes),
            };
            let reason = format!("the upstream answered {}: {}", received.status.as_u16(), document.message);
            let code =
                if document.code.is_empty() { received.status.as_u16().to_string() } else { document.code };
            response.extensions_mut().insert(Remark { code, reason });
            response.map(|()| body)
        }
    })
}

/// An answer's headers, with a document in place of its body.
pub(super) fn with_document(
    received_headers: HeaderMap,
    permit: &Permit,
    document: String,
) -> Response<ResponseBody> {
    let mut response = Response::new(full(document));
    *response.headers_mut() = cleaned(received_headers, permit.region());
    for name in [CONTENT_LENGTH, HeaderName::from_static("content-md5")] {
        response.headers_mut().remove(name);
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// What belongs to the upstream's own connection, or would say who it is.
fn stays(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "transfer-encoding"
            | "trailer"
            | "upgrade"
            | "server"
            | "set-cookie"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "alt-svc"
            | "x-amz-request-id"
    )
}

const AMZ_BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

fn cleaned(mut headers: HeaderMap, region: &str) -> HeaderMap {
    let staying: Vec<HeaderName> = headers.keys().filter(|name| stays(name)).cloned().collect();
    for name in staying {
        headers.remove(name);
    }
    if headers.contains_key(AMZ_BUCKET_REGION) {
        match HeaderValue::from_str(region) {
            Ok(region) => headers.insert(AMZ_BUCKET_REGION, region),
            Err(_) => headers.remove(AMZ_BUCKET_REGION),
        };
    }
    headers
}

/// A document of the upstream's that has to be read here: anything but a success goes to the client as it is.
pub(super) async fn document(
    received: Received,
    permit: &Permit,
    place: &Place,
    limit: usize,
) -> Result<Read, Refusal> {
    if !received.status.is_success() {
        return Ok(Read::Other(Box::new(relayed(received, permit, place)?)));
    }
    let headers = received.headers.clone();
    let bytes = received.collect(limit).await.map_err(Refusal::internal)?;
    let text = String::from_utf8(bytes.to_vec());
    let text = text.map_err(|_| Refusal::internal("the upstream's answer is not UTF-8"))?;
    Ok(Read::Document(headers, text))
}

/// What [`document`] found.
#[derive(Debug)]
pub(super) enum Read {
    /// The document.
    Document(HeaderMap, String),
    /// Something else, for the client.
    Other(Box<Response<ResponseBody>>),
}
