//! A browser's upload: the form that a page posts to a bucket.
//!
//! Enters: a `multipart/form-data` body. Leaves: a [`FormUpload`] with the fields that stand before the file, and the
//! file, which is not read yet; and at the end the answer that the page asked for. Refused: fields that come twice,
//! are too many or too long, and a form without a key or a file. What stands behind the file is not looked at.
//! Source: Amazon S3 API Reference, "POST Object"; RFC 7578.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::poll_fn;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::body::Body;
use multer::{Field, Multipart};
use url::Url;
use wigeon_core::encoding::percent_encode;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::sigv4::form::FormFields;

use crate::arriving::Arriving;
use crate::refusal::Refusal;

/// The most bytes that stand before the file.
const LONGEST_FIELDS: u64 = 64 << 10;

/// How long they may take to arrive.
const FIELDS_TIMEOUT: Duration = Duration::from_secs(60);

/// A form up to its file.
#[derive(Debug)]
pub struct FormUpload<'i> {
    /// The fields, with the file's name in the place of `${filename}`.
    pub fields: FormFields,
    /// The file.
    pub file: Field<'i>,
    /// Where it goes.
    pub key: ObjectKey,
}

/// Whether a request is a form for a bucket, as far as its head says.
#[must_use]
pub fn is_form(parts: &Parts) -> bool {
    parts.method == Method::POST
        && !parts.headers.contains_key(AUTHORIZATION)
        && parts.uri.query().unwrap_or_default().is_empty()
        && content_type(parts).get(..19).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"))
}

fn content_type(parts: &Parts) -> &str {
    parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl<'i> FormUpload<'i> {
    /// Reads a form up to its file.
    ///
    /// # Errors
    /// 400 `MalformedPOSTRequest`, `MaxPostPreDataLengthExceededError`, `RequestTimeout`, …
    pub async fn read(parts: &Parts, incoming: &'i mut Arriving) -> Result<Self, Refusal> {
        let boundary = multer::parse_boundary(content_type(parts)).map_err(|_| malformed())?;
        let allowed = Arc::new(AtomicU64::new(LONGEST_FIELDS));
        let form = Multipart::new(bounded(incoming, Arc::clone(&allowed)), boundary);
        let reading = tokio::time::timeout(FIELDS_TIMEOUT, fields(form));
        let (mut fields, file) = reading.await.map_err(|_| {
            let message = "The fields of the form did not arrive in time.";
            Refusal::new("RequestTimeout", StatusCode::BAD_REQUEST, message)
        })??;
        allowed.store(u64::MAX, Ordering::Relaxed);
        fields.name_file(base_name(file.file_name().unwrap_or_default()));
        let key = fields.value("key").ok_or_else(|| missing("key"))?;
        let key = ObjectKey::parse(key)?;
        Ok(Self { fields, file, key })
    }
}

/// The text behind the last slash or backslash: some browsers send the whole path.
fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The bytes of a body, until so many have come as are allowed.
fn bounded(
    incoming: &mut Arriving,
    allowed: Arc<AtomicU64>,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    let mut came = 0_u64;
    poll_fn(move |context| {
        loop {
            if came > allowed.load(Ordering::Relaxed) {
                return Poll::Ready(Some(Err(std::io::ErrorKind::FileTooLarge.into())));
            }
            let frame = match std::pin::Pin::new(&mut *incoming).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(std::io::Error::other(error)))),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            came = came.saturating_add(data.len() as u64);
            return Poll::Ready(Some(Ok(data)));
        }
    })
}

async fn fields<'i>(mut form: Multipart<'i>) -> Result<(FormFields, Field<'i>), Refusal> {
    let mut fields = FormFields::default();
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        let name = field.name().ok_or_else(malformed)?.to_owned();
        if name.eq_ignore_ascii_case("file") {
            return Ok((fields, field));
        }
        let value = field.bytes().await.map_err(unreadable)?;
        let value = String::from_utf8(value.to_vec()).map_err(|_| malformed())?;
        if !fields.add(&name, value) {
            return Err(Refusal::invalid_argument(format!(
                "The form has the field {name} twice, or too many fields."
            )));
        }
    }
    Err(Refusal::invalid_argument("POST requires exactly one file upload per request."))
}

