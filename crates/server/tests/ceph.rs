//! The `ceph` switch over HTTP, and that nothing of it holds without it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::fs;

use fixture::{Answer, Fixture, ISSUER};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, json};
use wigeon_core::credentials::Credentials;
use wigeon_core::sigv4::canonical::{Query, sha256_hex};
use wigeon_core::sigv4::sign::Signer;
use wigeon_core::time::Timestamp;
use wigeon_server::config::DirectoryHome;

/// A server with the switch: its policies name principals without the account, its provider takes any audience.
async fn with_ceph() -> Fixture {
    Fixture::bare(|config| {
        let DirectoryHome::File(path) = &config.directory.home else { return };
        let text = fs::read_to_string(path).unwrap();
        let text = text.replace("arn:aws:iam::000000000000:", "arn:aws:iam:::").replace("['app']", "[]");
        let text = text.replace("idp.example:aud", "idp.example:app_id");
        fs::write(path, format!("ceph = true\n{text}")).unwrap();
    })
    .await
}

/// A form to a service of AWS's Query protocol, signed for a region.
async fn form(
    fixture: &Fixture,
    by: Option<&Credentials>,
    service: &str,
    region: &str,
    body: &str,
) -> Answer {
    let host = fixture.running.address().to_string();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    if let Some(credentials) = by {
        let signer = Signer { credentials, region, service, at: Timestamp::now() };
        let payload = sha256_hex(body.as_bytes());
        signer.sign(&Method::POST, &host, "/", &Query::default(), &mut headers, &payload).unwrap();
    }
    let mut head =
        format!("POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    fixture.raw(format!("{head}\r\n{body}").as_bytes()).await
}

fn exchange(fixture: &Fixture, role: &str, audience: &str) -> String {
    let now = Timestamp::now().as_second();
    let claims = json!({"iss": ISSUER, "sub": "alice", "aud": audience, "iat": now, "exp": now + 600});
    let token = fixture.key.sign(&Map::new(), claims.as_object().unwrap()).unwrap();
    let role = role.replace(':', "%3A").replace('/', "%2F");
    format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=test&WebIdentityToken={token}&RoleArn={role}"
    )
}

const LIST: &str = "Action=ListRoles&Version=2010-05-08";
const WHO: &str = "Action=GetCallerIdentity&Version=2011-06-15";

#[tokio::test]
async fn scopes_with_an_empty_region() {
    let (ceph, aws) = (with_ceph().await, Fixture::bare(|_| {}).await);
    for (service, body) in [("iam", LIST), ("sts", WHO)] {
        for region in ["", "us-east-1"] {
            let answer = form(&ceph, Some(&ceph.root), service, region, body).await;
            assert_eq!(answer.status, 200, "{service} `{region}` {answer:?}");
        }
        let refused = form(&aws, Some(&aws.root), service, "", body).await;
        assert_eq!((refused.status, refused.code()), (403, "SignatureDoesNotMatch"), "{service} {refused:?}");
        let refused = form(&ceph, Some(&ceph.root), service, "default", body).await;
        assert_eq!((refused.status, refused.code()), (403, "SignatureDoesNotMatch"), "{service} {refused:?}");
    }
}

#[tokio::test]
async fn arns_without_an_account_both_ways() {
    let (ceph, aws) = (with_ceph().await, Fixture::bare(|_| {}).await);
    for role in ["arn:aws:iam:::role/person", "arn:aws:iam::000000000000:role/person"] {
        let answer = form(&ceph, None, "sts", "", &exchange(&ceph, role, "app")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains("<Arn>arn:aws:sts:::assumed-role/person/test</Arn>"), "{answer:?}");
        assert!(answer.body.contains("<Provider>arn:aws:iam:::oidc-provider/idp.example</Provider>"));
    }
    // Any audience is taken, and the trust policy decides, by `app_id`.
    let refused = form(&ceph, None, "sts", "", &exchange(&ceph, "arn:aws:iam:::role/person", "other")).await;
    assert_eq!((refused.status, refused.code()), (403, "AccessDenied"), "{refused:?}");
    let listed = form(&ceph, Some(&ceph.root), "iam", "", LIST).await;
    assert!(listed.body.contains("<Arn>arn:aws:iam:::role/person</Arn>"), "{listed:?}");
    let refused = form(&aws, None, "sts", "", &exchange(&aws, "arn:aws:iam:::role/person", "app")).await;
    assert_eq!((refused.status, refused.code()), (403, "AccessDenied"), "{refused:?}");
}

/// Issuers of test installations: http, a port, a path.
#[tokio::test]
async fn issuers_over_http_with_a_port_and_a_path() {
    let with = |ceph: bool| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "account = '000000000000'\nceph = {ceph}\n[[provider]]\n\
             url = 'http://keycloak.internal:8080/auth/realms/demo'\nclient_ids = ['app']\n"
        );
        fs::write(folder.path().join("directory.toml"), text).unwrap();
        wigeon_server::directory::Directory::from_file(&folder.path().join("directory.toml"))
    };
    let directory = with(true).unwrap();
    let snapshot = directory.snapshot();
    let provider = snapshot.provider("http://keycloak.internal:8080/auth/realms/demo").unwrap();
    assert_eq!(provider.arn.as_str(), "arn:aws:iam:::oidc-provider/keycloak.internal:8080/auth/realms/demo");
    assert!(with(false).unwrap_err().to_string().contains("unprotected"));
}
