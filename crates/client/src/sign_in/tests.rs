//! Whole sign-ins in this process, with a provider that misbehaves in one way at a time: the OpenID Foundation's
//! relying-party test modules (`oidcc-client-test-…`) as tables of our own, and what they leave out. Not among them:
//! UserInfo, which is never asked, hybrid and implicit flows, which are never used, and form_post.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use wigeon_core::secret::Secret;
use wigeon_testkit::browser::Landed;

use super::page::Page;
use super::redirect::Listener;
use super::*;
use crate::causes::with_causes;
use crate::profile::{ClientCredential, Exchanged, Flow, OAuth, Redirect};
use crate::testing::{Manners, OtherSide, Walker, connector};

const LIMIT: Duration = Duration::from_secs(10);

fn oauth(side: &OtherSide) -> OAuth {
    OAuth {
        flow: Flow::AuthorizationCode,
        issuer: Some(side.issuer.clone()),
        authorization_url: None,
        token_url: None,
        client_id: ClientCredential::Given("s3-cli".to_owned()),
        client_secret: ClientCredential::None,
        redirect: Redirect::classify("http://127.0.0.1/callback"),
        scopes: vec!["openid".to_owned()],
        pkce: true,
        audience: None,
        prompt: None,
        resource: None,
        exchanged: Exchanged::IdToken,
        username_claims: vec!["email".to_owned()],
        username: None,
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn nobody_pastes() -> WayBack {
    by_paste(mpsc::channel(1).1)
}

fn by_paste(pasted: mpsc::Receiver<String>) -> WayBack {
    WayBack { pasted, doorway: None }
}

struct Outcome {
    result: Result<TokenSet, SignInError>,
    landed: Landed,
}

async fn signed_in_with(side: &OtherSide, oauth: &OAuth, client: &Client) -> Outcome {
    let connector = connector();
    let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth, client };
    let (walker, mut landed) = Walker::new(1);
    let result = in_browser(sign_in, located(sign_in).await, &walker, nobody_pastes(), LIMIT).await;
    Outcome { result, landed: landed.recv().await.unwrap().unwrap() }
}

async fn located(sign_in: SignIn<'_>) -> Provider {
    locate(sign_in.connector, sign_in.oauth).await.unwrap()
}

fn public_client() -> Client {
    Client { id: Some("s3-cli".to_owned()), secret: None }
}

async fn signed_in(manners: Manners) -> Outcome {
    let side = OtherSide::start(manners).await;
    signed_in_with(&side, &oauth(&side), &public_client()).await
}

#[tokio::test]
async fn a_person_signs_in() {
    let side = OtherSide::start(Manners::default()).await;
    let outcome = signed_in_with(&side, &oauth(&side), &public_client()).await;
    let tokens = outcome.result.unwrap();
    assert_eq!((tokens.identity.user.as_str(), tokens.identity.subject.as_str()), ("ada@example.org", "ada"));
    assert!(tokens.identity.signature_checked);
    assert_eq!(outcome.landed.status, 200);
    assert!(outcome.landed.text.contains("Signed in as ada@example.org"), "{}", outcome.landed.text);
    for secret in
        [tokens.id_token.unwrap().expose(), tokens.refresh_token.unwrap().expose(), "an-access-token"]
    {
        assert!(!outcome.landed.text.contains(secret), "the page holds a token");
    }
    let [form] = side.forms("/token").try_into().unwrap();
    assert_eq!(form["client_id"], "s3-cli");
    assert!(form["code_verifier"].len() >= 43 && form["redirect_uri"].starts_with("http://127.0.0.1:"));
}

#[rstest]
#[case::issuer(json!({"iss": "https://other.example"}), "of the issuer `https://other.example`")]
#[case::no_issuer(json!({"iss": null}), "no `iss`")]
#[case::audience(json!({"aud": "other-app"}), "for `other-app`, not for our client `s3-cli`")]
#[case::audience_list(json!({"aud": ["a", "b"]}), "for `a`, `b`, not")]
#[case::no_audience(json!({"aud": null}), "no `aud`")]
#[case::several_audiences(json!({"aud": ["s3-cli", "b"]}), "has no `azp`")]
#[case::authorized_party(json!({"aud": ["s3-cli", "b"], "azp": "b"}), "made for `b`")]
#[case::authorized_party_alone(json!({"azp": "b"}), "made for `b`")]
#[case::expired(json!({"exp": 1_000_000_000}), "expired at 2001-09-09T01:46:40Z")]
#[case::no_expiry(json!({"exp": null}), "no `exp`")]
#[case::expiry_shape(json!({"exp": "soon"}), "malformed")]
#[case::future(json!({"iat": 4_000_000_000u64}), "clock right")]
#[case::no_iat(json!({"iat": null}), "no `iat`")]
#[case::not_before(json!({"nbf": 4_000_000_000u64}), "clock right")]
#[case::nonce(json!({"nonce": "another"}), "`nonce`")]
#[case::no_nonce(json!({"nonce": null}), "no `nonce`")]
#[case::at_hash(json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}), "`at_hash`")]
#[case::no_subject(json!({"sub": null}), "no `sub`")]
#[case::empty_subject(json!({"sub": ""}), "no `sub`")]
#[tokio::test]
async fn an_id_token_that_does_not_hold(#[case] claims: Value, #[case] says: &str) {
    let outcome = signed_in(Manners { claims: object(claims), ..Manners::default() }).await;
    let error = with_causes(&outcome.result.unwrap_err());
    assert!(error.contains(says), "{error}");
    assert_eq!(outcome.landed.status, 400);
    assert!(outcome.landed.text.contains("Not signed in"));
}

#[rstest]
#[case::none(json!({"alg": "none"}), "not an asymmetric signature")]
#[case::hmac(json!({"alg": "HS256"}), "not an asymmetric signature")]
#[case::not_the_providers(json!({"alg": "RS256"}), "not allowed")]
#[case::unknown_key(json!({"kid": "unknown"}), "has no key `unknown`")]
#[case::critical(json!({"crit": ["x"]}), "critical")]
#[case::not_a_jwt(json!({"alg": 7}), "header cannot be read")]
#[tokio::test]
async fn a_header_that_does_not_hold(#[case] header: Value, #[case] says: &str) {
    let outcome = signed_in(Manners { header: object(header), ..Manners::default() }).await;
    let error = with_causes(&outcome.result.unwrap_err());
    assert!(error.contains(says), "{error}");
}

/// `kid-absent-single-jwks` is taken, `kid-absent-multiple-jwks` refused: which key is meant must not be guessed.
#[tokio::test]
async fn a_token_without_a_key_id() {
    let header = object(json!({ "kid": null }));
    signed_in(Manners { header: header.clone(), ..Manners::default() }).await.result.unwrap();
    let outcome = signed_in(Manners { header, several_keys: true, ..Manners::default() }).await;
    let error = with_causes(&outcome.result.unwrap_err());
    assert!(error.contains("names no key") && error.contains("2 usable"), "{error}");
    signed_in(Manners { several_keys: true, ..Manners::default() }).await.result.unwrap();
}

/// `signing-key-rotation`: keys are asked for at each sign-in.
#[tokio::test]
async fn a_provider_changes_its_key() {
    let side = OtherSide::start(Manners::default()).await;
    signed_in_with(&side, &oauth(&side), &public_client()).await.result.unwrap();
    side.change_key();
    signed_in_with(&side, &oauth(&side), &public_client()).await.result.unwrap();
}

#[tokio::test]
async fn a_signature_of_another_key() {
    let outcome = signed_in(Manners { wrong_key: true, ..Manners::default() }).await;
    assert!(with_causes(&outcome.result.unwrap_err()).contains("signature does not hold"));
}

#[rstest]
#[case::several_with_us(json!({"aud": ["s3-cli", "b"], "azp": "s3-cli"}))]
#[case::one_in_a_list(json!({"aud": ["s3-cli"]}))]
#[case::no_at_hash(json!({"at_hash": null}))]
#[case::within_the_skew(json!({"iat": 1_795_435_200i64 + 59}))]
#[tokio::test]
async fn an_id_token_that_holds(#[case] claims: Value) {
    signed_in(Manners { claims: object(claims), ..Manners::default() }).await.result.unwrap();
}

#[tokio::test]
async fn the_response_of_another_issuer() {
    for response in [json!({"iss": "https://evil.example"}), json!({"iss": null})] {
        let outcome = signed_in(Manners { response: object(response), ..Manners::default() }).await;
        assert!(matches!(outcome.result, Err(SignInError::Response(ResponseError::Issuer { .. }))));
        assert_eq!(outcome.landed.status, 400);
    }
}

#[tokio::test]
async fn the_providers_own_words() {
    let response = json!({"code": null, "error": "access_denied", "error_description": "Ada <b>may not</b>"});
    let outcome = signed_in(Manners { response: object(response), ..Manners::default() }).await;
    let error = outcome.result.unwrap_err().to_string();
    assert_eq!(error, "the provider refuses: access_denied (Ada <b>may not</b>)");
    assert!(outcome.landed.text.contains("Ada &lt;b&gt;may not&lt;/b&gt;"));

    let refusal = json!({"error": "invalid_client", "error_description": "Who are you?"});
    let outcome = signed_in(Manners { token_refusal: Some((401, refusal)), ..Manners::default() }).await;
    assert!(outcome.result.unwrap_err().to_string().contains("invalid_client (Who are you?)"));
}

#[tokio::test]
async fn a_wrong_state_is_refused_and_the_sign_in_goes_on() {
    let side =
        OtherSide::start(Manners { response: object(json!({"state": "x"})), ..Manners::default() }).await;
    let (connector, oauth, client) = (connector(), oauth(&side), public_client());
    let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth: &oauth, client: &client };
    let (walker, mut landed) = Walker::new(1);
    let result =
        in_browser(sign_in, located(sign_in).await, &walker, nobody_pastes(), Duration::from_millis(800))
            .await;
    let landed = landed.recv().await.unwrap().unwrap();
    assert_eq!(landed.status, 400);
    assert!(landed.text.contains("does not belong"));
    let error = result.unwrap_err();
    assert!(matches!(&error, SignInError::TimeLimit { refused: Some(_), .. }), "{error}");
    assert!(side.forms("/token").is_empty(), "the code was redeemed");
}

