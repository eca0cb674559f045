//! A stand-in for both services, after the API references: shapes, names, errors.

use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use wigeon_testkit::clock::FixedClock;

use super::*;
use crate::testing::connector;

#[derive(Default)]
struct Seen {
    pending: usize,
    requests: Vec<(&'static str, Value)>,
}

type Shared = Arc<Mutex<Seen>>;

struct Stand {
    seen: Shared,
    around: Surroundings,
    clock: FixedClock,
    place: IdentityCenter,
    connector: Connector,
    home: tempfile::TempDir,
}

impl Stand {
    async fn new(pending: usize) -> Self {
        let seen = Shared::new(Mutex::new(Seen { pending, requests: Vec::new() }));
        let router = Router::new()
            .route("/client/register", post(register))
            .route("/device_authorization", post(device))
            .route("/token", post(token))
            .route("/federation/credentials", get(credentials))
            .route("/assignment/accounts", get(accounts))
            .route("/assignment/roles", get(roles))
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let home = tempfile::tempdir().unwrap();
        let variables = [
            ("AWS_ENDPOINT_URL_SSO_OIDC", url.as_str()),
            ("AWS_ENDPOINT_URL_SSO", url.as_str()),
            ("HOME", home.path().to_str().unwrap()),
        ];
        let around = Surroundings::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let place = IdentityCenter {
            start_url: "https://corp.awsapps.com/start".to_owned(),
            region: "eu-central-1".to_owned(),
            account_id: None,
            role_name: None,
            scopes: vec!["sso:account:access".to_owned()],
            session: None,
            shared: false,
        };
        let clock = FixedClock::at("2026-11-23T12:00:00Z".parse().unwrap());
        Self { seen, around, clock, place, connector: connector(), home }
    }

    fn center(&self) -> Center<'_> {
        Center { place: &self.place, connector: &self.connector, around: &self.around, clock: &self.clock }
    }

    fn requests(&self, path: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        seen.requests.iter().filter(|(of, _)| *of == path).map(|(_, body)| body.clone()).collect()
    }
}

async fn register(State(seen): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    seen.lock().unwrap().requests.push(("register", body));
    Json(json!({"clientId": "c1", "clientSecret": "client-secret", "clientSecretExpiresAt": 1_803_000_000}))
}

async fn device(State(seen): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    seen.lock().unwrap().requests.push(("device", body));
    Json(json!({
        "deviceCode": "d1", "userCode": "ABCD-EFGH", "verificationUri": "https://device.sso.example/",
        "verificationUriComplete": "https://device.sso.example/?user_code=ABCD-EFGH", "expiresIn": 600, "interval": 1,
    }))
}

