//! Bucket policies: whom they let in and keep out, together with everything else that is asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::{Answer, Fixture};
use serde_json::{Value, json};

const SESSION: &str = "arn:aws:sts::000000000000:assumed-role/person/test";
const ROLE: &str = "arn:aws:iam::000000000000:role/person";

impl Fixture {
    async fn root_does(&self, method: &str, query: &str, body: &str) -> Answer {
        self.signed(&self.root, method, "/home", query, &[], body.as_bytes()).await
    }

    async fn set_policy(&self, statements: Value) {
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let answer = self.root_does("PUT", "policy", &policy).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    async fn unblock(&self) {
        assert_eq!(self.root_does("DELETE", "publicAccessBlock", "").await.status, 204);
    }

    async fn anonymous(&self, method: &str, address: &str, headers: &str, body: &str) -> Answer {
        let request = format!(
            "{method} {address} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        self.raw(request.as_bytes()).await
    }
}

fn allow(principal: Value, action: &str, resource: &str) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource})
}

fn deny(principal: Value, action: &str, resource: &str) -> Value {
    json!({"Effect": "Deny", "Principal": principal, "Action": action, "Resource": resource})
}

/// Alice's role lets her at `home/alice/` alone: each of these lets her read `home/team/k` too, or does not.
#[tokio::test]
async fn whom_a_policy_lets_in() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    fixture.signed(&fixture.root, "PUT", "/home/team/k", "", &[], b"team").await;
    let provider = "arn:aws:iam::000000000000:oidc-provider/idp.example";
    for (principal, status) in [
        (json!("*"), 200),
        (json!({"AWS": "*"}), 200),
        (json!({"AWS": ROLE}), 200),
        (json!({"AWS": SESSION}), 200),
        (json!({"Federated": provider}), 200),
        // The account may; whether she may is for her own policies to say, and they do not.
        (json!({"AWS": "arn:aws:iam::000000000000:root"}), 403),
        (json!({"AWS": "arn:aws:iam::000000000000:role/other"}), 403),
        (json!({"AWS": "arn:aws:sts::000000000000:assumed-role/person/other"}), 403),
        (json!({"Federated": "accounts.google.com"}), 403),
        (json!({"Service": "ec2.amazonaws.com"}), 403),
    ] {
        fixture.unblock().await;
        fixture
            .set_policy(json!([allow(principal.clone(), "s3:GetObject", "arn:aws:s3:::home/team/*")]))
            .await;
        let answer = fixture.signed(&alice, "GET", "/home/team/k", "", &[], b"").await;
        assert_eq!(answer.status, status, "{principal}: {answer:?}");
        // What it does not speak of stays as it was.
        let write = fixture.signed(&alice, "PUT", "/home/team/k", "", &[], b"x").await;
        assert_eq!(write.status, 403, "{principal}");
    }
    assert_eq!(fixture.root_does("DELETE", "policy", "").await.status, 204);
    assert_eq!(fixture.signed(&alice, "GET", "/home/team/k", "", &[], b"").await.status, 403);
}

#[tokio::test]
async fn a_deny_wins_and_names_its_statement() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    fixture.signed(&alice, "PUT", "/home/alice/k", "", &[], b"hers").await;
    let mut statement = deny(json!("*"), "s3:GetObject", "arn:aws:s3:::home/alice/*");
    statement["Sid"] = json!("NotNow");
    fixture.set_policy(json!([statement])).await;
    let answer = fixture.signed(&alice, "GET", "/home/alice/k", "", &[], b"").await;
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"));
    assert!(answer.body.contains("with an explicit deny in a resource-based policy"), "{answer:?}");
    assert!(!answer.body.contains("NotNow"), "{answer:?}");
    let source = [("x-amz-copy-source", "/home/alice/k")];
    let copied = fixture.signed(&alice, "PUT", "/home/alice/copy", "", &source, b"").await;
    assert_eq!(copied.status, 403, "{copied:?}");
    assert_eq!(fixture.signed(&alice, "PUT", "/home/alice/k", "", &[], b"new").await.status, 200);
}

