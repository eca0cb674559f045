//! Quotas: counted with every change, refused before anything is changed.

use super::*;
use crate::backend::local::object::{Quota, Usage};
use crate::backend::local::request::{CompletedPart, Completion, NewUpload};

struct Home {
    store: Store,
    home: BucketName,
    directory: tempfile::TempDir,
}

impl Home {
    async fn new(bytes: Option<u64>, objects: Option<u64>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let home = bucket("home");
        store.create_bucket(&home).await.unwrap();
        store.set_quota(&home, Quota { bytes, objects }).await.unwrap();
        Self { store, home, directory }
    }

    async fn put(&self, name: &str, size: usize) -> bool {
        // What was said before the bytes came is what happens.
        let told = match self.store.before_put(&self.home, &key(name), PutCondition::Always).await {
            Ok(room) => room.is_none_or(|room| size as u64 <= room),
            Err(StoreError::QuotaExceeded) => false,
            Err(other) => panic!("{other}"),
        };
        let taken = self.take(name, size).await;
        assert_eq!(taken, told, "{name} of {size}");
        taken
    }

    async fn take(&self, name: &str, size: usize) -> bool {
        match put(&self.store, &self.home, name, &bytes(1, size)).await {
            Ok(_) => true,
            Err(StoreError::QuotaExceeded) => false,
            Err(other) => panic!("{other}"),
        }
    }

    /// Bytes and objects.
    async fn holds(&self) -> (u64, u64) {
        let (Usage { bytes, objects }, _) = self.store.usage(&self.home).await.unwrap();
        check(&self.store).await;
        (bytes, objects)
    }
}

#[tokio::test]
async fn a_full_bucket_takes_what_makes_it_no_fuller() {
    let home = Home::new(Some(1000), Some(3)).await;
    assert!(home.put("a", 600).await && home.put("b", 400).await);
    assert!(!home.put("c", 1).await);
    assert!(home.put("c", 0).await, "no byte more");
    assert!(!home.put("d", 0).await, "one object more");
    assert!(home.put("a", 600).await && home.put("a", 5).await);
    assert_eq!(home.holds().await, (405, 3));
    // What was refused left nothing.
    home.store.set_quota(&home.home, Quota { bytes: Some(10), objects: None }).await.unwrap();
    assert!(!home.put("b", 401).await);
    assert!(home.put("b", 399).await, "still past the quota, but smaller");
    assert_eq!(read(&home.store, &home.home, "b").await.unwrap().len(), 399);
    home.store.set_quota(&home.home, Quota::default()).await.unwrap();
    assert!(home.put("e", 100_000).await);
    for name in ["a", "b", "c", "e"] {
        home.store.delete(&home.home, Deletion::of(key(name))).await.unwrap();
    }
    assert_eq!(home.holds().await, (0, 0));
    drop(home.store);
    assert_eq!(files(home.directory.path()), 0);
}

#[tokio::test]
async fn versions_and_parts_count() {
    let home = Home::new(Some(1000), None).await;
    home.store.set_versioning(&home.home, true).await.unwrap();
    assert!(home.put("k", 300).await && home.put("k", 300).await && home.put("k", 300).await);
    assert!(!home.put("k", 300).await);
    home.store.delete(&home.home, Deletion::of(key("k"))).await.unwrap();
    assert_eq!(home.holds().await, (900, 3), "a marker makes no room");
    let id = home.store.create_upload(&home.home, &key("up"), NewUpload::default()).await.unwrap().id;
    let part = async |number, size| {
        let (_, room) = home.store.before_part(&home.home, &key("up"), &id, number).await.unwrap();
        let staged = stage(&home.store, &bytes(2, size)).await;
        let put = home.store.put_part(&home.home, &key("up"), &id, number, staged, Default::default()).await;
        assert_eq!(put.is_ok(), room.is_none_or(|room| size as u64 <= room));
        put
    };
    assert!(matches!(part(1, 101).await, Err(StoreError::QuotaExceeded)));
    part(1, 90).await.unwrap();
    let first = part(1, 50).await.unwrap();
    let second = part(2, 50).await.unwrap();
    assert!(matches!(part(3, 1).await, Err(StoreError::QuotaExceeded)));
    assert_eq!(home.holds().await, (1000, 3));
    // Completing takes no more room than the parts did.
    let parts =
        [first, second].map(|part| CompletedPart { number: part.number, etag: part.etag, checksum: None });
    let completion = Completion { parts: parts.to_vec(), ..Completion::default() };
    home.store.complete_upload(&home.home, &key("up"), &id, completion).await.unwrap();
    assert_eq!(home.holds().await, (1000, 4));
    let id = home.store.create_upload(&home.home, &key("up"), NewUpload::default()).await.unwrap().id;
    home.store.abort_upload(&home.home, &key("up"), &id).await.unwrap();
    assert_eq!(home.holds().await, (1000, 4));
}
