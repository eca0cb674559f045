//! A provider and an STS in this process, which do as they are told: for flows in which the other side misbehaves,
//! or the clock does. Tokens are really signed, requests really go over HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::jwt::signing::SigningKey;
use wigeon_core::jwt::{Algorithm, at_hash};
use wigeon_core::secret::Secret;
use wigeon_core::sts::{AssumedRole, FaultCode, StsError};
use wigeon_core::time::{Clock, SignedDuration, Timestamp};
use wigeon_testkit::browser::{Landed, Person, sign_in};
use wigeon_testkit::clock::FixedClock;

use crate::connect::{ConnectOptions, Connector};
use crate::sign_in::Browser;

type Parameters = HashMap<String, String>;

/// What the other side does; the default is to behave.
pub(crate) struct Manners {
    /// Claims put on top of the ID token's; `null` removes one.
    pub(crate) claims: Map<String, Value>,
    /// Members of the header; `null` removes one.
    pub(crate) header: Map<String, Value>,
    /// Publish a second key, so that a token without `kid` may be of either.
    pub(crate) several_keys: bool,
    /// Sign with a key that is not in the key set.
    pub(crate) wrong_key: bool,
    /// Entries put on top of the discovery document's; `None`: there is no document.
    pub(crate) discovery: Option<Map<String, Value>>,
    /// Parameters put on top of the authorization response's; `null` removes one.
    pub(crate) response: Map<String, Value>,
    /// Send the browser back twice.
    pub(crate) id_token_ttl: i64,
    pub(crate) session_ttl: i64,
    pub(crate) refresh_token: bool,
    pub(crate) refresh_gives_id_token: bool,
    /// What the token endpoint says of the refresh token's life.
    pub(crate) refresh_expires_in: Option<Value>,
    /// Whether it is a provider of OpenID Connect at all.
    pub(crate) id_tokens: bool,
    /// The token endpoint's answer instead of tokens.
    pub(crate) token_refusal: Option<(u16, Value)>,
    /// What the token endpoint says to a device code before it gives tokens, the last one first.
    pub(crate) device_refusals: Vec<&'static str>,
    /// What the device authorization endpoint says, put on top of its answer.
    pub(crate) device_answer: Map<String, Value>,
    /// The STS's answer instead of credentials.
    pub(crate) sts_refusal: Option<(FaultCode, String)>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            claims: Map::new(),
            header: Map::new(),
            several_keys: false,
            wrong_key: false,
            discovery: Some(Map::new()),
            response: Map::new(),
            id_token_ttl: 600,
            session_ttl: 3600,
            refresh_token: true,
            refresh_gives_id_token: true,
            refresh_expires_in: None,
            id_tokens: true,
            token_refusal: None,
            device_refusals: Vec::new(),
            device_answer: Map::new(),
            sts_refusal: None,
        }
    }
}

struct Inner {
    manners: Manners,
    key: SigningKey,
    other_key: SigningKey,
    codes: HashMap<String, Parameters>,
    /// Only the newest refresh token works: they rotate.
    refresh_token: Option<String>,
    counter: u64,
    /// The forms that came, by path, and the `Authorization` header.
    forms: Vec<(&'static str, Parameters, Option<String>)>,
}

/// The other side.
#[derive(Clone)]
pub(crate) struct OtherSide {
    pub(crate) issuer: Url,
    pub(crate) clock: FixedClock,
    inner: Arc<Mutex<Inner>>,
}

impl OtherSide {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let inner = Inner {
            manners,
            key: SigningKey::generate(Algorithm::ES256).unwrap(),
            other_key: SigningKey::generate(Algorithm::ES256).unwrap(),
            codes: HashMap::new(),
            refresh_token: None,
            counter: 0,
            forms: Vec::new(),
        };
        let clock = FixedClock::at("2026-11-23T12:00:00Z".parse().unwrap());
        let side = Self { issuer, clock, inner: Arc::new(Mutex::new(inner)) };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/device", post(device))
            .route("/github", get(github))
            .route("/jwks", get(jwks))
            .route("/revoke", post(revoke))
            .route("/sts", post(sts))
            .with_state(side.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        side
    }

    pub(crate) fn issuer_text(&self) -> String {
        self.issuer.as_str().trim_end_matches('/').to_owned()
    }

    pub(crate) fn manners(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.lock().manners);
    }

    /// The forms that came to a path.
    pub(crate) fn forms(&self, path: &str) -> Vec<Parameters> {
        self.lock().forms.iter().filter(|(of, ..)| *of == path).map(|(_, form, _)| form.clone()).collect()
    }

    /// The `Authorization` headers that came to a path.
    pub(crate) fn authorizations(&self, path: &str) -> Vec<Option<String>> {
        self.lock().forms.iter().filter(|(of, ..)| *of == path).map(|(.., header)| header.clone()).collect()
    }

