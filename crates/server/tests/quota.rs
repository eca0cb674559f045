//! What is bound to be refused is refused before its bytes have come.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::time::Duration;

use fixture::{Answer, Fixture};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const GIB: u64 = 1 << 30;

impl Fixture {
    /// Sends a head that promises so many bytes, and none of them; what is answered to that alone.
    async fn promise(&self, path: &str, query: &str, extra: &[(&str, &str)], bytes: u64) -> Answer {
        let extra = [extra, &[("expect", "100-continue")]].concat();
        let request = self.request_of(&self.root, "PUT", path, query, &extra, UNSIGNED, b"");
        let head = String::from_utf8(request).unwrap();
        let head = head.replacen("Content-Length: 0", &format!("Content-Length: {bytes}"), 1);
        let mut stream = TcpStream::connect(self.running.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer));
        let length = read.await.expect("an answer to the head").unwrap();
        answer.truncate(length);
        Answer::parse(&answer)
    }

    async fn limit(&self, bytes: u64, objects: u64) {
        let quota = format!(
            "<BucketQuota><MaxBytes>{bytes}</MaxBytes><MaxObjects>{objects}</MaxObjects></BucketQuota>"
        );
        let set = self.signed(&self.root, "PUT", "/home", "quota", &[], quota.as_bytes()).await;
        assert_eq!(set.status, 200, "{set:?}");
    }

    async fn put(&self, path: &str, bytes: usize) {
        let put = self.signed(&self.root, "PUT", path, "", &[], &vec![7; bytes]).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
}

#[tokio::test]
async fn what_has_no_room_is_refused_by_its_length() {
    let fixture = Fixture::start().await;
    fixture.put("/home/a", 600).await;
    fixture.limit(2 * GIB, 2).await;
    let refused = fixture.promise("/home/b", "", &[], 4 * GIB).await;
    assert_eq!((refused.status, refused.code()), (403, "QuotaExceeded"), "{refused:?}");
    let asked = fixture.promise("/home/b", "", &[], GIB).await;
    assert_eq!(asked.status, 100, "what fits is asked for: {asked:?}");
    // What an upload takes the place of makes room for it, and it is one object as before.
    fixture.put("/home/b", 400).await;
    fixture.limit(1000, 2).await;
    assert_eq!(fixture.promise("/home/a", "", &[], 600).await.status, 100);
    assert_eq!(fixture.promise("/home/a", "", &[], 601).await.code(), "QuotaExceeded");
    assert_eq!(fixture.promise("/home/c", "", &[], 0).await.code(), "QuotaExceeded", "a third object");
    // Where versions are kept, it takes the place of nothing.
    let versions = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let set = fixture.signed(&fixture.root, "PUT", "/home", "versioning", &[], versions).await;
    assert_eq!(set.status, 200, "{set:?}");
    fixture.limit(1000, 9).await;
    assert_eq!(fixture.promise("/home/a", "", &[], 1).await.code(), "QuotaExceeded");
    fixture.running.stop().await;
}

#[tokio::test]
async fn a_part_that_has_no_room_is_refused_by_its_length() {
    let fixture = Fixture::start().await;
    let begun = fixture.signed(&fixture.root, "POST", "/home/up", "uploads=", &[], b"").await;
    let id = begun.body.split("<UploadId>").nth(1).unwrap().split('<').next().unwrap();
    let part = |number: u32| format!("partNumber={number}&uploadId={id}");
    let put = fixture.signed(&fixture.root, "PUT", "/home/up", &part(1), &[], &[7; 900]).await;
    assert_eq!(put.status, 200, "{put:?}");
    fixture.limit(1000, 1).await;
    assert_eq!(fixture.promise("/home/up", &part(1), &[], 1000).await.status, 100);
    assert_eq!(fixture.promise("/home/up", &part(1), &[], 1001).await.code(), "QuotaExceeded");
    assert_eq!(fixture.promise("/home/up", &part(2), &[], 100).await.status, 100);
    assert_eq!(fixture.promise("/home/up", &part(2), &[], GIB).await.code(), "QuotaExceeded");
    let unknown = "partNumber=1&uploadId=none";
    assert_eq!(fixture.promise("/home/up", unknown, &[], GIB).await.code(), "NoSuchUpload");
    fixture.running.stop().await;
}

/// Likewise, what other writers must not be overwritten by.
#[tokio::test]
async fn a_condition_that_does_not_hold_is_told_before_the_bytes_come() {
    let fixture = Fixture::start().await;
    fixture.put("/home/a", 6).await;
    for (header, value, path, status, code) in [
        ("if-none-match", "*", "/home/a", 412, "PreconditionFailed"),
        ("if-match", "\"d41d8cd98f00b204e9800998ecf8427e\"", "/home/a", 412, "PreconditionFailed"),
        ("if-match", "\"d41d8cd98f00b204e9800998ecf8427e\"", "/home/none", 404, "NoSuchKey"),
    ] {
        let refused = fixture.promise(path, "", &[(header, value)], GIB).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{header} {path}: {refused:?}");
    }
    assert_eq!(fixture.promise("/home/new", "", &[("if-none-match", "*")], GIB).await.status, 100);
    fixture.running.stop().await;
}
