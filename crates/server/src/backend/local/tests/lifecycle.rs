//! Lifecycle: what is over goes, page by page, and nothing else does.

use std::collections::BTreeMap;

use super::*;
use crate::backend::local::expire::Expired;
use crate::backend::local::lifecycle::{Expiration, Filter, Lifecycle, Noncurrent, Rule};
use crate::backend::local::object_lock::{Lock, Retention, RetentionMode};
use crate::backend::local::request::{NewUpload, VersionQuery};
use crate::backend::local::settings::Setting;
use crate::backend::local::version::VersionId;

const DAY: i64 = 86_400;

/// A clock that is set.
struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

struct Home {
    clock: Arc<Set>,
    store: Store,
    home: BucketName,
    _directory: tempfile::TempDir,
}

impl Home {
    async fn new(rules: Vec<Rule>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // A midnight.
        let clock = Arc::new(Set(AtomicI64::new(20_000 * DAY)));
        let store =
            Store::open(directory.path(), Options { inline_limit: 16, ..Options::new(clock.clone()) })
                .unwrap();
        let home = bucket("home");
        store.create_bucket(&home).await.unwrap();
        let text = serde_json::to_string(&Lifecycle(rules)).unwrap();
        store.set_setting(&home, Setting::Lifecycle, Some(text)).await.unwrap();
        Self { clock, store, home, _directory: directory }
    }

    fn days_pass(&self, days: i64) {
        self.clock.0.fetch_add(days * DAY, Ordering::Relaxed);
    }

    async fn put(&self, name: &str, content: &[u8]) -> Option<VersionId> {
        put(&self.store, &self.home, name, content).await.unwrap().version
    }

    async fn expire(&self) -> Expired {
        let expired = self.store.expire().await.unwrap();
        check(&self.store).await;
        expired
    }

    /// Keys, and whether each version is an object; latest first.
    async fn left(&self) -> Vec<(String, bool)> {
        let query = VersionQuery { max_keys: 1000, ..VersionQuery::default() };
        let page = self.store.list_versions(&self.home, query).await.unwrap();
        page.versions.into_iter().map(|version| (version.key.to_string(), version.object.is_some())).collect()
    }
}

fn rule() -> Rule {
    Rule { id: "r".to_owned(), enabled: true, ..Rule::default() }
}

fn objects(objects: u64) -> Expired {
    Expired { objects, ..Expired::default() }
}

#[tokio::test]
async fn objects_expire_by_age_prefix_tag_and_size() {
    let days = |days, filter| Rule { filter, expiration: Some(Expiration::Days(days)), ..rule() };
    let tags = BTreeMap::from([("t".to_owned(), "1".to_owned())]);
    let home = Home::new(vec![
        days(1, Filter { prefix: Some("logs/".to_owned()), ..Filter::default() }),
        days(2, Filter { tags: tags.clone(), ..Filter::default() }),
        days(3, Filter { larger_than: Some(100), ..Filter::default() }),
        Rule { expiration: Some(Expiration::Date(20_009 * DAY * 1000)), ..rule() },
    ])
    .await;
    for name in ["logs/1", "logs/2", "plain", "tagged"] {
        home.put(name, b"x").await;
    }
    home.put("large", &bytes(1, 101)).await;
    home.store.set_tags(&home.home, &key("tagged"), None, tags).await.unwrap();
    home.days_pass(1);
    assert_eq!(home.expire().await, objects(0), "a day has passed, its midnight has not");
    home.days_pass(1);
    home.put("logs/1", b"again").await;
    assert_eq!(home.expire().await, objects(1), "the other one was written again");
    home.days_pass(1);
    assert_eq!(home.expire().await, objects(1));
    assert!(home.store.head(&home.home, &key("tagged"), None).await.is_err());
    home.days_pass(1);
    assert_eq!(home.expire().await, objects(2), "the large one, and the log that was written again");
    assert_eq!(home.left().await, [("plain".to_owned(), true)]);
    home.days_pass(4);
    assert_eq!(home.expire().await, objects(0));
    home.days_pass(1);
    assert_eq!(home.expire().await, objects(1));
    assert_eq!(home.left().await, []);
}

