//! Requests of web pages, as browsers send them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::{Answer, Fixture};

const RULES: &str = "<CORSConfiguration><CORSRule><ID>one</ID><AllowedOrigin>https://*.example.org</AllowedOrigin>\
    <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>";

async fn preflight(fixture: &Fixture, path: &str, origin: &str, method: &str) -> Answer {
    let request = format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n\
         Access-Control-Request-Headers: authorization,x-amz-date\r\nConnection: close\r\n\r\n"
    );
    fixture.raw(request.as_bytes()).await
}

#[tokio::test]
async fn a_page_is_let_in_by_the_rules_of_the_bucket() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let page = "https://app.example.org";
    let answer = preflight(&fixture, "/home/alice/k", page, "PUT").await;
    assert_eq!((answer.status, answer.code()), (403, "AccessForbidden"), "{answer:?}");
    let none = fixture.signed(&fixture.root, "GET", "/home", "cors", &[], b"").await;
    assert_eq!((none.status, none.code()), (404, "NoSuchCORSConfiguration"));
    let refused = fixture.signed(&alice, "PUT", "/home", "cors", &[], RULES.as_bytes()).await;
    assert_eq!(refused.status, 403);
    let set = fixture.signed(&fixture.root, "PUT", "/home", "cors", &[], RULES.as_bytes()).await;
    assert_eq!(set.status, 200, "{set:?}");
    let told = fixture.signed(&fixture.root, "GET", "/home", "cors", &[], b"").await;
    assert!(told.body.contains("<CORSRule><ID>one</ID><AllowedHeader>*</AllowedHeader>"), "{told:?}");

    // The browser asks without a signature.
    let answer = preflight(&fixture, "/home/alice/k", page, "PUT").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
    for header in [
        "access-control-allow-origin: https://app.example.org",
        "access-control-allow-methods: GET, PUT",
        "access-control-allow-headers: authorization, x-amz-date",
        "access-control-expose-headers: ETag",
        "access-control-max-age: 60",
        "vary: Origin",
    ] {
        assert!(answer.head.contains(header), "{header}: {answer:?}");
    }
    for (path, origin, method, status) in [
        ("/home/alice/k", page, "DELETE", 403),
        ("/home/alice/k", "https://example.org.evil.example", "PUT", 403),
        ("/nowhere/k", page, "PUT", 403),
        ("/", page, "GET", 403),
        ("/home/alice/k", "", "PUT", 403),
    ] {
        let answer = preflight(&fixture, path, origin, method).await;
        assert_eq!(answer.status, status, "{path} {origin} {method}: {answer:?}");
        assert!(!answer.head.contains("access-control-allow-origin"), "{answer:?}");
    }

    // Then it sends the request itself, and reads the answer, be it a refusal.
    let put = fixture.signed(&alice, "PUT", "/home/alice/k", "", &[("origin", page)], b"hello").await;
    assert!(put.status == 200 && put.head.contains("access-control-allow-origin: https://app.example.org"));
    let denied = fixture.signed(&alice, "GET", "/home/bob/k", "", &[("origin", page)], b"").await;
    assert!(
        denied.status == 403 && denied.head.contains("access-control-allow-origin: https://app.example.org")
    );
    for headers in [&[][..], &[("origin", "https://evil.example")]] {
        let got = fixture.signed(&alice, "GET", "/home/alice/k", "", headers, b"").await;
        assert_eq!(got.body, "hello");
        assert!(!got.head.contains("access-control") && got.head.contains("vary: Origin"), "{got:?}");
    }
    let bad = RULES.replace("GET", "PATCH");
    let bad = fixture.signed(&fixture.root, "PUT", "/home", "cors", &[], bad.as_bytes()).await;
    assert_eq!((bad.status, bad.code()), (400, "InvalidRequest"));
    assert_eq!(fixture.signed(&fixture.root, "DELETE", "/home", "cors", &[], b"").await.status, 204);
    assert_eq!(preflight(&fixture, "/home/alice/k", page, "PUT").await.status, 403);
}