#[tokio::test]
async fn a_code_that_arrives_twice_is_redeemed_once() {
    let (mut listener, _) =
        (Listener::bind(&"http://127.0.0.1/cb".parse().unwrap(), None).await.unwrap(), ());
    let url: url::Url = format!("http://127.0.0.1:{}/cb?code=c&state=s", listener.port).parse().unwrap();
    let get = |url: url::Url| async move { reqwest::get(url).await.unwrap().status().as_u16() };
    let first = tokio::spawn(get(url.clone()));
    let arrival = listener.arrival().await.unwrap();
    listener.taken();
    assert_eq!(get(url.clone()).await, 400, "while the first is being redeemed");
    let user = String::from("ada");
    arrival.answer.send(Page::SignedIn { user, provider: String::new() }).unwrap();
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(get(url).await, 400, "afterwards");
    listener.close().await;
}

#[tokio::test]
async fn the_listener_answers_only_under_its_own_name() {
    let listener = Listener::bind(&"http://127.0.0.1/cb".parse().unwrap(), None).await.unwrap();
    let base = format!("http://127.0.0.1:{}", listener.port);
    let client = reqwest::Client::new();
    let rebound =
        client.get(format!("{base}/cb?code=c&state=s")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 400);
    assert_eq!(client.get(format!("{base}/other")).send().await.unwrap().status(), 404);
    let posted = client.post(format!("{base}/cb")).send().await.unwrap();
    assert_eq!(posted.status(), 405);
    assert_eq!(posted.headers()["cache-control"], "no-store");
    assert!(posted.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
}

#[tokio::test]
async fn the_listener_is_not_reachable_from_elsewhere() {
    let listener = Listener::bind(&"http://localhost/cb".parse().unwrap(), None).await.unwrap();
    let addresses = [std::net::Ipv4Addr::LOCALHOST];
    assert!(tokio::net::TcpStream::connect((addresses[0], listener.port)).await.is_ok());
    // A socket of its own on every address would clash with one that listens on all of them.
    assert!(tokio::net::TcpListener::bind(("127.0.0.2", listener.port)).await.is_ok());
}

#[tokio::test]
async fn a_pasted_address_is_as_good() {
    let side = OtherSide::start(Manners::default()).await;
    let (connector, client) = (connector(), public_client());
    let oauth = OAuth { redirect: Redirect::classify("x-cyberduck-action:oauth"), ..oauth(&side) };
    let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth: &oauth, client: &client };
    let (walker, mut landed) = Walker::new(1);
    let (paste, pasted) = mpsc::channel(1);
    tokio::spawn(async move {
        let landed = landed.recv().await.unwrap().unwrap();
        assert_eq!(landed.url.scheme(), "x-cyberduck-action");
        paste.send(format!("  {}\n", landed.url)).await.unwrap();
        std::future::pending::<()>().await;
    });
    let tokens = in_browser(sign_in, located(sign_in).await, &walker, by_paste(pasted), LIMIT).await.unwrap();
    assert_eq!(tokens.identity.subject, "ada");
    assert_eq!(side.forms("/token")[0]["redirect_uri"], "x-cyberduck-action:oauth");
}