    /// From now on another key signs, and the old one is published no more.
    pub(crate) fn change_key(&self) {
        self.lock().key = SigningKey::generate(Algorithm::ES256).unwrap();
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn id_token(&self, nonce: Option<&str>, access_token: &str) -> String {
        let now = self.now().as_second();
        let inner = self.lock();
        let mut claims = Map::from_iter([
            ("iss".to_owned(), json!(self.issuer_text())),
            ("sub".to_owned(), json!("ada")),
            ("aud".to_owned(), json!("s3-cli")),
            ("email".to_owned(), json!("ada@example.org")),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now + inner.manners.id_token_ttl)),
            ("at_hash".to_owned(), json!(at_hash(Algorithm::ES256, access_token))),
        ]);
        if let Some(nonce) = nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        put_on_top(&mut claims, &inner.manners.claims);
        let key = if inner.manners.wrong_key { &inner.other_key } else { &inner.key };
        let mut header = inner.manners.header.clone();
        header.entry("kid").or_insert_with(|| json!(inner.key.kid()));
        key.sign(&header, &claims).unwrap()
    }
}

fn put_on_top(map: &mut Map<String, Value>, entries: &Map<String, Value>) {
    for (name, value) in entries {
        match value {
            Value::Null => map.remove(name),
            value => map.insert(name.clone(), value.clone()),
        };
    }
}

async fn discovery(State(side): State<OtherSide>) -> Response {
    let issuer = side.issuer_text();
    let Some(entries) = side.lock().manners.discovery.clone() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut document = Map::from_iter([
        ("issuer".to_owned(), json!(issuer)),
        ("authorization_endpoint".to_owned(), json!(format!("{issuer}/authorize"))),
        ("token_endpoint".to_owned(), json!(format!("{issuer}/token"))),
        ("jwks_uri".to_owned(), json!(format!("{issuer}/jwks"))),
        ("device_authorization_endpoint".to_owned(), json!(format!("{issuer}/device"))),
        ("revocation_endpoint".to_owned(), json!(format!("{issuer}/revoke"))),
        ("id_token_signing_alg_values_supported".to_owned(), json!(["ES256"])),
        ("authorization_response_iss_parameter_supported".to_owned(), json!(true)),
    ]);
    put_on_top(&mut document, &entries);
    axum::Json(document).into_response()
}

async fn authorize(State(side): State<OtherSide>, Query(request): Query<Parameters>) -> Response {
    let mut inner = side.lock();
    inner.counter += 1;
    let code = format!("code-{}", inner.counter);
    let mut response = Map::from_iter([
        ("code".to_owned(), json!(code)),
        ("state".to_owned(), json!(request["state"])),
        ("iss".to_owned(), json!(side.issuer_text())),
    ]);
    put_on_top(&mut response, &inner.manners.response);
    let mut target: Url = request["redirect_uri"].parse().unwrap();
    for (name, value) in &response {
        target.query_pairs_mut().append_pair(name, value.as_str().unwrap());
    }
    inner.codes.insert(code, request);
    Redirect::to(target.as_str()).into_response()
}

async fn token(State(side): State<OtherSide>, headers: HeaderMap, Form(form): Form<Parameters>) -> Response {
    let refused = |error: &str| {
        (
            StatusCode::BAD_REQUEST,
            axum::Json(json!({ "error": error, "error_description": "in the provider's words" })),
        )
            .into_response()
    };
    let (nonce, with_id_token, with_refresh_token) = {
        let mut inner = side.lock();
        let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        inner.forms.push(("/token", form.clone(), authorization));
        if let Some((status, body)) = &inner.manners.token_refusal {
            return (StatusCode::from_u16(*status).unwrap(), axum::Json(body.clone())).into_response();
        }
        match form["grant_type"].as_str() {
            "authorization_code" => {
                let Some(request) = inner.codes.remove(&form["code"]) else {
                    return refused("invalid_grant");
                };
                if request["redirect_uri"] != form["redirect_uri"] {
                    return refused("invalid_grant");
                }
                if let Some(challenge) = request.get("code_challenge") {
                    let hash = aws_lc_rs::digest::digest(
                        &aws_lc_rs::digest::SHA256,
                        form["code_verifier"].as_bytes(),
                    );
                    if URL_SAFE_NO_PAD.encode(hash) != *challenge {
                        return refused("invalid_grant");
                    }
                }
                (request.get("nonce").cloned(), true, inner.manners.refresh_token)
            }
            "refresh_token" => {
                if inner.refresh_token.as_ref() != Some(&form["refresh_token"]) {
                    return refused("invalid_grant");
                }
                (None, inner.manners.refresh_gives_id_token, true)
            }
            "urn:ietf:params:oauth:grant-type:device_code" => {
                if form["device_code"] != "a-device-code" {
                    return refused("invalid_grant");
                }
                if let Some(refusal) = inner.manners.device_refusals.pop() {
                    return refused(refusal);
                }
                (None, true, inner.manners.refresh_token)
            }
            "client_credentials" => (None, false, false),
            "password" if form["password"] == "right" => (None, true, true),
            _ => return refused("invalid_grant"),
        }
    };
    let access_token = "an-access-token";
    let mut tokens = json!({ "access_token": access_token, "token_type": "Bearer" });
    if with_id_token && side.lock().manners.id_tokens {
        tokens["id_token"] = json!(side.id_token(nonce.as_deref(), access_token));
    }
    if with_refresh_token {
        let mut inner = side.lock();
        inner.counter += 1;
        let fresh = format!("refresh-{}", inner.counter);
        inner.refresh_token = Some(fresh.clone());
        tokens["refresh_token"] = json!(fresh);
        if let Some(seconds) = &inner.manners.refresh_expires_in {
            tokens["refresh_expires_in"] = seconds.clone();
        }
    }
    axum::Json(tokens).into_response()
}

