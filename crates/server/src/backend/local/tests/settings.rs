//! Settings are durable, seen at once, and gone with their bucket.

use super::*;
use crate::backend::local::settings::Setting;

fn text(store: &Store, at: &BucketName, setting: Setting) -> Option<String> {
    store.setting(at, setting).map(|document| document.text().to_owned())
}

#[tokio::test]
async fn settings_are_seen_at_once_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (home, other) = (bucket("home"), bucket("other"));
    store.create_bucket(&home).await.unwrap();
    store.create_bucket(&other).await.unwrap();
    assert_eq!(text(&store, &home, Setting::Policy), None);
    store.set_setting(&home, Setting::Policy, Some("one".to_owned())).await.unwrap();
    store.set_setting(&home, Setting::Cors, Some("two".to_owned())).await.unwrap();
    store.set_setting(&home, Setting::Policy, Some("three".to_owned())).await.unwrap();
    assert_eq!(text(&store, &home, Setting::Policy).as_deref(), Some("three"));
    assert_eq!(text(&store, &other, Setting::Policy), None);
    // A document that stays as it is, stays parsed.
    let parsed = store.setting(&home, Setting::Cors).unwrap().parsed(str::len);
    store.set_setting(&home, Setting::Policy, None).await.unwrap();
    assert!(Arc::ptr_eq(&parsed, &store.setting(&home, Setting::Cors).unwrap().parsed(str::len)));
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.settings(&home).len(), 1);
    assert_eq!(text(&store, &home, Setting::Cors).as_deref(), Some("two"));
}

#[tokio::test]
async fn settings_go_with_their_bucket() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    let set = async || store.set_setting(&home, Setting::Policy, Some("x".to_owned())).await;
    assert!(matches!(set().await, Err(StoreError::NoSuchBucket(_))));
    store.create_bucket(&home).await.unwrap();
    set().await.unwrap();
    store.delete_bucket(&home).await.unwrap();
    assert_eq!(text(&store, &home, Setting::Policy), None);
    store.create_bucket(&home).await.unwrap();
    assert_eq!(text(&store, &home, Setting::Policy), None);
}
