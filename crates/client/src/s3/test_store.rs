//! A store over HTTP for tests, in memory, that fails when and as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use md5::{Digest as _, Md5};
use wigeon_core::credentials::Credentials;
use wigeon_core::s3::uri::{percent_decode, percent_encode};
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::{Query, hex};
use wigeon_core::time::{Clock, Timestamp};

use super::{
    Addressing, Checksum, ChecksumAlgorithm, Client, CredentialError, CredentialSource, Endpoint, RetryPolicy,
};
use crate::connect::{ConnectOptions, Connector};

/// What happens to one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// An error answer, with a header or two.
    Refuse(u16, &'static str, &'static [(&'static str, &'static str)]),
    /// The answer's body ends after so many bytes.
    Cut(usize),
    /// One byte of the answer's body is another.
    Corrupt,
    /// It is done, and the answer is an error all the same.
    DoneButRefuse(u16, &'static str),
    /// Status 200, and an error in the body.
    LateError(&'static str),
}

/// What becomes of conditions on removals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Conditional {
    #[default]
    Known,
    Ignored,
    Refused,
}

/// A request that has come.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) what: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Default)]
pub(crate) struct Contents {
    /// By decoded path: `/bucket/key`.
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    pub(crate) uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// Each is for the next request whose `METHOD path?query` holds the text.
    pub(crate) faults: VecDeque<(&'static str, Fault)>,
    pub(crate) seen: Vec<Seen>,
    /// Whether checksum headers are kept and answered with.
    pub(crate) checksums: bool,
    pub(crate) conditional: Conditional,
    /// Somebody writes these, by their paths, before the next removal is done.
    pub(crate) written_before_removal: Vec<(String, Vec<u8>)>,
    /// Whether it says that its buckets keep no access control lists.
    pub(crate) without_lists: bool,
    /// How many requests it bears at once, each for so long: more are answered with SlowDown.
    pub(crate) bears: Option<(usize, Duration)>,
    under_way: usize,
    /// The most that it ever had.
    pub(crate) most_under_way: usize,
    next_upload: u32,
}

/// A store on loopback, until it is dropped.
#[derive(Clone)]
pub(crate) struct TestStore {
    contents: Arc<Mutex<Contents>>,
    pub(crate) url: String,
}

impl TestStore {
    pub(crate) async fn start() -> Self {
        let contents = Arc::new(Mutex::new(Contents { checksums: true, ..Contents::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let store = Self { contents, url };
        let router = Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(store.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        store
    }

    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    pub(crate) fn fail(&self, on: &'static str, fault: Fault) {
        self.contents().faults.push_back((on, fault));
    }

    /// How many requests held the text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.contents().seen.iter().filter(|seen| seen.what.contains(text)).count()
    }

    /// Takes its time, or refuses what is more than it bears.
    async fn bear(&self) -> Option<Response> {
        let (most, time) = self.contents().bears?;
        {
            let mut contents = self.contents();
            if contents.under_way >= most {
                return Some(refusal(503, "SlowDown"));
            }
            contents.under_way += 1;
            contents.most_under_way = contents.most_under_way.max(contents.under_way);
        }
        tokio::time::sleep(time).await;
        self.contents().under_way -= 1;
        None
    }

    pub(crate) fn client(&self) -> Client {
        self.client_of(Arc::new(Renewing::default()))
    }

    pub(crate) fn client_of(&self, source: Arc<dyn CredentialSource>) -> Client {
        Self::connect(&self.url, source)
    }

    /// By way of something that stands in between.
    pub(crate) fn client_at(&self, url: &str) -> Client {
        Self::connect(url, Arc::new(Renewing::default()))
    }

    fn connect(url: &str, source: Arc<dyn CredentialSource>) -> Client {
        Self::connect_with(&ConnectOptions::default(), url, source)
    }

    /// One that waits for its answers no longer than these options say.
    pub(crate) fn client_with(options: &ConnectOptions, url: &str) -> Client {
        Self::connect_with(options, url, Arc::new(Renewing::default()))
    }

    fn connect_with(options: &ConnectOptions, url: &str, source: Arc<dyn CredentialSource>) -> Client {
        let connector = Connector::new(options).unwrap();
        let endpoint = Endpoint::new(&url.parse().unwrap(), "eu-test-1", Addressing::Path, "").unwrap();
        let wait = Duration::from_millis(1);
        let retry = RetryPolicy { attempts: 4, first_wait: wait, longest_wait: wait };
        Client::with_retries(connector, endpoint, source, Arc::new(SystemClock), retry)
    }
}

pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Credentials with a number, which grows when the store refuses them.
#[derive(Default)]
pub(crate) struct Renewing(Mutex<u32>);

impl Renewing {
    fn current(&self) -> Arc<Credentials> {
        let number = self.0.lock().unwrap();
        Arc::new(Credentials {
            access_key_id: format!("KEY{number}"),
            secret_key: Secret::new("secret"),
            session_token: Some(Secret::new("token")),
            expires_at: None,
        })
    }
}

impl CredentialSource for Renewing {
    fn credentials(&self) -> BoxFuture<'_, Result<Arc<Credentials>, CredentialError>> {
        Box::pin(async { Ok(self.current()) })
    }

    fn instead_of<'a>(
        &'a self,
        _: &'a Credentials,
    ) -> BoxFuture<'a, Result<Arc<Credentials>, CredentialError>> {
        Box::pin(async {
            *self.0.lock().unwrap() += 1;
            Ok(self.current())
        })
    }
}

async fn answer(State(store): State<TestStore>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let what = format!("{} {}", head.method, head.uri);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let fault = {
        let mut contents = store.contents();
        contents.seen.push(Seen { what: what.clone(), headers: head.headers.clone(), body: body.clone() });
        let at = contents.faults.iter().position(|(on, _)| what.contains(on));
        at.and_then(|at| contents.faults.remove(at)).map(|(_, fault)| fault)
    };
    if let Some(refused) = store.bear().await {
        return refused;
    }
    match fault {
        Some(Fault::Refuse(status, code, headers)) => {
            let mut answer = refusal(status, code);
            for (name, value) in headers {
                answer.headers_mut().insert(*name, value.parse().unwrap());
            }
            return answer;
        }
        Some(Fault::LateError(code)) => return error(code).into_response(),
        _ => {}
    }
    let query = Query::parse(head.uri.query().unwrap_or_default()).unwrap();
    let path = percent_decode(head.uri.path()).unwrap();
    let answer = store.contents().serve(&head.method, &path, &query, &head.headers, body);
    match fault {
        Some(Fault::DoneButRefuse(status, code)) => refusal(status, code),
        Some(Fault::Cut(at)) => spoiled(answer, |bytes| bytes.truncate(at)).await,
        Some(Fault::Corrupt) => {
            spoiled(answer, |bytes| bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1)).await
        }
        _ => answer,
    }
}