#[tokio::test]
async fn pages_are_crossed_and_what_is_young_stays() {
    let home = Home::new(vec![Rule { expiration: Some(Expiration::Days(1)), ..rule() }]).await;
    for n in 0..1203 {
        home.put(&format!("{n:05}"), b"x").await;
    }
    home.days_pass(3);
    home.put("00007", b"young").await;
    assert_eq!(home.expire().await, objects(1202));
    assert_eq!(home.left().await, [("00007".to_owned(), true)]);
}

#[tokio::test]
async fn versions_expire_into_markers_and_markers_go_last() {
    let home = Home::new(vec![Rule {
        expiration: Some(Expiration::Days(5)),
        noncurrent: Some(Noncurrent { days: 2, newer: Some(1) }),
        ..rule()
    }])
    .await;
    home.store.set_versioning(&home.home, true).await.unwrap();
    for content in [b"1", b"2", b"3"] {
        home.put("k", content).await;
    }
    home.put("other", b"1").await;
    home.days_pass(3);
    // Of the two that were replaced the newer one stays.
    assert_eq!(home.expire().await, Expired { versions: 1, ..Expired::default() });
    home.days_pass(3);
    // What was current is the newer one now.
    assert_eq!(home.expire().await, Expired { objects: 2, versions: 1, ..Expired::default() });
    let is_object = |name: &str, object| (name.to_owned(), object);
    let left =
        [is_object("k", false), is_object("k", true), is_object("other", false), is_object("other", true)];
    assert_eq!(home.left().await, left);
    // The newest that was replaced stays for ever; so do the markers above it.
    home.days_pass(30);
    assert_eq!(home.expire().await, Expired::default());
    // Alone, a marker goes.
    home.store.delete(&home.home, Deletion::of(key("alone"))).await.unwrap();
    home.days_pass(4);
    assert_eq!(home.expire().await, Expired::default());
    home.days_pass(2);
    assert_eq!(home.expire().await, Expired { markers: 1, ..Expired::default() });
}

#[tokio::test]
async fn a_marker_that_is_all_that_is_left_goes() {
    let home = Home::new(vec![Rule { expiration: Some(Expiration::Markers), ..rule() }]).await;
    home.store.set_versioning(&home.home, true).await.unwrap();
    let version = home.put("k", b"1").await;
    home.store.delete(&home.home, Deletion::of(key("k"))).await.unwrap();
    assert_eq!(home.expire().await, Expired::default());
    let deletion = Deletion { version, ..Deletion::of(key("k")) };
    home.store.delete(&home.home, deletion).await.unwrap();
    assert_eq!(home.expire().await, Expired { markers: 1, ..Expired::default() });
    assert_eq!(home.left().await, []);
}

#[tokio::test]
async fn what_is_locked_stays() {
    let noncurrent = Some(Noncurrent { days: 1, newer: None });
    let home = Home::new(vec![Rule { noncurrent, ..rule() }]).await;
    home.store.set_versioning(&home.home, true).await.unwrap();
    home.store.lock_bucket(&home.home, None).await.unwrap();
    let until = Timestamp::from_second(20_010 * DAY).unwrap();
    let retention = Some(Retention { mode: RetentionMode::Governance, until });
    let lock = Lock { retention, legal_hold: None };
    let staged = stage(&home.store, b"1").await;
    let object = NewObject { lock, ..NewObject::default() };
    home.store.put(&home.home, &key("k"), staged, object, PutCondition::Always).await.unwrap();
    home.put("k", b"2").await;
    home.days_pass(5);
    assert_eq!(home.expire().await, Expired::default());
    home.days_pass(5);
    assert_eq!(home.expire().await, Expired { versions: 1, ..Expired::default() });
}

#[tokio::test]
async fn uploads_that_nobody_completes_are_aborted() {
    let prefix = Some("up/".to_owned());
    let filter = Filter { prefix, ..Filter::default() };
    let home = Home::new(vec![Rule { abort_after_days: Some(1), filter, ..rule() }]).await;
    for name in ["up/1", "up/2", "else"] {
        let id = home.store.create_upload(&home.home, &key(name), NewUpload::default()).await.unwrap().id;
        let staged = stage(&home.store, &bytes(1, 100)).await;
        home.store.put_part(&home.home, &key(name), &id, 1, staged, Default::default()).await.unwrap();
    }
    home.days_pass(1);
    assert_eq!(home.expire().await, Expired::default());
    home.days_pass(1);
    assert_eq!(home.expire().await, Expired { uploads: 2, ..Expired::default() });
}