/// A deny of everything to everybody binds the account itself, which can take it back all the same.
#[tokio::test]
async fn nobody_locks_the_account_out() {
    let fixture = Fixture::start().await;
    let everything = json!(["arn:aws:s3:::home", "arn:aws:s3:::home/*"]);
    fixture
        .set_policy(json!([{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": everything}]))
        .await;
    for (method, path, query) in [("GET", "/home", ""), ("PUT", "/home/k", ""), ("GET", "/home", "acl")] {
        assert_eq!(fixture.signed(&fixture.root, method, path, query, &[], b"").await.status, 403, "{path}");
    }
    assert_eq!(fixture.root_does("GET", "policy", "").await.status, 200);
    assert_eq!(fixture.root_does("DELETE", "policy", "").await.status, 204);
    assert_eq!(fixture.root_does("GET", "", "").await.status, 200);
}

/// Who sets a policy that takes the right to set policies away has to mean it.
#[tokio::test]
async fn a_policy_that_locks_its_maker_out_needs_a_word() {
    let fixture = Fixture::start().await;
    let alice = fixture.credentials("alice").await;
    fixture.set_policy(json!([allow(json!({"AWS": ROLE}), "s3:*BucketPolicy", "arn:aws:s3:::home")])).await;
    let locked = json!({"Version": "2012-10-17", "Statement": [deny(json!("*"), "s3:PutBucketPolicy", "arn:aws:s3:::home")]});
    let text = locked.to_string();
    let set = async |headers: &[(&str, &str)]| {
        fixture.signed(&alice, "PUT", "/home", "policy", headers, text.as_bytes()).await
    };
    let refused = set(&[]).await;
    assert_eq!((refused.status, refused.code()), (403, "AccessDenied"), "{refused:?}");
    assert_eq!(set(&[("x-amz-confirm-remove-self-bucket-access", "true")]).await.status, 204);
    assert_eq!(set(&[]).await.status, 403);
}

#[tokio::test]
async fn the_public_gets_in_where_policy_and_block_both_say_so() {
    let fixture = Fixture::start().await;
    fixture.signed(&fixture.root, "PUT", "/home/public/k", "", &[], b"everybody's").await;
    fixture.signed(&fixture.root, "PUT", "/home/private", "", &[], b"mine").await;
    let get = async |path: &str| fixture.anonymous("GET", path, "", "").await;
    let public = json!([allow(json!("*"), "s3:GetObject", "arn:aws:s3:::home/public/*")]);
    let text = json!({"Version": "2012-10-17", "Statement": public}).to_string();

    // As it is by default: such a policy is not even taken.
    let refused = fixture.root_does("PUT", "policy", &text).await;
    assert_eq!((refused.status, refused.code()), (403, "AccessDenied"));
    assert!(refused.body.contains("BlockPublicPolicy"), "{refused:?}");
    assert_eq!(get("/home/public/k").await.status, 403);

    fixture.unblock().await;
    fixture.set_policy(public).await;
    assert!(fixture.root_does("GET", "policyStatus", "").await.body.contains("<IsPublic>TRUE</IsPublic>"));
    assert_eq!(get("/home/public/k").await.body, "everybody's");
    for (method, address, body) in [
        ("GET", "/home/private", ""),
        ("GET", "/home/public/missing?versionId=1", ""),
        ("GET", "/home", ""),
        ("GET", "/home?policy", ""),
        ("GET", "/", ""),
        ("GET", "/home?unheard-of", ""),
        ("PATCH", "/home/public/k", ""),
        ("PUT", "/home/public/k", "x"),
        ("DELETE", "/home/public/k", ""),
        ("POST", "/home?delete", "<Delete><Object><Key>public/k</Key></Object></Delete>"),
        ("PUT", "/home?policy", "{}"),
    ] {
        let answer = fixture.anonymous(method, address, "", body).await;
        let each = address.ends_with("?delete");
        assert!(answer.status == 403 || each, "{method} {address}: {answer:?}");
        // Why stays between the server and its operator.
        assert!(!answer.body.contains("policy") && !answer.body.contains("anonymous"), "{answer:?}");
    }
    assert_eq!(get("/home/public/k").await.body, "everybody's");
    // A key is a name, not a way.
    assert_eq!(get("/home/public/../private").await.code(), "AccessDenied");
    // A broken signature is no missing one.
    let forged = "Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";
    assert!(fixture.anonymous("GET", "/home/public/k", forged, "").await.status >= 400);

    // The block holds whatever the policy says.
    let restricted = "<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
    assert_eq!(fixture.root_does("PUT", "publicAccessBlock", restricted).await.status, 200);
    assert_eq!(get("/home/public/k").await.status, 403);
    // One that is for some addresses only is not public, and holds.
    let mut near = allow(json!("*"), "s3:GetObject", "arn:aws:s3:::home/public/*");
    near["Condition"] = json!({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}});
    fixture.set_policy(json!([near])).await;
    assert!(fixture.root_does("GET", "policyStatus", "").await.body.contains("<IsPublic>FALSE</IsPublic>"));
    assert_eq!(get("/home/public/k").await.status, 200);
}

/// Whoever may write without a signature has to be held to what the body is said to be.
#[tokio::test]
async fn the_public_writes_what_it_says_it_writes() {
    let fixture = Fixture::start().await;
    fixture.unblock().await;
    fixture.set_policy(json!([allow(json!("*"), "s3:PutObject", "arn:aws:s3:::home/drop/*")])).await;
    let put = async |headers: &str, body: &str| {
        fixture.anonymous("PUT", "/home/drop/k", headers, body).await.status
    };
    assert_eq!(put("", "hello").await, 200);
    let hash = "x-amz-content-sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\r\n";
    assert_eq!(put(hash, "hello").await, 200);
    assert_eq!(put(hash, "other").await, 400);
    assert_eq!(put("Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==\r\n", "hello").await, 400);
    assert_eq!(
        put(
            "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\nx-amz-decoded-content-length: 5\r\n",
            "hello"
        )
        .await,
        400
    );
    assert_eq!(put("x-amz-tagging: a=b\r\n", "hello").await, 403);
    assert_eq!(put("x-amz-acl: public-read\r\n", "hello").await, 403);
    assert_eq!(put("x-amz-copy-source: /home/secret\r\n", "").await, 403);
}

#[tokio::test]
async fn policies_that_are_none_are_refused() {
    let fixture = Fixture::start().await;
    let long = "x".repeat(21 << 10);
    for (policy, code) in [
        ("", "MalformedPolicy"),
        ("{}", "MalformedPolicy"),
        ("<xml/>", "MalformedPolicy"),
        (
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::other/*"}]}"#,
            "MalformedPolicy",
        ),
        (
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::home/*"}]}"#,
            "MalformedPolicy",
        ),
        (long.as_str(), "MaxMessageLengthExceeded"),
    ] {
        let answer = fixture.root_does("PUT", "policy", policy).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{policy:.80}: {answer:?}");
    }
    for query in ["policy", "policyStatus"] {
        let answer = fixture.root_does("GET", query, "").await;
        assert_eq!((answer.status, answer.code()), (404, "NoSuchBucketPolicy"));
    }
    let nowhere = fixture.signed(&fixture.root, "GET", "/nowhere", "policy", &[], b"").await;
    assert_eq!((nowhere.status, nowhere.code()), (404, "NoSuchBucket"));
}

#[tokio::test]
async fn acls_are_the_owners() {
    let fixture = Fixture::start().await;
    fixture.signed(&fixture.root, "PUT", "/home/k", "", &[], b"x").await;
    for path in ["/home", "/home/k"] {
        let acl = fixture.signed(&fixture.root, "GET", path, "acl", &[], b"").await;
        assert!(acl.status == 200 && acl.body.contains("<Permission>FULL_CONTROL</Permission>"), "{acl:?}");
        let set = async |headers: &[(&str, &str)], body: &[u8]| {
            let answer = fixture.signed(&fixture.root, "PUT", path, "acl", headers, body).await;
            (answer.status, answer.code().to_owned())
        };
        for canned in ["private", "bucket-owner-full-control"] {
            assert_eq!(set(&[("x-amz-acl", canned)], b"").await.0, 200, "{canned}");
        }
        let document = acl.body.as_bytes();
        assert_eq!(set(&[], document).await.0, 200);
        let stranger = acl.body.replacen("<Grantee", "<Grantee x='y'", 1).replace("FULL_CONTROL", "READ");
        let id = stranger.split("<ID>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
        let stranger = stranger.replace(id, "1234");
        let refused = (400, "AccessControlListNotSupported".to_owned());
        assert_eq!(set(&[("x-amz-acl", "public-read")], b"").await, refused);
        assert_eq!(set(&[("x-amz-grant-read", "uri=x")], b"").await, refused);
        assert_eq!(set(&[], stranger.as_bytes()).await, refused);
    }
    let rule = |ownership: &str| {
        format!(
            "<OwnershipControls><Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule></OwnershipControls>"
        )
    };
    assert_eq!(fixture.root_does("PUT", "ownershipControls", &rule("BucketOwnerEnforced")).await.status, 200);
    assert_eq!(fixture.root_does("PUT", "ownershipControls", &rule("ObjectWriter")).await.status, 501);
    assert!(fixture.root_does("GET", "ownershipControls", "").await.body.contains("BucketOwnerEnforced"));
    assert_eq!(fixture.root_does("DELETE", "ownershipControls", "").await.status, 204);
    assert_eq!(
        fixture.root_does("GET", "ownershipControls", "").await.code(),
        "OwnershipControlsNotFoundError"
    );
}

/// Whose bucket it is expected to be.
#[tokio::test]
async fn anothers_bucket_is_not_here() {
    let fixture = Fixture::start().await;
    let of = async |owner: &'static str| {
        fixture
            .signed(&fixture.root, "GET", "/home", "", &[("x-amz-expected-bucket-owner", owner)], b"")
            .await
            .status
    };
    assert_eq!(of("000000000000").await, 200);
    assert_eq!(of("111122223333").await, 403);
}
