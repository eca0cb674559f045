//! Browser uploads: what a form's policy allows is stored, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fixture::{Answer, Fixture};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wigeon_core::credentials::Credentials;
use wigeon_core::sigv4::canonical::Scope;
use wigeon_core::time::{self, Timestamp};
use wigeon_server::backend::upstream::settings::{Address, Settings, Source, Style, Trailers, Upstream};

type Fields = Vec<(String, String)>;

/// A signed form: the conditions given, and those for the signature's own fields.
fn signed(credentials: &Credentials, mut conditions: Vec<Value>, fields: Vec<(&str, &str)>) -> Fields {
    let mut fields: Fields =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let now = Timestamp::now();
    let scope = Scope::new(&time::amz_date(now), "us-east-1", "s3");
    let credential = format!("{}/{}", credentials.access_key_id, scope.text());
    let date = time::amz(now);
    let token = credentials.session_token.as_ref().map(|token| token.expose().to_owned());
    let mut own = vec![
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", &credential),
        ("x-amz-date", &date),
    ];
    own.extend(token.as_ref().map(|token| ("x-amz-security-token", token.as_str())));
    conditions.extend(own.iter().map(|(name, value)| json!({ *name: value })));
    fields.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let expiration = Timestamp::from_second(now.as_second() + 600).unwrap().to_string();
    let policy = STANDARD.encode(json!({"expiration": expiration, "conditions": conditions}).to_string());
    let signature = scope.signing_key(credentials.secret_key.expose()).sign(policy.as_bytes());
    fields.extend([
        ("policy".to_owned(), policy),
        ("x-amz-signature".to_owned(), signature.as_str().to_owned()),
    ]);
    fields
}

fn usual(credentials: &Credentials) -> Fields {
    let conditions = vec![
        json!({"bucket": "home"}),
        json!(["starts-with", "$key", "alice/"]),
        json!(["content-length-range", 2, 100]),
        json!(["starts-with", "$Content-Type", "image/"]),
        json!(["starts-with", "$x-amz-meta-note", ""]),
        json!(["starts-with", "$success_action_status", ""]),
        json!(["starts-with", "$success_action_redirect", "https://page.example/"]),
    ];
    let fields = vec![("key", "alice/${filename}"), ("Content-Type", "image/png")];
    let mut fields = signed(credentials, conditions, fields);
    fields.push(("success_action_redirect".into(), "https://page.example/done".into()));
    fields
}

fn without(fields: &Fields, name: &str) -> Fields {
    fields.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name)).cloned().collect()
}

fn with(fields: &Fields, name: &str, value: &str) -> Fields {
    let mut changed = without(fields, name);
    changed.insert(0, (name.to_owned(), value.to_owned()));
    changed
}

fn body(fields: &Fields, file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .into_bytes(),
        );
    }
    body.extend(b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\pictures\\a.png\"\r\nContent-Type: text/html\r\n\r\n");
    body.extend_from_slice(file);
    body.extend(
        b"\r\n--edge\r\nContent-Disposition: form-data; name=\"acl\"\r\n\r\npublic-read\r\n--edge--\r\n",
    );
    body
}

impl Fixture {
    async fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: s3.example\r\n{headers}Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(self.running.address()).await.unwrap();
        // The server may hang up on a form that is too long.
        let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        Answer::parse(&read)
    }

    async fn stored(&self) -> u16 {
        self.signed(&self.root, "HEAD", "/home/alice/a.png", "", &[], b"").await.status
    }
}

#[tokio::test]
async fn a_form_is_stored_as_its_fields_say() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let fields = with(&usual(&alice), "x-amz-meta-note", "from a page");
    // What the head says beside it counts for nothing: nobody signed it.
    let headers = "x-amz-acl: public-read\r\nx-amz-meta-forged: 1\r\n";
    let answer = fixture.post("/home", headers, &body(&fields, b"\r\n--edg not the end")).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    assert!(
        answer.head.contains("location: https://page.example/done?bucket=home&key=alice%2Fa.png&etag=%22"),
        "{answer:?}"
    );
    let got = fixture.signed(&alice, "GET", "/home/alice/a.png", "", &[], b"").await;
    assert_eq!(got.body, "\r\n--edg not the end");
    assert!(
        got.head.contains("content-type: image/png") && got.head.contains("x-amz-meta-note: from a page")
    );
    assert!(!got.head.contains("forged"));

    let fields = with(&without(&fields, "success_action_redirect"), "success_action_status", "201");
    // A field that is left out begins with nothing but nothing.
    let answer = fixture.post("/home", "", &body(&fields, b"hello")).await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{answer:?}");
}

