//! Condition keys that the gateway is the source of: what they allow and what they do not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::Fixture;

/// A right by a tag of the object holds for exactly the objects that have it.
#[tokio::test]
async fn rights_by_the_tags_of_an_object() {
    let fixture = Fixture::start().await;
    let (alice, bob) = (fixture.credentials("alice").await, fixture.credentials("bob").await);
    let tags = [("x-amz-tagging", "owner=alice")];
    fixture.signed(&fixture.root, "PUT", "/home/labelled/hers", "", &tags, b"hers").await;
    fixture.signed(&fixture.root, "PUT", "/home/labelled/nobodys", "", &[], b"nobodys").await;
    let copy = |source: &'static str| [("x-amz-copy-source", source), ("x-amz-tagging-directive", "REPLACE")];
    let theirs = |target| format!("/home/{target}/copy");
    for (who, name, hers) in [(&alice, "alice", 200), (&bob, "bob", 403)] {
        for (method, query) in [("GET", ""), ("HEAD", ""), ("GET", "tagging"), ("GET", "partNumber=1")] {
            let status = async |path: &str| fixture.signed(who, method, path, query, &[], b"").await.status;
            let found = if query == "partNumber=1" && hers == 200 { 206 } else { hers };
            assert_eq!(status("/home/labelled/hers").await, found, "{name} {method} {query}");
            assert_eq!(status("/home/labelled/nobodys").await, 403, "{name} {method} {query}");
            // Nobody learns by a refusal what is there.
            assert_eq!(status("/home/labelled/missing").await, 403, "{name} {method} {query}");
        }
        let read = fixture.signed(who, "PUT", &theirs(name), "", &copy("/home/labelled/hers"), b"").await;
        assert_eq!(read.status, hers, "{read:?}");
        let read = fixture.signed(who, "PUT", &theirs(name), "", &copy("/home/labelled/nobodys"), b"").await;
        assert_eq!(read.status, 403, "{read:?}");
    }
    let given_away =
        b"<Tagging><TagSet><Tag><Key>owner</Key><Value>bob</Value></Tag></TagSet></Tagging>".as_slice();
    for (who, status) in [(&bob, 403), (&alice, 200), (&alice, 403)] {
        let answer = fixture.signed(who, "PUT", "/home/labelled/hers", "tagging", &[], given_away).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(fixture.signed(&bob, "GET", "/home/labelled/hers", "", &[], b"").await.body, "hers");
    assert_eq!(fixture.signed(&alice, "GET", "/home/labelled/hers", "", &[], b"").await.status, 403);
}

/// Policies that keep people to regions deny everything where there is no region.
#[tokio::test]
async fn the_region_that_is_asked() {
    for (region, status) in [("us-east-1", 200), ("eu-west-1", 403)] {
        let fixture = Fixture::bare(|config| {
            let wigeon_server::config::DirectoryHome::File(path) = &config.directory.home else { return };
            let deny = format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Action":"*","Resource":"*",
                "Condition":{{"StringNotEquals":{{"aws:RequestedRegion":"{region}"}}}}}}]}}"#
            );
            let text = std::fs::read_to_string(path).unwrap();
            let policy = format!("[[role.policy]]\nname = 'regions'\ndocument = '''{deny}'''\n");
            std::fs::write(path, text + &policy).unwrap();
        })
        .await;
        fixture.signed(&fixture.root, "PUT", "/home", "", &[], b"").await;
        let alice = fixture.credentials("alice").await;
        let answer = fixture.signed(&alice, "PUT", "/home/alice/k", "", &[], b"x").await;
        assert_eq!(answer.status, status, "{region} {answer:?}");
    }
}

/// The age and the place of a signature.
#[tokio::test]
async fn rights_by_the_signature() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    fixture.signed(&fixture.root, "PUT", "/home/recent/k", "", &[], b"fresh").await;
    assert_eq!(fixture.signed(&alice, "GET", "/home/recent/k", "", &[], b"").await.body, "fresh");
    let minutes = |minutes: i64| fixture.now_and(-60 * minutes);
    let old = fixture.signed_at(&alice, minutes(2), "GET", "/home/recent/k", "", &[], b"").await;
    assert_eq!((old.status, old.code()), (403, "AccessDenied"), "{old:?}");
    let presigned = fixture.presigned(&alice, "GET", "/home/recent/k", 600, "").await;
    assert_eq!((presigned.status, presigned.code()), (403, "AccessDenied"), "{presigned:?}");
}

#[tokio::test]
async fn rights_by_conditional_headers_and_copy_sources() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    let put = async |path: &str, headers: &[(&str, &str)]| {
        fixture.signed(&alice, "PUT", path, "", headers, b"").await.status
    };
    assert_eq!(put("/home/once/k", &[]).await, 403);
    assert_eq!(put("/home/once/k", &[("if-none-match", "*")]).await, 200);
    assert_eq!(put("/home/once/k", &[("if-none-match", "*")]).await, 412);
    assert_eq!(put("/home/once/k", &[("if-match", "*")]).await, 403);

    fixture.signed(&alice, "PUT", "/home/alice/a%20b", "", &[], b"x").await;
    for source in ["/home/alice/a%20b", "home/alice/a%20b", "home%2Falice/%61%20b"] {
        assert_eq!(put("/home/copies/k", &[("x-amz-copy-source", source)]).await, 200, "{source}");
    }
    assert_eq!(put("/home/copies/k", &[("x-amz-copy-source", "/home/bob/k")]).await, 403);
    assert_eq!(put("/home/copies/k", &[]).await, 403);
}