async fn token(State(seen): State<Shared>, Json(body): Json<Value>) -> Response {
    let mut seen = seen.lock().unwrap();
    let refused = |error: &str| {
        let body = json!({"error": error, "error_description": "in its words"});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    seen.requests.push(("token", body.clone()));
    match body["grantType"].as_str() {
        Some("refresh_token") if body["refreshToken"] != "r1" => return refused("invalid_grant"),
        Some("refresh_token") => {}
        _ if seen.pending > 0 => {
            seen.pending -= 1;
            return refused("authorization_pending");
        }
        _ => assert_eq!(body["deviceCode"], "d1"),
    }
    let number = seen.requests.len();
    Json(json!({"accessToken": format!("bearer-{number}"), "tokenType": "Bearer", "expiresIn": 3600, "refreshToken": "r1"}))
        .into_response()
}

fn bears(headers: &HeaderMap) -> bool {
    headers.get("x-amz-sso_bearer_token").is_some_and(|token| token.to_str().unwrap().starts_with("bearer-"))
}

fn unauthorized() -> Response {
    let headers = [("x-amzn-errortype", "UnauthorizedException:http://internal.amazon.com/")];
    let body = json!({"message": "Session token not found or invalid"});
    (StatusCode::UNAUTHORIZED, headers, Json(body)).into_response()
}

type Words = std::collections::HashMap<String, String>;

async fn credentials(headers: HeaderMap, Query(query): Query<Words>) -> Response {
    if !bears(&headers) {
        return unauthorized();
    }
    let id = format!("ASIA-{}-{}", query["account_id"], query["role_name"]);
    Json(json!({"roleCredentials": {
        "accessKeyId": id, "secretAccessKey": "s", "sessionToken": "t", "expiration": 1_795_438_800_000_i64,
    }}))
    .into_response()
}

async fn accounts(headers: HeaderMap, Query(query): Query<Words>) -> Response {
    if !bears(&headers) {
        return unauthorized();
    }
    let page = match query.get("next_token").map(String::as_str) {
        None => json!({"accountList": [{"accountId": "1", "accountName": "prod"}], "nextToken": "2"}),
        Some(_) => json!({"accountList": [{"accountId": "2"}]}),
    };
    Json(page).into_response()
}

async fn roles(Query(query): Query<Words>) -> Response {
    Json(json!({"roleList": [{"roleName": "Reader", "accountId": query["account_id"]}]})).into_response()
}

#[tokio::test]
async fn a_person_signs_in_and_gets_a_roles_credentials() {
    let stand = Stand::new(1).await;
    let center = stand.center();
    let shown = Mutex::new(None);
    let show = |invitation: &Invitation| *shown.lock().unwrap() = Some(invitation.clone());
    let session = center.sign_in(&show, Duration::from_secs(20)).await.unwrap();
    assert_eq!(shown.into_inner().unwrap().unwrap().user_code, "ABCD-EFGH");
    let registered = stand.requests("register").remove(0);
    assert_eq!(
        (registered["clientType"].as_str(), &registered["scopes"]),
        (Some("public"), &json!(["sso:account:access"]))
    );
    assert_eq!(stand.requests("device")[0]["startUrl"], "https://corp.awsapps.com/start");
    assert_eq!(stand.requests("token").len(), 2);

    assert_eq!(
        center.accounts(&session).await.unwrap(),
        [("1".to_owned(), "prod".to_owned()), ("2".to_owned(), String::new())]
    );
    assert_eq!(center.roles(&session, "1").await.unwrap(), ["Reader"]);
    let keys = center.role_credentials(&session, "1", "Reader").await.unwrap();
    assert_eq!(keys.access_key_id, "ASIA-1-Reader");
    assert_eq!(keys.expires_at.unwrap().as_second(), 1_795_438_800);

    let other = SsoSession { access_token: Secret::new("stale"), ..session };
    let error = center.role_credentials(&other, "1", "Reader").await.unwrap_err();
    let CenterError::Refused { status: 401, code, .. } = &error else { panic!("{error}") };
    assert_eq!(code, "UnauthorizedException");
    assert!(!error.to_string().contains("stale"));
}

#[tokio::test]
async fn a_sign_in_is_refreshed_when_it_has_ended() {
    let stand = Stand::new(0).await;
    let session = stand.center().sign_in(&|_: &Invitation| {}, Duration::from_secs(20)).await.unwrap();
    assert_eq!(stand.center().fresh(&session).await.unwrap(), session, "while it holds nobody is asked");
    stand.clock.advance(SignedDuration::from_secs(3590));
    let fresh = stand.center().fresh(&session).await.unwrap();
    assert!(fresh.access_token != session.access_token && fresh.expires_at > session.expires_at);

    stand.clock.advance(SignedDuration::from_secs(4000));
    let revoked = SsoSession { refresh_token: Some(Secret::new("gone")), ..fresh.clone() };
    let without = SsoSession { refresh_token: None, ..fresh.clone() };
    let mut unregistered = fresh;
    unregistered.client.expires_at = Timestamp::UNIX_EPOCH;
    for session in [revoked, without, unregistered] {
        assert!(matches!(stand.center().fresh(&session).await, Err(CenterError::SignInNeeded(_))));
    }
}

#[tokio::test]
async fn a_sign_in_is_shared_with_awss_tools_when_told() {
    let mut stand = Stand::new(0).await;
    stand.center().sign_in(&|_: &Invitation| {}, Duration::from_secs(20)).await.unwrap();
    assert!(!stand.home.path().join(".aws").exists(), "not told to");
    stand.place.shared = true;
    assert_eq!(stand.center().shared(), None);
    let session = stand.center().sign_in(&|_: &Invitation| {}, Duration::from_secs(20)).await.unwrap();
    assert_eq!(stand.center().shared(), Some(session.clone()));
    // The name that AWS's tools look for: SHA-1 of the start URL, or of the session's name.
    let file = stand.home.path().join(".aws/sso/cache/a51746d4aa793ae07b25e90c3a5db96fc7832bd7.json");
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(document["startUrl"], "https://corp.awsapps.com/start");
    assert_eq!(document["expiresAt"], "2026-11-23T13:00:00Z");
    // What has ended is none.
    stand.clock.advance(SignedDuration::from_secs(3600));
    assert_eq!(stand.center().shared(), None);
}

#[tokio::test]
async fn a_region_is_not_a_way_to_another_host() {
    let mut stand = Stand::new(0).await;
    stand.around = Surroundings::default();
    for region in ["evil.example/", "x@y", ""] {
        stand.place.region = region.to_owned();
        let error = stand.center().sign_in(&|_: &Invitation| {}, Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, CenterError::Region(_)), "{error}");
    }
}
