//! Stand-ins that follow AWS's documents: what they want to hear, and what is made of their answers.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, put};
use http::{HeaderMap, StatusCode};
use rstest::rstest;
use serde_json::json;
use url::Url;

use super::*;
use crate::testing::connector;

const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-23T13:00:00Z"}"#;

async fn serve(router: Router) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn around<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Surroundings {
    Surroundings::new(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
}

async fn of(source: KeySource, around: &Surroundings) -> Result<Credentials, KeysError> {
    keys(&source, around, &connector()).await.map(Option::unwrap)
}

#[tokio::test]
async fn the_instance_wants_a_token_first() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = |what: &'static str| {
        let asked = Arc::clone(&asked);
        move || asked.lock().unwrap().push(what)
    };
    let (put_seen, roles_seen) = (log("token"), log("roles"));
    let authorized = |headers: &HeaderMap| headers.get("x-aws-ec2-metadata-token").is_some_and(|t| t == "v2");
    let router = Router::new()
        .route(
            "/latest/api/token",
            put(async move |headers: HeaderMap| {
                put_seen();
                assert_eq!(headers["x-aws-ec2-metadata-token-ttl-seconds"], "21600");
                "v2"
            }),
        )
        .route(
            "/latest/meta-data/iam/security-credentials/",
            get(async move |headers: HeaderMap| {
                roles_seen();
                if authorized(&headers) {
                    "web\n".into_response()
                } else {
                    StatusCode::UNAUTHORIZED.into_response()
                }
            }),
        )
        .route(
            "/latest/meta-data/iam/security-credentials/web",
            get(async move |headers: HeaderMap| {
                if authorized(&headers) {
                    KEYS.into_response()
                } else {
                    StatusCode::UNAUTHORIZED.into_response()
                }
            }),
        );
    let url = serve(router).await;
    let found = of(KeySource::Instance(Some(url.clone())), &Surroundings::default()).await.unwrap();
    assert_eq!((found.access_key_id.as_str(), found.session_token.unwrap().expose()), ("ASIA1", "t"));
    assert!(found.expires_at.is_some());
    assert_eq!(*asked.lock().unwrap(), ["token", "roles"]);

    // The address of the role itself, as profiles have it; and that of the environment.
    let role = url.join("latest/meta-data/iam/security-credentials/web").unwrap();
    of(KeySource::Instance(Some(role)), &Surroundings::default()).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 3, "the list of roles was not needed");
    of(KeySource::Instance(None), &around([("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_container_shows_its_token() {
    let given = |State(wanted): State<&'static str>, headers: HeaderMap| async move {
        if headers.get("authorization").is_some_and(|token| token == wanted) {
            KEYS.into_response()
        } else {
            StatusCode::FORBIDDEN.into_response()
        }
    };
    let url =
        serve(Router::new().route("/keys", get(given)).with_state("Basic x")).await.join("keys").unwrap();
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic x");
    of(KeySource::Container, &around([full, token])).await.unwrap();
    let error = of(KeySource::Container, &around([full])).await.unwrap_err();
    assert!(matches!(error, KeysError::Status { status: 403, .. }));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "Basic x\n").unwrap();
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap());
    of(KeySource::Container, &around([full, file, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other")]))
        .await
        .unwrap();
    for address in ["http://keys.example/", "http://169.254.169.254/", "ftp://127.0.0.1/", "x"] {
        let error = of(KeySource::Container, &around([(full.0, address)])).await.unwrap_err();
        assert!(matches!(error, KeysError::Address { .. }), "{address}: {error}");
    }
    assert!(matches!(of(KeySource::Container, &around([])).await, Err(KeysError::Variable(_))));
}

#[rstest]
#[case::version(json!({"AccessKeyId": "a", "SecretAccessKey": "s"}), "`Version`")]
#[case::no_key(json!({"Version": 1, "SecretAccessKey": "hunter2"}), "`AccessKeyId`")]
#[case::no_secret(json!({"Version": 1, "AccessKeyId": "a", "SecretAccessKey": ""}), "`SecretAccessKey`")]
#[case::time(json!({"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "hunter2", "Expiration": "soon"}), "`Expiration`")]
#[case::json(json!("hunter2"), "not the JSON")]
#[cfg(unix)]
#[tokio::test]
async fn a_program_that_prints_something_else(#[case] printed: serde_json::Value, #[case] says: &str) {
    let line = format!("printf %s {}", shlex::try_quote(&printed.to_string()).unwrap());
    let error = of(KeySource::Process(line), &Surroundings::default()).await.unwrap_err().to_string();
    assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_that_prints_keys() {
    let line = r#"printf '{"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"s"}'"#;
    let found = of(KeySource::Process(line.to_owned()), &Surroundings::default()).await.unwrap();
    assert_eq!((found.access_key_id.as_str(), found.session_token, found.expires_at), ("AKIA", None, None));
}

#[tokio::test]
async fn the_environment() {
    let full = around([("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "s")]);
    assert_eq!(of(KeySource::Environment, &full).await.unwrap().access_key_id, "AKIA");
    let error = of(KeySource::Environment, &around([("AWS_ACCESS_KEY_ID", "AKIA")])).await.unwrap_err();
    assert_eq!(error.to_string(), "the variable `AWS_SECRET_ACCESS_KEY` is not set");
}
