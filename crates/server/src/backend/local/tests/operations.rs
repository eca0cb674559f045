//! Single operations and their refusals.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use rstest::rstest;
use wigeon_core::time::Timestamp;

use super::*;
use crate::backend::local::attributes::{Attributes, StorageClass, SystemHeaders};
use crate::backend::local::checksum::{ChecksumAlgorithm, Checksums};
use crate::backend::local::conditions::{ReadConditions, TagMatch};
use crate::backend::local::etag::ETag;
use crate::backend::local::request::{CopyRequest, Source};

fn described() -> NewObject {
    NewObject {
        attributes: Attributes {
            system: SystemHeaders {
                content_type: Some("text/plain".to_owned()),
                expires: Some("never".to_owned()),
                ..SystemHeaders::default()
            },
            metadata: BTreeMap::from([("who".to_owned(), "é".to_owned())]),
        },
        tags: BTreeMap::from([("kind".to_owned(), "test".to_owned())]),
        storage_class: StorageClass::StandardIa,
        checksums: Checksums::default(),
        lock: Default::default(),
    }
}

fn copy_of(source: (&BucketName, &str), target: (&BucketName, &str)) -> CopyRequest {
    let source = Source { bucket: source.0.clone(), key: key(source.1), version: None };
    copying(source, (target.0.clone(), key(target.1)))
}

#[tokio::test]
async fn buckets_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (a, b) = (bucket("aaa"), bucket("bbb"));
    store.create_bucket(&b).await.unwrap();
    let created = store.create_bucket(&a).await.unwrap();
    assert!(matches!(store.create_bucket(&a).await, Err(StoreError::BucketAlreadyExists(_))));
    assert_eq!(store.bucket(&a).await.unwrap(), created);
    let names: Vec<_> = store.buckets().await.unwrap().into_iter().map(|bucket| bucket.name).collect();
    assert_eq!(names, [a.clone(), b.clone()]);
    put(&store, &a, "x", b"1").await.unwrap();
    assert!(matches!(store.delete_bucket(&a).await, Err(StoreError::BucketNotEmpty(_))));
    store.delete(&a, Deletion::of(key("x"))).await.unwrap();
    store.delete_bucket(&a).await.unwrap();
    assert!(matches!(store.delete_bucket(&a).await, Err(StoreError::NoSuchBucket(_))));
    assert!(matches!(store.bucket(&a).await, Err(StoreError::NoSuchBucket(_))));
    assert!(matches!(put(&store, &a, "x", b"1").await, Err(StoreError::NoSuchBucket(_))));
    assert!(matches!(read(&store, &a, "x").await, Err(StoreError::NoSuchBucket(_))));
}

#[rstest]
#[case::empty(0)]
#[case::inline(16)]
#[case::file(17)]
#[case::one_block(1 << 20)]
#[case::blocks((1 << 20) * 18 + 4321)]
#[tokio::test]
async fn contents_of_every_size_come_back(#[case] size: usize) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    let content = bytes(size as u64, size);
    let mut writer = store.writer(&ChecksumAlgorithm::ALL);
    for piece in content.chunks(77_777) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert_eq!(writer.written(), size as u64);
    let staged = writer.finish().await.unwrap();
    let digests = staged.digests().clone();
    assert_eq!(digests.etag, ETag::of_md5(<md5::Md5 as md5::Digest>::digest(&content).into()));
    let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &content);
    assert_eq!(digests.checksums.of(ChecksumAlgorithm::Sha256).unwrap().value(), sha256.as_ref());
    let object = NewObject { checksums: digests.checksums.clone(), ..described() };
    let written = store.put(&home, &key("k"), staged, object, PutCondition::Always).await.unwrap();
    assert_eq!((written.size, &written.checksums), (size as u64, &digests.checksums));
    assert_eq!(store.head(&home, &key("k"), None).await.unwrap(), written);
    assert_eq!(read(&store, &home, "k").await.unwrap(), content);
    for (from, to) in [(0, size), (size / 3, size / 2), (size, size), (size.saturating_sub(1), size)] {
        let (_, found) = store.get(&home, &key("k"), None).await.unwrap();
        let part = collect(found.read(from as u64..to as u64).unwrap()).await.unwrap();
        assert_eq!(part, content[from..to]);
    }
    let (_, found) = store.get(&home, &key("k"), None).await.unwrap();
    assert!(matches!(found.read(0..size as u64 + 1), Err(StoreError::RangeNotSatisfiable { .. })));
    check(&store).await;
}

