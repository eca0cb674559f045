//! What a signature covers, over TCP: nothing becomes visible before the last of it was checked, and nothing that
//! it does not cover counts.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::{Answer, Fixture};
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use wigeon_core::credentials::Credentials;
use wigeon_core::sigv4::canonical::{EMPTY_SHA256, Query, sha256_hex};
use wigeon_core::sigv4::sign::{Signed, Signer};
use wigeon_core::time::Timestamp;

const PATH: &str = "/home/alice/k";

/// An upload in signed chunks, as a well-behaved client makes it.
struct Upload {
    head: String,
    body: Vec<u8>,
    payload: Vec<u8>,
}

fn upload(host: &str, credentials: &Credentials, chunks: &[Vec<u8>], trailer: bool) -> Upload {
    let payload = chunks.concat();
    let word = if trailer {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    } else {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-decoded-content-length", HeaderValue::from(payload.len()));
    if trailer {
        headers.insert("x-amz-trailer", HeaderValue::from_static("x-amz-checksum-sha256"));
    }
    let signer = Signer { credentials, region: "us-east-1", service: "s3", at: Timestamp::now() };
    let signed = signer.sign(&Method::PUT, host, PATH, &Query::default(), &mut headers, word).unwrap();
    let mut body = Vec::new();
    let mut previous = signed.signature.as_str().to_owned();
    for chunk in chunks.iter().map(Vec::as_slice).filter(|chunk| !chunk.is_empty()).chain([&[][..]]) {
        let hashes = format!("{EMPTY_SHA256}\n{}", sha256_hex(chunk));
        previous = next_signature(&signed, "AWS4-HMAC-SHA256-PAYLOAD", &previous, &hashes);
        body.extend(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).into_bytes());
        body.extend_from_slice(chunk);
        if !chunk.is_empty() {
            body.extend(b"\r\n");
        }
    }
    if trailer {
        use base64::Engine;
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &payload);
        let sum = base64::engine::general_purpose::STANDARD.encode(sum);
        let fields = format!("x-amz-checksum-sha256:{sum}\n");
        let hash = sha256_hex(fields.as_bytes());
        let signature = next_signature(&signed, "AWS4-HMAC-SHA256-TRAILER", &previous, &hash);
        body.extend(format!("{}\r\nx-amz-trailer-signature:{signature}\r\n", fields.trim_end()).into_bytes());
    }
    body.extend(b"\r\n");
    let mut head = format!("PUT {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    Upload { head, body, payload }
}

fn next_signature(signed: &Signed, kind: &str, previous: &str, rest: &str) -> String {
    let text = format!("{kind}\n{}\n{}\n{previous}\n{rest}", signed.amz_date, signed.scope.text());
    signed.key.sign(text.as_bytes()).as_str().to_owned()
}

async fn send(fixture: &Fixture, upload: &Upload, body: &[u8]) -> Answer {
    let head = format!("{}Content-Length: {}\r\n\r\n", upload.head, body.len());
    fixture.raw(&[head.as_bytes(), body].concat()).await
}

/// A byte of the body is changed, left out or put in, or its end is cut off.
#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Drop(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
}

impl Damage {
    fn done_to(&self, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        match self {
            Self::Flip(at, bits) => {
                let at = at.index(body.len());
                body[at] ^= bits;
            }
            Self::Drop(at) => drop(body.remove(at.index(body.len()))),
            Self::Insert(at, byte) => body.insert(at.index(body.len()), *byte),
            Self::Cut(at) => body.truncate(at.index(body.len())),
        }
        body
    }
}

/// Whatever is done to a signed upload on its way: either the very payload that was signed is stored, or nothing.
#[tokio::test]
async fn a_damaged_upload_never_becomes_visible() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let host = fixture.running.address().to_string();
    let index = any::<prop::sample::Index>;
    let damage = prop_oneof![
        4 => (index(), 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        1 => index().prop_map(Damage::Drop),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => index().prop_map(Damage::Cut),
    ];
    let chunk = prop::collection::vec(any::<u8>(), 0..40);
    let cases = (prop::collection::vec(chunk, 0..4), any::<bool>(), damage);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut refused = 0;
    for case in 0..400 {
        let (chunks, trailer, damage) = cases.new_tree(&mut runner).unwrap().current();
        let before = format!("before {case}");
        let put = fixture.signed(&alice, "PUT", PATH, "", &[], before.as_bytes()).await;
        assert_eq!(put.status, 200, "{put:?}");
        let upload = upload(&host, &alice, &chunks, trailer);
        let damaged = damage.done_to(&upload.body);
        let answer = send(&fixture, &upload, &damaged).await;
        let stored = fixture.signed_bytes(&alice, PATH).await;
        if answer.status == 200 {
            // What was done to it did not touch what it says (the case of a digit, a line break).
            assert_eq!(stored, upload.payload, "{damage:?}");
        } else {
            refused += 1;
            assert!(matches!(answer.status, 400 | 403), "{damage:?}: {answer:?}");
            assert_eq!(stored, before.as_bytes(), "{damage:?}");
        }
        let good = send(&fixture, &upload, &upload.body).await;
        assert_eq!(good.status, 200, "{good:?}");
        assert_eq!(fixture.signed_bytes(&alice, PATH).await, upload.payload);
    }
    assert!(refused > 300, "{refused} of 400 were refused");
}

