//! AWS's published examples (Amazon S3 API Reference, "Authenticating Requests"), and each refusal.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rstest::rstest;

use super::canonical::{ALGORITHM, Canonical, EMPTY_SHA256, Query, Scope, SigningSecret, sha256_hex};
use super::chunked::{ChunkError, Decoder};
use super::sign::Signer;
use super::verify::{Claim, Expected, Payload, SignatureError, SignedRequest, Verified};
use crate::credentials::Credentials;
use crate::secret::Secret;
use crate::time::{SignedDuration, Timestamp};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const HOST: &str = "examplebucket.s3.amazonaws.com";

fn at() -> Timestamp {
    "2013-05-24T00:00:00Z".parse().unwrap()
}

fn credentials(session_token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_key: Secret::new(SECRET),
        session_token: session_token.map(Secret::new),
        expires_at: None,
    }
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn signer(credentials: &Credentials) -> Signer<'_> {
    Signer { credentials, region: "us-east-1", service: "s3", at: at() }
}

fn expected(now: Timestamp) -> Expected<'static> {
    Expected { service: "s3", region: "us-east-1", empty_region: false, now }
}

/// A request that is checked, and can be spoilt first.
#[derive(Clone)]
struct Sample {
    method: Method,
    host: String,
    path: String,
    query: Query,
    headers: HeaderMap,
}

impl Sample {
    fn signed(method: Method, path: &str, query: &str, extra: &[(&str, &str)], token: Option<&str>) -> Self {
        let (query, mut headers) = (Query::parse(query).unwrap(), headers(extra));
        let credentials = credentials(token);
        signer(&credentials).sign(&method, HOST, path, &query, &mut headers, EMPTY_SHA256).unwrap();
        Self { method, host: HOST.into(), path: path.into(), query, headers }
    }

    fn presigned(method: Method, path: &str, expires_in: u32, token: Option<&str>) -> Self {
        let credentials = credentials(token);
        let query = signer(&credentials).presign(
            &method,
            HOST,
            path,
            &Query::default(),
            &HeaderMap::new(),
            expires_in,
        );
        Self { method, host: HOST.into(), path: path.into(), query, headers: HeaderMap::new() }
    }

    fn request(&self) -> SignedRequest<'_> {
        SignedRequest {
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        }
    }

    fn verify_at(&self, now: Timestamp) -> Result<Verified, SignatureError> {
        let claim = Claim::read(&self.request())?.expect("the request is signed");
        claim.verify(&self.request(), &SigningSecret::new(Secret::new(SECRET)), None, &expected(now), None)
    }

    fn verify(&self) -> Result<Verified, SignatureError> {
        self.verify_at(at())
    }

    fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// Replaces a piece of the Authorization header.
    fn with_authorization(mut self, from: &str, to: &str) -> Self {
        let text = self.headers["authorization"].to_str().unwrap().to_owned();
        assert!(text.contains(from), "{text}");
        self.headers.insert("authorization", HeaderValue::from_str(&text.replace(from, to)).unwrap());
        self
    }
}

// ---- AWS's examples ---------------------------------------------------------------------------------------

fn example_signature(
    method: Method,
    path: &str,
    query: &str,
    extra: &[(&str, &str)],
    payload: &str,
) -> String {
    let mut all = headers(extra);
    all.insert("x-amz-date", HeaderValue::from_static("20130524T000000Z"));
    all.insert("x-amz-content-sha256", HeaderValue::from_str(payload).unwrap());
    let mut names: Vec<&str> = all.keys().map(HeaderName::as_str).chain(["host"]).collect();
    names.sort_unstable();
    let query = Query::parse(query).unwrap();
    let canonical = Canonical {
        method: &method,
        path,
        query: &query,
        leave_out: None,
        headers: &all,
        host: HOST,
        signed_headers: &names.join(";"),
        payload,
    }
    .text()
    .unwrap();
    let scope = Scope::new("20130524", "us-east-1", "s3");
    scope.signing_key(SECRET).sign_request("20130524T000000Z", &scope, &canonical).as_str().to_owned()
}

#[rstest]
#[case::get_object("GET", "/test.txt", "", &[("range", "bytes=0-9")], EMPTY_SHA256,
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")]
#[case::put_object("PUT", "/test%24file.text", "",
    &[("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")]