#[tokio::test]
async fn a_code_alone_from_a_page_that_shows_it() {
    for (pkce, good) in [(true, true), (false, false)] {
        let side = OtherSide::start(Manners::default()).await;
        let (connector, client) = (connector(), public_client());
        let oauth = OAuth { redirect: Redirect::classify("urn:ietf:wg:oauth:2.0:oob"), pkce, ..oauth(&side) };
        let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth: &oauth, client: &client };
        let (walker, mut landed) = Walker::new(1);
        let (paste, pasted) = mpsc::channel(1);
        tokio::spawn(async move {
            let landed = landed.recv().await.unwrap().unwrap();
            let code = landed.url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
            paste.send(format!("{code}\n")).await.unwrap();
        });
        let result = in_browser(sign_in, located(sign_in).await, &walker, by_paste(pasted), LIMIT).await;
        assert_eq!(result.is_ok(), good, "{result:?}");
    }
}

#[rstest]
#[case("x-cyberduck-action:oauth?code=c&state=wrong", "`state`")]
#[case("hello", "has no `code=`")]
#[tokio::test]
async fn a_pasted_text_that_is_not_ours(#[case] text: &str, #[case] says: &str) {
    let side = OtherSide::start(Manners::default()).await;
    let (connector, client, oauth) = (connector(), public_client(), oauth(&side));
    let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth: &oauth, client: &client };
    let (paste, pasted) = mpsc::channel(1);
    paste.send(text.to_owned()).await.unwrap();
    drop(paste);
    let error = in_browser(sign_in, located(sign_in).await, &Walker::new(0).0, by_paste(pasted), LIMIT)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(says), "{error}");
}