#[tokio::test]
async fn what_is_dropped_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    drop(stage(&store, &bytes(1, 5000)).await);
    let mut writer = store.writer(&[]);
    writer.write(Bytes::from(bytes(2, 3 << 20))).await.unwrap();
    drop(writer);
    let refused = put_if(&store, &home, "k", &bytes(3, 5000), PutCondition::IfPresent).await;
    assert!(matches!(refused, Err(StoreError::NoSuchKey(_))));
    drop(store);
    // The dropped writer's last block may still have been in flight.
    for _ in 0..100 {
        if files(directory.path()) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{} files are left", files(directory.path()));
}

#[tokio::test]
async fn conditions_guard_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    let first = put_if(&store, &home, "k", b"1", PutCondition::IfAbsent).await.unwrap();
    let matches = PutCondition::IfMatches(first.etag);
    for condition in [PutCondition::IfAbsent, PutCondition::Never] {
        let refused = put_if(&store, &home, "k", b"2", condition).await;
        assert!(matches!(refused, Err(StoreError::PreconditionFailed)), "{condition:?}");
    }
    for condition in [PutCondition::IfPresent, matches, PutCondition::Never] {
        let refused = put_if(&store, &home, "other", b"2", condition).await;
        assert!(matches!(refused, Err(StoreError::NoSuchKey(_))), "{condition:?}");
    }
    put_if(&store, &home, "k", b"2", matches).await.unwrap();
    assert!(matches!(put_if(&store, &home, "k", b"3", matches).await, Err(StoreError::PreconditionFailed)));
    assert!(matches!(
        store.delete(&home, Deletion { condition: matches, ..Deletion::of(key("k")) }).await,
        Err(StoreError::PreconditionFailed)
    ));
    assert_eq!(read(&store, &home, "k").await.unwrap(), b"2");
    let answers = store
        .delete_many(
            &home,
            vec![
                Deletion { condition: matches, ..Deletion::of(key("k")) },
                Deletion::of(key("none")),
                Deletion { condition: PutCondition::IfPresent, ..Deletion::of(key("k")) },
            ],
        )
        .await
        .unwrap();
    let existed: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().ok().map(|done| done.existed)).collect();
    assert!(matches!(answers.first(), Some(Err(StoreError::PreconditionFailed))));
    assert_eq!(existed, [None, Some(false), Some(true)]);
}