/// A gateway before a store that has all its buckets.
async fn before(store: &Fixture) -> Fixture {
    use std::os::unix::fs::PermissionsExt;
    let address = store.running.address();
    Fixture::bare(|config| {
        let secret_key_file = config.data.parent().unwrap().join("upstream-key");
        std::fs::write(&secret_key_file, "the-secret-of-the-root-key").unwrap();
        std::fs::set_permissions(&secret_key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let upstream = Upstream {
            name: "other".to_owned(),
            address: Address::parse(&format!("http://{address}")).unwrap(),
            region: "us-east-1".to_owned(),
            style: Style::Path,
            ca_file: None,
            credentials: Source::Key { access_key_id: "AKIAROOTROOTROOTROOT".to_owned(), secret_key_file },
            default: true,
            buckets: Vec::new(),
            says: BTreeMap::new(),
            trailers: Trailers::Check,
            dot_segments: false,
            required: false,
            patience: Duration::from_secs(2),
        };
        config.upstreams = Settings { upstreams: vec![upstream], ..Settings::default() };
    })
    .await
}

/// A form for a bucket of another store: the same rules, and what holds goes there as a PUT.
#[tokio::test]
async fn a_form_for_another_store() {
    let store = Fixture::start().await;
    let gateway = before(&store).await;
    let alice = gateway.credentials("alice").await;
    let conditions = vec![
        json!({"bucket": "home"}),
        json!(["starts-with", "$key", "alice/"]),
        json!(["content-length-range", 2, 1_000_000]),
        json!(["starts-with", "$Content-Type", "image/"]),
        json!(["starts-with", "$x-amz-meta-note", ""]),
        json!(["starts-with", "$success_action_status", ""]),
    ];
    let fields =
        vec![("key", "alice/${filename}"), ("Content-Type", "image/png"), ("success_action_status", "201")];
    let fields = signed(&alice, conditions, fields);
    let fields = with(&fields, "x-amz-meta-note", "from a page");
    let large: Vec<u8> = (0..300_000_u32).map(|at| b'a' + (at % 23) as u8).collect();
    for file in [b"small".as_slice(), &large] {
        let answer = gateway.post("/home", "", &body(&fields, file)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert!(answer.body.contains("<Key>alice/a.png</Key>") && !answer.body.contains("<ETag></ETag>"));
        let got = store.signed(&store.root, "GET", "/home/alice/a.png", "", &[], b"").await;
        assert_eq!(got.body.as_bytes(), file);
        assert!(
            got.head.contains("content-type: image/png") && got.head.contains("x-amz-meta-note: from a page")
        );
    }
    store.signed(&store.root, "DELETE", "/home/alice/a.png", "", &[], b"").await;
    for (what, fields, file, status) in [
        ("too short", fields.clone(), b"x".as_slice(), 400),
        ("another key", with(&fields, "key", "bob/${filename}"), b"hello", 403),
        ("forged", with(&fields, "x-amz-signature", &"0".repeat(64)), b"hello", 403),
    ] {
        let answer = gateway.post("/home", "", &body(&fields, file)).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_eq!(store.stored().await, 404, "{what}");
    }
    // What the store refuses is no success of the form.
    store.running.stop().await;
    let answer = gateway.post("/home", "", &body(&fields, b"hello")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
}

#[tokio::test]
async fn the_answers_of_a_form() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let conditions = || {
        vec![
            json!({"bucket": "home"}),
            json!(["eq", "$key", "alice/k"]),
            json!(["starts-with", "$success_action_status", ""]),
        ]
    };
    for (asked, status) in [("201", 201), ("200", 200), ("", 204)] {
        let fields = signed(&alice, conditions(), vec![("key", "alice/k"), ("success_action_status", asked)]);
        let answer = fixture.post("/home", "", &body(&fields, b"hello")).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.head.contains("etag: \"5d41402abc4b2a76b9719d911017c592\""), "{answer:?}");
        assert_eq!(
            answer.body.contains(
                "<PostResponse><Location>http://s3.example/home/alice/k</Location><Bucket>home</Bucket>"
            ),
            status == 201,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn forms_that_are_refused() {
    let fixture = Fixture::start().await;
    let (alice, bob) = (fixture.credentials("alice").await, fixture.credentials("bob").await);
    let good = usual(&alice);
    let long = "x".repeat(70 << 10);
    let token = bob.session_token.as_ref().unwrap().expose().to_owned();
    let cases: Vec<(&str, Fields, &[u8], u16, &str)> = vec![
        ("another's key", with(&good, "key", "bob/k"), b"hello", 403, "AccessDenied"),
        ("another type", with(&good, "Content-Type", "text/html"), b"hello", 403, "AccessDenied"),
        ("a field nobody signed", with(&good, "x-amz-acl", "private"), b"hello", 403, "AccessDenied"),
        (
            "a redirect elsewhere",
            with(&good, "success_action_redirect", "https://evil.example/"),
            b"hello",
            403,
            "AccessDenied",
        ),
        ("another bucket", with(&good, "bucket", "other"), b"hello", 403, "AccessDenied"),
        ("too short", good.clone(), b"h", 400, "EntityTooSmall"),
        ("too long", good.clone(), &[7; 101], 400, "EntityTooLarge"),
        ("no policy", without(&good, "policy"), b"hello", 400, "AuthorizationQueryParametersError"),
        ("another policy", with(&good, "policy", "e30="), b"hello", 403, "SignatureDoesNotMatch"),
        (
            "no signature",
            without(&good, "x-amz-signature"),
            b"hello",
            400,
            "AuthorizationQueryParametersError",
        ),
        (
            "a forged signature",
            with(&good, "x-amz-signature", &"0".repeat(64)),
            b"hello",
            403,
            "SignatureDoesNotMatch",
        ),
        ("no token", without(&good, "x-amz-security-token"), b"hello", 403, "InvalidAccessKeyId"),
        ("another's token", with(&good, "x-amz-security-token", &token), b"hello", 400, "InvalidToken"),
        ("no key", without(&good, "key"), b"hello", 400, "InvalidArgument"),
        (
            "a key twice",
            [good.clone(), vec![("KEY".into(), "bob/k".into())]].concat(),
            b"hello",
            400,
            "InvalidArgument",
        ),
        (
            "endless fields",
            with(&good, "x-ignore-this", &long),
            b"hello",
            400,
            "MaxPostPreDataLengthExceededError",
        ),
        ("unsigned", vec![("key".into(), "alice/a.png".into())], b"hello", 403, "AccessDenied"),
    ];
    for (what, fields, file, status, code) in cases {
        let answer = fixture.post("/home", "", &body(&fields, file)).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{what}: {answer:?}");
        assert_eq!(fixture.stored().await, 404, "{what}");
    }
    let other = fixture.signed(&fixture.root, "PUT", "/other", "", &[], b"").await;
    assert_eq!(other.status, 200);
    let elsewhere = fixture.post("/other", "", &body(&good, b"hello")).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (403, "AccessDenied"), "{elsewhere:?}");
    // What the signer may not do, the form may not either.
    let beyond =
        signed(&alice, vec![json!({"bucket": "home"}), json!({"key": "bob/k"})], vec![("key", "bob/k")]);
    let answer = fixture.post("/home", "", &body(&beyond, b"hello")).await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{answer:?}");

    let whole = body(&good, b"hello");
    for (what, part) in [
        ("cut in the file", &whole[..whole.len() - 90]),
        ("cut in the fields", &whole[..100]),
        ("no boundary", b"hello".as_slice()),
        ("nothing", b""),
        ("no file", b"--edge\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--edge--\r\n"),
    ] {
        let answer = fixture.post("/home", "", part).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert_eq!(fixture.stored().await, 404, "{what}");
    }
    assert_eq!(fixture.post("/home", "", &whole).await.status, 303);
}

/// boto3 signs forms with version 2 at a custom endpoint: the policy covers the fields all the same.
#[tokio::test]
async fn forms_of_version_2() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let token = alice.session_token.as_ref().unwrap().expose();
    let expiration = Timestamp::from_second(Timestamp::now().as_second() + 600).unwrap().to_string();
    let conditions = json!([{"bucket": "home"}, {"key": "alice/a.png"}, {"x-amz-security-token": token}]);
    let policy = STANDARD.encode(json!({"expiration": expiration, "conditions": conditions}).to_string());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, alice.secret_key.expose().as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, policy.as_bytes()));
    let fields: Fields = [
        ("key", "alice/a.png"),
        ("AWSAccessKeyId", &alice.access_key_id),
        ("x-amz-security-token", token),
        ("policy", &policy),
        ("signature", &signature),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (what, fields) in [
        ("another key", with(&fields, "key", "alice/b.png")),
        ("a header of the object", with(&fields, "x-amz-meta-a", "1")),
        ("a signature", with(&fields, "signature", "AAAA")),
        ("both versions", with(&fields, "x-amz-signature", "x")),
    ] {
        let answer = fixture.post("/home", "", &body(&fields, b"hello")).await;
        assert!(matches!(answer.status, 400 | 403), "{what}: {answer:?}");
    }
    assert_eq!(fixture.stored().await, 404);
    assert_eq!(fixture.post("/home", "", &body(&fields, b"hello")).await.status, 204);
    assert_eq!(fixture.stored().await, 200);
}

/// How long a form's file is stands nowhere: it is counted as it comes.
#[tokio::test]
async fn a_form_keeps_to_the_quota() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let quota = b"<BucketQuota><MaxBytes>20</MaxBytes></BucketQuota>";
    let set = fixture.signed(&fixture.root, "PUT", "/home", "quota", &[], quota).await;
    assert_eq!(set.status, 200, "{set:?}");
    let answer = fixture.post("/home", "", &body(&usual(&alice), &[7; 21])).await;
    assert_eq!((answer.status, answer.code()), (403, "QuotaExceeded"), "{answer:?}");
    assert_eq!(fixture.stored().await, 404);
    let answer = fixture.post("/home", "", &body(&usual(&alice), &[7; 20])).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    fixture.running.stop().await;
}
