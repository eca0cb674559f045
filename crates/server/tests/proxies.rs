//! Requests that a proxy brings: whose they are, for policies and for rates.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::{Answer, Fixture};
use serde_json::json;
use wigeon_server::limits::Rate;
use wigeon_server::proxies::{Proxies, ProxyHeader};

impl Fixture {
    /// Whether a request that says so of its way may read.
    async fn read(&self, header: &str, value: &str) -> Answer {
        self.signed(&self.root, "GET", "/home/a", "", &[(header, value)], b"").await
    }
}

/// A server that believes these, and denies everything to 203.0.113.0/24.
async fn believing(trusted: &[&str], header: ProxyHeader) -> Fixture {
    let trusted = trusted.iter().map(|text| text.parse().unwrap()).collect();
    let fixture = Fixture::with(|config| config.proxies = Proxies { trusted, header }).await;
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/*",
         "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}]});
    let put =
        fixture.signed(&fixture.root, "PUT", "/home", "policy", &[], policy.to_string().as_bytes()).await;
    assert_eq!(put.status, 204, "{put:?}");
    let put = fixture.signed(&fixture.root, "PUT", "/home/a", "", &[], b"x").await;
    assert_eq!(put.status, 200, "{put:?}");
    fixture
}

#[tokio::test]
async fn policies_see_the_client_that_a_trusted_proxy_names() {
    let fixture = believing(&["127.0.0.0/8", "10.0.0.0/8"], ProxyHeader::XForwardedFor).await;
    for (value, status) in [
        ("198.51.100.1", 200),
        ("203.0.113.7", 403),
        ("198.51.100.1, 203.0.113.7", 403),
        ("203.0.113.7, 198.51.100.1", 200),
        ("203.0.113.7, 10.1.2.3", 403),
        ("unknown", 400),
    ] {
        let answer = fixture.read("x-forwarded-for", value).await;
        assert_eq!(answer.status, status, "{value}: {answer:?}");
    }
    assert_eq!(fixture.read("forwarded", "for=203.0.113.7").await.status, 200, "the other header is text");
    assert_eq!(fixture.read("x-other", "1").await.status, 200, "the proxy's own request");
    let refused = fixture
        .raw(b"POST / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: unknown\r\nContent-Length: 0\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!((refused.status, refused.code()), (400, "ValidationError"), "{refused:?}");
    fixture.running.stop().await;

    let fixture = believing(&["127.0.0.1"], ProxyHeader::Forwarded).await;
    assert_eq!(fixture.read("forwarded", "for=198.51.100.1;proto=https").await.status, 200);
    assert_eq!(fixture.read("forwarded", "for=198.51.100.1, for=203.0.113.7").await.status, 403);
    assert_eq!(fixture.read("x-forwarded-for", "203.0.113.7").await.status, 200);
    fixture.running.stop().await;
}

#[tokio::test]
async fn others_are_not_believed() {
    for trusted in [&[] as &[&str], &["10.0.0.0/8"]] {
        let fixture = believing(trusted, ProxyHeader::XForwardedFor).await;
        for header in ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"] {
            assert_eq!(fixture.read(header, "203.0.113.7").await.status, 200, "{header}");
            assert_eq!(fixture.read(header, "nonsense").await.status, 200, "{header}");
        }
        fixture.running.stop().await;
    }
}

#[tokio::test]
async fn rates_are_of_the_client() {
    let fixture = Fixture::bare(|config| {
        config.proxies.trusted = vec!["127.0.0.1".parse().unwrap()];
        config.limits.address_rate = Some(Rate { per_second: 1, burst: 2 });
    })
    .await;
    let of = async |client: &str| fixture.read("x-forwarded-for", client).await.status;
    assert_eq!((of("198.51.100.1").await, of("198.51.100.1").await), (404, 404));
    assert_eq!(of("198.51.100.1").await, 503);
    assert_eq!(of("198.51.100.2").await, 404);
    fixture.running.stop().await;
}
