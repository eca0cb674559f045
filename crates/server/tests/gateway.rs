//! The gateway over TCP, with raw requests: what must be refused is refused, and paths mean what they say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::path::Path;
use std::time::Duration;

use fixture::Fixture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wigeon_core::encoding::percent_encode;

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

/// A missing key is a secret of those who may list it: everyone else gets the answer of a key that they may not read.
#[tokio::test]
async fn what_is_missing_is_told_to_those_who_may_list_it() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    fixture.signed(&fixture.root, "PUT", "/home/recent/there", "", &[], b"x").await;
    let status =
        async |method: &str, path: &str| fixture.signed(&alice, method, path, "", &[], b"").await.status;
    for method in ["GET", "HEAD"] {
        assert_eq!(status(method, "/home/alice/none").await, 404, "{method}");
        assert_eq!(status(method, "/home/recent/there").await, 200, "{method}");
        assert_eq!(status(method, "/home/recent/none").await, 403, "{method}");
    }
    let missing = fixture.signed(&alice, "GET", "/home/recent/none", "", &[], b"").await;
    assert_eq!(missing.code(), "AccessDenied");
    assert!(missing.body.contains("s3:ListBucket"), "{missing:?}");
    for (source, found) in
        [("/home/recent/there", 200), ("/home/recent/none", 403), ("/home/alice/none", 404)]
    {
        let copy = [("x-amz-copy-source", source)];
        let answer = fixture.signed(&alice, "PUT", "/home/alice/copy", "", &copy, b"").await;
        assert_eq!(answer.status, found, "{source} {answer:?}");
    }
    let root = fixture.signed(&fixture.root, "GET", "/home/recent/none", "", &[], b"").await;
    assert_eq!((root.status, root.code()), (404, "NoSuchKey"));
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

/// Who removes what it has seen, removes nothing else: one by one and many at once.
#[tokio::test]
async fn what_was_written_anew_is_not_removed() {
    let fixture = Fixture::start().await;
    let root = &fixture.root;
    // The MD5 of `x`; the others hold something else by now.
    let tag = "\"9dd4e461268c8034f5c8564e155c67a6\"";
    for (key, content) in [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")] {
        let put = fixture.signed(root, "PUT", &format!("/home/{key}"), "", &[], content.as_bytes()).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
    for (key, status) in [("a", 204), ("b", 412), ("none", 404)] {
        let path = format!("/home/{key}");
        let deleted = fixture.signed(root, "DELETE", &path, "", &[("if-match", tag)], b"").await;
        assert_eq!(deleted.status, status, "{key}: {deleted:?}");
    }
    let object =
        |key| format!("<Object><Key>{key}</Key><ETag>{}</ETag></Object>", tag.replace('"', "&quot;"));
    let document =
        format!("<Delete><Quiet>true</Quiet>{}{}{}</Delete>", object("c"), object("d"), object("none"));
    let answer = fixture.signed(root, "POST", "/home", "delete=", &[], document.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for (key, code) in [("d", "PreconditionFailed"), ("none", "NoSuchKey")] {
        assert!(answer.body.contains(&format!("<Error><Key>{key}</Key><Code>{code}</Code>")), "{answer:?}");
    }
    assert_eq!(answer.body.matches("<Error>").count(), 2, "{answer:?}");
    for (key, status) in [("a", 404), ("b", 200), ("c", 404), ("d", 200)] {
        assert_eq!(fixture.signed(root, "GET", &format!("/home/{key}"), "", &[], b"").await.status, status);
    }
    fixture.running.stop().await;
}

/// What cannot be read to its end is cut off: nobody takes what came for all of it.
#[tokio::test]
async fn an_object_that_ends_early_ends_its_connection() {
    let fixture = Fixture::start().await;
    let size = 24 << 20;
    let put = fixture.signed(&fixture.root, "PUT", "/home/large", "", &[], &vec![7; size]).await;
    assert_eq!(put.status, 200, "{put:?}");
    let request = fixture.request(&fixture.root, "GET", "/home/large", "", &[], b"");
    let mut stream = TcpStream::connect(fixture.running.address()).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut answer = vec![0; 1000];
    stream.read_exact(&mut answer).await.unwrap();
    let announced = format!("content-length: {size}\r\n");
    assert!(String::from_utf8_lossy(&answer).to_lowercase().contains(&announced));
    cut_files_of(fixture.folder.path(), size as u64, size as u64 - 1);
    // Whether it just ends or is reset.
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await.unwrap();
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let body = &answer[head..];
    assert!(body.len() < size && body.iter().all(|byte| *byte == 7), "{}", body.len());
    fixture.running.stop().await;
}

/// Of all files below a folder that are so long.
fn cut_files_of(folder: &Path, from: u64, to: u64) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cut_files_of(&path, from, to);
        } else if path.metadata().unwrap().len() == from {
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(to).unwrap();
        }
    }
}
