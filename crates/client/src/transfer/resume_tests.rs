//! Transfers that end early and are gone on with, and whole trees in bad weather.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_testkit::faults::{FaultProxy, Weather};

use super::*;
use crate::s3::test_store::{Fault, TestStore};
use crate::s3::{PutOptions, Verified};

const TUNING: Tuning =
    Tuning { threshold: 64, part_size: 32, memory: 1 << 20, ranges: 3, files: 3, copy_threshold: 5 << 30 };

/// Does something once so many bytes have moved.
struct Once {
    left: AtomicU64,
    then: Box<dyn Fn() + Send + Sync>,
    resumed: AtomicU64,
}

impl Once {
    fn after(bytes: u64, then: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(bytes), then: Box::new(then), resumed: AtomicU64::new(0) })
    }
}

impl Progress for Once {
    fn moved(&self, bytes: u64) {
        let before = self.left.fetch_sub(bytes.min(self.left.load(Ordering::SeqCst)), Ordering::SeqCst);
        if before > 0 && before <= bytes {
            (self.then)();
        }
    }

    fn resumed(&self, bytes: u64) {
        self.resumed.fetch_add(bytes, Ordering::SeqCst);
    }
}

fn address() -> Address {
    Address { bucket: BucketName::parse("bucket").unwrap(), key: ObjectKey::parse("k").unwrap() }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

fn resuming(folder: &Path, progress: &Arc<Once>, stop: &CancellationToken) -> Transfers {
    Transfers::new(TUNING, Arc::clone(progress) as _, stop.clone()).resuming(folder.join("journals"))
}

fn nothing() -> Arc<Once> {
    Once::after(u64::MAX, || {})
}

fn names(folder: &Path) -> Vec<String> {
    if !folder.exists() {
        return Vec::new();
    }
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// All attempts of all parts fail from now on.
fn outage(store: &TestStore, on: &'static str) -> impl Fn() + Send + Sync + 'static {
    let store = store.clone();
    move || {
        for _ in 0..40 {
            store.fail(on, Fault::Refuse(503, "SlowDown", &[]));
        }
    }
}

/// Waits for requests that were given up on their way, and arrive all the same.
async fn settle(store: &TestStore) {
    let seen = || store.contents().seen.len();
    loop {
        let before = seen();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if seen() == before {
            return;
        }
    }
}

#[tokio::test]
async fn an_upload_goes_on_from_the_parts_that_are_there() {
    for (by_stop, checksums) in [(false, true), (true, true), (false, false)] {
        let store = TestStore::start().await;
        store.contents().checksums = checksums;
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("file");
        std::fs::write(&from, pattern(1000)).unwrap();
        let (client, options, stop) = (store.client(), PutOptions::default(), CancellationToken::new());
        let trouble = if by_stop {
            let stop = stop.clone();
            Once::after(320, move || stop.cancel())
        } else {
            Once::after(320, outage(&store, "partNumber="))
        };
        let first =
            resuming(folder.path(), &trouble, &stop).upload_file(&client, &from, &address(), &options).await;
        assert!(matches!(first, Err(TransferError::Interrupted | TransferError::Store(_))), "{first:?}");
        settle(&store).await;
        store.contents().faults.clear();
        let there: usize = store.contents().uploads.values().map(BTreeMap::len).sum();
        assert!(there >= 10 && !store.contents().objects.contains_key("/bucket/k"));
        // A part that is not what the file holds there is sent again.
        store.contents().uploads.values_mut().for_each(|parts| parts.get_mut(&2).unwrap()[0] ^= 1);
        let puts = store.count("PUT ");
        let again = nothing();
        let transfers = resuming(folder.path(), &again, &CancellationToken::new());
        let done = transfers.upload_file(&client, &from, &address(), &options).await.unwrap();
        let proof = if checksums { Verified::Checksum } else { Verified::Md5 };
        assert_eq!((done.bytes, done.verified), (1000, proof));
        assert_eq!(store.contents().objects["/bucket/k"], pattern(1000));
        assert_eq!(store.count("PUT ") - puts, 32 - (there - 1));
        assert_eq!(again.resumed.load(Ordering::SeqCst), 32 * (there as u64 - 1));
        assert!(names(&folder.path().join("journals")).is_empty() && store.contents().uploads.is_empty());
    }
}

#[tokio::test]
async fn another_file_is_another_upload() {
    let store = TestStore::start().await;
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("file");
    std::fs::write(&from, pattern(1000)).unwrap();
    let (client, options, stop) = (store.client(), PutOptions::default(), CancellationToken::new());
    let trouble = Once::after(320, outage(&store, "partNumber="));
    let first =
        resuming(folder.path(), &trouble, &stop).upload_file(&client, &from, &address(), &options).await;
    assert!(first.is_err());
    store.contents().faults.clear();
    let changed: Vec<u8> = pattern(1000).into_iter().rev().collect();
    std::fs::write(&from, &changed).unwrap();
    let again = nothing();
    resuming(folder.path(), &again, &stop).upload_file(&client, &from, &address(), &options).await.unwrap();
    assert_eq!(store.contents().objects["/bucket/k"], changed);
    assert_eq!(again.resumed.load(Ordering::SeqCst), 0);
    // What was begun for the old file is given up.
    assert!(store.contents().uploads.is_empty());
}

/// How many bytes the ranges of all requests have.
fn asked_for(store: &TestStore) -> u64 {
    let contents = store.contents();
    let lengths = contents.seen.iter().filter_map(|seen| {
        let range = seen.headers.get("range")?.to_str().unwrap().trim_start_matches("bytes=").to_owned();
        let (first, last) = range.split_once('-').unwrap();
        Some(last.parse::<u64>().unwrap() + 1 - first.parse::<u64>().unwrap())
    });
    lengths.sum()
}

#[tokio::test]
async fn a_download_goes_on_from_the_ranges_that_are_there() {
    for (by_stop, checksums) in [(false, true), (true, true), (false, false)] {
        let store = TestStore::start().await;
        store.contents().checksums = checksums;
        store.contents().objects.insert("/bucket/k".to_owned(), pattern(1000));
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("d");
        std::fs::create_dir(&target).unwrap();
        let to = target.join("file");
        std::fs::write(&to, "old").unwrap();
        let (client, stop) = (store.client(), CancellationToken::new());
        let trouble = if by_stop {
            let stop = stop.clone();
            Once::after(320, move || stop.cancel())
        } else {
            Once::after(320, outage(&store, "GET "))
        };
        let first =
            resuming(folder.path(), &trouble, &stop).download_file(&client, &address(), None, &to).await;
        assert!(matches!(first, Err(TransferError::Interrupted | TransferError::Store(_))), "{first:?}");
        store.contents().faults.clear();
        assert_eq!(std::fs::read(&to).unwrap(), b"old");
        let left = names(&target);
        assert!(left.len() == 2 && left[0].starts_with(".wigeon-"), "{left:?}");
        // A byte that the disk lost is fetched again.
        let temporary = target.join(&left[0]);
        let mut bytes = std::fs::read(&temporary).unwrap();
        let spoiled = bytes.iter().position(|byte| *byte != 0).unwrap();
        bytes[spoiled] ^= 1;
        std::fs::write(&temporary, bytes).unwrap();
        settle(&store).await;
        store.contents().seen.clear();
        let again = nothing();
        let transfers = resuming(folder.path(), &again, &CancellationToken::new());
        let done = transfers.download_file(&client, &address(), None, &to).await.unwrap();
        assert_eq!(done.verified, if checksums { Verified::Checksum } else { Verified::Md5 });
        assert_eq!(std::fs::read(&to).unwrap(), pattern(1000));
        let resumed = again.resumed.load(Ordering::SeqCst);
        assert!(resumed >= 32 * 8, "{resumed}");
        assert_eq!(asked_for(&store), 1000 - resumed, "only what is missing");
        assert_eq!(names(&target), ["file"]);
        assert!(names(&folder.path().join("journals")).is_empty());
    }
}

#[tokio::test]
async fn another_object_is_another_download() {
    let store = TestStore::start().await;
    store.contents().objects.insert("/bucket/k".to_owned(), pattern(1000));
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("d");
    std::fs::create_dir(&target).unwrap();
    let to = target.join("file");
    let (client, stop) = (store.client(), CancellationToken::new());
    let trouble = Once::after(320, outage(&store, "GET "));
    let first = resuming(folder.path(), &trouble, &stop).download_file(&client, &address(), None, &to).await;
    assert!(first.is_err());
    store.contents().faults.clear();
    let changed: Vec<u8> = pattern(1000).into_iter().rev().collect();
    store.contents().objects.insert("/bucket/k".to_owned(), changed.clone());
    let again = nothing();
    resuming(folder.path(), &again, &stop).download_file(&client, &address(), None, &to).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), changed);
    assert_eq!(again.resumed.load(Ordering::SeqCst), 0);
    assert_eq!(names(&target), ["file"]);
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab](/[ab]){0,3}",
        2 => "[-.~ \\n%+&?#ü‛]{1,6}",
        1 => "\\PC{1,12}",
        1 => Just("k".repeat(1000)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A model of both sides, and every kind of weather between them: what is reported as done is the same on both
    /// sides, byte for byte; nothing that was there is lost; and once the weather is fair a rerun completes.
    #[test]
    fn trees_in_bad_weather(
        model in prop::collection::btree_map(key(), prop_oneof![0usize..60, 100usize..600], 1..12),
        per_mille in 0u32..300,
        seed in any::<u64>(),
        checksums in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let store = TestStore::start().await;
            store.contents().checksums = checksums;
            for (key, length) in &model {
                store.contents().objects.insert(format!("/bucket/from/{key}"), pattern(*length));
            }
            let upstream = store.url.trim_start_matches("http://").parse().unwrap();
            let proxy = FaultProxy::start(upstream, Weather::storm(per_mille), seed).await.unwrap();
            let client = store.client_at(&format!("http://{}", proxy.address));
            let folder = tempfile::tempdir().unwrap();
            let (files, stop, options) = (folder.path().join("files"), CancellationToken::new(), PutOptions::default());
            std::fs::create_dir(&files).unwrap();
            let prefix = |text: &str| Prefix { bucket: BucketName::parse("bucket").unwrap(), prefix: text.to_owned() };
            let transfers = || resuming(folder.path(), &nothing(), &stop);
            let empty = model.iter().filter(|(key, length)| **length == 0 && key.ends_with('/')).count();
            let whole = (model.len() - empty) as u64;

            // Down: each file that is there is whole.
            let down = transfers().carry_out(plan_download(&client, &prefix("from/"), &files, Links::Skip.into())).await;
            let mut placer = Placer::new(&files);
            let mut there = 0;
            for (key, length) in &model {
                if *length == 0 && key.ends_with('/') {
                    placer.place_folder(key).unwrap();
                    continue;
                }
                if let Ok(bytes) = std::fs::read(placer.place(key).unwrap()) {
                    assert_eq!(bytes, pattern(*length), "{key:?}");
                    there += 1;
                }
            }
            if let Ok(report) = &down {
                assert_eq!((report.done, report.done + report.failed), (there, whole));
            }
            proxy.set(Weather::calm());
            let down = transfers().carry_out(plan_download(&client, &prefix("from/"), &files, Links::Skip.into())).await;
            assert_eq!(down.unwrap().done, whole);

            // Up again, to another place where something old stands.
            for key in model.keys() {
                store.contents().objects.insert(format!("/bucket/to/{key}"), b"old".to_vec());
            }
            proxy.set(Weather::storm(per_mille));
            let plan = plan_upload(&files, &client, &prefix("to/"), &options, Links::Skip.into()).await.unwrap();
            let up = transfers().carry_out(plan).await.unwrap();
            let mut equal = 0;
            for (key, length) in &model {
                let bytes = store.contents().objects[&format!("/bucket/to/{key}")].clone();
                assert!(bytes == b"old" || bytes == pattern(*length), "{key:?}");
                equal += u64::from(bytes == pattern(*length));
            }
            // An answer that is lost may hide a success, never the other way round.
            assert!(up.done <= equal + empty as u64 && up.done + up.failed == whole);
            proxy.set(Weather::calm());
            let plan = plan_upload(&files, &client, &prefix("to/"), &options, Links::Skip.into()).await.unwrap();
            assert_eq!(transfers().carry_out(plan).await.unwrap().done, whole);
            for (key, length) in &model {
                if *length > 0 || !key.ends_with('/') {
                    assert_eq!(store.contents().objects[&format!("/bucket/to/{key}")], pattern(*length), "{key:?}");
                }
            }
            assert!(names(&folder.path().join("journals")).is_empty());
        });
    }
}
