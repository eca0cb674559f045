//! Attacks on a running server, byte by byte: each is refused, and the server goes on serving.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fixture::{Answer, Fixture};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wigeon_core::credentials::Credentials;
use wigeon_core::encoding::percent_encode;
use wigeon_core::time::Timestamp;

const UNSIGNED_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

impl Fixture {
    /// The server still does its work.
    async fn still_serves(&self) {
        let answer = self.signed(&self.root, "HEAD", "/home", "", &[], b"").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Sends bytes and nothing more, lets the clock run, and says what came until the connection was closed.
    async fn then_silence(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.running.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        tokio::time::pause();
        let mut read = Vec::new();
        // Without a limit of the server's own this would never return.
        let _ = stream.read_to_end(&mut read).await;
        tokio::time::resume();
        Answer::parse(&read)
    }

    /// A chunked upload without signatures in it.
    async fn chunked(&self, credentials: &Credentials, extra: &[(&str, &str)], body: &[u8]) -> Answer {
        let request =
            self.request_of(credentials, "PUT", "/home/alice/chunked", "", extra, UNSIGNED_CHUNKS, body);
        self.raw(&request).await
    }

    /// The query of an address presigned by signature version 2.
    fn presigned_v2(&self, credentials: &Credentials, signed: &str) -> String {
        let expires = Timestamp::now().as_second() + 600;
        let text = signed.replace("EXPIRES", &expires.to_string());
        let key =
            hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, credentials.secret_key.expose().as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()).as_ref());
        let mut query = format!(
            "AWSAccessKeyId={}&Expires={expires}&Signature={}",
            credentials.access_key_id,
            percent_encode(&signature, false)
        );
        if let Some(token) = &credentials.session_token {
            query.push_str(&format!("&x-amz-security-token={}", percent_encode(token.expose(), false)));
        }
        query
    }
}

// Connections and bodies without an end.

#[rstest]
#[case::nothing(b"")]
#[case::the_beginning_of_a_preface(b"PRI * HT")]
#[case::http_2_and_silence(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")]
#[case::half_a_head(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ")]
#[case::a_whole_request_and_silence(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")]
#[case::half_a_form(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nAction=")]
#[case::half_a_refused_body(b"PUT /home/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction=")]
#[tokio::test]
async fn a_connection_that_says_nothing_is_closed(#[case] bytes: &[u8]) {
    let fixture = Fixture::start().await;
    fixture.then_silence(bytes).await;
    fixture.still_serves().await;
}

#[tokio::test]
async fn a_body_that_stops_is_not_waited_for() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let request = fixture.request(&alice, "PUT", "/home/alice/k", "", &[], &[7; 100_000]);
    let answer = fixture.then_silence(&request[..request.len() - 50_000]).await;
    assert_eq!((answer.status, answer.code()), (400, "RequestTimeout"), "{answer:?}");
    let answer = fixture.signed(&alice, "GET", "/home/alice/k", "", &[], b"").await;
    assert_eq!((answer.status, answer.code()), (404, "NoSuchKey"));
}

#[tokio::test]
async fn a_body_that_trickles_is_not_waited_for() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let request = fixture.request(&alice, "PUT", "/home/alice/k", "", &[], &[7; 100_000]);
    let mut stream = TcpStream::connect(fixture.running.address()).await.unwrap();
    stream.write_all(&request[..request.len() - 100_000]).await.unwrap();
    tokio::time::pause();
    let (mut from, mut to) = stream.into_split();
    let trickle = tokio::spawn(async move {
        while to.write_all(&[7]).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    });
    let mut read = Vec::new();
    let _ = from.read_to_end(&mut read).await;
    trickle.abort();
    tokio::time::resume();
    let answer = Answer::parse(&read);
    assert_eq!((answer.status, answer.code()), (400, "RequestTimeout"), "{answer:?}");
    fixture.still_serves().await;
}

// Heads.