fn unreadable(error: multer::Error) -> Refusal {
    match error {
        multer::Error::StreamReadFailed(cause)
            if cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|cause| cause.kind() == std::io::ErrorKind::FileTooLarge) =>
        {
            let message = "Your POST request fields preceding the upload file were too large.";
            Refusal::new("MaxPostPreDataLengthExceededError", StatusCode::BAD_REQUEST, message)
        }
        _ => malformed(),
    }
}

fn malformed() -> Refusal {
    let message = "The body of your POST request is not well-formed multipart/form-data.";
    Refusal::new("MalformedPOSTRequest", StatusCode::BAD_REQUEST, message)
}

fn missing(field: &str) -> Refusal {
    Refusal::invalid_argument(format!(
        "Bucket POST must contain a field named '{field}'. If it is specified, please check the order of the fields."
    ))
}

/// The headers that the fields stand for in a PUT of the object. Fields of the signature, and those for the page,
/// stand for none.
///
/// # Errors
/// 400 where a value cannot stand in a header, or the tags cannot be read.
pub fn headers(fields: &FormFields) -> Result<HeaderMap, Refusal> {
    const OF_THE_FORM: [&str; 6] = [
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-signature",
        "x-amz-security-token",
        "x-amz-content-sha256",
    ];
    const OBJECTS: [&str; 6] = [
        "content-type",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires",
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter() {
        let unreadable = || Refusal::invalid_argument(format!("The field {name} cannot be read."));
        let (header, value) = match name {
            "acl" => ("x-amz-acl", value.to_owned()),
            "tagging" => ("x-amz-tagging", tags(value).ok_or_else(unreadable)?),
            // A form copies nothing, whatever its fields say.
            "x-amz-copy-source" => return Err(Refusal::invalid_argument("A form copies no object.")),
            _ if OF_THE_FORM.contains(&name) => continue,
            _ if name.starts_with("x-amz-") || OBJECTS.contains(&name) => (name, value.to_owned()),
            _ => continue,
        };
        let header = HeaderName::from_bytes(header.as_bytes()).map_err(|_| unreadable())?;
        headers.insert(header, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| unreadable())?);
    }
    Ok(headers)
}

/// The XML of the field `tagging`, as `x-amz-tagging` says it.
fn tags(xml: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let tags = document.root_element().descendants().filter(|node| node.has_tag_name("Tag"));
    let text = |tag: roxmltree::Node<'_, '_>, name: &str| {
        let child = tag.children().find(|child| child.tag_name().name() == name)?;
        Some(percent_encode(child.text().unwrap_or_default(), false))
    };
    let pairs = tags.map(|tag| Some(format!("{}={}", text(tag, "Key")?, text(tag, "Value")?)));
    Some(pairs.collect::<Option<Vec<_>>>()?.join("&"))
}

