//! The gateway over TCP, with raw requests: what must be refused is refused, and paths mean what they say.
//!
//! The token is signed here with a key that the directory file names, so no provider is needed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wigeon_core::credentials::Credentials;
use wigeon_core::encoding::percent_encode;
use wigeon_core::jwt::Algorithm;
use wigeon_core::jwt::signing::SigningKey;
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::{Query, sha256_hex};
use wigeon_core::sigv4::sign::Signer;
use wigeon_core::sts::AssumedRole;
use wigeon_core::time::{Clock, Timestamp};
use wigeon_server::authenticate::RootKey;
use wigeon_server::config::{Config, DirectoryConfig};
use wigeon_server::serve::{self, Running};

const ISSUER: &str = "https://idp.example";

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

struct Fixture {
    _folder: tempfile::TempDir,
    running: Running,
    key: SigningKey,
    root: Credentials,
}

fn permissions() -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*Object", "Resource": "arn:aws:s3:::home/${idp.example:sub}/*"},
        {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*",
         "Condition": {"StringEquals": {"aws:userid": "admin"}}},
    ]})
}

fn trust() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::000000000000:oidc-provider/idp.example"},
        "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"idp.example:aud": "app"}},
    }]})
}

impl Fixture {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        write(folder.path(), "jwks.json", &json!({"keys": [key.public_jwk()]}).to_string());
        let directory = format!(
            "account = '000000000000'\n\
             [[provider]]\nurl = '{ISSUER}'\nclient_ids = ['app']\njwks_file = 'jwks.json'\n\
             [[role]]\nname = 'person'\ntrust = '''{}'''\n\
             [[role.policy]]\nname = 'home'\ndocument = '''{}'''\n",
            trust(),
            permissions()
        );
        write(folder.path(), "directory.toml", &directory);
        let root = Credentials {
            access_key_id: "AKIAROOTROOTROOTROOT".into(),
            secret_key: Secret::new("the-secret-of-the-root-key"),
            session_token: None,
            expires_at: None,
        };
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: folder.path().join("data"),
            directory: DirectoryConfig::file(folder.path().join("directory.toml")),
            region: "us-east-1".into(),
            domains: Vec::new(),
            root: Some(RootKey {
                access_key_id: root.access_key_id.clone(),
                secret_key: root.secret_key.clone(),
            }),
            audit: None,
            tls: None,
        };
        let running = serve::start(&config, Arc::new(SystemClock)).await.unwrap();
        let fixture = Self { _folder: folder, running, key, root };
        let created = fixture.signed(&fixture.root, "PUT", "/home", "", &[], b"").await;
        assert_eq!(created.status, 200, "{created:?}");
        fixture
    }

    /// Exchanges a token of `sub` for credentials, with a form as tools post it.
    async fn credentials(&self, sub: &str) -> Credentials {
        let now = Timestamp::now().as_second();
        let claims = json!({"iss": ISSUER, "sub": sub, "aud": "app", "iat": now, "exp": now + 600});
        let token = self.key.sign(&Map::new(), claims.as_object().unwrap()).unwrap();
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=test&WebIdentityToken={token}\
             &RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fperson"
        );
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            form.len()
        );
        let answer = self.raw(&[head.as_bytes(), form.as_bytes()].concat()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        AssumedRole::from_xml(&answer.body).unwrap().credentials
    }

    async fn signed(
        &self,
        credentials: &Credentials,
        method: &str,
        path: &str,
        query: &str,
        extra: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let request = self.request(credentials, method, path, query, extra, body);
        self.raw(&request).await
    }

    /// The bytes of a signed request. `path` goes out as it is.
    fn request(
        &self,
        credentials: &Credentials,
        method: &str,
        path: &str,
        query: &str,
        extra: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<u8> {
        let host = self.running.address().to_string();
        let mut headers: HeaderMap = extra
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let signer = Signer { credentials, region: "us-east-1", service: "s3", at: Timestamp::now() };
        let parsed = Query::parse(query).unwrap();
        let method: Method = method.parse().unwrap();
        signer.sign(&method, &host, path, &parsed, &mut headers, &sha256_hex(body)).unwrap();
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let mut text = format!("{method} {path}{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        for (name, value) in &headers {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        text.push_str("\r\n");
        [text.as_bytes(), body].concat()
    }

    async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.running.address()).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("the server answers").unwrap();
        Answer::parse(&bytes)
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

#[derive(Debug)]
struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        Self { status, body: body.to_owned() }
    }

    fn code(&self) -> &str {
        let from = self.body.find("<Code>").map_or(0, |at| at + 6);
        let to = self.body.find("</Code>").unwrap_or(from);
        &self.body[from..to]
    }
}

#[tokio::test]
async fn paths_mean_what_they_say() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    // Keys that a file system, or a careless reader of paths, would take for something else.
    for key in ["alice/../bob/secret", "alice//x", "alice/./x", "alice/a/..", "alice/ü/\u{7f}/+ %2F"] {
        let path = format!("/home/{}", percent_encode(key, true));
        let put = fixture.signed(&alice, "PUT", &path, "", &[], key.as_bytes()).await;
        assert_eq!(put.status, 200, "{key}: {put:?}");
        let got = fixture.signed(&alice, "GET", &path, "", &[], b"").await;
        assert_eq!((got.status, got.body.as_str()), (200, key));
    }
    // None of them touched another's place.
    for path in ["/home/bob/secret", "/home/alice/..%2f..%2fbob/secret/../../../bob/secret"] {
        let got = fixture.signed(&alice, "GET", path, "", &[], b"").await;
        assert!(
            matches!((got.status, got.code()), (403, "AccessDenied") | (404, "NoSuchKey")),
            "{path}: {got:?}"
        );
    }
    let listed =
        fixture.signed(&fixture.root, "GET", "/home", "list-type=2&encoding-type=url", &[], b"").await;
    assert!(listed.body.contains("<KeyCount>5</KeyCount>"), "{listed:?}");
    assert!(!listed.body.contains("<Key>bob"), "{listed:?}");
    fixture.running.stop().await;
}

#[tokio::test]
async fn what_must_be_refused() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let long = format!("/home/alice/{}", "k".repeat(1020));
    let refused: [(&str, &str, &str, u16, &str); 10] = [
        ("GET", "/home/alice/a%00b", "", 400, "InvalidArgument"),
        ("GET", "/home/alice/%ff", "", 400, "InvalidURI"),
        ("PUT", long.as_str(), "", 400, "KeyTooLongError"),
        ("GET", "/..%2f..%2fetc/passwd", "", 400, "InvalidBucketName"),
        ("PUT", "/home/alice/k", "renameObject", 501, "NotImplemented"),
        ("GET", "/home/alice/k", "torrent", 403, "AccessDenied"),
        ("PATCH", "/home/alice/k", "", 405, "MethodNotAllowed"),
        ("GET", "/home/bob/k", "", 403, "AccessDenied"),
        ("DELETE", "/home", "", 403, "AccessDenied"),
        ("GET", "/", "", 403, "AccessDenied"),
    ];
    for (method, path, query, status, code) in refused {
        let answer = fixture.signed(&alice, method, path, query, &[], b"").await;
        assert_eq!((answer.status, answer.code()), (status, code), "{method} {path}?{query}: {answer:?}");
    }
    fixture.running.stop().await;
}

/// MinIO and others let a header of this name become the condition key.
#[tokio::test]
async fn a_header_never_becomes_a_server_derived_key() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    for header in ["userid", "aws-userid", "x-amz-userid", "x-amz-meta-aws-userid"] {
        let answer = fixture.signed(&alice, "GET", "/", "", &[(header, "admin")], b"").await;
        assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{header}");
    }
    let answer = fixture.signed(&alice, "GET", "/", "x-amz-userid=admin", &[], b"").await;
    assert_eq!(answer.status, 403);
    fixture.running.stop().await;
}

#[tokio::test]
async fn the_body_is_the_one_that_was_signed() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let request = fixture.request(&alice, "PUT", "/home/alice/k", "", &[], b"signed");
    let changed = [&request[..request.len() - 6], b"forged"].concat();
    let answer = fixture.raw(&changed).await;
    assert_eq!((answer.status, answer.code()), (400, "XAmzContentSHA256Mismatch"));

    // A shorter body than announced: the connection ends, nothing becomes visible.
    let mut stream = TcpStream::connect(fixture.running.address()).await.unwrap();
    stream.write_all(&request[..request.len() - 3]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;

    let md5 = [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")];
    let answer = fixture.signed(&alice, "PUT", "/home/alice/k", "", &md5, b"not empty").await;
    assert_eq!((answer.status, answer.code()), (400, "BadDigest"));
    let crc = [("x-amz-checksum-crc32", "AAAAAA==")];
    let answer = fixture.signed(&alice, "PUT", "/home/alice/k", "", &crc, b"not empty").await;
    assert_eq!((answer.status, answer.code()), (400, "BadDigest"));

    let answer = fixture.signed(&alice, "GET", "/home/alice/k", "", &[], b"").await;
    assert_eq!((answer.status, answer.code()), (404, "NoSuchKey"));
    fixture.running.stop().await;
}

#[tokio::test]
async fn two_lengths_are_one_too_many() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let request = fixture.request(&alice, "PUT", "/home/alice/k", "", &[], b"");
    let text = String::from_utf8(request).unwrap();
    let smuggled = text.replacen("\r\n", "\r\nTransfer-Encoding: chunked\r\n", 1)
        + "0\r\n\r\nGET /home/bob/secret HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = fixture.raw(smuggled.as_bytes()).await;
    assert_eq!((answer.status, answer.code()), (411, "MissingContentLength"), "{answer:?}");
    assert!(!answer.body.contains("HTTP/1.1"), "a second answer: {answer:?}");
    let twice = text.replacen("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 5", 1);
    assert_eq!(fixture.raw(twice.as_bytes()).await.status, 400);
    fixture.running.stop().await;
}

#[tokio::test]
async fn unsigned_headers_that_change_the_meaning_are_refused() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let request = String::from_utf8(fixture.request(&alice, "PUT", "/home/alice/k", "", &[], b"")).unwrap();
    for header in ["x-amz-copy-source: /home/bob/secret", "x-amz-meta-a: 1", "x-amz-acl: public-read"] {
        let changed = request.replacen("\r\n", &format!("\r\n{header}\r\n"), 1);
        let answer = fixture.raw(changed.as_bytes()).await;
        assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{header}");
    }
    fixture.running.stop().await;
}

#[tokio::test]
async fn a_large_refused_upload_still_hears_why() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let body = vec![7; 900 << 10];
    let answer = fixture.signed(&alice, "PUT", "/home/bob/k", "", &[], &body).await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"));
    fixture.running.stop().await;
}