#[tokio::test]
async fn heads_that_are_odd_or_endless_harm_nobody() {
    let fixture = Fixture::start().await;
    let many_parameters: String = (0..9000).map(|n| format!("&{n:x}")).collect();
    let many_headers: String = (0..500).map(|n| format!("x-amz-meta-{n}: 1\r\n")).collect();
    let long = "a".repeat(1 << 20);
    let heads = [
        "CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET http://one/ HTTP/1.1\r\nHost: two\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "GET // HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /home/k HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".to_owned(),
        "GET /home/k HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256\r\nAuthorization: b\r\n\r\n".to_owned(),
        "GET /home/k HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=/////,SignedHeaders=;;,Signature=\r\n\r\n".to_owned(),
        "GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=-1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=99991231T235959Z&X-Amz-Expires=604800&X-Amz-Credential=a/99991231/r/s3/aws4_request&X-Amz-SignedHeaders=host&X-Amz-Signature=0 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /?AWSAccessKeyId=a&Expires=-9223372036854775808&Signature=a HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "PUT /home/k HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n".to_owned(),
        "PUT /home/k HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n".to_owned(),
        format!("GET /home?a{many_parameters} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{many_headers}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: {long}\r\n\r\n"),
    ];
    for head in heads {
        let head = head.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        let began = Instant::now();
        let mut stream = TcpStream::connect(fixture.running.address()).await.unwrap();
        // The server may hang up in the middle of an endless head.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut read = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut read)).await;
        assert!(ended.is_ok(), "no end: {head:.80}");
        let answer = Answer::parse(&read);
        assert!(matches!(answer.status, 0 | 400..=499), "{head:.80}: {answer:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{head:.80}: {:?}", began.elapsed());
    }
    fixture.still_serves().await;
}

