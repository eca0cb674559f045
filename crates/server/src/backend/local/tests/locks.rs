//! Object lock: what is protected stays, whoever deletes, overwrites or suspends.

use super::*;
use crate::backend::local::object::BucketLock;
use crate::backend::local::object_lock::{DefaultRetention, Lock, Period, Retention, RetentionMode};
use crate::backend::local::request::{CompletedPart, Completion, NewUpload};
use crate::backend::local::version::VersionId;

/// A year on from where the tests' clock begins.
const LATER: i64 = 1_800_000_000 + 31_536_000;

fn until(mode: RetentionMode, second: i64) -> Option<Retention> {
    Some(Retention { mode, until: Timestamp::from_second(second).unwrap() })
}

async fn locking() -> (tempfile::TempDir, Store, BucketName) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_locking_bucket(&home).await.unwrap();
    (directory, store, home)
}

async fn put_locked(store: &Store, home: &BucketName, lock: Lock) -> Result<ObjectInfo, StoreError> {
    let staged = stage(store, b"1").await;
    let object = NewObject { lock, ..NewObject::default() };
    store.put(home, &key("k"), staged, object, PutCondition::Always).await
}

async fn delete(
    store: &Store,
    home: &BucketName,
    version: Option<VersionId>,
    bypass_governance: bool,
) -> Result<bool, StoreError> {
    let deletion = Deletion { version, bypass_governance, ..Deletion::of(key("k")) };
    Ok(store.delete(home, deletion).await?.existed)
}

#[tokio::test]
async fn a_locking_bucket_keeps_versions_for_ever() {
    let (_directory, store, home) = locking().await;
    assert_eq!(store.bucket_lock(&home).await.unwrap(), Some(BucketLock { default: None }));
    let suspended = store.set_versioning(&home, false).await;
    assert!(matches!(suspended, Err(StoreError::LockNeedsVersions(_))));
    let other = bucket("other");
    store.create_bucket(&other).await.unwrap();
    assert!(matches!(store.lock_bucket(&other, None).await, Err(StoreError::LockNeedsVersions(_))));
    let lock = Lock { legal_hold: Some(true), ..Lock::default() };
    assert!(matches!(put_locked(&store, &other, lock).await, Err(StoreError::NoBucketLock)));
    store.set_versioning(&other, true).await.unwrap();
    store.lock_bucket(&other, None).await.unwrap();
    put_locked(&store, &other, lock).await.unwrap();
}

#[tokio::test]
async fn what_is_retained_stays() {
    let (_directory, store, home) = locking().await;
    let lock = Lock { retention: until(RetentionMode::Governance, LATER), legal_hold: None };
    let first = put_locked(&store, &home, lock).await.unwrap();
    assert_eq!(first.lock, lock);
    // A delete hides it, an overwrite covers it; neither takes it away.
    delete(&store, &home, None, true).await.unwrap();
    put(&store, &home, "k", b"2").await.unwrap();
    assert!(matches!(delete(&store, &home, first.version, false).await, Err(StoreError::Locked)));
    assert_eq!(store.head(&home, &key("k"), first.version).await.unwrap().lock, lock);
    assert!(delete(&store, &home, first.version, true).await.unwrap());

    let strict = Lock { retention: until(RetentionMode::Compliance, LATER), legal_hold: None };
    let second = put_locked(&store, &home, strict).await.unwrap();
    assert!(matches!(delete(&store, &home, second.version, true).await, Err(StoreError::Locked)));
    let set = async |retention, bypass| {
        store.set_retention(&home, &key("k"), second.version, retention, bypass).await
    };
    assert!(matches!(set(None, true).await, Err(StoreError::Locked)));
    assert!(matches!(
        set(until(RetentionMode::Compliance, 1), true).await,
        Err(StoreError::RetentionInThePast)
    ));
    assert_eq!(set(until(RetentionMode::Compliance, LATER + 1), false).await.unwrap(), second.version);
    let found = store.head(&home, &key("k"), None).await.unwrap();
    assert_eq!(found.lock.retention, until(RetentionMode::Compliance, LATER + 1));
    assert!(matches!(store.delete_bucket(&home).await, Err(StoreError::BucketNotEmpty(_))));
}

#[tokio::test]
async fn a_hold_is_taken_off_by_whoever_may() {
    let (_directory, store, home) = locking().await;
    let object = put(&store, &home, "k", b"1").await.unwrap();
    store.set_legal_hold(&home, &key("k"), None, true).await.unwrap();
    assert!(matches!(delete(&store, &home, object.version, true).await, Err(StoreError::Locked)));
    store.set_legal_hold(&home, &key("k"), object.version, false).await.unwrap();
    assert!(delete(&store, &home, object.version, false).await.unwrap());
}

#[tokio::test]
async fn new_versions_are_retained_for_the_buckets_default() {
    let (_directory, store, home) = locking().await;
    let default = DefaultRetention { mode: RetentionMode::Governance, period: Period::Days(2) };
    store.lock_bucket(&home, Some(default)).await.unwrap();
    let object = put(&store, &home, "k", b"1").await.unwrap();
    let retention = object.lock.retention.unwrap();
    assert_eq!(retention.mode, RetentionMode::Governance);
    assert_eq!(retention.until.as_second() - object.modified.as_second(), 2 * 86_400);
    // What a writer says comes first; a hold alone says nothing of retention.
    let own = Lock { retention: until(RetentionMode::Compliance, LATER), legal_hold: Some(true) };
    assert_eq!(put_locked(&store, &home, own).await.unwrap().lock, own);
    let held = Lock { legal_hold: Some(true), ..Lock::default() };
    assert!(put_locked(&store, &home, held).await.unwrap().lock.retention.is_some());
    // An upload is retained from its completion on.
    let id = store.create_upload(&home, &key("k"), NewUpload::default()).await.unwrap().id;
    let staged = stage(&store, b"part").await;
    let part = store.put_part(&home, &key("k"), &id, 1, staged, Default::default()).await.unwrap();
    let parts = vec![CompletedPart { number: 1, etag: part.etag, checksum: None }];
    let completion = Completion { parts, ..Completion::default() };
    let made = store.complete_upload(&home, &key("k"), &id, completion).await.unwrap();
    let made = store.head(&home, &key("k"), made.version).await.unwrap();
    let retained = made.lock.retention.unwrap().until.as_second();
    assert_eq!(retained - made.modified.as_second(), 2 * 86_400);
    // Without a default again.
    store.lock_bucket(&home, None).await.unwrap();
    assert_eq!(put(&store, &home, "k", b"2").await.unwrap().lock, Lock::default());
}