#[case::lifecycle("GET", "/", "lifecycle", &[], EMPTY_SHA256,
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")]
#[case::list_objects("GET", "/", "max-keys=2&prefix=J", &[], EMPTY_SHA256,
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
fn published_header_signatures(
    #[case] method: &str,
    #[case] path: &str,
    #[case] query: &str,
    #[case] extra: &[(&str, &str)],
    #[case] payload: &str,
    #[case] signature: &str,
) {
    assert_eq!(example_signature(method.parse().unwrap(), path, query, extra, payload), signature);
}

#[test]
fn published_presigned_address() {
    let sample = Sample::presigned(Method::GET, "/test.txt", 86_400, None);
    assert_eq!(
        sample.query.value("X-Amz-Signature"),
        Some("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    );
    sample.verify().unwrap();
}

const SIGNED_CHUNKS: [(usize, &str); 3] = [
    (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
];

const SIGNED_CHUNKS_BEFORE_TRAILER: [(usize, &str); 3] = [
    (65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
    (1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
    (0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
];

const TRAILER: &str = "x-amz-checksum-crc32c:sOO8/Q==\r\n\
    x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";

fn chunked_body(chunks: &[(usize, &str)], end: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (size, signature) in chunks {
        body.extend(format!("{size:x};chunk-signature={signature}\r\n").bytes());
        body.extend(vec![b'a'; *size]);
        if *size > 0 {
            body.extend(b"\r\n");
        }
    }
    body.extend(end.bytes());
    body
}

/// The example's request for a chunked upload, verified: what its chunks are checked with.
fn chunked_request(payload: &str, extra: &[(&str, &str)], signature: &str) -> Verified {
    let mut all = headers(&[
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", payload),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ]);
    all.extend(headers(extra));
    let mut names: Vec<&str> = all.keys().map(HeaderName::as_str).chain(["host"]).collect();
    names.sort_unstable();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={},Signature={signature}",
        names.join(";")
    );
    all.insert("authorization", HeaderValue::from_str(&authorization).unwrap());
    let sample = Sample {
        method: Method::PUT,
        host: "s3.amazonaws.com".into(),
        path: "/examplebucket/chunkObject.txt".into(),
        query: Query::default(),
        headers: all,
    };
    sample.verify().unwrap()
}

fn signed_chunks() -> Verified {
    chunked_request(
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        &[("content-length", "66824")],
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    )
}

fn signed_trailer() -> Verified {
    chunked_request(
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        &[("x-amz-trailer", "x-amz-checksum-crc32c")],
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    )
}

type Decoded = Result<(Vec<u8>, Vec<(String, String)>), ChunkError>;

fn decode(verified: &Verified, length: u64, announced: Option<&str>, body: &[u8], step: usize) -> Decoded {
    let mut decoder = Decoder::new(&verified.payload, verified.seed.clone(), length, announced)?;
    let mut payload = Vec::new();
    for bytes in body.chunks(step) {
        decoder.push(bytes);
        while let Some(piece) = decoder.next_piece()? {
            payload.extend_from_slice(&piece);
        }
    }
    Ok((payload, decoder.finish()?))
}

#[rstest]
#[case(1)]
#[case(7)]
#[case(4096)]
#[case(1 << 20)]
fn published_chunks(#[case] step: usize) {
    let body = chunked_body(&SIGNED_CHUNKS, "\r\n");
    let (payload, trailers) = decode(&signed_chunks(), 66560, None, &body, step).unwrap();
    assert_eq!((payload.len(), trailers.len()), (66560, 0));

    let body = chunked_body(&SIGNED_CHUNKS_BEFORE_TRAILER, TRAILER);
    let announced = Some("x-amz-checksum-crc32c");
    let (payload, trailers) = decode(&signed_trailer(), 66560, announced, &body, step).unwrap();
    assert_eq!(payload.len(), 66560);
    assert_eq!(trailers, [("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())]);
}

// ---- Refusals: chunks -------------------------------------------------------------------------------------

#[test]
fn forged_chunks_are_refused() {
    let announced = Some("x-amz-checksum-crc32c");
    let good = chunked_body(&SIGNED_CHUNKS, "\r\n");
    let chunk = |body: &[u8]| decode(&signed_chunks(), 66560, None, body, 999).unwrap_err();

    let mut forged = good.clone();
    forged[200] = b'b';
    assert_eq!(chunk(&forged), ChunkError::Signature);
    let no_signature = chunked_body(&SIGNED_CHUNKS, "\r\n");
    let text = String::from_utf8(no_signature).unwrap().replacen(";chunk-signature=", ";x=", 1);
    assert_eq!(chunk(text.as_bytes()), ChunkError::Signature);
    assert_eq!(chunk(&good[..good.len() - 100]), ChunkError::Incomplete);
    assert_eq!(chunk(&good[..66000]), ChunkError::Incomplete);
    assert_eq!(chunk(&chunked_body(&SIGNED_CHUNKS[..2], "")), ChunkError::Incomplete);
    assert!(matches!(chunk(&[&good[..], b"x"].concat()), ChunkError::Malformed(_)));
    // A trailer where none was announced, and one without or with a wrong signature.
    assert_eq!(chunk(&chunked_body(&SIGNED_CHUNKS, TRAILER)), ChunkError::Trailer);
    let trailer = |end: &str| {
        let body = chunked_body(&SIGNED_CHUNKS_BEFORE_TRAILER, end);
        decode(&signed_trailer(), 66560, announced, &body, 999).unwrap_err()
    };
    assert_eq!(trailer("x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n"), ChunkError::Signature);
    assert_eq!(trailer(&TRAILER.replace("sOO8", "sOO9")), ChunkError::Signature);
    assert_eq!(trailer(&TRAILER.replace("crc32c", "crc32")), ChunkError::Trailer);
    assert_eq!(trailer("\r\n"), ChunkError::Trailer);
}

#[test]
fn lying_lengths_are_refused() {
    let body = chunked_body(&SIGNED_CHUNKS, "\r\n");
    for length in [0, 66559, 66561, u64::MAX] {
        let error = decode(&signed_chunks(), length, None, &body, 999).unwrap_err();
        assert_eq!(error, ChunkError::Length, "{length}");
    }
}

fn unsigned(body: &str, length: u64) -> Decoded {
    let payload = Payload::UnsignedChunksTrailer;
    let verified = Verified { payload, version: ALGORITHM, seed: None, presigned: false, signed_at: None };
    decode(&verified, length, Some("x-amz-checksum-crc32"), body.as_bytes(), 3)
}

#[test]
fn unsigned_chunks_with_a_trailer() {
    let (payload, trailers) =
        unsigned("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 5).unwrap();
    assert_eq!(payload, b"hello");
    assert_eq!(trailers, [("x-amz-checksum-crc32".to_owned(), "NhCmhg==".to_owned())]);
    for (body, error) in [
        ("5\r\nhelloworld\r\n0\r\n\r\n", ChunkError::Malformed("a chunk is longer than its header says")),
        ("zz\r\n", ChunkError::Malformed("a chunk's size is not hexadecimal")),
        ("-5\r\nhello\r\n", ChunkError::Malformed("a chunk's size is not hexadecimal")),
        ("11111111111111111\r\n", ChunkError::Malformed("a chunk's size is not hexadecimal")),
        ("ffffffffffffffff\r\n", ChunkError::Length),
        ("5\r\nhello\r\n0\r\n\r\n", ChunkError::Trailer),
    ] {
        assert_eq!(unsigned(body, 5).unwrap_err(), error, "{body}");
    }
    let endless = format!("5\r\nhello\r\n0\r\nx:{}", "y".repeat(10_000));
    assert_eq!(unsigned(&endless, 5).unwrap_err(), ChunkError::Malformed("a line is too long"));
}

// ---- Refusals: requests -----------------------------------------------------------------------------------

fn sample() -> Sample {
    Sample::signed(Method::GET, "/a%20b/c", "list-type=2", &[("range", "bytes=0-9")], Some("the-token"))
}

#[test]
fn what_we_sign_verifies() {
    let verified = sample().verify().unwrap();
    assert!(verified.payload.is_empty() && !verified.presigned);
    assert_eq!(
        Claim::read(&sample().request()).unwrap().unwrap().session_token(&sample().request()),
        Some("the-token")
    );
    Sample::presigned(Method::PUT, "/x/../y", 60, Some("the-token")).verify().unwrap();
}

#[rstest]
#[case::method(|s: &mut Sample| s.method = Method::DELETE)]
#[case::host(|s: &mut Sample| s.host = "other.example".into())]
#[case::path(|s: &mut Sample| s.path = "/a%20b/d".into())]
#[case::query(|s: &mut Sample| s.query.set("prefix", "x"))]
#[case::range(|s: &mut Sample| { s.headers.insert("range", HeaderValue::from_static("bytes=0-99")); })]
#[case::token(|s: &mut Sample| { s.headers.insert("x-amz-security-token", HeaderValue::from_static("x")); })]
#[case::payload(|s: &mut Sample| {
    s.headers.insert("x-amz-content-sha256", HeaderValue::from_static("UNSIGNED-PAYLOAD"));
})]
fn a_changed_request_does_not_match(#[case] change: fn(&mut Sample)) {
    let mut changed = sample();
    change(&mut changed);
    assert_eq!(changed.verify().unwrap_err(), SignatureError::Mismatch);
}

#[test]
fn unsigned_headers_that_change_the_meaning_are_refused() {
    for name in ["x-amz-copy-source", "x-amz-acl", "x-amz-meta-a", "x-amz-tagging"] {
        let refused = SignatureError::UnsignedHeader(name.into());
        assert_eq!(sample().with_header(name, "/secret/key").verify().unwrap_err(), refused);
        let presigned = Sample::presigned(Method::PUT, "/k", 60, None).with_header(name, "/secret/key");
        assert_eq!(presigned.verify().unwrap_err(), refused);
    }
    for name in ["x-amz-security-token", "x-amz-content-sha256", "host"] {
        let unsigned = sample().with_authorization(name, "accept");
        assert_eq!(unsigned.verify().unwrap_err(), SignatureError::UnsignedHeader(name.into()));
    }
}

#[test]
fn clocks() {
    let minutes = SignedDuration::from_mins;
    sample().verify_at(at() + minutes(14)).unwrap();
    sample().verify_at(at() - minutes(14)).unwrap();
    assert_eq!(sample().verify_at(at() + minutes(16)).unwrap_err(), SignatureError::Skewed);
    assert_eq!(sample().verify_at(at() - minutes(16)).unwrap_err(), SignatureError::Skewed);
    let presigned = Sample::presigned(Method::GET, "/k", 3600, None);
    presigned.verify_at(at() + minutes(59)).unwrap();
    assert_eq!(presigned.verify_at(at() + minutes(61)).unwrap_err(), SignatureError::Expired);
    assert_eq!(presigned.verify_at(at() - minutes(16)).unwrap_err(), SignatureError::NotYetValid);
    let mut undated = sample();
    undated.headers.remove("x-amz-date");
    assert_eq!(undated.verify().unwrap_err(), SignatureError::NoDate);
}

#[test]
fn presigned_for_over_a_week_is_refused() {
    let mut long = Sample::presigned(Method::GET, "/k", 604_800, None);
    long.verify().unwrap();
    for expires in ["604801", "2592000", "-1", "x", ""] {
        long.query.set("X-Amz-Expires", expires);
        assert!(matches!(long.verify().unwrap_err(), SignatureError::MalformedQuery(_)), "{expires}");
    }
}

#[test]
fn scopes() {
    let other = |from, to| sample().with_authorization(from, to).verify().unwrap_err();
    assert_eq!(other("20130524/", "20130525/"), SignatureError::ScopeDate("20130525".into()));
    assert_eq!(other("/s3/", "/sts/"), SignatureError::ScopeService("sts".into()));
    let region = SignatureError::ScopeRegion { actual: "eu-west-1".into(), expected: "us-east-1".into() };
    assert_eq!(other("/us-east-1/", "/eu-west-1/"), region);
    for (from, to) in [
        ("/aws4_request", "/aws5_request"),
        ("20130524/", ""),
        ("Signature=", "Sign="),
        (", Signed", " Signed"),
    ] {
        assert!(matches!(other(from, to), SignatureError::Malformed(_)), "{from} → {to}");
    }
}

/// What Ceph's tools sign for: only where it is asked for, and no other region with it.
#[test]
fn an_empty_region_needs_the_switch() {
    let credentials = credentials(None);
    let verified = |region: &str, empty_region: bool| {
        let signer = Signer { credentials: &credentials, region, service: "iam", at: at() };
        let (query, mut headers) = (Query::default(), HeaderMap::new());
        signer.sign(&Method::POST, HOST, "/", &query, &mut headers, EMPTY_SHA256).unwrap();
        let scope = format!("AKIAIOSFODNN7EXAMPLE/20130524/{region}/iam/aws4_request");
        assert!(headers["authorization"].to_str().unwrap().contains(&scope));
        let request =
            SignedRequest { method: &Method::POST, host: HOST, path: "/", query: &query, headers: &headers };
        let expected = Expected { service: "iam", empty_region, ..expected(at()) };
        let secret = SigningSecret::new(Secret::new(SECRET));
        Claim::read(&request).unwrap().unwrap().verify(&request, &secret, None, &expected, None).map(drop)
    };
    let refused = |actual: &str| {
        Err(SignatureError::ScopeRegion { actual: actual.into(), expected: "us-east-1".into() })
    };
    assert_eq!(verified("", true), Ok(()));
    assert_eq!(verified("us-east-1", true), Ok(()));
    assert_eq!(verified("", false), refused(""));
    assert_eq!(verified("eu-west-1", true), refused("eu-west-1"));
}

#[test]
fn other_mechanisms() {
    let v2 = sample().with_header("authorization", "AWS AKIAIOSFODNN7EXAMPLE:bWq2s1WEIj+Ydj0vQ697zp+IXMU=");
    assert_eq!(v2.verify().unwrap_err(), SignatureError::UnsupportedMechanism);
    let mut both = sample();
    both.query.set("X-Amz-Signature", "x");
    assert_eq!(both.verify().unwrap_err(), SignatureError::TwoMechanisms);
    let mut twice = sample();
    twice.headers.append("x-amz-meta-a", HeaderValue::from_static("1"));
    twice.headers.append("x-amz-meta-a", HeaderValue::from_static("2"));
    assert_eq!(twice.verify().unwrap_err(), SignatureError::DuplicateHeader("x-amz-meta-a".into()));
    let mut none = sample();
    none.headers.clear();
    assert!(Claim::read(&none.request()).unwrap().is_none());
}

#[test]
fn payload_words() {
    let mut sample = sample();
    for word in ["", "unsigned-payload", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", &"A".repeat(64)] {
        sample.headers.remove("authorization");
        let query = sample.query.clone();
        signer(&credentials(None))
            .sign(&Method::GET, HOST, &sample.path, &query, &mut sample.headers, word)
            .unwrap();
        assert_eq!(sample.verify().unwrap_err(), SignatureError::PayloadHash, "{word}");
    }
    assert!(
        Payload::Sha256(sha256_hex(b"x")).admits(b"x") && !Payload::Sha256(sha256_hex(b"x")).admits(b"y")
    );
}

// ---- Version 2, presigned ---------------------------------------------------------------------------------

/// What boto3 presigns: `GET /bucket/key` with a session token, checked against an independent computation.
fn presigned_v2(query: &str) -> Sample {
    Sample {
        method: Method::GET,
        host: "127.0.0.1:9000".into(),
        path: "/bucket/k%20ey".into(),
        query: Query::parse(query).unwrap(),
        headers: HeaderMap::new(),
    }
}

fn v2_signature(text: &str) -> String {
    use base64::Engine;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
    let signature =
        base64::engine::general_purpose::STANDARD.encode(aws_lc_rs::hmac::sign(&key, text.as_bytes()));
    crate::s3::uri::percent_encode(&signature, false)
}

#[test]
fn version_2_presigned() {
    let end = at().as_second() + 600;
    let signature = v2_signature(&format!("GET\n\n\n{end}\nx-amz-security-token:tok\n/bucket/k%20ey"));
    let good = format!("AWSAccessKeyId=A&Expires={end}&x-amz-security-token=tok&Signature={signature}");
    let sample = presigned_v2(&good);
    assert!(sample.verify().unwrap().presigned);
    assert_eq!(
        Claim::read(&sample.request()).unwrap().unwrap().session_token(&sample.request()),
        Some("tok")
    );
    assert_eq!(sample.verify_at(at() + SignedDuration::from_mins(11)).unwrap_err(), SignatureError::Expired);
    let week_before = at() - SignedDuration::from_hours(24 * 7);
    assert!(matches!(sample.verify_at(week_before).unwrap_err(), SignatureError::MalformedQuery(_)));
    for changed in [
        good.replace("=tok", "=tok2"),
        good.replace(&end.to_string(), &(end + 1).to_string()),
        format!("{good}&acl"),
    ] {
        assert_eq!(presigned_v2(&changed).verify().unwrap_err(), SignatureError::Mismatch, "{changed}");
    }
    let unsigned = presigned_v2(&format!("{good}&prefix=x")).verify().unwrap_err();
    assert_eq!(unsigned, SignatureError::UnsignedParameter("prefix".into()));
    let copy = presigned_v2(&good).with_header("x-amz-copy-source", "/secret/key").verify().unwrap_err();
    assert_eq!(copy, SignatureError::Mismatch);
}