/// The same head, and another body; one that is shorter breaks the connection.
async fn spoiled(answer: Response, spoil: impl FnOnce(&mut Vec<u8>)) -> Response {
    let (mut head, body) = answer.into_parts();
    let mut bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let length = bytes.len();
    spoil(&mut bytes);
    head.headers.insert("content-length", length.into());
    let cut = stream::iter((bytes.len() < length).then_some(())).then(|()| async {
        // Time for what came before to leave.
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err(std::io::Error::other("cut"))
    });
    let chunks = stream::iter([Ok(Bytes::from(bytes))]).chain(cut);
    Response::from_parts(head, Body::from_stream(chunks))
}

fn error(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>told to</Message></Error>")
}

fn refusal(status: u16, code: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), error(code)).into_response()
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex(&Md5::digest(bytes)))
}

impl Contents {
    fn serve(
        &mut self,
        method: &Method,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        let upload = query.value("uploadId").map(str::to_owned);
        let number = query.value("partNumber").and_then(|number| number.parse::<u32>().ok());
        match (method.as_str(), upload, number) {
            _ if query.has("ownershipControls") && self.without_lists => {
                "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>"
                    .into_response()
            }
            _ if ["acl", "tagging", "ownershipControls"].iter().any(|name| query.has(name)) => {
                refusal(501, "NotImplemented")
            }
            ("PUT", None, _) if headers.contains_key("x-amz-copy-source") => {
                let source = headers.get("x-amz-copy-source").and_then(|source| source.to_str().ok());
                let source = percent_decode(source.unwrap_or_default()).unwrap();
                let source = format!("/{}", source.trim_start_matches('/'));
                let Some(bytes) = self.objects.get(&source).cloned() else { return refusal(404, "NoSuchKey") };
                let tag = etag(&bytes);
                self.objects.insert(path.to_owned(), bytes);
                format!("<CopyObjectResult><ETag>{tag}</ETag></CopyObjectResult>").into_response()
            }
            ("POST", None, _) if query.has("uploads") => {
                self.next_upload += 1;
                let id = format!("u{}", self.next_upload);
                self.uploads.insert(id.clone(), BTreeMap::new());
                let body = format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                let kind = if self.checksums { "FULL_OBJECT" } else { "NONE" };
                ([("x-amz-checksum-type", kind)], body).into_response()
            }
            ("PUT", Some(id), Some(number)) => {
                let Some(parts) = self.uploads.get_mut(&id) else { return refusal(404, "NoSuchUpload") };
                parts.insert(number, body.to_vec());
                self.stored(&body, headers)
            }
            ("POST", Some(id), _) => {
                let Some(parts) = self.uploads.remove(&id) else { return refusal(404, "NoSuchUpload") };
                let whole: Vec<u8> = parts.into_values().flatten().collect();
                let sent =
                    headers.get("x-amz-checksum-crc64nvme").map(|sum| sum.to_str().unwrap().to_owned());
                let own = Checksum::of(ChecksumAlgorithm::Crc64Nvme, &whole).base64();
                if sent.is_some_and(|sent| sent != own) {
                    return refusal(400, "BadDigest");
                }
                self.objects.insert(path.to_owned(), whole);
                "<CompleteMultipartUploadResult><ETag>\"x-1\"</ETag></CompleteMultipartUploadResult>"
                    .into_response()
            }
            ("DELETE", Some(id), _) => {
                self.uploads.remove(&id);
                StatusCode::NO_CONTENT.into_response()
            }
            ("POST", ..) if query.has("delete") => self.delete(path, &body),
            ("DELETE", ..) => {
                self.objects.extend(mem::take(&mut self.written_before_removal));
                let wanted = headers.get("if-match").map(|tag| tag.to_str().unwrap());
                if wanted.is_some() && self.conditional == Conditional::Refused {
                    return refusal(501, "NotImplemented");
                }
                match self.remove(path, wanted) {
                    Ok(()) => StatusCode::NO_CONTENT.into_response(),
                    Err((status, code)) => refusal(status, code),
                }
            }
            ("PUT", ..) => {
                self.objects.insert(path.to_owned(), body.to_vec());
                self.stored(&body, headers)
            }
            ("GET", Some(id), _) => match self.uploads.get(&id) {
                Some(parts) => self.list_parts(parts),
                None => refusal(404, "NoSuchUpload"),
            },
            ("GET", ..) if query.has("list-type") => self.list(path, query),
            ("GET" | "HEAD", ..) => self.get(path, headers),
            _ => refusal(501, "NotImplemented"),
        }
    }

