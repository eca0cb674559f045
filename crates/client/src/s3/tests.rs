//! What the client does when the store does not do as it is asked.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_testkit::faults::{Fault as Weathered, FaultProxy, Weather};

use super::test_store::{Fault, SystemClock, TestStore};
use super::*;
use crate::connect::ConnectOptions;

fn bucket() -> BucketName {
    BucketName::parse("bucket").unwrap()
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

async fn put(client: &Client, name: &str) -> Result<Stored, S3Error> {
    client.put_object(&bucket(), &key(name), Bytes::from_static(b"body"), &PutOptions::default()).await
}

#[tokio::test]
async fn a_busy_store_is_asked_again_and_not_for_ever() {
    let store = TestStore::start().await;
    let client = store.client();
    for code in ["SlowDown", "ServiceUnavailable", "InternalError"] {
        store.fail("PUT", Fault::Refuse(503, code, &[]));
    }
    put(&client, "k").await.unwrap();
    assert_eq!(store.count("PUT"), 4);
    for _ in 0..9 {
        store.fail("PUT", Fault::Refuse(503, "SlowDown", &[]));
    }
    assert_eq!(put(&client, "k").await.unwrap_err().kind(), ErrorKind::Throttled);
    assert_eq!(store.count("PUT"), 8);
}

#[tokio::test]
async fn a_refusal_is_final() {
    let store = TestStore::start().await;
    store.fail("PUT", Fault::Refuse(403, "AccessDenied", &[("x-amz-request-id", "r1")]));
    let refused = put(&store.client(), "k").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "PutObject of `bucket/k` was refused: AccessDenied: told to (request r1)"
    );
    assert_eq!(store.count("PUT"), 1);
}

#[tokio::test]
async fn an_expired_session_is_replaced_once() {
    let store = TestStore::start().await;
    let client = store.client();
    store.fail("PUT", Fault::Refuse(400, "ExpiredToken", &[]));
    put(&client, "k").await.unwrap();
    let keys: Vec<_> = store
        .contents()
        .seen
        .iter()
        .map(|seen| seen.headers["authorization"].to_str().unwrap().contains("Credential=KEY1/"))
        .collect();
    assert_eq!(keys, [false, true]);
    for _ in 0..2 {
        store.fail("PUT", Fault::Refuse(400, "ExpiredToken", &[]));
    }
    assert_eq!(put(&client, "k").await.unwrap_err().kind(), ErrorKind::Expired);
    assert_eq!(store.count("PUT"), 4);
}

#[tokio::test]
async fn a_bucket_elsewhere_is_signed_for_there_and_remembered() {
    let store = TestStore::start().await;
    let client = store.client();
    store.fail("PUT", Fault::Refuse(301, "PermanentRedirect", &[("x-amz-bucket-region", "mars-1")]));
    put(&client, "k").await.unwrap();
    put(&client, "k").await.unwrap();
    let regions: Vec<_> = store
        .contents()
        .seen
        .iter()
        .map(|seen| seen.headers["authorization"].to_str().unwrap().contains("/mars-1/s3/"))
        .collect();
    assert_eq!(regions, [false, true, true]);
    // A store that sends us in circles is not followed.
    store.fail("PUT", Fault::Refuse(301, "PermanentRedirect", &[("x-amz-bucket-region", "mars-1")]));
    assert_eq!(put(&client, "k").await.unwrap_err().kind(), ErrorKind::Elsewhere);
}

#[tokio::test]
async fn checksums_are_sent_until_a_store_refuses_them() {
    let store = TestStore::start().await;
    let client = store.client();
    assert_eq!(put(&client, "k").await.unwrap().verified, Verified::Checksum);
    store.fail("PUT", Fault::Refuse(400, "InvalidArgument", &[]));
    assert_eq!(put(&client, "k").await.unwrap().verified, Verified::SignedPayload);
    assert_eq!(put(&client, "k").await.unwrap().verified, Verified::SignedPayload);
    let with: Vec<_> = store
        .contents()
        .seen
        .iter()
        .map(|seen| seen.headers.contains_key("x-amz-checksum-crc64nvme"))
        .collect();
    assert_eq!(with, [true, true, false, false]);
    assert!(
        store
            .contents()
            .seen
            .iter()
            .all(|seen| !seen.headers.keys().any(|name| name.as_str().contains("acl")))
    );
}

