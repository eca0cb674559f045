//! Login with Amazon and Facebook: opaque access tokens, with a stand-in on loopback that answers as their documents
//! say: `/auth/o2/tokeninfo` and `/debug_token`.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use url::Url;

use super::*;
use crate::directory::{BuiltIn, Keys, Provider, Snapshot};
use crate::rights::Rights;
use crate::verify::{FetchLimits, KeyCachePolicy};

const AMAZON_USER: &str = "amzn1.account.K2LI23KL2LK2";
const AMAZON_APP: &str = "amzn1.application.436457DFHDH";
const AMAZON_CLIENT: &str = "amzn1.application-oa2-client.1";
const FACEBOOK_USER: &str = "10215241773831025";
const FACEBOOK_APP: &str = "138483919580948";

/// The services' endpoints; counts the questions.
struct StandIn {
    base: Url,
    questions: Arc<AtomicUsize>,
}

impl StandIn {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let questions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&questions);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let service = service_fn(move |request: http::Request<Incoming>| {
                        counted.fetch_add(1, Ordering::SeqCst);
                        answer(request)
                    });
                    let connection = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { base, questions }
    }
}

async fn answer(request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let url: Url = format!("http://stand-in{}", request.uri()).parse().unwrap();
    let parameter = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let (amazon, facebook) = (parameter("access_token"), parameter("input_token"));
    let answer = |status: u16, body: String| {
        Ok(http::Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap())
    };
    match (url.path(), amazon.as_str(), facebook.as_str()) {
        ("/auth/o2/tokeninfo", "Atza|good", _) => answer(
            200,
            json!({"iss": "https://www.amazon.com", "user_id": AMAZON_USER, "aud": AMAZON_CLIENT,
                "app_id": AMAZON_APP, "exp": 3597, "iat": 1_311_280_970})
            .to_string(),
        ),
        ("/auth/o2/tokeninfo", "Atza|slow", _) => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            answer(200, String::new())
        }
        ("/auth/o2/tokeninfo", "Atza|large", _) => answer(200, " ".repeat(2 << 20)),
        ("/auth/o2/tokeninfo", "Atza|odd", _) => answer(200, "<html>".to_owned()),
        ("/auth/o2/tokeninfo", "Atza|down", _) => answer(503, String::new()),
        ("/auth/o2/tokeninfo", "Atza|elsewhere", _) => {
            let moved = http::Response::builder().status(302).header("location", "http://127.0.0.1:1/");
            Ok(moved.body(Full::default()).unwrap())
        }
        ("/auth/o2/tokeninfo", _, _) => {
            answer(400, json!({"error": "invalid_token", "error_description": "The token is invalid"}).to_string())
        }
        ("/debug_token", asker, "EAACgood") if ["EAACgood", "app|secret"].contains(&asker) => answer(
            200,
            json!({"data": {"app_id": FACEBOOK_APP, "type": "USER", "application": "Social Cafe", "is_valid": true,
                "expires_at": 4_000_000_000_u64, "scopes": ["public_profile"], "user_id": FACEBOOK_USER}})
            .to_string(),
        ),
        ("/debug_token", _, "EAACold") => answer(
            400,
            json!({"error": {"message": "Session has expired", "type": "OAuthException", "code": 190,
                "error_subcode": 463}})
            .to_string(),
        ),
        ("/debug_token", _, _) => answer(
            400,
            json!({"error": {"message": "Malformed access token", "type": "OAuthException", "code": 190}}).to_string(),
        ),
        _ => answer(404, String::new()),
    }
}