    fn stored(&self, body: &[u8], headers: &HeaderMap) -> Response {
        let mut answer = ([("etag", etag(body))], "").into_response();
        if let Some(kind) = headers.get("x-amz-server-side-encryption-customer-algorithm") {
            answer.headers_mut().insert("x-amz-server-side-encryption-customer-algorithm", kind.clone());
        }
        if let Some(sum) = headers.get("x-amz-checksum-crc64nvme").filter(|_| self.checksums) {
            answer.headers_mut().insert("x-amz-checksum-crc64nvme", sum.clone());
        }
        answer
    }

    fn delete(&mut self, path: &str, body: &[u8]) -> Response {
        self.objects.extend(mem::take(&mut self.written_before_removal));
        let document = std::str::from_utf8(body).unwrap();
        if document.contains("<ETag>") && self.conditional == Conditional::Refused {
            return refusal(400, "MalformedXML");
        }
        let element = |object: &str, name: &str| {
            let text = object.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"))?.0;
            Some(quick_xml::escape::unescape(text).unwrap().into_owned())
        };
        let mut answer = "<DeleteResult>".to_owned();
        for object in document.split("<Object>").skip(1) {
            let key = element(object, "Key").unwrap();
            if let Err((_, code)) = self.remove(&format!("{path}/{key}"), element(object, "ETag").as_deref())
            {
                let key = quick_xml::escape::escape(&key);
                answer.push_str(&format!("<Error><Key>{key}</Key><Code>{code}</Code></Error>"));
            }
        }
        (answer + "</DeleteResult>").into_response()
    }