/// What the desktop's handler does with the address, in a thread of its own.
async fn handed(dir: &std::path::Path, address: &url::Url) -> Result<String, HandOverError> {
    let (dir, address) = (dir.to_owned(), address.to_string());
    tokio::task::spawn_blocking(move || hand_over(&dir, &address)).await.unwrap()
}

#[tokio::test]
async fn the_desktop_hands_the_address_of_a_custom_scheme_over() {
    let side = OtherSide::start(Manners::default()).await;
    let (connector, client) = (connector(), public_client());
    let oauth = OAuth { redirect: Redirect::classify("x-cyberduck-action:oauth"), ..oauth(&side) };
    let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth: &oauth, client: &client };
    let (walker, mut landed) = Walker::new(1);
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_owned();
    let handler = tokio::spawn(async move {
        let landed = landed.recv().await.unwrap().unwrap();
        let mut wrong = landed.url.clone();
        wrong.set_query(Some("code=c&state=x"));
        assert!(matches!(handed(&place, &wrong).await, Err(HandOverError::Nobody)), "another attempt's");
        let said = handed(&place, &landed.url).await.unwrap();
        let again = handed(&place, &landed.url).await;
        assert!(matches!(again, Err(HandOverError::Nobody)), "a code works once");
        said
    });
    let back = WayBack { pasted: mpsc::channel(1).1, doorway: Some(dir.path().to_owned()) };
    let tokens = in_browser(sign_in, located(sign_in).await, &walker, back, LIMIT).await.unwrap();
    assert_eq!(tokens.identity.subject, "ada");
    assert_eq!(handler.await.unwrap(), format!("Signed in as ada@example.org at {}", side.issuer_text()));
    assert_eq!(side.forms("/token").len(), 1);
}