/// A streaming body without signatures is no way around one (CVE-2026-40344, CVE-2026-41145).
#[tokio::test]
async fn a_trailer_does_not_stand_in_for_a_signature() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let streaming =
        "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nx-amz-decoded-content-length: 5\r\n";
    let host = fixture.running.address().to_string();
    let signer = Signer { credentials: &alice, region: "us-east-1", service: "s3", at: Timestamp::now() };
    let query = signer.presign(&Method::PUT, &host, PATH, &Query::default(), &HeaderMap::new(), 60);
    let presigned = query.canonical(None);
    let forged = {
        let mut forged = query.clone();
        forged.set("X-Amz-Signature", "0".repeat(64));
        forged.canonical(None)
    };
    for (what, query, more, status) in [
        ("unsigned", String::new(), "", 403),
        ("presigned, header not signed", presigned.clone(), "", 403),
        ("a forged signature", forged, "", 403),
        ("no signature, but a key", "X-Amz-Credential=AKIAROOTROOTROOTROOT".to_owned(), "", 501),
        ("an empty authorization", String::new(), "Authorization: \r\n", 400),
        ("a bearer", String::new(), "Authorization: Bearer x\r\n", 400),
    ] {
        let query = if query.is_empty() { query } else { format!("?{query}") };
        let request = format!(
            "PUT {PATH}{query} HTTP/1.1\r\nHost: {host}\r\n{streaming}{more}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = fixture.raw(request.as_bytes()).await;
        assert!(answer.status == status || answer.status == 403, "{what}: {answer:?}");
        assert_eq!(fixture.signed(&alice, "GET", PATH, "", &[], b"").await.status, 404, "{what}");
    }
    let unchanged = format!(
        "PUT {PATH}?{presigned} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    );
    assert_eq!(fixture.raw(unchanged.as_bytes()).await.status, 200);
}

/// Nothing can be added to, taken from or changed in a presigned address.
#[tokio::test]
async fn a_presigned_address_is_what_was_signed() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    fixture.signed(&alice, "PUT", PATH, "", &[], b"hello").await;
    assert_eq!(fixture.presigned(&alice, "GET", PATH, 60, "").await.body, "hello");
    for added in [
        "&versionId=1",
        "&response-content-type=text/html",
        "&X-Amz-Expires=604800",
        "&x-amz-expires=604800",
        "&X-Amz-Security-Token=x",
        "&x-amz-security-token=x",
        "&X-Amz-Signature=x",
        "&x-amz-copy-source=/home/bob/k",
        "&x-id=GetObject",
        "&Signature=x&AWSAccessKeyId=x&Expires=9999999999",
        "&tagging",
    ] {
        let answer = fixture.presigned(&alice, "GET", PATH, 60, added).await;
        assert!(matches!(answer.status, 400 | 403), "{added}: {answer:?}");
    }
    // Nor is a second signature, or a second token, in the head.
    let host = fixture.running.address().to_string();
    let signer = Signer { credentials: &alice, region: "us-east-1", service: "s3", at: Timestamp::now() };
    let query = signer.presign(&Method::GET, &host, PATH, &Query::default(), &HeaderMap::new(), 60);
    let token = alice.session_token.as_ref().unwrap().expose();
    for header in [
        "Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0".to_owned(),
        format!("x-amz-security-token: {token}"),
        "x-amz-security-token: x".to_owned(),
        "x-amz-date: 20260101T000000Z".to_owned(),
    ] {
        let request = format!(
            "GET {PATH}?{} HTTP/1.1\r\nHost: {host}\r\n{header}\r\nConnection: close\r\n\r\n",
            query.canonical(None)
        );
        let answer = fixture.raw(request.as_bytes()).await;
        assert!(matches!(answer.status, 400 | 403), "{header}: {answer:?}");
    }
}

/// A session's key without its token, and the root's or a foreign key with one, are nobody's.
#[tokio::test]
async fn a_token_belongs_to_its_key() {
    let fixture = Fixture::start().await;
    let (alice, bob) = (fixture.credentials("alice").await, fixture.credentials("bob").await);
    fixture.signed(&alice, "PUT", PATH, "", &[], b"hello").await;
    let status = async |credentials: &Credentials| {
        let answer = fixture.signed(credentials, "GET", PATH, "", &[], b"").await;
        (answer.status, answer.code().to_owned())
    };
    assert_eq!(status(&alice).await.0, 200);
    let without = Credentials { session_token: None, ..alice.clone() };
    assert_eq!(status(&without).await, (403, "InvalidAccessKeyId".to_owned()));
    let swapped = Credentials { session_token: bob.session_token.clone(), ..alice.clone() };
    assert_eq!(status(&swapped).await, (400, "InvalidToken".to_owned()));
    let crowned = Credentials { session_token: alice.session_token.clone(), ..fixture.root.clone() };
    assert_eq!(status(&crowned).await, (400, "InvalidToken".to_owned()));
    let guessed = Credentials { secret_key: bob.secret_key.clone(), ..alice.clone() };
    assert_eq!(status(&guessed).await, (403, "SignatureDoesNotMatch".to_owned()));
}