/// The answer that the page asked for, in the place of the one to a PUT.
#[must_use]
pub fn answer(
    fields: &FormFields,
    bucket: &BucketName,
    key: &ObjectKey,
    base: &str,
    stored: &HeaderMap,
) -> Response<Bytes> {
    let etag = stored.get(ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let location = format!("{base}/{bucket}/{}", percent_encode(key.as_str(), true));
    let mut response = Response::new(Bytes::new());
    for (name, value) in
        stored.iter().filter(|(name, _)| *name == ETAG || name.as_str().starts_with("x-amz-"))
    {
        response.headers_mut().insert(name, value.clone());
    }
    let redirect = fields.value("success_action_redirect").or(fields.value("redirect"));
    if let Some(to) = redirect.and_then(|address| redirected(address, bucket, key, etag)) {
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(LOCATION, to);
        return response;
    }
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    *response.status_mut() = match fields.value("success_action_status") {
        Some("200") => StatusCode::OK,
        Some("201") => {
            let xml = [
                ("Location", location.as_str()),
                ("Bucket", bucket.as_str()),
                ("Key", key.as_str()),
                ("ETag", etag),
            ];
            let xml: String = xml
                .iter()
                .map(|(name, text)| format!("<{name}>{}</{name}>", quick_xml::escape::escape(*text)))
                .collect();
            let xml =
                format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse>{xml}</PostResponse>");
            *response.body_mut() = xml.into();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            StatusCode::CREATED
        }
        _ => StatusCode::NO_CONTENT,
    };
    response
}

/// The page to go on to, told what was stored. An address that is no web address is as if there were none.
fn redirected(address: &str, bucket: &BucketName, key: &ObjectKey, etag: &str) -> Option<HeaderValue> {
    let mut address = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let mut pairs = address.query_pairs_mut();
    pairs.append_pair("bucket", bucket.as_str()).append_pair("key", key.as_str()).append_pair("etag", etag);
    drop(pairs);
    HeaderValue::from_str(address.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> FormFields {
        let mut fields = FormFields::default();
        for (name, value) in pairs {
            assert!(fields.add(name, (*value).to_owned()));
        }
        fields
    }

    fn answered(pairs: &[(&str, &str)]) -> (u16, String, String) {
        let (bucket, key) = (BucketName::parse("home").unwrap(), ObjectKey::parse("a b<").unwrap());
        let mut stored = HeaderMap::new();
        stored.insert(ETAG, HeaderValue::from_static("\"1\""));
        let response = answer(&fields(pairs), &bucket, &key, "http://s3.example", &stored);
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.unwrap_or_default().to_owned();
        (response.status().as_u16(), location, String::from_utf8(response.body().to_vec()).unwrap())
    }

    #[test]
    fn the_answer_that_was_asked_for() {
        assert_eq!(answered(&[]).0, 204);
        assert_eq!(answered(&[("success_action_status", "200")]).0, 200);
        assert_eq!(answered(&[("success_action_status", "404")]).0, 204);
        let (status, location, body) = answered(&[("success_action_status", "201")]);
        assert_eq!((status, location.as_str()), (201, "http://s3.example/home/a%20b%3C"));
        assert!(body.contains("<Key>a b&lt;</Key><ETag>&quot;1&quot;</ETag>"), "{body}");
        let (status, location, _) =
            answered(&[("success_action_redirect", "https://page.example/done?x=1#top")]);
        assert_eq!(status, 303);
        assert_eq!(location, "https://page.example/done?x=1&bucket=home&key=a+b%3C&etag=%221%22#top");
        for address in ["javascript:alert(1)", "/relative", "", "data:text/html,x"] {
            assert_eq!(answered(&[("success_action_redirect", address)]).0, 204, "{address}");
        }
    }

    #[test]
    fn what_fields_stand_for() {
        let tagging = "<Tagging><TagSet><Tag><Key>a b</Key><Value>c&amp;d</Value></Tag></TagSet></Tagging>";
        let headers = headers(&fields(&[
            ("key", "k"),
            ("acl", "private"),
            ("Content-Type", "image/png"),
            ("x-amz-meta-A", "1"),
            ("x-amz-date", "x"),
            ("x-amz-security-token", "x"),
            ("tagging", tagging),
            ("range", "x"),
            ("x-ignore-y", "x"),
        ]));
        let headers = headers.unwrap();
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-amz-acl", "x-amz-meta-a", "x-amz-tagging"]);
        assert_eq!(headers["x-amz-tagging"], "a%20b=c%26d");
        for (name, value) in
            [("x-amz-copy-source", "/a/b"), ("x-amz-meta-a", "a\r\nb: c"), ("tagging", "<Tagging>")]
        {
            assert!(super::headers(&fields(&[(name, value)])).is_err(), "{name}");
        }
        assert_eq!(base_name("C:\\Users\\me\\a.png"), "a.png");
        assert_eq!(base_name("../../etc/passwd"), "passwd");
    }
}