#[tokio::test]
async fn one_of_several_providers_is_chosen_on_a_page() {
    let offered = |id: &str| Offered {
        id: id.to_owned(),
        title: format!("<{id}>"),
        issuer: format!("https://{id}.example"),
    };
    let chooser = Chooser::open("the lab", vec![offered("work"), offered("uni")]).await.unwrap();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let get = |url: &str| client.get(url).send();
    let address = chooser.address.to_string();
    let page = get(&address).await.unwrap().text().await.unwrap();
    assert!(page.contains("Sign in to the lab") && page.contains("&lt;uni&gt;") && !page.contains("<uni>"));
    let link =
        page.split('"').find(|part| part.starts_with("/choose?provider=uni")).unwrap().replace("&amp;", "&");
    let base = address.split("/?").next().unwrap().to_owned();
    let word = address.split("word=").nth(1).unwrap();

    assert_eq!(get(&format!("{base}/choose?provider=uni&word=guessed")).await.unwrap().status(), 403);
    assert_eq!(get(&format!("{base}/")).await.unwrap().status(), 403, "without the word");
    assert_eq!(get(&format!("{base}/choose?provider=x&word={word}")).await.unwrap().status(), 400);
    let rebound = client.get(&address).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 403);

    let tab = tokio::spawn(client.get(format!("{base}{link}")).send());
    let chosen = chooser.chosen().await.unwrap();
    assert_eq!(chosen.id, "uni");
    chosen.tab.show(&"https://uni.example/authorize?state=s".parse().unwrap());
    let sent_on = tab.await.unwrap().unwrap();
    assert_eq!(sent_on.status(), 303);
    assert_eq!(sent_on.headers()["location"], "https://uni.example/authorize?state=s");
}

#[tokio::test]
async fn nobody_can_paste() {
    let side = OtherSide::start(Manners::default()).await;
    let (connector, client) = (connector(), public_client());
    let oauth = OAuth { redirect: Redirect::classify("x-cyberduck-action:oauth"), ..oauth(&side) };
    let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth: &oauth, client: &client };
    let result = in_browser(sign_in, located(sign_in).await, &Walker::new(0).0, nobody_pastes(), LIMIT).await;
    assert!(matches!(result, Err(SignInError::NobodyPastes(_))));
}

#[tokio::test]
async fn how_a_secret_is_shown() {
    let confidential = Client { id: Some("s3:web".to_owned()), secret: Some(Secret::new("p&ss word")) };
    let claims = object(json!({"aud": "s3:web"}));
    let methods = |methods: Value| Some(object(json!({ "token_endpoint_auth_methods_supported": methods })));
    for (methods, basic) in [
        (methods(Value::Null), true),
        (methods(json!(["client_secret_post", "client_secret_basic"])), true),
        (methods(json!(["client_secret_post"])), false),
    ] {
        let side =
            OtherSide::start(Manners { claims: claims.clone(), discovery: methods, ..Manners::default() })
                .await;
        signed_in_with(&side, &oauth(&side), &confidential).await.result.unwrap();
        let form = side.forms("/token").remove(0);
        assert_eq!(form.contains_key("client_secret"), !basic);
        let expected = basic.then(|| "Basic czMlM0F3ZWI6cCUyNnNzK3dvcmQ=".to_owned());
        assert_eq!(side.authorizations("/token"), [expected]);
    }
}

#[tokio::test]
async fn an_empty_client_id_is_not_sent() {
    let side = OtherSide::start(Manners::default()).await;
    signed_in_with(&side, &oauth(&side), &Client::default()).await.result.unwrap();
    assert!(!side.forms("/token")[0].contains_key("client_id"));
}