#[tokio::test]
async fn a_refusal_that_is_not_about_checksums_stays_one_and_is_not_remembered() {
    let store = TestStore::start().await;
    let client = store.client();
    store.fail("PUT", Fault::Refuse(400, "InvalidArgument", &[]));
    store.fail("PUT", Fault::Refuse(400, "InvalidArgument", &[]));
    assert_eq!(put(&client, "k").await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(put(&client, "k").await.unwrap().verified, Verified::Checksum);
}

#[tokio::test]
async fn an_error_under_status_200_is_an_error() {
    let store = TestStore::start().await;
    let client = store.client();
    let upload = client.create_multipart(&bucket(), &key("k"), &PutOptions::default()).await.unwrap();
    let part = client.upload_part(&upload, 1, Bytes::from_static(b"part")).await.unwrap();
    // InternalError is tried again, and then it works.
    store.fail("POST /bucket/k?uploadId", Fault::LateError("InternalError"));
    client.complete_multipart(&upload, vec![part], &PutOptions::default()).await.unwrap();
    let upload = client.create_multipart(&bucket(), &key("k"), &PutOptions::default()).await.unwrap();
    store.fail("POST /bucket/k?uploadId", Fault::LateError("AccessDenied"));
    let refused = client.complete_multipart(&upload, Vec::new(), &PutOptions::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_asked_for_again() {
    let store = TestStore::start().await;
    let client = store.client();
    put(&client, "a b+%").await.unwrap();
    store.fail("list-type", Fault::Cut(20));
    let entries: Vec<_> = client.list(&bucket(), ListQuery::default()).try_collect().await.unwrap();
    assert_eq!(entries.iter().map(Entry::name).collect::<Vec<_>>(), ["a b+%"]);
    assert_eq!(store.count("list-type"), 2);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_short_body() {
    let store = TestStore::start().await;
    let client = store.client();
    put(&client, "k").await.unwrap();
    store.fail("GET", Fault::Cut(2));
    let object = client.get_object(&bucket(), &key("k"), &GetOptions::default()).await.unwrap();
    assert!(object.body.try_collect::<Vec<_>>().await.is_err());
}

#[tokio::test]
async fn a_customers_key_travels_with_every_request_about_the_object() {
    let store = TestStore::start().await;
    let key_of = |byte| CustomerKey::new(&[byte; 32]).unwrap();
    let encryption =
        ObjectEncryption { written: Some(Encryption::Customer(key_of(1))), read: Some(key_of(2)) };
    let client = store.client().with_encryption(encryption).unwrap();
    put(&client, "k").await.unwrap();
    client.head_object(&bucket(), &key("k"), &GetOptions::default()).await.unwrap();
    let _ = client.delete_object(&bucket(), &key("k")).await;
    let sent: Vec<_> = store
        .contents()
        .seen
        .iter()
        .map(|seen| seen.headers.contains_key("x-amz-server-side-encryption-customer-key"))
        .collect();
    assert_eq!(sent, [true, true, false]);
}

#[tokio::test]
async fn a_customers_key_never_travels_in_the_clear() {
    let connector = crate::connect::Connector::new(&ConnectOptions::default()).unwrap();
    let source = std::sync::Arc::new(StaticCredentials::new(wigeon_core::credentials::Credentials {
        access_key_id: "key".into(),
        secret_key: wigeon_core::secret::Secret::new("secret"),
        session_token: None,
        expires_at: None,
    }));
    for (url, taken) in [("http://store.example.org", false), ("https://store.example.org", true)] {
        let endpoint = Endpoint::new(&url.parse().unwrap(), "r", Addressing::Path, "").unwrap();
        let clock = std::sync::Arc::new(SystemClock);
        let client = Client::new(connector.clone(), endpoint, source.clone(), clock);
        let key = CustomerKey::new(&[0; 32]).unwrap();
        let read = ObjectEncryption { written: None, read: Some(key) };
        assert_eq!(client.with_encryption(read).is_ok(), taken, "{url}");
        assert!(client.with_encryption(ObjectEncryption::default()).is_ok());
    }
}

#[tokio::test]
async fn versions_are_removed_by_their_ids() {
    let store = TestStore::start().await;
    let doomed = Doomed::new(key("a<b"), Some("v1".into()));
    store.client().delete_versions(&bucket(), &[doomed], Governance::Bypassed).await.unwrap();
    let contents = store.contents();
    let seen = contents.seen.last().unwrap();
    assert_eq!(seen.what, "POST /bucket?delete=");
    assert_eq!(seen.headers["x-amz-bypass-governance-retention"], "true");
    let body = String::from_utf8(seen.body.to_vec()).unwrap();
    assert!(body.contains("<Object><Key>a&lt;b</Key><VersionId>v1</VersionId></Object>"), "{body}");
}

/// So many at once, for so long; how many requests were done.
async fn keep_busy(client: &Client, count: usize, time: Duration) -> usize {
    let until = Instant::now() + time;
    let busy = (0..count).map(|number| async move {
        let mut done = 0;
        while Instant::now() < until {
            done += usize::from(put(client, &format!("k{number}")).await.is_ok());
        }
        done
    });
    futures_util::future::join_all(busy).await.into_iter().sum()
}

/// A store that bears eight requests at once gets about as many, and more again when it bears more.
#[tokio::test]
async fn as_much_at_once_as_a_store_bears() {
    let store = TestStore::start().await;
    store.contents().bears = Some((8, Duration::from_millis(5)));
    let client = store.client();
    keep_busy(&client, 96, Duration::from_millis(2500)).await;
    for _ in 0..8 {
        let done = keep_busy(&client, 96, Duration::from_millis(200)).await;
        let allowed = client.allowed_at_once();
        assert!((1..=16).contains(&allowed) && done > 8, "{allowed} at once, {done} done");
    }
    store.contents().bears = Some((1000, Duration::from_millis(5)));
    keep_busy(&client, 96, Duration::from_secs(2)).await;
    let recovered = client.allowed_at_once();
    assert!(recovered >= 48, "{recovered}");
    assert!(store.contents().most_under_way >= 32);
}

/// Silence says the same as SlowDown: fewer at once, until answers come again.
#[tokio::test]
async fn a_store_that_falls_silent_is_spared() {
    let store = TestStore::start().await;
    let silent = Weather { per_mille: 1000, faults: vec![Weathered::Stall(Duration::from_millis(400))] };
    let upstream = store.url.trim_start_matches("http://").parse().unwrap();
    let proxy = FaultProxy::start(upstream, silent, 7).await.unwrap();
    let options = ConnectOptions { read_timeout: Duration::from_millis(100), ..ConnectOptions::default() };
    let client = TestStore::client_with(&options, &format!("http://{}", proxy.address));
    assert_eq!(keep_busy(&client, 24, Duration::from_millis(1500)).await, 0);
    let spared = client.allowed_at_once();
    assert!(spared <= 16, "{spared}");
    proxy.set(Weather::calm());
    assert!(keep_busy(&client, 24, Duration::from_secs(1)).await > 0);
    assert!(client.allowed_at_once() > spared);
}