    fn remove(&mut self, path: &str, wanted: Option<&str>) -> Result<(), (u16, &'static str)> {
        if let Some(wanted) = wanted.filter(|_| self.conditional == Conditional::Known) {
            let there = self.objects.get(path).ok_or((404, "NoSuchKey"))?;
            if etag(there) != wanted {
                return Err((412, "PreconditionFailed"));
            }
        }
        self.objects.remove(path);
        Ok(())
    }

    fn list_parts(&self, parts: &BTreeMap<u32, Vec<u8>>) -> Response {
        let listed: String = parts
            .iter()
            .map(|(number, bytes)| {
                let sum = Checksum::of(ChecksumAlgorithm::Crc64Nvme, bytes).base64();
                let sum = if self.checksums {
                    format!("<ChecksumCRC64NVME>{sum}</ChecksumCRC64NVME>")
                } else {
                    String::new()
                };
                let (tag, size) = (etag(bytes), bytes.len());
                format!(
                    "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag><Size>{size}</Size>{sum}</Part>"
                )
            })
            .collect();
        format!("<ListPartsResult><IsTruncated>false</IsTruncated>{listed}</ListPartsResult>").into_response()
    }

    fn list(&self, path: &str, query: &Query) -> Response {
        let bucket = format!("{path}/");
        let prefix = query.value("prefix").unwrap_or_default();
        let keys =
            self.objects.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(&bucket)?, bytes.len())));
        let after = query.value("continuation-token").or(query.value("start-after")).unwrap_or_default();
        let most = query.value("max-keys").and_then(|most| most.parse().ok()).unwrap_or(1000);
        let mut keys = keys.filter(|(key, _)| key.starts_with(prefix) && *key > after).peekable();
        let page: Vec<_> = keys.by_ref().take(most).collect();
        let more = page.last().filter(|_| keys.peek().is_some()).map_or_else(String::new, |(last, _)| {
            format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
                quick_xml::escape::escape(*last)
            )
        });
        let listed: String = page
            .into_iter()
            .map(|(key, size)| {
                format!("<Contents><Key>{}</Key><Size>{size}</Size></Contents>", percent_encode(key, false))
            })
            .collect();
        format!("<ListBucketResult><EncodingType>url</EncodingType>{more}{listed}</ListBucketResult>")
            .into_response()
    }

    fn get(&self, path: &str, headers: &HeaderMap) -> Response {
        let Some(bytes) = self.objects.get(path) else { return refusal(404, "NoSuchKey") };
        let tag = etag(bytes);
        if headers.get("if-match").is_some_and(|wanted| wanted != tag.as_str()) {
            return refusal(412, "PreconditionFailed");
        }
        let range =
            headers.get("range").map(|range| range.to_str().unwrap().trim_start_matches("bytes=").to_owned());
        let mut answer = match range {
            None => bytes.clone().into_response(),
            Some(range) => {
                let (first, last) = range.split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                let total = format!("bytes {first}-{last}/{}", bytes.len());
                (StatusCode::PARTIAL_CONTENT, [("content-range", total)], bytes[first..=last].to_vec())
                    .into_response()
            }
        };
        answer.headers_mut().insert("etag", tag.parse().unwrap());
        if self.checksums {
            let sum = Checksum::of(ChecksumAlgorithm::Crc64Nvme, bytes).base64();
            answer.headers_mut().insert("x-amz-checksum-crc64nvme", sum.parse().unwrap());
        }
        answer
    }
}