#[tokio::test]
async fn without_an_issuer_the_addresses_lead_to_it() {
    let side = OtherSide::start(Manners::default()).await;
    let oauth = OAuth {
        issuer: None,
        authorization_url: Some(side.issuer.join("authorize").unwrap()),
        token_url: Some(side.issuer.join("token").unwrap()),
        ..oauth(&side)
    };
    let tokens = signed_in_with(&side, &oauth, &public_client()).await.result.unwrap();
    assert_eq!(tokens.provider.issuer, Some(side.issuer_text()));
    assert!(tokens.identity.signature_checked);

    side.manners(|manners| manners.claims = object(json!({"iss": "https://other.example"})));
    assert!(signed_in_with(&side, &oauth, &public_client()).await.result.is_err());
}

#[tokio::test]
async fn without_any_discovery_it_is_said_that_nothing_was_checked() {
    let side = OtherSide::start(Manners { discovery: None, ..Manners::default() }).await;
    let oauth = OAuth {
        issuer: None,
        authorization_url: Some(side.issuer.join("authorize").unwrap()),
        token_url: Some(side.issuer.join("token").unwrap()),
        ..oauth(&side)
    };
    let tokens = signed_in_with(&side, &oauth, &public_client()).await.result.unwrap();
    assert!(!tokens.identity.signature_checked);
    side.manners(|manners| manners.claims = object(json!({"nonce": "x"})));
    assert!(
        signed_in_with(&side, &oauth, &public_client()).await.result.is_err(),
        "the rest is checked all the same"
    );
}

#[tokio::test]
async fn the_document_of_another_issuer_is_refused() {
    let discovery = Some(object(json!({"issuer": "https://other.example"})));
    let side = OtherSide::start(Manners { discovery, ..Manners::default() }).await;
    let error = discover(&connector(), side.issuer.as_str()).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::OtherIssuer { .. }), "{error}");
    let error = discover(&connector(), "http://idp.example").await.unwrap_err();
    assert!(matches!(error, DiscoveryError::Insecure(_)));
}

#[tokio::test]
async fn endpoints_over_http_elsewhere_are_refused() {
    let discovery = Some(object(json!({"token_endpoint": "http://idp.example/token"})));
    let side = OtherSide::start(Manners { discovery, ..Manners::default() }).await;
    assert!(matches!(discover(&connector(), side.issuer.as_str()).await, Err(DiscoveryError::Insecure(_))));
}

#[tokio::test]
async fn a_password_signs_in_where_the_profile_says_so() {
    let side = OtherSide::start(Manners::default()).await;
    let (connector, client, oauth) = (connector(), public_client(), oauth(&side));
    let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth: &oauth, client: &client };
    let tokens = with_password(sign_in, "ada", &Secret::new("right")).await.unwrap();
    assert_eq!(tokens.identity.user, "ada@example.org");
    let error = with_password(sign_in, "ada", &Secret::new("wrong")).await.unwrap_err().to_string();
    assert!(error.contains("in the provider's words") && !error.contains("wrong"), "{error}");
}

#[tokio::test]
async fn redirects_of_the_provider_are_not_followed() {
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url = format!("http://{}", elsewhere.local_addr().unwrap()).parse().unwrap();
    let router =
        axum::Router::new().fallback(|| async { axum::response::Redirect::to("http://169.254.169.254/") });
    tokio::spawn(async move { axum::serve(elsewhere, router).await.unwrap() });
    assert!(matches!(
        discover(&connector(), url.as_str()).await,
        Err(DiscoveryError::Status { status: 303, .. })
    ));
}

async fn on_a_telephone(manners: Manners) -> (OtherSide, Option<Invitation>, Result<TokenSet, SignInError>) {
    let side = OtherSide::start(manners).await;
    let (connector, client, oauth) = (connector(), public_client(), oauth(&side));
    let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth: &oauth, client: &client };
    let shown = std::sync::Mutex::new(None);
    let show = |invitation: &Invitation| *shown.lock().unwrap() = Some(invitation.clone());
    let result = on_another_device(sign_in, located(sign_in).await, &show, LIMIT).await;
    (side, shown.into_inner().unwrap(), result)
}