async fn device(State(side): State<OtherSide>, Form(form): Form<Parameters>) -> Response {
    let mut inner = side.lock();
    inner.forms.push(("/device", form, None));
    let mut answer = Map::from_iter([
        ("device_code".to_owned(), json!("a-device-code")),
        ("user_code".to_owned(), json!("WDJB-MJHT")),
        ("verification_uri".to_owned(), json!(format!("{}/enter", side.issuer_text()))),
        ("expires_in".to_owned(), json!(600)),
        ("interval".to_owned(), json!(1)),
    ]);
    put_on_top(&mut answer, &inner.manners.device_answer);
    let status = if answer.contains_key("error") { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, axum::Json(answer)).into_response()
}

/// As GitHub's documentation says: a bearer token, the audience in the query, the token in `value`.
async fn github(headers: HeaderMap, Query(query): Query<Parameters>) -> Response {
    if headers
        .get("authorization")
        .is_none_or(|value| value != "bearer job-token" && value != "Bearer job-token")
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    assert_eq!(query["api-version"], "2.0", "what the address already had stays");
    axum::Json(json!({ "count": 1, "value": format!("github-token-for-{}", query["audience"]) }))
        .into_response()
}

async fn jwks(State(side): State<OtherSide>) -> Response {
    let inner = side.lock();
    let mut keys = vec![inner.key.public_jwk()];
    if inner.manners.several_keys {
        keys.push(inner.other_key.public_jwk());
    }
    axum::Json(json!({ "keys": keys })).into_response()
}

async fn revoke(State(side): State<OtherSide>, Form(form): Form<Parameters>) -> StatusCode {
    side.lock().forms.push(("/revoke", form, None));
    StatusCode::OK
}

async fn sts(State(side): State<OtherSide>, headers: HeaderMap, body: String) -> Response {
    let form: Parameters = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let now = side.now();
    let mut inner = side.lock();
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    inner.forms.push(("/sts", form, authorization));
    if let Some((code, message)) = &inner.manners.sts_refusal {
        let error = StsError::new(*code, message.clone());
        return (StatusCode::from_u16(code.status()).unwrap(), error.to_xml("request-7")).into_response();
    }
    inner.counter += 1;
    let answer = AssumedRole {
        credentials: Credentials {
            access_key_id: format!("ASIA{:016}", inner.counter),
            secret_key: Secret::new("secret"),
            session_token: Some(Secret::new("session")),
            expires_at: Some(now + SignedDuration::from_secs(inner.manners.session_ttl)),
        },
        subject: None,
        arn: Some("arn:aws:sts::1:assumed-role/analyst/ada".to_owned()),
        assumed_role_id: None,
        provider: None,
        audience: None,
        source_identity: None,
        packed_policy_size: None,
        request_id: None,
    };
    answer.to_xml().into_response()
}

/// A browser that walks by itself and says where it landed.
pub(crate) struct Walker {
    landed: mpsc::UnboundedSender<Result<Landed, String>>,
    times: usize,
}

impl Walker {
    pub(crate) fn new(times: usize) -> (Self, mpsc::UnboundedReceiver<Result<Landed, String>>) {
        let (landed, receiver) = mpsc::unbounded_channel();
        (Self { landed, times }, receiver)
    }
}

impl Browser for Walker {
    fn show(&self, address: &Url) {
        let (address, landed, times) = (address.clone(), self.landed.clone(), self.times);
        tokio::spawn(async move {
            for _ in 0..times {
                let _ = landed.send(sign_in(&address, &Person::named("ada")).await);
            }
        });
    }
}

/// A connector for this machine.
pub(crate) fn connector() -> Connector {
    Connector::new(&ConnectOptions::default()).unwrap()
}
