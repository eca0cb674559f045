//! Many at once: writers, readers, deleters.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::task::JoinSet;

use super::*;

/// Every content tells its own size and seed, so that a torn one shows.
fn content(seed: u64) -> Vec<u8> {
    let size = [5, 16, 17, 4000, 700_000][seed as usize % 5];
    let mut content = bytes(seed, size.max(8));
    content[..8].copy_from_slice(&seed.to_be_bytes());
    content
}

fn is_whole(found: &[u8]) -> bool {
    let seed = u64::from_be_bytes(found[..8].try_into().unwrap());
    found == content(seed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_objects_while_they_are_replaced_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    let names = ["a", "b", "c"];
    let reads = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for worker in 0..4_u64 {
        let (store, home) = (store.clone(), home.clone());
        tasks.spawn(async move {
            for round in 0..60_u64 {
                let seed = worker * 1000 + round;
                let name = names[(seed % 3) as usize];
                if round % 7 == 6 {
                    store.delete(&home, Deletion::of(key(name))).await.unwrap();
                } else {
                    put(&store, &home, name, &content(seed)).await.unwrap();
                }
            }
        });
    }
    for reader in 0..4_usize {
        let (store, home, reads) = (store.clone(), home.clone(), Arc::clone(&reads));
        tasks.spawn(async move {
            for round in 0..200 {
                match read(&store, &home, names[(reader + round) % 3]).await {
                    Ok(found) => {
                        assert!(is_whole(&found));
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(StoreError::NoSuchKey(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(reads.load(Ordering::Relaxed) > 50);
    check(&store).await;
    for name in names {
        store.delete(&home, Deletion::of(key(name))).await.unwrap();
    }
    drop(store);
    assert_eq!(files(directory.path()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_conditional_writers_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    let mut tasks = JoinSet::new();
    for worker in 0..16_u64 {
        let (store, home) = (store.clone(), home.clone());
        tasks
            .spawn(async move { put_if(&store, &home, "k", &content(worker), PutCondition::IfAbsent).await });
    }
    let outcomes = tasks.join_all().await;
    let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(won.len(), 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(StoreError::PreconditionFailed))));
    assert_eq!(store.head(&home, &key("k"), None).await.unwrap().etag, won[0].etag);
}

#[tokio::test]
async fn a_slow_reader_keeps_its_content_until_it_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    let old = bytes(1, 2_000_000);
    let id = store.create_upload(&home, &key("k"), Default::default()).await.unwrap().id;
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(old.chunks(500_000)) {
        let staged = stage(&store, part).await;
        let part = store.put_part(&home, &key("k"), &id, number, staged, Default::default()).await.unwrap();
        parts.push(super::super::request::CompletedPart { number, etag: part.etag, checksum: None });
    }
    let completion = super::super::request::Completion { parts, ..Default::default() };
    store.complete_upload(&home, &key("k"), &id, completion).await.unwrap();

    let (info, reading) = store.get(&home, &key("k"), None).await.unwrap();
    let mut stream = reading.read(0..info.size).unwrap();
    let first = stream.next().await.unwrap().unwrap();
    put(&store, &home, "k", b"new").await.unwrap();
    // Time enough for an eager unlinking to happen.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut found = first.to_vec();
    while let Some(chunk) = stream.next().await {
        found.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(found, old);
    assert_eq!(files(directory.path()), 4);
    drop(stream);
    drop(store);
    assert_eq!(files(directory.path()), 0);
}

#[tokio::test]
async fn a_write_whose_client_has_gone_is_whole_or_absent() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    for round in 0..40_u64 {
        let staged = stage(&store, &content(round)).await;
        let name = key("k");
        let put = store.put(&home, &name, staged, NewObject::default(), PutCondition::Always);
        let patience = Duration::from_micros(round * 20);
        drop(tokio::time::timeout(patience, put).await);
        match read(&store, &home, "k").await {
            Ok(found) => assert!(is_whole(&found)),
            Err(error) => assert!(matches!(error, StoreError::NoSuchKey(_)), "{error}"),
        }
    }
    check(&store).await;
}
