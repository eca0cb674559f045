//! Fetch rules against a real HTTP server on loopback, with a clock that the test moves.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Map, Value, json};
use wigeon_core::jwt::signing::SigningKey;
use wigeon_core::jwt::{Algorithm, AllowedAlgorithms, KeyError, KeySet};
use wigeon_core::time::{SignedDuration, Timestamp};

use super::*;
use crate::directory::Keys;

const ACCOUNT: &str = "000000000000";

struct TestClock(Mutex<Timestamp>);

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-23T12:00:00Z".parse().unwrap())))
    }

    fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A provider on loopback: what it answers can be changed, and its answers are counted.
struct TestProvider {
    address: SocketAddr,
    jwks: Mutex<Value>,
    discovery: Mutex<Option<Value>>,
    fetches: AtomicUsize,
    down: AtomicBool,
    delay: Mutex<Duration>,
    redirect: Mutex<Option<String>>,
}

impl TestProvider {
    async fn start(jwks: Value) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            jwks: Mutex::new(jwks),
            discovery: Mutex::default(),
            fetches: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            delay: Mutex::default(),
            redirect: Mutex::default(),
        });
        let this = Arc::clone(&provider);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let this = Arc::clone(&this);
                tokio::spawn(async move {
                    let service = service_fn(move |request| Arc::clone(&this).answer(request));
                    let connection = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        provider
    }

    async fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<Full<Bytes>>, Infallible> {
        let delay = *self.delay.lock().unwrap();
        tokio::time::sleep(delay).await;
        let answer = |status: u16, body: String| {
            let body = Full::new(Bytes::from(body));
            Ok(http::Response::builder().status(status).body(body).unwrap())
        };
        if self.down.load(Ordering::SeqCst) {
            return answer(503, "down".to_owned());
        }
        if let Some(to) = self.redirect.lock().unwrap().clone() {
            let response = http::Response::builder().status(302).header("location", to);
            return Ok(response.body(Full::default()).unwrap());
        }
        match request.uri().path() {
            "/.well-known/openid-configuration" => {
                let own = json!({"issuer": self.issuer(), "jwks_uri": format!("{}/jwks", self.issuer())});
                answer(200, self.discovery.lock().unwrap().clone().unwrap_or(own).to_string())
            }
            "/jwks" => {
                self.fetches.fetch_add(1, Ordering::SeqCst);
                answer(200, self.jwks.lock().unwrap().to_string())
            }
            _ => answer(404, String::new()),
        }
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn publish(&self, keys: &[&SigningKey]) {
        *self.jwks.lock().unwrap() = jwks(keys);
    }
}

fn jwks(keys: &[&SigningKey]) -> Value {
    json!({"keys": keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>()})
}

fn snapshot(issuers: &[&str]) -> Snapshot {
    let mut snapshot = Snapshot::new(ACCOUNT);
    for issuer in issuers {
        snapshot.add_provider(Provider::new(ACCOUNT, *issuer, vec!["s3-cli".to_owned()])).unwrap();
    }
    snapshot
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap()
}

fn token(key: &SigningKey, issuer: &str, clock: &TestClock) -> String {
    token_with(key, json!({}), issuer, clock)
}

fn token_with(key: &SigningKey, header: Value, issuer: &str, clock: &TestClock) -> String {
    let now = clock.now().as_second();
    let claims =
        json!({"iss": issuer, "sub": "alice", "aud": "s3-cli", "iat": now, "exp": now + 60 * 60 * 24 * 7});
    key.sign(header.as_object().unwrap(), claims.as_object().unwrap()).unwrap()
}

fn verifier(clock: &Arc<TestClock>) -> Verifier {
    Verifier::new(Arc::clone(clock) as Arc<dyn Clock>)
}

fn code(error: &VerifyError) -> FaultCode {
    error.to_sts().code
}

#[tokio::test]
async fn a_token_of_a_registered_provider() {
    let (clock, key) = (TestClock::new(), key());
    let idp = TestProvider::start(jwks(&[&key])).await;
    let snapshot = snapshot(&[&idp.issuer()]);
    let verifier = verifier(&clock);
    verifier.warm(&snapshot).await;
    for _ in 0..20 {
        let text = token(&key, &idp.issuer(), &clock);
        let identity = verifier.verify(&snapshot, &text).await.unwrap();
        assert_eq!(identity.token().subject(), "alice");
        assert_eq!(identity.provider().url, idp.issuer());
    }
    assert_eq!(idp.fetches(), 1, "warm keys are fetched once");
}

#[tokio::test]
async fn unknown_issuers_keys_and_wrong_signatures_read_alike() {
    let (clock, key, stranger) = (TestClock::new(), key(), key());
    let idp = TestProvider::start(jwks(&[&key])).await;
    let issuer = idp.issuer();
    let snapshot = snapshot(&[&issuer]);
    let verifier = verifier(&clock);
    let forged = token_with(&stranger, json!({"kid": key.kid()}), &issuer, &clock);
    let hs = token_with(&stranger, json!({"alg": "PS256"}), &issuer, &clock);
    let unknown_issuer = token(&key, "https://unknown.example", &clock);
    let mut answers = Vec::new();
    for text in [forged, token(&stranger, &issuer, &clock), hs, unknown_issuer] {
        answers.push(verifier.verify(&snapshot, &text).await.unwrap_err().to_sts());
    }
    answers.dedup();
    assert_eq!(answers, [StsError::no_verification_key()]);
}

#[tokio::test]
async fn keys_of_two_providers_never_meet() {
    let clock = TestClock::new();
    let (one_key, other_key) = (key(), key());
    let (one, other) = (
        TestProvider::start(json!({"keys": [with_kid(&one_key, "1")]})).await,
        TestProvider::start(json!({"keys": [with_kid(&other_key, "1")]})).await,
    );
    let snapshot = snapshot(&[&one.issuer(), &other.issuer()]);
    let verifier = verifier(&clock);
    let honest = token_with(&one_key, json!({"kid": "1"}), &one.issuer(), &clock);
    assert!(verifier.verify(&snapshot, &honest).await.is_ok());
    let crossed = token_with(&one_key, json!({"kid": "1"}), &other.issuer(), &clock);
    let error = verifier.verify(&snapshot, &crossed).await.unwrap_err();
    assert!(matches!(&error, VerifyError::Token(error) if matches!(**error, TokenError::Signature)));
}

fn with_kid(key: &SigningKey, kid: &str) -> Value {
    let mut jwk = key.public_jwk();
    jwk["kid"] = json!(kid);
    jwk
}

#[tokio::test(flavor = "multi_thread")]
async fn hammering_with_unknown_keys_causes_one_fetch_per_interval() {
    let (clock, key, stranger) = (TestClock::new(), key(), key());
    let idp = TestProvider::start(jwks(&[&key])).await;
    let snapshot = Arc::new(snapshot(&[&idp.issuer()]));
    let verifier = Arc::new(verifier(&clock));
    verifier.warm(&snapshot).await;
    clock.advance(31);
    *idp.delay.lock().unwrap() = Duration::from_millis(100);

    for expected in [2, 3] {
        let mut tasks = Vec::new();
        for n in 0..200 {
            let header = json!({"kid": format!("invented-{n}")});
            let text = token_with(&stranger, header, &idp.issuer(), &clock);
            let (verifier, snapshot) = (Arc::clone(&verifier), Arc::clone(&snapshot));
            tasks.push(tokio::spawn(async move { verifier.verify(&snapshot, &text).await.unwrap_err() }));
        }
        // Meanwhile a token with a known key waits for nothing.
        let known = token(&key, &idp.issuer(), &clock);
        let started = Instant::now();
        assert!(verifier.verify(&snapshot, &known).await.is_ok());
        assert!(started.elapsed() < Duration::from_millis(90), "{:?}", started.elapsed());
        for task in tasks {
            let error = task.await.unwrap();
            assert!(matches!(&error, VerifyError::Token(error)
                if matches!(**error, TokenError::Key(KeyError::Unknown { .. }))));
        }
        assert_eq!(idp.fetches(), expected);
        clock.advance(31);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_exchanges_share_one_fetch() {
    let (clock, key) = (TestClock::new(), key());
    let idp = TestProvider::start(jwks(&[&key])).await;
    *idp.delay.lock().unwrap() = Duration::from_millis(50);
    let snapshot = Arc::new(snapshot(&[&idp.issuer()]));
    let verifier = Arc::new(verifier(&clock));
    let text = token(&key, &idp.issuer(), &clock);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (verifier, snapshot, text) = (Arc::clone(&verifier), Arc::clone(&snapshot), text.clone());
            tokio::spawn(async move { verifier.verify(&snapshot, &text).await.is_ok() })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(idp.fetches(), 1);
}

#[tokio::test]
async fn rotation_costs_no_request() {
    let (clock, old, new) = (TestClock::new(), key(), key());
    let idp = TestProvider::start(jwks(&[&old])).await;
    let snapshot = snapshot(&[&idp.issuer()]);
    let verifier = verifier(&clock);
    verifier.warm(&snapshot).await;
    clock.advance(60);
    idp.publish(&[&new, &old]);
    assert!(verifier.verify(&snapshot, &token(&new, &idp.issuer(), &clock)).await.is_ok());
    assert!(verifier.verify(&snapshot, &token(&old, &idp.issuer(), &clock)).await.is_ok());
    assert_eq!(idp.fetches(), 2);
    // A key that the provider withdrew stops counting once the set is renewed.
    idp.publish(&[&new]);
    clock.advance(60 * 16);
    assert!(verifier.verify(&snapshot, &token(&old, &idp.issuer(), &clock)).await.is_ok(), "renewed beside");
    eventually(|| idp.fetches() == 3).await;
    let withdrawn = verifier.verify(&snapshot, &token(&old, &idp.issuer(), &clock)).await;
    assert!(withdrawn.is_err());
}

async fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..200 {
        if condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen");
}

#[tokio::test]
async fn the_last_good_set_serves_while_the_provider_is_down() {
    let (clock, key, stranger) = (TestClock::new(), key(), key());
    let idp = TestProvider::start(jwks(&[&key])).await;
    let snapshot = snapshot(&[&idp.issuer()]);
    let verifier = verifier(&clock);
    verifier.warm(&snapshot).await;
    idp.down.store(true, Ordering::SeqCst);
    for seconds in [60, 3600, 3600 * 12] {
        clock.advance(seconds);
        let known = verifier.verify(&snapshot, &token(&key, &idp.issuer(), &clock)).await;
        assert!(known.is_ok(), "{known:?}");
        let unknown = verifier.verify(&snapshot, &token(&stranger, &idp.issuer(), &clock)).await;
        assert_eq!(code(&unknown.unwrap_err()), FaultCode::InvalidIdentityToken);
    }
    // But not for ever.
    clock.advance(3600 * 12);
    let stale = verifier.verify(&snapshot, &token(&key, &idp.issuer(), &clock)).await;
    assert_eq!(code(&stale.unwrap_err()), FaultCode::IDPCommunicationError);
    idp.down.store(false, Ordering::SeqCst);
    clock.advance(3);
    assert!(verifier.verify(&snapshot, &token(&key, &idp.issuer(), &clock)).await.is_ok());
}

#[tokio::test]
async fn a_provider_that_is_down_from_the_start_is_not_hammered() {
    let (clock, key) = (TestClock::new(), key());
    let idp = TestProvider::start(json!("not a key set")).await;
    let snapshot = snapshot(&[&idp.issuer()]);
    let verifier = verifier(&clock);
    for _ in 0..10 {
        let error = verifier.verify(&snapshot, &token(&key, &idp.issuer(), &clock)).await.unwrap_err();
        assert_eq!(code(&error), FaultCode::IDPCommunicationError);
    }
    assert_eq!(idp.fetches(), 1);
    idp.publish(&[&key]);
    clock.advance(3);
    assert!(verifier.verify(&snapshot, &token(&key, &idp.issuer(), &clock)).await.is_ok());
}

#[tokio::test]
async fn a_slow_provider_is_a_communication_error() {
    let (clock, key) = (TestClock::new(), key());
    let idp = TestProvider::start(jwks(&[&key])).await;
    *idp.delay.lock().unwrap() = Duration::from_millis(400);
    let snapshot = snapshot(&[&idp.issuer()]);
    let limits = FetchLimits { timeout: Duration::from_millis(200), ..FetchLimits::default() };
    let verifier =
        Verifier::with_limits(Arc::clone(&clock) as Arc<dyn Clock>, limits, KeyCachePolicy::default());
    let started = Instant::now();
    let error = verifier.verify(&snapshot, &token(&key, &idp.issuer(), &clock)).await.unwrap_err();
    assert_eq!(code(&error), FaultCode::IDPCommunicationError);
    assert!(started.elapsed() < Duration::from_millis(380));
    assert_eq!(FetchLimits::default().timeout, Duration::from_secs(5));
}

#[tokio::test]
async fn redirects_large_answers_and_strange_documents_are_refused() {
    let (clock, key) = (TestClock::new(), key());
    let idp = TestProvider::start(jwks(&[&key])).await;
    let secret = TestProvider::start(jwks(&[&key])).await;
    let snapshot = snapshot(&[&idp.issuer()]);
    let text = token(&key, &idp.issuer(), &clock);
    let refused = async || {
        // A new verifier each time: nothing is remembered.
        let error = verifier(&clock).verify(&snapshot, &text).await.unwrap_err();
        assert_eq!(code(&error), FaultCode::IDPCommunicationError, "{error:?}");
        match error {
            VerifyError::Provider { source, .. } => source,
            other => panic!("{other:?}"),
        }
    };

    *idp.redirect.lock().unwrap() = Some(format!("{}/jwks", secret.issuer()));
    assert!(matches!(refused().await, FetchError::Status { status: 302, .. }));
    assert_eq!(secret.fetches(), 0, "no redirect is followed");
    *idp.redirect.lock().unwrap() = None;

    for address in ["http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "gopher://x/"] {
        *idp.discovery.lock().unwrap() = Some(json!({"issuer": idp.issuer(), "jwks_uri": address}));
        assert!(matches!(refused().await, FetchError::Address(_)), "{address}");
    }
    *idp.discovery.lock().unwrap() =
        Some(json!({"issuer": "https://other.example", "jwks_uri": format!("{}/jwks", idp.issuer())}));
    assert!(matches!(refused().await, FetchError::Issuer { .. }));
    *idp.discovery.lock().unwrap() = Some(json!({"issuer": idp.issuer()}));
    assert!(matches!(refused().await, FetchError::Document { .. }));
    *idp.discovery.lock().unwrap() = None;

    *idp.jwks.lock().unwrap() = json!({"keys": [], "padding": "x".repeat(1 << 20)});
    assert!(matches!(refused().await, FetchError::TooLarge { limit: 1_048_576, .. }));
    idp.publish(&[&key]);
    assert!(verifier(&clock).verify(&snapshot, &text).await.is_ok());
}

#[tokio::test]
async fn keys_by_address_and_fixed_keys() {
    let (clock, key) = (TestClock::new(), key());
    let idp = TestProvider::start(jwks(&[&key])).await;
    *idp.discovery.lock().unwrap() = Some(json!("never asked for"));
    let issuer = "https://idp.example";
    let text = token(&key, issuer, &clock);
    let with = |keys: Keys, algorithms: AllowedAlgorithms| {
        let mut provider = Provider::new(ACCOUNT, issuer, vec!["s3-cli".to_owned()]);
        provider.keys = keys;
        provider.algorithms = algorithms;
        let mut snapshot = Snapshot::new(ACCOUNT);
        snapshot.add_provider(provider).unwrap();
        snapshot
    };
    let verifier = verifier(&clock);
    let by_url = with(Keys::Url(format!("{}/jwks", idp.issuer())), AllowedAlgorithms::aws());
    assert!(verifier.verify(&by_url, &text).await.is_ok());
    assert_eq!(idp.fetches(), 1);

    // Another way to the keys is another cache; the old keys do not leak into it.
    let none = KeySet::parse(br#"{"keys":[]}"#).unwrap();
    let fixed_empty = with(Keys::Fixed(Arc::new(none)), AllowedAlgorithms::aws());
    assert!(verifier.verify(&fixed_empty, &text).await.is_err());
    let fixed = KeySet::parse(jwks(&[&key]).to_string().as_bytes()).unwrap();
    let fixed = with(Keys::Fixed(Arc::new(fixed)), AllowedAlgorithms::aws());
    assert!(verifier.verify(&fixed, &text).await.is_ok());
    assert_eq!(idp.fetches(), 1);

    let rsa_only =
        with(Keys::Url(format!("{}/jwks", idp.issuer())), AllowedAlgorithms::only([Algorithm::RS256]));
    let error =
        Verifier::new(Arc::clone(&clock) as Arc<dyn Clock>).verify(&rsa_only, &text).await.unwrap_err();
    assert!(
        matches!(&error, VerifyError::Token(error) if matches!(**error, TokenError::AlgorithmNotAllowed(_)))
    );
    assert_eq!(idp.fetches(), 1, "a token that cannot be accepted causes no fetch");
}

/// The list of a provider's algorithms holds for tokens that cause a fetch, too: before it and after it.
#[tokio::test]
async fn a_refetch_keeps_the_list_of_algorithms() {
    let clock = TestClock::new();
    let (old, edwards, elliptic) = (key(), SigningKey::generate(Algorithm::EdDSA).unwrap(), key());
    let idp = TestProvider::start(jwks(&[&old])).await;
    let snapshot = snapshot(&[&idp.issuer()]);
    let verifier = verifier(&clock);
    verifier.warm(&snapshot).await;
    clock.advance(60);
    idp.publish(&[&old, &edwards, &elliptic]);
    let refused = async || {
        let text = token(&edwards, &idp.issuer(), &clock);
        let error = verifier.verify(&snapshot, &text).await.unwrap_err();
        assert!(
            matches!(&error, VerifyError::Token(error)
            if matches!(**error, TokenError::AlgorithmNotAllowed(Algorithm::EdDSA))),
            "{error:?}"
        );
    };
    refused().await;
    assert_eq!(idp.fetches(), 1, "a token that cannot be accepted causes no fetch");
    assert!(verifier.verify(&snapshot, &token(&elliptic, &idp.issuer(), &clock)).await.is_ok());
    assert_eq!(idp.fetches(), 2);
    refused().await;
}

#[tokio::test]
async fn tokens_without_an_issuer_or_a_form() {
    let (clock, key) = (TestClock::new(), key());
    let snapshot = snapshot(&["https://idp.example"]);
    let verifier = verifier(&clock);
    let no_issuer = key.sign(&Map::new(), json!({"sub": "a"}).as_object().unwrap()).unwrap();
    let error = verifier.verify(&snapshot, &no_issuer).await.unwrap_err().to_sts();
    assert_eq!(error.message, "Missing a required claim: iss");
    for text in ["", "opaque-access-token", "a.b.c"] {
        let error = verifier.verify(&snapshot, text).await.unwrap_err();
        assert_eq!(code(&error), FaultCode::InvalidIdentityToken);
        assert!(!format!("{error} {error:?}").contains("opaque"), "tokens stay out of errors");
    }
}