#[tokio::test]
async fn a_copy_shares_content_and_outlives_its_source() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (home, away) = (bucket("home"), bucket("away"));
    store.create_bucket(&home).await.unwrap();
    store.create_bucket(&away).await.unwrap();
    let content = bytes(5, 100_000);
    let staged = stage(&store, &content).await;
    let source = store.put(&home, &key("a"), staged, described(), PutCondition::Always).await.unwrap();
    let copied = store.copy(copy_of((&home, "a"), (&away, "b"))).await.unwrap().object;
    assert_eq!(copied.attributes, source.attributes);
    assert_eq!((copied.etag, &copied.tags), (source.etag, &source.tags));
    assert!(copied.modified > source.modified);
    assert_eq!(files(directory.path()), 1);
    // Onto itself, with other attributes and a checksum that has to be computed.
    let mut onto_itself = copy_of((&home, "a"), (&home, "a"));
    onto_itself.attributes = Some(Attributes::default());
    onto_itself.tags = Some(BTreeMap::new());
    onto_itself.checksum = Some(ChecksumAlgorithm::Crc64Nvme);
    let changed = store.copy(onto_itself).await.unwrap().object;
    assert_eq!((changed.attributes, changed.tags), (Attributes::default(), BTreeMap::new()));
    assert!(changed.checksums.of(ChecksumAlgorithm::Crc64Nvme).is_some());
    store.delete(&home, Deletion::of(key("a"))).await.unwrap();
    assert_eq!(read(&store, &away, "b").await.unwrap(), content);
    assert!(matches!(store.copy(copy_of((&home, "a"), (&home, "c"))).await, Err(StoreError::NoSuchKey(_))));
    let mut conditional = copy_of((&away, "b"), (&home, "c"));
    conditional.source_conditions.if_none_match = Some(TagMatch::OneOf(vec![source.etag]));
    assert!(matches!(store.copy(conditional).await, Err(StoreError::PreconditionFailed)));
    store.delete(&away, Deletion::of(key("b"))).await.unwrap();
    drop(store);
    assert_eq!(files(directory.path()), 0);
}

#[tokio::test]
async fn read_conditions_follow_the_order_of_rfc_9110() {
    use crate::backend::local::conditions::ReadOutcome::{Failed, NotModified, Proceed};
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    let object = put(&store, &home, "k", b"1").await.unwrap();
    let same = || Some(TagMatch::OneOf(vec![object.etag]));
    let other = || Some(TagMatch::OneOf(vec![ETag::of_md5([0; 16])]));
    let at = |seconds: i64| Some(Timestamp::from_second(object.modified.as_second() + seconds).unwrap());
    let none = ReadConditions::default;
    for (conditions, outcome) in [
        (none(), Proceed),
        (ReadConditions { if_match: same(), ..none() }, Proceed),
        (ReadConditions { if_match: Some(TagMatch::Any), ..none() }, Proceed),
        (ReadConditions { if_match: other(), ..none() }, Failed),
        (ReadConditions { if_match: same(), if_unmodified_since: at(-1), ..none() }, Proceed),
        (ReadConditions { if_unmodified_since: at(-1), ..none() }, Failed),
        (ReadConditions { if_unmodified_since: at(0), ..none() }, Proceed),
        (ReadConditions { if_none_match: same(), ..none() }, NotModified),
        (ReadConditions { if_none_match: other(), if_modified_since: at(1), ..none() }, Proceed),
        (ReadConditions { if_modified_since: at(0), ..none() }, NotModified),
        (ReadConditions { if_modified_since: at(-1), ..none() }, Proceed),
        (ReadConditions { if_match: other(), if_none_match: same(), ..none() }, Failed),
    ] {
        assert_eq!(conditions.evaluate(&object), outcome, "{conditions:?}");
    }
}

#[tokio::test]
async fn tags_are_replaced_without_touching_the_object() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    let before = put(&store, &home, "k", b"1").await.unwrap();
    let tags = BTreeMap::from([("a".to_owned(), String::new())]);
    store.set_tags(&home, &key("k"), None, tags.clone()).await.unwrap();
    assert_eq!(store.head(&home, &key("k"), None).await.unwrap(), ObjectInfo { tags, ..before });
    assert!(matches!(
        store.set_tags(&home, &key("x"), None, BTreeMap::new()).await,
        Err(StoreError::NoSuchKey(_))
    ));
}

#[tokio::test]
async fn a_store_is_private_and_opened_once() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("new/store");
    let store = open(&root);
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    put(&store, &home, "../../escape", &bytes(1, 100)).await.unwrap();
    assert!(matches!(Store::open(&root, options()), Err(StoreError::InUse(_))));
    let mut seen = 0;
    let mut directories = vec![root.clone()];
    while let Some(next) = directories.pop() {
        assert_eq!(next.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{next:?}");
        for entry in std::fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.metadata().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "lock, index, log, content");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
