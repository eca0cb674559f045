//! The whole provider over HTTP: the way through, and each way that is closed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client as Http, Response, StatusCode, Url, redirect};
use rstest::rstest;
use serde_json::{Value, json};
use wigeon_core::jwt::{AllowedAlgorithms, KeySet, UnverifiedToken, at_hash};
use wigeon_core::time::Clock;

use super::{
    Algorithm, Client, Config, ConfigError, Lifetimes, Provider, ProviderError, Running, StartError, User,
};
use crate::opaque::s256;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://127.0.0.1:49152/callback";

/// A clock that the test moves.
struct HandClock(Mutex<Timestamp>);

impl HandClock {
    fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Setup {
    running: Running,
    clock: Arc<HandClock>,
    http: Http,
}

fn config() -> Config {
    let client = |id: &str| Client {
        id: id.to_owned(),
        redirect_uris: vec!["http://127.0.0.1/callback".parse().unwrap(), "x-app:oauth".parse().unwrap()],
    };
    let users: Vec<User> = serde_json::from_value(json!([
        {"login": "alice", "password": "alice-password", "sub": "a-1", "name": "Alice <A> & \"co\"",
         "email": "alice@example.org", "groups": ["admins", "dev"],
         "claims": {"https://aws.amazon.com/tags": {"principal_tags": {"team": ["x"]}}}},
        {"login": "bob", "password": "bob-password"},
    ]))
    .unwrap();
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        issuer: None,
        algorithm: Algorithm::Es256,
        clients: vec![client("app"), client("other")],
        users,
        lifetimes: Lifetimes::default(),
    }
}