/// A service that trusts both, with roles named after them.
fn bench(stand_in: &StandIn, app_token: Option<&str>, clients: &[&str]) -> Bench {
    let mut bench = Bench::new();
    let mut snapshot = Snapshot::new(ACCOUNT);
    let clients: Vec<String> = clients.iter().map(|client| (*client).to_owned()).collect();
    for (service, path, condition) in [
        (
            BuiltIn::Amazon,
            "auth/o2/tokeninfo",
            json!({"www.amazon.com:app_id": AMAZON_APP, "www.amazon.com:user_id": AMAZON_USER}),
        ),
        (
            BuiltIn::Facebook,
            "debug_token",
            json!({"graph.facebook.com:app_id": FACEBOOK_APP, "graph.facebook.com:id": FACEBOOK_USER}),
        ),
    ] {
        let mut provider = Provider::built_in(ACCOUNT, service, clients.clone());
        provider.keys = Keys::Opaque {
            address: stand_in.base.join(path).unwrap(),
            app_token: app_token.map(Secret::new),
        };
        snapshot.add_provider(provider).unwrap();
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"Federated": service.name()}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": condition}}]});
        snapshot.add_role(role(&service.name().replace('.', "-"), &trust)).unwrap();
    }
    bench.directory.replace(snapshot);
    // A second in place of five.
    let limits = FetchLimits { timeout: Duration::from_secs(1), ..FetchLimits::default() };
    let clock = Arc::clone(&bench.clock) as Arc<dyn Clock>;
    let verifier = Arc::new(Verifier::with_limits(Arc::clone(&clock), limits, KeyCachePolicy::default()));
    bench.service = StsService::new(Arc::clone(&bench.directory), verifier, Arc::clone(&bench.sealer), clock);
    bench
}

async fn exchange(bench: &Bench, service: &str, token: &str) -> Result<AssumedRole, (u16, String)> {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/{}", service.replace('.', "-"));
    let request = AssumeRoleWithWebIdentity {
        role_arn: Some(role),
        provider_id: Some(service.to_owned()),
        web_identity_token: Secret::new(token),
        ..bench.request(json!({}))
    };
    let parameters = Parameters::parse("", request.to_form().expose()).unwrap();
    let call = StsCall {
        parameters: &parameters,
        caller: None,
        access_key_id: None,
        source_ip: None,
        user_agent: None,
        secure_transport: true,
        region: None,
        request_id: "rid",
    };
    let answer = bench.service.handle(call).await;
    assert!(!format!("{answer:?}").contains(token), "a token in diagnostics");
    match answer.status {
        200 => Ok(AssumedRole::from_xml(&answer.xml.0).unwrap()),
        status => Err((status, Fault::from_xml(&answer.xml.0).unwrap().code)),
    }
}

#[tokio::test]
async fn tokens_of_amazon_and_facebook_are_exchanged() {
    let stand_in = StandIn::start().await;
    let bench = bench(&stand_in, None, &[]);
    let amazon = exchange(&bench, "www.amazon.com", "Atza|good").await.unwrap();
    assert_eq!(
        (amazon.subject.as_deref(), amazon.audience.as_deref(), amazon.provider.as_deref()),
        (Some(AMAZON_USER), Some(AMAZON_CLIENT), Some("www.amazon.com"))
    );
    let facebook = exchange(&bench, "graph.facebook.com", "EAACgood").await.unwrap();
    assert_eq!(
        (facebook.subject.as_deref(), facebook.audience.as_deref(), facebook.provider.as_deref()),
        (Some(FACEBOOK_USER), Some(FACEBOOK_APP), Some("graph.facebook.com"))
    );
    // Their keys stay with the session, and no others of a token.
    let rights = Rights::of(&bench.caller(&amazon), &bench.directory.snapshot()).unwrap();
    let mut context = wigeon_core::policy::Context::new();
    rights.enter_keys(&mut context);
    let key = |name: &str| context.value(name).map(|value| value.texts().join(","));
    assert_eq!(key("www.amazon.com:user_id").as_deref(), Some(AMAZON_USER));
    assert_eq!(key("www.amazon.com:app_id").as_deref(), Some(AMAZON_APP));
    assert_eq!((key("www.amazon.com:sub"), key("www.amazon.com:aud")), (None, None));
    assert_eq!(key("aws:FederatedProvider").as_deref(), Some("www.amazon.com"));
    // Nothing is remembered: each exchange asks.
    let before = stand_in.questions.load(Ordering::SeqCst);
    exchange(&bench, "www.amazon.com", "Atza|good").await.unwrap();
    assert_eq!(stand_in.questions.load(Ordering::SeqCst), before + 1);
}