#[tokio::test]
async fn nothing_is_answered_without_a_signature() {
    let fixture = Fixture::with_domains(&["s3.example"]).await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for (method, address, header) in [
        ("GET", "/", ""),
        ("GET", "/home", ""),
        ("PUT", "/home/k", ""),
        ("PUT", "/home/k?Action=AssumeRoleWithWebIdentity", form),
        ("POST", "/home?delete", form),
        ("POST", "/home?Action=GetCallerIdentity&delete", form),
        ("POST", "/home", "Content-Type: multipart/form-data; boundary=x\r\n"),
        ("DELETE", "/home", form),
        ("DELETE", "/?Action=GetCallerIdentity", form),
        ("GET", "/healthz?x", ""),
        ("PUT", "/healthz", ""),
    ] {
        for host in ["x", "home.s3.example"] {
            let request = format!(
                "{method} {address} HTTP/1.1\r\nHost: {host}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let answer = fixture.raw(request.as_bytes()).await;
            assert!(matches!(answer.status, 400..=499), "{method} {address} at {host}: {answer:?}");
        }
    }
    // On the host of a bucket `/` is the bucket, whatever the type of the body.
    for line in ["POST /?delete", "POST /", "GET /?Action=GetCallerIdentity"] {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: home.s3.example\r\n{form}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = fixture.raw(request.as_bytes()).await;
        assert!(
            answer.body.contains("<Error>") && !answer.body.contains("<ErrorResponse"),
            "{line}: {answer:?}"
        );
    }
    fixture.still_serves().await;
}

/// What follows a refused request on its connection is its body, never a request.
#[tokio::test]
async fn a_refused_body_is_never_read_as_a_request() {
    let fixture = Fixture::start().await;
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    for padding in [0, 3 << 20] {
        let body = "a".repeat(padding) + smuggled;
        let head = format!("PUT /home/k HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(fixture.running.address()).await.unwrap();
        let _ = stream.write_all((head + &body).as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut read = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut read)).await;
        let text = String::from_utf8_lossy(&read);
        assert!(text.matches("HTTP/1.1 ").count() <= 1 && !text.contains("ok\n"), "{text}");
    }
}

/// HTTP/2 has `:authority` in the place of Host.
#[tokio::test]
async fn over_http_2_two_names_of_the_host_are_refused() {
    let fixture = Fixture::start().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let address = format!("http://{}/home", fixture.running.address());
    let answer = client.get(&address).header("host", "other.example").send().await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert!(answer.status().is_client_error());
    let text = answer.text().await.unwrap();
    assert!(text.contains("InvalidRequest") || text.contains("AccessDenied"), "{text}");
    fixture.still_serves().await;
}

// Signatures of version 2.

#[tokio::test]
async fn version_2_covers_what_it_is_used_for() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    fixture.signed(&alice, "PUT", "/home/alice/k", "", &[], b"hello").await;
    let token = alice.session_token.as_ref().unwrap().expose();
    let get = format!("GET\n\n\nEXPIRES\nx-amz-security-token:{token}\n/home/alice/k");
    let query = fixture.presigned_v2(&alice, &get);
    let ask = |line: String, headers: &str| {
        format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n")
    };
    let answer = fixture.raw(ask(format!("GET /home/alice/k?{query}"), "").as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"), "{answer:?}");

    let put = format!("PUT\n\n\nEXPIRES\nx-amz-security-token:{token}\n/home/alice/k");
    let put = fixture.presigned_v2(&alice, &put);
    for (line, headers) in [
        (format!("GET /home/bob/k?{query}"), ""),
        (format!("HEAD /home/alice/k?{query}"), ""),
        (format!("GET /home/alice/k?{query}&prefix=x"), ""),
        (format!("GET /home/alice/k?{query}&response-content-type=text/html"), ""),
        (format!("GET /home/alice/k?{query}&X-Amz-Copy-Source=/home/bob/k"), ""),
        (format!("PUT /home/alice/k?{put}&x-amz-copy-source=/home/bob/k"), ""),
        (format!("PUT /home/alice/k?{put}&x-amz-meta-a=1%0ax-amz-meta-b:2"), ""),
        (format!("PUT /home/alice/k?{put}"), "x-amz-copy-source: /home/bob/k\r\n"),
        (format!("PUT /home/alice/k?{put}"), "x-amz-security-token: x\r\n"),
        (format!("PUT /home/alice/k?{put}"), "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"),
    ] {
        let answer = fixture.raw(ask(line.clone(), headers).as_bytes()).await;
        assert!(matches!(answer.status, 400 | 403), "{line} {headers}: {answer:?}");
    }
}

/// Version 2 does not cover a body: an address presigned for a form would sign any form.
#[tokio::test]
async fn version_2_is_not_for_the_token_service() {
    let fixture = Fixture::start().await;
    let kind = "application/x-www-form-urlencoded";
    let query = fixture.presigned_v2(&fixture.root, &format!("POST\n\n{kind}\nEXPIRES\n/"));
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let request = format!(
        "POST /?{query} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    let answer = fixture.raw(request.as_bytes()).await;
    assert_eq!((answer.status, answer.code()), (400, "IncompleteSignature"), "{answer:?}");
}

// Chunked bodies.

#[tokio::test]
async fn chunked_bodies_that_lie_are_refused() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let crc = "x-amz-checksum-crc32:NhCmhg==";
    let good = format!("5\r\nhello\r\n0\r\n{crc}\r\n\r\n");
    let announced = [("x-amz-decoded-content-length", "5"), ("x-amz-trailer", "x-amz-checksum-crc32")];
    let answer = fixture.chunked(&alice, &announced, good.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let long_line = "f".repeat(5000);
    for (what, extra, body) in [
        ("no decoded length", &announced[1..], good.clone()),
        ("longer", &[("x-amz-decoded-content-length", "6"), announced[1]][..], good.clone()),
        ("shorter", &[("x-amz-decoded-content-length", "4"), announced[1]][..], good.clone()),
        ("negative", &[("x-amz-decoded-content-length", "-1"), announced[1]][..], good.clone()),
        ("huge", &announced[..], "ffffffffffffffff\r\nhello".to_owned()),
        ("beyond 64 bits", &announced[..], "1ffffffffffffffff\r\nhello".to_owned()),
        ("signed", &announced[..], "+5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("no end", &announced[..], "5\r\nhello\r\n".to_owned()),
        ("no line break", &announced[..], format!("5\r\nhello0\r\n{crc}\r\n\r\n")),
        ("after the end", &announced[..], format!("{good}5\r\nworld\r\n0\r\n\r\n")),
        ("trailer missing", &announced[..], "5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("trailer not announced", &announced[..1], good.clone()),
        ("trailer twice", &announced[..], format!("5\r\nhello\r\n0\r\n{crc}\r\n{crc}\r\n\r\n")),
        ("another trailer", &announced[..], format!("5\r\nhello\r\n0\r\n{crc}\r\nx-amz-meta-a:1\r\n\r\n")),
        (
            "a trailer that proves nothing",
            &[announced[0], ("x-amz-trailer", "x-amz-meta-a")][..],
            "5\r\nhello\r\n0\r\nx-amz-meta-a:1\r\n\r\n".to_owned(),
        ),
        (
            "wrong digest",
            &announced[..],
            "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n".to_owned(),
        ),
        ("endless line", &announced[..], long_line),
    ] {
        let before = fixture.signed(&alice, "GET", "/home/alice/chunked", "", &[], b"").await;
        let answer = fixture.chunked(&alice, extra, body.as_bytes()).await;
        assert!(matches!(answer.status, 400 | 403 | 411), "{what}: {answer:?}");
        let after = fixture.signed(&alice, "GET", "/home/alice/chunked", "", &[], b"").await;
        assert_eq!(before.body, after.body, "{what}");
    }
}

#[tokio::test]
async fn a_million_tiny_chunks_are_read_in_time() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let body = "1\r\na\r\n".repeat(300_000) + "0\r\n\r\n";
    let began = Instant::now();
    let answer =
        fixture.chunked(&alice, &[("x-amz-decoded-content-length", "300000")], body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

/// An operation that takes no body does not act on a request whose body is announced as something else.
#[tokio::test]
async fn chunked_payloads_where_no_body_belongs() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    fixture.signed(&alice, "PUT", "/home/alice/k", "", &[], b"hello").await;
    for method in ["GET", "DELETE"] {
        let request = fixture.request_of(&alice, method, "/home/alice/k", "", &[], UNSIGNED_CHUNKS, b"");
        assert_eq!(fixture.raw(&request).await.status, 411);
    }
    let answer = fixture.signed(&alice, "GET", "/home/alice/k", "", &[], b"").await;
    assert_eq!(answer.body, "hello");
}

// Rights.

#[tokio::test]
async fn uploads_belong_to_their_key() {
    let fixture = Fixture::start().await;
    let (alice, bob) = (fixture.credentials("alice").await, fixture.credentials("bob").await);
    let created = fixture.signed(&alice, "POST", "/home/alice/k", "uploads", &[], b"").await;
    let id =
        created.body.split("<UploadId>").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
    let part = format!("partNumber=1&uploadId={id}");
    for (path, status, code) in [("/home/bob/k", 404, "NoSuchUpload"), ("/home/alice/k", 403, "AccessDenied")]
    {
        let answer = fixture.signed(&bob, "PUT", path, &part, &[], b"forged").await;
        assert_eq!((answer.status, answer.code()), (status, code));
        let document = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>d41d8cd98f00b204e9800998ecf8427e</ETag></Part></CompleteMultipartUpload>";
        let answer = fixture.signed(&bob, "POST", path, &format!("uploadId={id}"), &[], document).await;
        assert_eq!((answer.status, answer.code()), (status, code));
    }
    for (method, path, query) in [
        ("GET", "/home/alice/k", format!("uploadId={id}")),
        ("DELETE", "/home/alice/k", format!("uploadId={id}")),
        ("GET", "/home", "uploads".to_owned()),
        ("GET", "/home", "uploads&prefix=bob/".to_owned()),
    ] {
        let answer = fixture.signed(&bob, method, path, &query, &[], b"").await;
        assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{method} {path}?{query}");
    }
}

#[tokio::test]
async fn each_key_of_a_deletion_is_asked_for() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    for key in ["/home/alice/k", "/home/bob/k"] {
        fixture.signed(&fixture.root, "PUT", key, "", &[], b"x").await;
    }
    let document = b"<Delete><Object><Key>bob/k</Key></Object><Object><Key>alice/../bob/k</Key></Object>\
        <Object><Key>alice/k</Key><VersionId>null</VersionId></Object>\
        <Object><Key>alice/<![CDATA[k</Key><Key>]]></Key></Object></Delete>";
    let answer = fixture.signed(&alice, "POST", "/home", "delete", &[], document).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("<Key>bob/k</Key><Code>AccessDenied</Code>"), "{answer:?}");
    // `alice/k` with a version takes another permission than she has.
    let refused = "<Key>alice/k</Key><VersionId>null</VersionId><Code>AccessDenied</Code>";
    assert!(answer.body.contains(refused), "{answer:?}");
    for key in ["/home/alice/k", "/home/bob/k"] {
        assert_eq!(fixture.signed(&fixture.root, "GET", key, "", &[], b"").await.status, 200, "{key}");
    }
}

/// `s3:RequestObjectTag` is about the tags that are written, wherever they stand.
#[tokio::test]
async fn tags_are_judged_as_they_are_written() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let path = "/home/tagged/k";
    let body = |value: &str| {
        format!("<Tagging><TagSet><Tag><Key>env</Key><Value>{value}</Value></Tag></TagSet></Tagging>")
            .into_bytes()
    };
    let (good, bad) = (("x-amz-tagging", "env=ok"), ("x-amz-tagging", "env=bad"));
    for (query, header, body, status) in [
        ("", Some(good), b"x".to_vec(), 200),
        ("", Some(bad), b"x".to_vec(), 403),
        ("", None, b"x".to_vec(), 403),
        ("", Some(("x-amz-tagging", "env=ok&env=bad")), b"x".to_vec(), 400),
        ("", Some(("x-amz-tagging", "env=ok&ENV=bad")), b"x".to_vec(), 400),
        ("", Some(("x-amz-tagging", "ENV=bad&env=ok")), b"x".to_vec(), 403),
        ("tagging", None, body("ok"), 200),
        ("tagging", None, body("bad"), 403),
        ("tagging", Some(good), body("bad"), 403),
        ("tagging", Some(good), b"<Tagging><TagSet/></Tagging>".to_vec(), 403),
    ] {
        let answer = fixture.signed(&alice, "PUT", path, query, header.as_slice(), &body).await;
        assert_eq!(answer.status, status, "?{query} {header:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_deny_by_the_tags_of_an_object_holds() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let tags = [("x-amz-tagging", "secret=yes")];
    fixture.signed(&fixture.root, "PUT", "/home/alice/s", "", &tags, b"secret").await;
    fixture.signed(&fixture.root, "PUT", "/home/tagged/s", "", &tags, b"secret").await;
    let created = fixture.signed(&alice, "POST", "/home/alice/p", "uploads", &[], b"").await;
    let id =
        created.body.split("<UploadId>").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
    let source = [("x-amz-copy-source", "/home/alice/s"), ("x-amz-tagging-directive", "REPLACE")];
    let tagging = b"<Tagging><TagSet><Tag><Key>env</Key><Value>ok</Value></Tag></TagSet></Tagging>";
    for (method, path, query, headers, body) in [
        ("GET", "/home/alice/s", "", &[][..], &b""[..]),
        ("GET", "/home/alice/s", "partNumber=1", &[], b""),
        ("HEAD", "/home/alice/s", "", &[], b""),
        ("PUT", "/home/alice/copy", "", &source[..], b""),
        ("PUT", "/home/alice/p", &format!("partNumber=1&uploadId={id}"), &source[..1], b""),
        ("PUT", "/home/tagged/s", "tagging", &[], tagging),
    ] {
        let answer = fixture.signed(&alice, method, path, query, headers, body).await;
        assert_eq!(answer.status, 403, "{method} {path}?{query}: {answer:?}");
        assert!(!answer.body.contains("secret</"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_copy_takes_no_tags_along_that_its_maker_may_not_write() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let tags = [("x-amz-tagging", "env=secret")];
    fixture.signed(&fixture.root, "PUT", "/home/alice/source", "", &tags, b"x").await;
    let source = ("x-amz-copy-source", "/home/alice/source");
    let copy = async |extra: &[(&str, &str)]| {
        fixture.signed(&alice, "PUT", "/home/alice/copy", "", &[&[source][..], extra].concat(), b"").await
    };
    let answer = copy(&[]).await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{answer:?}");
    assert!(answer.body.contains("s3:GetObjectTagging"), "{answer:?}");
    let answer = copy(&[("x-amz-tagging", "env=ok")]).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    // Without tags she may.
    assert_eq!(copy(&[("x-amz-tagging-directive", "REPLACE")]).await.status, 200);
    // What a header says of tags that are not written counts for nothing.
    let answer = fixture.signed(&fixture.root, "PUT", "/home/k", "", &[source, tags[0]], b"").await;
    assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"));
    for named in ["/home/bob/k", "home/bob/k", "home%2Fbob%2Fk", "/home/bob/k?versionId=null", "//home/bob/k"]
    {
        let answer =
            fixture.signed(&alice, "PUT", "/home/alice/copy", "", &[("x-amz-copy-source", named)], b"").await;
        assert!(matches!(answer.status, 400 | 403), "{named}: {answer:?}");
    }
}

// Answers.

#[tokio::test]
async fn what_is_stored_cannot_write_the_answer() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let key = "alice/]]></Key><Key>bob/\u{1}&#10;\"'\r\n";
    let path = format!("/home/{}", percent_encode(key, true));
    let query = "x-amz-meta-a=b%0d%0aSet-Cookie:%20c";
    let answer = fixture.signed(&alice, "PUT", &path, query, &[], b"x").await;
    assert_eq!((answer.status, answer.code()), (400, "InvalidArgument"), "{answer:?}");
    let answer = fixture.signed(&alice, "PUT", &path, "", &[("cache-control", "a")], b"x").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for query in [
        "response-content-disposition=a%0d%0aSet-Cookie:%20c",
        "response-content-type=a%0aSet-Cookie:%20c",
        "response-expires=%00",
    ] {
        let answer = fixture.signed(&alice, "GET", &path, query, &[], b"").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "x"), "{answer:?}");
        assert!(!answer.head.to_ascii_lowercase().contains("\nset-cookie"), "{answer:?}");
    }
    let listed = fixture.signed(&fixture.root, "GET", "/home", "", &[], b"").await;
    assert_eq!(listed.body.matches("<Key>").count(), 1, "{listed:?}");
    let prefix = "prefix=%3C/Prefix%3E%3CKey%3Eforged%3C/Key%3E&max-keys=0";
    let listed = fixture.signed(&fixture.root, "GET", "/home", prefix, &[], b"").await;
    assert!(!listed.body.contains("<Key>"), "{listed:?}");
    let answer = fixture.raw(b"GET /</Resource><x> HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(!answer.body.contains("<x>"), "{answer:?}");
}

#[tokio::test]
async fn answers_of_the_token_service_are_kept_nowhere() {
    let fixture = Fixture::start().await;
    let ask = "GET /?Action=GetCallerIdentity HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = fixture.raw(ask.as_bytes()).await;
    assert!(answer.head.contains("cache-control: no-store"), "{answer:?}");
}

#[tokio::test]
async fn forms_without_an_end_are_refused() {
    let fixture = Fixture::start().await;
    let many: String = (0..60_000).map(|n| format!("{n:x}&")).collect();
    for form in
        [many, "a".repeat(300 << 10), "Action=%ff".to_owned(), "Action=<x>&Version=</Message>".to_owned()]
    {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            form.len()
        );
        let mut stream = TcpStream::connect(fixture.running.address()).await.unwrap();
        let _ = stream.write_all((head + &form).as_bytes()).await;
        let mut read = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut read)).await;
        let answer = Answer::parse(&read);
        assert!(matches!(answer.status, 0 | 400..=499), "{answer:?}");
        assert!(!answer.body.contains("<x>"), "{answer:?}");
    }
    fixture.still_serves().await;
}

/// Bodies of XML that cost a parser more than they weigh.
#[tokio::test]
async fn documents_that_are_bombs_are_refused() {
    let fixture = Fixture::start().await;
    let attributes: String = (0..400_000).map(|n| format!(" a{n:x}=''")).collect();
    let deep = "<Object>".repeat(90_000) + &"</Object>".repeat(90_000);
    for body in [
        "<!DOCTYPE Delete [<!ENTITY a \"aaaaaaaaaa\">]><Delete>&a;</Delete>".to_owned(),
        format!("<Delete{attributes}/>"),
        format!("<Delete>{deep}</Delete>"),
        "<Object/>".repeat(2000),
    ] {
        let began = Instant::now();
        let answer = fixture.signed(&fixture.root, "POST", "/home", "delete", &[], body.as_bytes()).await;
        assert!(matches!(answer.status, 400), "{answer:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    fixture.still_serves().await;
}
