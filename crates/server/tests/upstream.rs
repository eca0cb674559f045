//! The gateway in front of another store, over TCP: what goes through, what is refused, and what happens when the other
//! side fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fixture::{Answer, Fixture};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wigeon_core::s3::BucketName;
use wigeon_core::sigv4::canonical::sha256_hex;
use wigeon_server::backend::upstream::settings::{
    Address, Mapping, Says, Settings, Source, Style, Trailers, Upstream,
};
use wigeon_server::bucket::{BucketAccess, BucketPolicy, PublicAccessBlock};
use wigeon_server::config::AuditConfig;
use wigeon_server::cors::{CorsRule, CorsRules};

fn name(text: &str) -> BucketName {
    BucketName::parse(text).unwrap()
}

/// The key of every fixture's administrator.
fn key_file(folder: &Path) -> Source {
    use std::os::unix::fs::PermissionsExt;
    let secret_key_file = folder.join("upstream-key");
    std::fs::write(&secret_key_file, "the-secret-of-the-root-key").unwrap();
    std::fs::set_permissions(&secret_key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    Source::Key { access_key_id: "AKIAROOTROOTROOTROOT".to_owned(), secret_key_file }
}

fn upstream(address: std::net::SocketAddr, folder: &Path) -> Upstream {
    Upstream {
        name: "other".to_owned(),
        address: Address::parse(&format!("http://{address}")).unwrap(),
        region: "us-east-1".to_owned(),
        style: Style::Path,
        ca_file: None,
        credentials: key_file(folder),
        default: true,
        buckets: Vec::new(),
        says: BTreeMap::new(),
        trailers: Trailers::Check,
        dot_segments: false,
        required: false,
        patience: Duration::from_secs(2),
    }
}

/// A gateway before `address`.
async fn before(address: std::net::SocketAddr, change: impl FnOnce(&mut Upstream)) -> Fixture {
    Fixture::bare(|config| {
        let folder = config.data.parent().unwrap().to_owned();
        let mut upstream = upstream(address, &folder);
        change(&mut upstream);
        config.audit = AuditConfig::file(folder.join("audit.jsonl"));
        config.upstreams = Settings { upstreams: vec![upstream], ..Settings::default() };
    })
    .await
}

fn last_record(gateway: &Fixture) -> serde_json::Value {
    // It is written when the answer has gone out, which is a moment after it has come in.
    std::thread::sleep(Duration::from_millis(100));
    let text = std::fs::read_to_string(gateway.folder.path().join("audit.jsonl")).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

// ---- in front of another Wigeon --------------------------------------------------------------------------

/// What is configured of an upstream's bucket holds here; the upstream knows nothing of it.
#[tokio::test]
async fn a_policy_and_rules_for_pages_of_an_upstreams_bucket() {
    let store = Fixture::start().await;
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::home/public/*"},
        {"Sid":"Closed","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::home/alice/closed/*"}]}"#;
    let gateway = before(store.running.address(), |upstream| {
        let policy = BucketPolicy::parse(&name("home"), policy).unwrap();
        let rule = CorsRule {
            allowed_origins: vec!["https://app.example".to_owned()],
            allowed_methods: vec!["GET".to_owned()],
            ..CorsRule::default()
        };
        let says = Says {
            access: BucketAccess {
                policy: Some(Arc::new(policy)),
                block: PublicAccessBlock::NONE,
                tags: None,
            },
            cors: Some(Arc::new(CorsRules::checked(vec![rule]).unwrap())),
        };
        upstream.says.insert(name("home"), says);
    })
    .await;
    let alice = gateway.credentials("alice").await;
    store.signed(&store.root, "PUT", "/home/public/k", "", &[], b"everybody's").await;
    assert_eq!(gateway.signed(&alice, "PUT", "/home/alice/k", "", &[], b"x").await.status, 200);
    let closed = gateway.signed(&alice, "PUT", "/home/alice/closed/k", "", &[], b"x").await;
    assert_eq!((closed.status, closed.code()), (403, "AccessDenied"), "{closed:?}");
    assert_eq!(last_record(&gateway)["by"]["statement"], "Closed");
    let host = gateway.running.address();
    let sent = async |method: &str, path: &str, more: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n");
        gateway.raw(head.as_bytes()).await
    };
    let origin = "Origin: https://app.example\r\n";
    let public = sent("GET", "/home/public/k", origin).await;
    assert_eq!((public.status, public.body.as_str()), (200, "everybody's"), "{public:?}");
    assert!(public.head.contains("access-control-allow-origin: https://app.example"), "{public:?}");
    assert_eq!(sent("GET", "/home/alice/k", "").await.status, 403);
    let asks = format!("{origin}Access-Control-Request-Method: GET\r\n");
    assert_eq!(sent("OPTIONS", "/home/public/k", &asks).await.status, 200);
    assert_eq!(sent("OPTIONS", "/home/public/k", &asks.replace("app.", "evil.")).await.status, 403);
    // A default upstream's other buckets stay without.
    assert_eq!(sent("OPTIONS", "/other/k", &asks).await.status, 403);
}

#[tokio::test]
async fn operations_go_through_as_they_are() {
    let store = Fixture::start().await;
    let gateway = before(store.running.address(), |_| {}).await;
    let alice = gateway.credentials("alice").await;
    let big: Vec<u8> = (0..700_000_u32).map(|at| (at % 251) as u8).collect();

    let put = gateway.signed(&alice, "PUT", "/home/alice/big", "", &[("x-amz-meta-a", "1")], &big).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(store.signed_bytes(&store.root, "/home/alice/big").await, big);
    assert_eq!(gateway.signed_bytes(&alice, "/home/alice/big").await, big);
    let head = gateway.signed(&alice, "HEAD", "/home/alice/big", "", &[], b"").await;
    assert!(
        head.head.contains("content-length: 700000") && head.head.contains("x-amz-meta-a: 1"),
        "{head:?}"
    );
    let range =
        gateway.signed(&alice, "GET", "/home/alice/big", "", &[("range", "bytes=251-255")], b"").await;
    assert_eq!((range.status, range.body.as_bytes()), (206, &[0, 1, 2, 3, 4][..]), "{range:?}");
    let tag = head.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let unchanged =
        gateway.signed(&alice, "GET", "/home/alice/big", "", &[("if-none-match", tag)], b"").await;
    assert_eq!(unchanged.status, 304, "{unchanged:?}");
    let again = gateway.signed(&alice, "PUT", "/home/alice/big", "", &[("if-none-match", "*")], b"x").await;
    assert_eq!((again.status, again.code()), (412, "PreconditionFailed"));
    assert_eq!(last_record(&gateway)["code"], "PreconditionFailed");

    let copied = gateway
        .signed(&alice, "PUT", "/home/alice/copy", "", &[("x-amz-copy-source", "/home/alice/big")], b"")
        .await;
    assert!(copied.status == 200 && copied.body.contains("CopyObjectResult"), "{copied:?}");
    let foreign = [("x-amz-copy-source", "/home/bob/big")];
    assert_eq!(gateway.signed(&alice, "PUT", "/home/alice/copy", "", &foreign, b"").await.status, 403);

    let listed = gateway.signed(&gateway.root, "GET", "/home", "list-type=2", &[], b"").await;
    assert!(listed.body.contains("<Key>alice/copy</Key>"), "{listed:?}");
    let buckets = gateway.signed(&gateway.root, "GET", "/", "", &[], b"").await;
    assert!(buckets.body.contains("<Name>home</Name>"), "{buckets:?}");
    let missing = gateway.signed(&alice, "GET", "/home/alice/none", "", &[], b"").await;
    assert_eq!((missing.status, missing.code()), (404, "NoSuchKey"));
    assert_eq!(gateway.signed(&alice, "GET", "/home/bob/x", "", &[], b"").await.status, 403);
    assert_eq!(gateway.signed(&alice, "DELETE", "/home/alice/big", "", &[], b"").await.status, 204);
    assert_eq!(store.signed(&store.root, "GET", "/home/alice/big", "", &[], b"").await.status, 404);
    // By an address, too: it is signed anew.
    assert_eq!(gateway.presigned(&alice, "GET", "/home/alice/copy", 60, "").await.status, 200);
}

#[tokio::test]
async fn each_key_of_a_deletion_is_asked_for() {
    let store = Fixture::start().await;
    let gateway = before(store.running.address(), |_| {}).await;
    let alice = gateway.credentials("alice").await;
    for key in ["alice/1", "alice/2", "bob/1"] {
        let put = gateway.signed(&gateway.root, "PUT", &format!("/home/{key}"), "", &[], b"x").await;
        assert_eq!(put.status, 200);
    }
    let delete = |keys: &[&str]| {
        let objects: String = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
        format!("<Delete>{objects}</Delete>").into_bytes()
    };
    let body = delete(&["alice/1", "bob/1"]);
    let answer = gateway.signed(&alice, "POST", "/home", "delete", &[], &body).await;
    assert!(answer.body.contains("<Deleted><Key>alice/1</Key></Deleted>"), "{answer:?}");
    assert!(answer.body.contains("<Error><Key>bob/1</Key><Code>AccessDenied</Code>"), "{answer:?}");
    assert_eq!(store.signed(&store.root, "GET", "/home/alice/1", "", &[], b"").await.status, 404);
    assert_eq!(store.signed(&store.root, "GET", "/home/bob/1", "", &[], b"").await.status, 200);
    let answer = gateway.signed(&alice, "POST", "/home", "delete", &[], &delete(&["alice/2"])).await;
    assert!(answer.status == 200 && answer.body.contains("alice/2"), "{answer:?}");
    // Tags that policies look at are fetched first.
    let tagged = [("x-amz-tagging", "secret=yes")];
    assert_eq!(gateway.signed(&gateway.root, "PUT", "/home/alice/t", "", &tagged, b"x").await.status, 200);
    assert_eq!(gateway.signed(&alice, "GET", "/home/alice/t", "", &[], b"").await.status, 403);
}

#[tokio::test]
async fn names_are_mapped_there_and_back() {
    let store = Fixture::start().await;
    let gateway = before(store.running.address(), |upstream| {
        upstream.default = false;
        upstream.buckets = vec![
            Mapping { name: name("renamed"), bucket: name("home"), prefix: String::new() },
            Mapping { name: name("part"), bucket: name("home"), prefix: "in/a b/".to_owned() },
        ];
    })
    .await;
    let root = &gateway.root;
    assert_eq!(gateway.signed(root, "PUT", "/part/x%26y", "", &[], b"1").await.status, 200);
    assert_eq!(gateway.signed(root, "PUT", "/part/dir/z", "", &[], b"2").await.status, 200);
    assert_eq!(store.signed_bytes(&store.root, "/home/in/a%20b/dir/z").await, b"2");
    store.signed(&store.root, "PUT", "/home/outside", "", &[], b"3").await;

    let listed = gateway.signed(root, "GET", "/part", "list-type=2&delimiter=%2F", &[], b"").await;
    for expected in ["<Name>part</Name>", "<Prefix></Prefix>", "<Key>x&amp;y</Key>", "<Prefix>dir/</Prefix>"]
    {
        assert!(listed.body.contains(expected), "{expected}: {listed:?}");
    }
    assert!(!listed.body.contains("outside") && !listed.body.contains("in/a"), "{listed:?}");
    let encoded =
        gateway.signed(root, "GET", "/part", "encoding-type=url&marker=dir%2Fa&prefix=d", &[], b"").await;
    assert!(
        encoded.body.contains("<Key>dir/z</Key>") && encoded.body.contains("<Marker>dir/a</Marker>"),
        "{encoded:?}"
    );
    let renamed = gateway.signed(root, "GET", "/renamed", "list-type=2", &[], b"").await;
    assert!(
        renamed.body.contains("<Name>renamed</Name>") && renamed.body.contains("<Key>outside</Key>"),
        "{renamed:?}"
    );

    let source = [("x-amz-copy-source", "renamed/outside")];
    assert_eq!(gateway.signed(root, "PUT", "/part/copy", "", &source, b"").await.status, 200);
    assert_eq!(store.signed_bytes(&store.root, "/home/in/a%20b/copy").await, b"3");
    let created = gateway.signed(root, "POST", "/part/m", "uploads", &[], b"").await;
    assert!(created.body.contains("<Bucket>part</Bucket><Key>m</Key>"), "{created:?}");
    let missing = gateway.signed(root, "GET", "/part/none", "", &[], b"").await;
    assert!(missing.code() == "NoSuchKey" && !missing.body.contains("in/a"), "{missing:?}");
    let body = b"<Delete><Object><Key>copy</Key></Object></Delete>";
    let deleted = gateway.signed(root, "POST", "/part", "delete", &[], body).await;
    assert!(deleted.body.contains("<Deleted><Key>copy</Key></Deleted>"), "{deleted:?}");
    assert_eq!(store.signed(&store.root, "GET", "/home/in/a%20b/copy", "", &[], b"").await.status, 404);

    let policy = gateway.signed(root, "PUT", "/part", "policy", &[], b"{}").await;
    assert_eq!((policy.status, policy.code()), (501, "NotImplemented"));
    assert_eq!(gateway.signed(root, "DELETE", "/part", "", &[], b"").await.status, 501);
    assert_eq!(gateway.signed(root, "PUT", "/part", "", &[], b"").await.code(), "BucketAlreadyOwnedByYou");
    for path in ["/part/../x", "/part/a/%2e%2e/%2e%2e/x", "/renamed/.."] {
        assert_eq!(gateway.signed(root, "GET", path, "", &[], b"").await.status, 400, "{path}");
    }
    let source = [("x-amz-copy-source", "part/../../outside")];
    assert_eq!(gateway.signed(root, "PUT", "/part/copy", "", &source, b"").await.status, 400);
    // Every other bucket is here.
    assert_eq!(gateway.signed(root, "PUT", "/mine", "", &[], b"").await.status, 200);
    let source = [("x-amz-copy-source", "part/dir/z")];
    assert_eq!(gateway.signed(root, "PUT", "/mine/x", "", &source, b"").await.status, 501);
    let buckets = gateway.signed(root, "GET", "/", "", &[], b"").await;
    assert!(
        buckets.body.contains("<Name>mine</Name>") && buckets.body.contains("<Name>part</Name>"),
        "{buckets:?}"
    );
    assert_eq!(store.signed(&store.root, "HEAD", "/mine", "", &[], b"").await.status, 404);
}

#[tokio::test]
async fn a_body_that_is_not_what_was_signed_never_arrives() {
    let store = Fixture::start().await;
    for trailers in [Trailers::Check, Trailers::Pass] {
        let gateway = before(store.running.address(), |upstream| upstream.trailers = trailers).await;
        let body = vec![7; 300_000];
        let put = |payload: String, extra: Vec<(&'static str, String)>, sent: Vec<u8>| {
            let extra: Vec<(&str, &str)> =
                extra.iter().map(|(name, value)| (*name, value.as_str())).collect();
            gateway.request_of(&gateway.root, "PUT", "/home/k", "", &extra, &payload, &sent)
        };
        let wrong_hash = put(sha256_hex(b"other"), Vec::new(), body.clone());
        let answer = gateway.raw(&wrong_hash).await;
        assert_eq!((answer.status, answer.code()), (400, "XAmzContentSHA256Mismatch"), "{answer:?}");
        let frames = |checksum: &str| {
            let mut sent = format!("{:x}\r\n", body.len()).into_bytes();
            sent.extend_from_slice(&body);
            sent.extend(format!("\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n").into_bytes());
            sent
        };
        let trailer = |checksum: &str| {
            put(
                "STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned(),
                vec![
                    ("x-amz-decoded-content-length", body.len().to_string()),
                    ("x-amz-trailer", "x-amz-checksum-crc32".to_owned()),
                    ("x-amz-sdk-checksum-algorithm", "CRC32".to_owned()),
                    ("content-encoding", "aws-chunked".to_owned()),
                ],
                frames(checksum),
            )
        };
        let answer = gateway.raw(&trailer("AAAAAA==")).await;
        assert_eq!((answer.status, answer.code()), (400, "BadDigest"), "{answer:?}");
        let cut = &wrong_hash[..wrong_hash.len() - 10];
        let mut stream = TcpStream::connect(gateway.running.address()).await.unwrap();
        stream.write_all(cut).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_ne!(Answer::parse(&rest).status, 200);
        let there = store.signed(&store.root, "GET", "/home/k", "", &[], b"").await;
        assert_eq!(there.status, 404, "{trailers:?}: {there:?}");

        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &body) as u32;
        let crc = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, crc.to_be_bytes());
        let answer = gateway.raw(&trailer(&crc)).await;
        assert_eq!(answer.status, 200, "{trailers:?}: {answer:?}");
        assert_eq!(store.signed_bytes(&store.root, "/home/k").await, body);
        let mode = [("x-amz-checksum-mode", "ENABLED")];
        let there = store.signed(&store.root, "HEAD", "/home/k", "", &mode, b"").await;
        let kept = there.head.contains(&format!("x-amz-checksum-crc32: {crc}"));
        assert_eq!(kept, trailers == Trailers::Pass, "{there:?}");
        assert!(!there.head.contains("content-encoding"), "{there:?}");
        store.signed(&store.root, "DELETE", "/home/k", "", &[], b"").await;
    }
}

// ---- an upstream that follows a script --------------------------------------------------------------------

/// What it does with one request.
#[derive(Clone)]
enum Reply {
    /// Answers, and keeps the connection.
    Answer(String),
    /// Answers, and closes.
    Last(String),
    /// Answers before it has the body.
    Early(String),
    /// Says `100 Continue`, takes the body, answers.
    Continue(String),
    /// Never answers.
    Silence,
}

struct Script {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn of(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (replies, records) = (Arc::new(Mutex::new(replies.into_iter())), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(follow(stream, Arc::clone(&replies), Arc::clone(&records)));
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn follow(
    mut stream: TcpStream,
    replies: Arc<Mutex<std::vec::IntoIter<Reply>>>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map(str::to_owned);
        seen.lock().unwrap().push(head);
        let reply = replies.lock().unwrap().next();
        let (text, wants_body) = match &reply {
            None => return,
            Some(Reply::Silence) => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                return;
            }
            Some(Reply::Early(text)) => (text, false),
            Some(Reply::Answer(text) | Reply::Last(text) | Reply::Continue(text)) => (text, true),
        };
        if matches!(reply, Some(Reply::Continue(_))) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        }
        if wants_body {
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
        }
        let sent = stream.write_all(text.as_bytes()).await;
        if matches!(reply, Some(Reply::Last(_))) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if sent.is_err() || !matches!(reply, Some(Reply::Answer(_) | Reply::Continue(_))) {
            return;
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn error(status: &str, headers: &str, code: &str, more: &str) -> String {
    answer(status, headers, &format!("<Error><Code>{code}</Code><Message>m</Message>{more}</Error>"))
}

#[tokio::test]
async fn only_the_upstreams_own_credentials_arrive() {
    // The role's policies speak of the object's tags, which are asked for first.
    let untagged = Reply::Answer(error("404 Not Found", "", "NoSuchTagSet", ""));
    let found = Reply::Answer(answer("200 OK", "x-amz-request-id: theirs\r\nSet-Cookie: a=b\r\n", "x"));
    let script = Script::of(vec![untagged, found]).await;
    let gateway = before(script.address, |_| {}).await;
    let alice = gateway.credentials("alice").await;
    let got = gateway
        .signed(&alice, "GET", "/home/alice/a%20b", "partNumber=1", &[("x-amz-meta-q", "1")], b"")
        .await;
    assert_eq!((got.status, got.body.as_str()), (200, "x"));
    assert!(!got.head.contains("theirs") && !got.head.contains("set-cookie"), "{got:?}");
    let seen = script.seen();
    assert!(seen[0].starts_with("GET /home/alice/a%20b?tagging= HTTP/1.1\r\n"), "{seen:?}");
    let seen = &seen[1];
    let token = alice.session_token.as_ref().unwrap().expose();
    assert!(!seen.contains(token) && !seen.contains(&alice.access_key_id), "{seen}");
    assert!(!seen.contains("x-amz-security-token"), "{seen}");
    assert!(seen.starts_with("GET /home/alice/a%20b?partNumber=1 HTTP/1.1\r\n"), "{seen}");
    assert!(
        seen.contains("Credential=AKIAROOTROOTROOTROOT/")
            && seen.contains(&format!("host: {}", script.address)),
        "{seen}"
    );
}

#[tokio::test]
async fn errors_are_passed_on_and_those_about_the_gateway_are_not() {
    let script = Script::of(vec![
        Reply::Answer(error("503 Slow Down", "Retry-After: 7\r\n", "SlowDown", "")),
        Reply::Answer(error(
            "403 Forbidden",
            "",
            "SignatureDoesNotMatch",
            "<StringToSign>secret</StringToSign>",
        )),
        Reply::Answer(error("403 Forbidden", "", "RequestTimeTooSkewed", "")),
        Reply::Answer(answer("301 Moved Permanently", "Location: http://evil.example/home/k\r\n", "")),
    ])
    .await;
    let gateway = before(script.address, |_| {}).await;
    let get = || gateway.signed(&gateway.root, "GET", "/home/k", "", &[], b"");
    let slow = get().await;
    assert_eq!((slow.status, slow.code()), (503, "SlowDown"));
    assert!(slow.head.contains("retry-after: 7"), "{slow:?}");
    for reason in ["SignatureDoesNotMatch", "RequestTimeTooSkewed", "evil.example"] {
        let refused = get().await;
        assert_eq!((refused.status, refused.code()), (503, "ServiceUnavailable"), "{refused:?}");
        assert!(!refused.body.contains("secret") && !refused.body.contains("evil"), "{refused:?}");
        assert!(
            last_record(&gateway)["reason"].as_str().unwrap().contains(reason),
            "{}",
            last_record(&gateway)
        );
    }
    assert_eq!(script.seen().len(), 4);
}

#[tokio::test]
async fn the_region_of_a_bucket_is_found_out_and_kept() {
    let wrong = error("400 Bad Request", "", "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>");
    let ok = answer("200 OK", "x-amz-bucket-region: eu-west-3\r\n", "x");
    let script = Script::of(vec![Reply::Answer(wrong), Reply::Answer(ok.clone()), Reply::Answer(ok)]).await;
    let gateway = before(script.address, |_| {}).await;
    for _ in 0..2 {
        let got = gateway.signed(&gateway.root, "GET", "/home/k", "", &[], b"").await;
        assert_eq!(got.status, 200, "{got:?}");
        assert!(got.head.contains("x-amz-bucket-region: us-east-1"), "{got:?}");
    }
    let seen = script.seen();
    assert!(
        seen[0].contains("/us-east-1/s3/")
            && seen[1].contains("/eu-west-3/s3/")
            && seen[2].contains("/eu-west-3/s3/")
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this".to_owned();
    let script = Script::of(vec![Reply::Last(cut)]).await;
    let gateway = before(script.address, |_| {}).await;
    let got = gateway.signed(&gateway.root, "GET", "/home/k", "", &[], b"").await;
    assert!(got.head.contains("content-length: 1000"), "{got:?}");
    assert_eq!(got.body, "only this");
}

#[tokio::test]
async fn an_old_connection_that_ended_is_no_error() {
    let ok = answer("200 OK", "", "x");
    let script =
        Script::of(vec![Reply::Answer(ok.clone()), Reply::Last("".to_owned()), Reply::Answer(ok)]).await;
    let gateway = before(script.address, |_| {}).await;
    for _ in 0..2 {
        // The second goes out on the connection of the first, which then ends without an answer.
        assert_eq!(gateway.signed(&gateway.root, "GET", "/home/k", "", &[], b"").await.status, 200);
    }
    assert_eq!(script.seen().len(), 3);
    // What is not repeatable is not repeated.
    let script = Script::of(vec![Reply::Answer(answer("200 OK", "", "x")), Reply::Last("".to_owned())]).await;
    let gateway = before(script.address, |_| {}).await;
    assert_eq!(gateway.signed(&gateway.root, "GET", "/home/k", "", &[], b"").await.status, 200);
    let lost = gateway.signed(&gateway.root, "POST", "/home/k", "uploads", &[], b"").await;
    assert_eq!((lost.status, lost.code()), (503, "ServiceUnavailable"));
    assert_eq!(script.seen().len(), 2);
}

#[tokio::test]
async fn an_upstream_that_is_silent_or_away_is_a_503() {
    let script = Script::of(vec![Reply::Silence]).await;
    let gateway = before(script.address, |upstream| upstream.patience = Duration::from_secs(1)).await;
    let silent = gateway.signed(&gateway.root, "GET", "/home/k", "", &[], b"").await;
    assert_eq!((silent.status, silent.code()), (503, "ServiceUnavailable"));
    assert!(last_record(&gateway)["reason"].as_str().unwrap().contains("no answer within 1 seconds"));

    let nobody = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    let gateway = before(nobody, |_| {}).await;
    for _ in 0..2 {
        let away = gateway.signed(&gateway.root, "PUT", "/home/k", "", &[], &vec![1; 200_000]).await;
        assert_eq!((away.status, away.code()), (503, "ServiceUnavailable"), "{away:?}");
        assert!(last_record(&gateway)["reason"].as_str().unwrap().contains("no connection to"));
    }
    // Other buckets are there all the same, and nothing of the upstream's is said.
    let listed = gateway.signed(&gateway.root, "GET", "/", "", &[], b"").await;
    assert!(listed.status == 503 && !listed.body.contains(&nobody.to_string()), "{listed:?}");
}

#[tokio::test]
async fn a_client_that_waits_is_told_what_the_upstream_says() {
    let no = error("403 Forbidden", "", "AccessDenied", "");
    let script =
        Script::of(vec![Reply::Early(no), Reply::Continue(answer("200 OK", "ETag: \"e\"\r\n", ""))]).await;
    let gateway = before(script.address, |_| {}).await;
    let body = vec![5; 100_000];
    let request = gateway.request(&gateway.root, "PUT", "/home/k", "", &[("expect", "100-continue")], &body);
    let head = &request[..request.len() - body.len()];

    let refused = gateway.raw(head).await;
    assert_eq!(
        (refused.status, refused.code()),
        (403, "AccessDenied"),
        "not even asked for its body: {refused:?}"
    );

    let mut stream = TcpStream::connect(gateway.running.address()).await.unwrap();
    stream.write_all(head).await.unwrap();
    let mut go = [0; 25];
    stream.read_exact(&mut go).await.unwrap();
    assert_eq!(&go, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body).await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(Answer::parse(&rest).status, 200);
    assert!(script.seen()[1].contains("expect: 100-continue\r\n"), "{:?}", script.seen());
}