#[rstest]
#[case::unknown_token("www.amazon.com", "Atza|bad", 400, "InvalidIdentityToken")]
#[case::another_services_token("www.amazon.com", "EAACgood", 400, "InvalidIdentityToken")]
#[case::slow("www.amazon.com", "Atza|slow", 400, "IDPCommunicationError")]
#[case::large("www.amazon.com", "Atza|large", 400, "IDPCommunicationError")]
#[case::odd("www.amazon.com", "Atza|odd", 400, "IDPCommunicationError")]
#[case::down("www.amazon.com", "Atza|down", 400, "IDPCommunicationError")]
#[case::redirected("www.amazon.com", "Atza|elsewhere", 400, "IDPCommunicationError")]
#[case::rejected("graph.facebook.com", "EAACbad", 403, "IDPRejectedClaim")]
#[case::expired("graph.facebook.com", "EAACold", 400, "ExpiredTokenException")]
#[case::of_amazon("graph.facebook.com", "Atza|good", 403, "IDPRejectedClaim")]
#[case::unknown_service("login.example.com", "Atza|good", 403, "AccessDenied")]
#[tokio::test]
async fn opaque_tokens_that_are_refused(
    #[case] service: &str,
    #[case] token: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let stand_in = StandIn::start().await;
    let bench = bench(&stand_in, None, &[]);
    assert_eq!(exchange(&bench, service, token).await.unwrap_err(), (status, code.to_owned()));
}

/// docs/sts.md: a signed token with a provider id; and one that claims to be such a service's.
#[tokio::test]
async fn signed_tokens_are_never_theirs() {
    let stand_in = StandIn::start().await;
    let bench = bench(&stand_in, None, &[]);
    let jwt = token(&bench.clock, json!({"iss": "https://www.amazon.com"}));
    let refused = |code: &str, status| (status, code.to_owned());
    let amazon = exchange(&bench, "www.amazon.com", &jwt).await.unwrap_err();
    assert_eq!(amazon, refused("InvalidIdentityToken", 400));
    let facebook = exchange(&bench, "graph.facebook.com", &jwt).await.unwrap_err();
    assert_eq!(facebook, refused("IDPRejectedClaim", 403));
    assert_eq!(stand_in.questions.load(Ordering::SeqCst), 0, "nobody is asked about a JWT");
    let verified = Verifier::new(Arc::clone(&bench.clock) as Arc<dyn Clock>);
    let error = verified.verify(&bench.directory.snapshot(), &jwt).await.unwrap_err();
    assert!(matches!(error, crate::verify::VerifyError::UnknownIssuer(_)), "{error}");
}

#[tokio::test]
async fn applications_can_be_limited_and_facebook_asked_as_one() {
    let stand_in = StandIn::start().await;
    let registered = bench(&stand_in, Some("app|secret"), &["another-client"]);
    let refused = exchange(&registered, "graph.facebook.com", "EAACgood").await.unwrap_err();
    assert_eq!(refused, (400, "InvalidIdentityToken".to_owned()));
    let registered = bench(&stand_in, Some("app|secret"), &[FACEBOOK_APP]);
    assert!(exchange(&registered, "graph.facebook.com", "EAACgood").await.is_ok());
    let wrong = bench(&stand_in, Some("app|other"), &[FACEBOOK_APP]);
    assert_eq!(exchange(&wrong, "graph.facebook.com", "EAACgood").await.unwrap_err().0, 403);
}