#[tokio::test]
async fn a_code_is_entered_on_another_device() {
    let manners = Manners {
        device_refusals: vec!["authorization_pending", "authorization_pending"],
        device_answer: object(
            json!({"verification_uri_complete": "https://idp.example/enter?code=WDJB-MJHT"}),
        ),
        ..Manners::default()
    };
    let (side, shown, result) = on_a_telephone(manners).await;
    let shown = shown.unwrap();
    assert_eq!((shown.user_code.as_str(), shown.expires_in.as_secs()), ("WDJB-MJHT", 600));
    assert!(shown.verification_uri_complete.unwrap().as_str().ends_with("?code=WDJB-MJHT"));
    let tokens = result.unwrap();
    assert!(tokens.identity.subject == "ada" && tokens.identity.signature_checked);
    assert_eq!(side.forms("/device")[0]["client_id"], "s3-cli");
    assert_eq!(side.forms("/device")[0]["scope"], "openid");
    let polls = side.forms("/token");
    assert_eq!(polls.len(), 3, "pending twice, then the tokens");
    assert!(polls.iter().all(|form| form["device_code"] == "a-device-code" && form["client_id"] == "s3-cli"));
}

#[rstest]
#[case::denied("access_denied")]
#[case::unknown("invalid_grant")]
#[tokio::test]
async fn a_refused_code_ends_the_wait(#[case] code: &'static str) {
    let (side, _, result) =
        on_a_telephone(Manners { device_refusals: vec!["expired_token", code], ..Manners::default() }).await;
    let error = result.unwrap_err();
    assert!(
        matches!(&error, SignInError::Tokens(TokenEndpointError::Refused { code: said, .. }) if said == code),
        "{error}"
    );
    assert!(!error.wants_another_way());
    assert_eq!(side.forms("/token").len(), 1);
}

#[tokio::test]
async fn a_code_that_has_expired() {
    let (_, _, result) =
        on_a_telephone(Manners { device_refusals: vec!["expired_token"], ..Manners::default() }).await;
    assert!(matches!(result, Err(SignInError::CodeExpired)));
    // By the code's own life, too, although the provider still says that it waits.
    let manners = Manners {
        device_refusals: vec!["authorization_pending"; 5],
        device_answer: object(json!({"expires_in": 2})),
        ..Manners::default()
    };
    let (_, _, result) = on_a_telephone(manners).await;
    assert!(matches!(result, Err(SignInError::CodeExpired)));
}

#[tokio::test]
async fn a_provider_or_client_that_cannot_do_it_is_known_before_anything_is_shown() {
    let no_endpoint = Some(object(json!({"device_authorization_endpoint": null})));
    let not_allowed = object(json!({"error": "unauthorized_client"}));
    for manners in [
        Manners { discovery: no_endpoint, ..Manners::default() },
        Manners { device_answer: not_allowed, ..Manners::default() },
    ] {
        let (_, shown, result) = on_a_telephone(manners).await;
        assert!(shown.is_none() && result.unwrap_err().wants_another_way());
    }
    let device_answer = object(json!({"verification_uri": "javascript:alert(1)"}));
    let (_, shown, result) = on_a_telephone(Manners { device_answer, ..Manners::default() }).await;
    assert!(shown.is_none() && !result.unwrap_err().wants_another_way());
}

#[tokio::test]
async fn the_id_token_of_another_device_is_checked_as_any() {
    for claims in [json!({"aud": "other-app"}), json!({"iss": "https://other.example"}), json!({"sub": null})]
    {
        let (_, _, result) = on_a_telephone(Manners { claims: object(claims), ..Manners::default() }).await;
        assert!(matches!(result, Err(SignInError::IdToken(_))));
    }
}

#[tokio::test]
async fn a_provider_that_is_down_for_a_moment_is_asked_again() {
    let side = OtherSide::start(Manners::default()).await;
    let (connector, client, oauth) = (connector(), public_client(), oauth(&side));
    let sign_in = SignIn { connector: &connector, clock: &side.clock, oauth: &oauth, client: &client };
    let show = |_: &Invitation| side.manners(|manners| manners.token_refusal = Some((503, json!("down"))));
    let back = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        side.manners(|manners| manners.token_refusal = None);
    };
    let provider = located(sign_in).await;
    let (result, ()) = tokio::join!(on_another_device(sign_in, provider, &show, LIMIT), back);
    result.unwrap();
    assert_eq!(side.forms("/token").len(), 2);
}