async fn start(config: Config) -> Setup {
    let clock = Arc::new(HandClock(Mutex::new("2026-11-23T20:00:00Z".parse().unwrap())));
    let running = Provider::start(config, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
    let http = Http::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
    Setup { running, clock, http }
}

/// The form as a browser has it.
struct OpenForm {
    cookie: String,
    transaction: String,
    csrf: String,
    html: String,
}

fn field(html: &str, name: &str) -> String {
    let marker = format!("name=\"{name}\" value=\"");
    html.split(&marker).nth(1).unwrap().split('"').next().unwrap().to_owned()
}

impl Setup {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.running.issuer)
    }

    fn authorize_url(&self, changes: &[(&str, &str)]) -> Url {
        let challenge = s256(VERIFIER);
        let mut all = vec![
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", REDIRECT),
            ("scope", "openid profile email groups offline_access"),
            ("state", "the state"),
            ("nonce", "the-nonce"),
            ("code_challenge_method", "S256"),
            ("code_challenge", &challenge),
        ];
        for change in changes {
            all.retain(|(name, _)| name != &change.0);
            all.push(*change);
        }
        Url::parse_with_params(&self.at("/authorize"), all).unwrap()
    }

    async fn open_form(&self, changes: &[(&str, &str)]) -> OpenForm {
        let response = self.http.get(self.authorize_url(changes)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"));
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let html = response.text().await.unwrap();
        let (transaction, csrf) = (field(&html, "transaction"), field(&html, "csrf"));
        OpenForm { cookie, transaction, csrf, html }
    }

    async fn submit(&self, form: &OpenForm, changes: &[(&str, &str)]) -> Response {
        let mut fields = vec![
            ("transaction", form.transaction.as_str()),
            ("csrf", &form.csrf),
            ("username", "alice"),
            ("password", "alice-password"),
            ("decision", "allow"),
        ];
        for change in changes {
            fields.retain(|(name, _)| name != &change.0);
            fields.push(*change);
        }
        self.post("/login", &fields, &[(COOKIE.as_str(), &form.cookie)]).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = self
            .http
            .post(self.at(path))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn code(&self, changes: &[(&str, &str)]) -> String {
        let form = self.open_form(changes).await;
        let answer = self.submit(&form, &[]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        parameter(&answer, "code").unwrap()
    }

    async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> (StatusCode, Value) {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("client_id", "app"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        for change in changes {
            fields.retain(|(name, _)| name != &change.0);
            fields.push(*change);
        }
        self.token(&fields).await
    }

    async fn refresh(&self, token: &str, client: &str) -> (StatusCode, Value) {
        let fields = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.token(&fields).await
    }

    async fn token(&self, fields: &[(&str, &str)]) -> (StatusCode, Value) {
        let response = self.post("/token", fields, &[]).await;
        assert_eq!(response.headers()["cache-control"], "no-store");
        (response.status(), serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    async fn tokens(&self) -> Value {
        let (status, tokens) = self.redeem(&self.code(&[]).await, &[]).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    async fn userinfo(&self, token: &Value) -> Response {
        self.http.get(self.at("/userinfo")).bearer_auth(text(token)).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let body = self.http.get(self.at(path)).send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn location(response: &Response) -> Url {
    response.headers()[LOCATION].to_str().unwrap().parse().unwrap()
}

fn parameter(response: &Response, name: &str) -> Option<String> {
    location(response).query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[rstest]
#[case(Algorithm::Es256)]
#[case(Algorithm::Rs256)]
#[tokio::test]
async fn the_whole_way(#[case] algorithm: Algorithm) {
    let setup = start(Config { algorithm, ..config() }).await;
    let discovery = setup.json("/.well-known/openid-configuration").await;
    assert_eq!(discovery["issuer"], setup.running.issuer);
    assert_eq!(discovery["token_endpoint"], setup.at("/token"));

    let form = setup.open_form(&[("login_hint", "\"><script>")]).await;
    assert!(!form.html.contains("<script>") && form.html.contains("&quot;&gt;&lt;script&gt;"));
    let answer = setup.submit(&form, &[]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert!(location(&answer).as_str().starts_with("http://127.0.0.1:49152/callback?"));
    assert_eq!(parameter(&answer, "state").as_deref(), Some("the state"));
    assert_eq!(parameter(&answer, "iss").as_deref(), Some(setup.running.issuer.as_str()));

    let (status, tokens) = setup.redeem(&parameter(&answer, "code").unwrap(), &[]).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let keys = KeySet::parse(setup.json("/jwks").await.to_string().as_bytes()).unwrap();
    let token = UnverifiedToken::parse(text(&tokens["id_token"])).unwrap();
    let token = token.verify(&keys, &AllowedAlgorithms::only([algorithm.in_jwt()])).unwrap();
    let claims = Value::Object(token.into_claims().into_map());
    let now = setup.clock.now().as_second();
    assert_eq!(
        claims,
        json!({
            "https://aws.amazon.com/tags": {"principal_tags": {"team": ["x"]}},
            "preferred_username": "alice",
            "name": "Alice <A> & \"co\"",
            "email": "alice@example.org",
            "email_verified": true,
            "groups": ["admins", "dev"],
            "iss": setup.running.issuer,
            "sub": "a-1",
            "aud": "app",
            "iat": now,
            "exp": now + 3600,
            "auth_time": now,
            "at_hash": at_hash(algorithm.in_jwt(), text(&tokens["access_token"])),
            "nonce": "the-nonce",
        })
    );
    let info = setup.userinfo(&tokens["access_token"]).await;
    let info: Value = serde_json::from_slice(&info.bytes().await.unwrap()).unwrap();
    assert_eq!((&info["sub"], &info["groups"]), (&json!("a-1"), &json!(["admins", "dev"])));
    setup.running.shutdown().await;
}

#[tokio::test]
async fn claims_follow_the_scopes() {
    let setup = start(config()).await;
    let (_, tokens) = setup.redeem(&setup.code(&[("scope", "openid email")]).await, &[]).await;
    assert_eq!((&tokens["scope"], tokens.get("refresh_token")), (&json!("openid email"), None));
    let token = UnverifiedToken::parse(text(&tokens["id_token"])).unwrap();
    assert_eq!(token.unverified_claims().string("email"), Some("alice@example.org"));
    assert!(token.unverified_claims().value("groups").is_none());
    assert!(token.unverified_claims().value("name").is_none());
}

#[rstest]
#[case(&[("client_id", "nobody")])]
#[case(&[("redirect_uri", "http://evil.example/callback")])]
#[case(&[("redirect_uri", "http://127.0.0.1:49152/other")])]
#[case(&[("redirect_uri", "http://127.0.0.1:49152@evil.example/callback")])]
#[tokio::test]
async fn no_open_redirect(#[case] changes: &[(&str, &str)]) {
    let setup = start(config()).await;
    let response = setup.http.get(setup.authorize_url(changes)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.headers().get(LOCATION).is_none());
}

#[tokio::test]
async fn faults_go_back_to_the_client() {
    let setup = start(config()).await;
    let response = setup.http.get(setup.authorize_url(&[("prompt", "none")])).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(parameter(&response, "error").as_deref(), Some("login_required"));
    assert_eq!(parameter(&response, "iss").as_deref(), Some(setup.running.issuer.as_str()));
    let form = setup.open_form(&[]).await;
    let declined = setup.submit(&form, &[("decision", "deny")]).await;
    assert_eq!(parameter(&declined, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&declined, "state").as_deref(), Some("the state"));
}

#[rstest]
#[case(&[("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX")], "invalid_grant")]
#[case(&[("code_verifier", "short")], "invalid_request")]
#[case(&[("redirect_uri", "http://127.0.0.1:49153/callback")], "invalid_grant")]
#[case(&[("client_id", "other")], "invalid_grant")]
#[case(&[("client_id", "nobody")], "invalid_client")]
#[case(&[("client_secret", "x")], "invalid_client")]
#[case(&[("code", "unknown")], "invalid_grant")]
#[case(&[("grant_type", "password")], "unsupported_grant_type")]
#[tokio::test]
async fn codes_refused(#[case] changes: &[(&str, &str)], #[case] error: &str) {
    let setup = start(config()).await;
    let (status, body) = setup.redeem(&setup.code(&[]).await, changes).await;
    assert!(status.is_client_error());
    assert_eq!(body["error"], error, "{body}");
}

#[tokio::test]
async fn a_code_ends_after_a_minute() {
    let setup = start(config()).await;
    let (early, late) = (setup.code(&[]).await, setup.code(&[]).await);
    setup.clock.advance(59);
    assert_eq!(setup.redeem(&early, &[]).await.0, StatusCode::OK);
    setup.clock.advance(1);
    assert_eq!(setup.redeem(&late, &[]).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_what_came_of_it() {
    let setup = start(config()).await;
    let code = setup.code(&[]).await;
    let (_, tokens) = setup.redeem(&code, &[]).await;
    assert_eq!(setup.userinfo(&tokens["access_token"]).await.status(), StatusCode::OK);
    assert_eq!(setup.redeem(&code, &[]).await.1["error"], "invalid_grant");
    assert_eq!(setup.userinfo(&tokens["access_token"]).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(setup.refresh(text(&tokens["refresh_token"]), "app").await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_wrong_verifier_spends_the_code() {
    let setup = start(config()).await;
    let code = setup.code(&[]).await;
    let wrong = "x".repeat(43);
    assert_eq!(setup.redeem(&code, &[("code_verifier", wrong.as_str())]).await.1["error"], "invalid_grant");
    assert_eq!(setup.redeem(&code, &[]).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn refresh_tokens_rotate() {
    let setup = start(config()).await;
    let first = setup.tokens().await;
    setup.clock.advance(30);
    assert_eq!(setup.refresh(text(&first["refresh_token"]), "other").await.1["error"], "invalid_grant");
    let (status, second) = setup.refresh(text(&first["refresh_token"]), "app").await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let token = UnverifiedToken::parse(text(&second["id_token"])).unwrap();
    assert!(token.unverified_claims().value("nonce").is_none());
    let claim = |name| token.unverified_claims().value(name).and_then(Value::as_i64).unwrap();
    assert_eq!(claim("iat") - claim("auth_time"), 30);

    // The first one again: somebody has stolen it, so the second ends too.
    assert_eq!(setup.refresh(text(&first["refresh_token"]), "app").await.1["error"], "invalid_grant");
    assert_eq!(setup.refresh(text(&second["refresh_token"]), "app").await.1["error"], "invalid_grant");
    assert_eq!(setup.userinfo(&second["access_token"]).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_refresh_never_widens() {
    let setup = start(config()).await;
    let (_, tokens) = setup.redeem(&setup.code(&[("scope", "openid offline_access")]).await, &[]).await;
    let refresh = text(&tokens["refresh_token"]);
    let ask = |scope| {
        [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", refresh), ("scope", scope)]
    };
    assert_eq!(setup.token(&ask("openid groups")).await.1["error"], "invalid_scope");
    assert_eq!(setup.token(&ask("openid")).await.1["scope"], "openid");
}

#[tokio::test]
async fn revocation_ends_the_grant_of_its_owner_only() {
    let setup = start(config()).await;
    let tokens = setup.tokens().await;
    let refresh = text(&tokens["refresh_token"]);
    let revoke = |client| [("client_id", client), ("token", refresh)];
    assert_eq!(setup.post("/revoke", &revoke("other"), &[]).await.status(), StatusCode::OK);
    assert_eq!(setup.userinfo(&tokens["access_token"]).await.status(), StatusCode::OK);
    assert_eq!(setup.post("/revoke", &revoke("nobody"), &[]).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(setup.post("/revoke", &revoke("app"), &[]).await.status(), StatusCode::OK);
    assert_eq!(setup.userinfo(&tokens["access_token"]).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(setup.refresh(refresh, "app").await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn access_tokens_end() {
    let setup = start(config()).await;
    let tokens = setup.tokens().await;
    setup.clock.advance(3600);
    let refused = setup.userinfo(&tokens["access_token"]).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
}

#[tokio::test]
async fn a_form_counts_its_wrong_passwords() {
    let setup = start(config()).await;
    let form = setup.open_form(&[]).await;
    for user in ["alice", "nobody", "bob", "alice"] {
        let wrong = setup.submit(&form, &[("username", user), ("password", "x")]).await;
        assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
        assert!(wrong.text().await.unwrap().contains("The user name or the password is wrong."));
    }
    assert_eq!(setup.submit(&form, &[]).await.status(), StatusCode::SEE_OTHER);
    let form = setup.open_form(&[]).await;
    for _ in 0..5 {
        setup.submit(&form, &[("password", "x")]).await;
    }
    assert_eq!(setup.submit(&form, &[]).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn forms_of_others_are_refused() {
    let setup = start(config()).await;
    let (form, other) = (setup.open_form(&[]).await, setup.open_form(&[]).await);
    let fields = |form: &OpenForm| {
        vec![
            ("transaction".to_owned(), form.transaction.clone()),
            ("csrf".to_owned(), form.csrf.clone()),
            ("username".to_owned(), "alice".to_owned()),
            ("password".to_owned(), "alice-password".to_owned()),
        ]
    };
    let send = async |fields: Vec<(String, String)>, headers: &[(&str, &str)]| {
        let fields: Vec<_> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        setup.post("/login", &fields, headers).await.status()
    };
    let cookie = (COOKIE.as_str(), form.cookie.as_str());
    // No cookie, another browser's cookie, another form's token, another site's page.
    assert_eq!(send(fields(&form), &[]).await, StatusCode::FORBIDDEN);
    assert_eq!(send(fields(&form), &[(COOKIE.as_str(), &other.cookie)]).await, StatusCode::FORBIDDEN);
    let mixed = OpenForm { csrf: other.csrf.clone(), ..setup.open_form(&[]).await };
    assert_eq!(send(fields(&mixed), &[(COOKIE.as_str(), &mixed.cookie)]).await, StatusCode::FORBIDDEN);
    for origin in ["http://evil.example", "null", "https://127.0.0.1"] {
        assert_eq!(send(fields(&form), &[cookie, (ORIGIN.as_str(), origin)]).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(send(fields(&form), &[cookie, ("sec-fetch-site", "cross-site")]).await, StatusCode::FORBIDDEN);
    // The right one, once.
    let own = [cookie, (ORIGIN.as_str(), setup.running.issuer.as_str())];
    assert_eq!(send(fields(&form), &own).await, StatusCode::SEE_OTHER);
    assert_eq!(send(fields(&form), &own).await, StatusCode::FORBIDDEN);
    // In time.
    setup.clock.advance(601);
    assert_eq!(send(fields(&other), &[(COOKIE.as_str(), &other.cookie)]).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn other_host_names_are_refused() {
    let setup = start(config()).await;
    let request = setup.http.get(setup.at("/jwks")).header(HOST, "evil.example");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn an_issuer_with_a_path() {
    let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let free = std::net::TcpListener::bind(listen).unwrap().local_addr().unwrap();
    let issuer = format!("http://{free}/realms/dev");
    let setup = start(Config { listen: free, issuer: Some(issuer.clone()), ..config() }).await;
    let discovery = setup.json("/.well-known/openid-configuration").await;
    assert_eq!(discovery["authorization_endpoint"], format!("{issuer}/authorize"));
    assert_eq!(setup.redeem(&setup.code(&[]).await, &[]).await.0, StatusCode::OK);
}

#[rstest]
#[case("0.0.0.0:0")]
#[case("[::]:0")]
#[case("192.0.2.1:0")]
#[tokio::test]
async fn never_off_loopback(#[case] listen: &str) {
    let clock = Arc::new(HandClock(Mutex::new(Timestamp::UNIX_EPOCH)));
    let result = Provider::start(Config { listen: listen.parse().unwrap(), ..config() }, clock).await;
    let refused =
        StartError::Provider(ProviderError::Config(ConfigError::NotLoopback(listen.parse().unwrap())));
    assert_eq!(result.unwrap_err().to_string(), refused.to_string());
}

#[test]
fn configurations_refused() {
    let with = |change: fn(&mut Config)| {
        let mut config = config();
        change(&mut config);
        config.check().unwrap_err()
    };
    assert!(matches!(with(|c| c.issuer = Some("https://idp.example".into())), ConfigError::Issuer(_)));
    assert!(matches!(with(|c| c.issuer = Some("http://127.0.0.1/?x".into())), ConfigError::Issuer(_)));
    assert!(matches!(with(|c| c.clients[1].id = "app".into()), ConfigError::Name { kind: "client", .. }));
    assert!(matches!(
        with(|c| c.users[1].sub = Some("a-1".into())),
        ConfigError::Name { kind: "subject", .. }
    ));
    assert!(matches!(with(|c| c.clients[0].redirect_uris.clear()), ConfigError::NoRedirect(_)));
    assert!(matches!(
        with(|c| c.users[0].password = wigeon_core::secret::Secret::new("")),
        ConfigError::NoPassword(_)
    ));
    assert!(matches!(
        with(|c| drop(c.users[0].claims.insert("aud".into(), json!("x")))),
        ConfigError::ReservedClaim { .. }
    ));
    assert!(matches!(with(|c| c.lifetimes.code = SignedDuration::ZERO), ConfigError::Lifetime("code")));
}
