//! Content on its way out: every range, from memory and from the disk, at its consumer's pace, and never more or less than
//! was promised.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt, Stream};
use tempfile::TempDir;

use super::super::content::{CHUNK, Content, ContentStream};
use super::*;

const NAME: &str = "k";

async fn with(content: &[u8]) -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.create_bucket(&bucket("home")).await.unwrap();
    put(&store, &bucket("home"), NAME, content).await.unwrap();
    (directory, store)
}

async fn content(store: &Store) -> Content {
    store.get(&bucket("home"), &key(NAME), None).await.unwrap().1
}

/// The only content file, wherever it lies.
fn only_file(directory: &Path) -> PathBuf {
    assert_eq!(files(directory), 1);
    let shelves = std::fs::read_dir(directory.join("content")).unwrap().map(|shelf| shelf.unwrap().path());
    let places = shelves.chain([directory.join("incoming")]);
    places.flat_map(|place| std::fs::read_dir(place).unwrap()).next().unwrap().unwrap().path()
}

/// What is on the disk need not be in memory; on a disk that is memory this does nothing.
fn forget(path: &Path) {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

async fn next(stream: &mut ContentStream) -> Bytes {
    stream.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn every_range_comes_from_memory_and_from_the_disk() {
    let all = bytes(1, 2 * CHUNK + 77);
    let (directory, store) = with(&all).await;
    let (chunk, end) = (CHUNK, all.len());
    let ranges = [
        0..0,
        0..1,
        0..end,
        end - 1..end,
        chunk - 1..chunk + 1,
        chunk..2 * chunk,
        1..2 * chunk + 1,
        77..end,
        end..end,
    ];
    for range in ranges {
        for cold in [false, true] {
            if cold {
                forget(&only_file(directory.path()));
            }
            let mut stream = content(&store).await.read(range.start as u64..range.end as u64).unwrap();
            let mut got = Vec::new();
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.unwrap();
                assert!(!chunk.is_empty() && chunk.len() <= CHUNK);
                got.extend_from_slice(&chunk);
                assert_eq!(stream.remaining(), (range.len() - got.len()) as u64);
            }
            assert!(got == all[range.clone()], "{range:?}");
        }
    }
    let beyond = content(&store).await.read(0..end as u64 + 1);
    assert!(matches!(beyond, Err(StoreError::RangeNotSatisfiable { .. })));
}

/// A slow reader holds one chunk, and what it still needs is not written over.
#[tokio::test]
async fn a_chunk_that_is_gone_makes_room_for_the_next() {
    let all = bytes(2, 4 * CHUNK);
    let (_directory, store) = with(&all).await;
    let mut stream = content(&store).await.read(0..all.len() as u64).unwrap();
    let first = next(&mut stream).await;
    let place = first.as_ptr();
    drop(first);
    let second = next(&mut stream).await;
    assert_eq!(second.as_ptr(), place);
    let part = second.slice(5..10);
    drop(second);
    let third = next(&mut stream).await;
    assert_ne!(third.as_ptr(), place);
    assert!(part == all[CHUNK + 5..CHUNK + 10] && third == all[2 * CHUNK..3 * CHUNK]);
}

/// However fast a consumer is, others have their turn.
#[tokio::test]
async fn whoever_reads_from_memory_lets_others_have_a_turn() {
    let all = bytes(3, 10 * CHUNK);
    let (_directory, store) = with(&all).await;
    let mut stream = pin!(content(&store).await.read(0..all.len() as u64).unwrap());
    let woken = futures_util::task::noop_waker();
    let mut context = Context::from_waker(&woken);
    let (mut got, mut at_once, mut most) = (0, 0, 0);
    loop {
        match stream.as_mut().poll_next(&mut context) {
            Poll::Ready(Some(chunk)) => {
                (got, at_once) = (got + chunk.as_ref().unwrap().len(), at_once + chunk.unwrap().len());
            }
            Poll::Ready(None) => break,
            Poll::Pending => {
                at_once = 0;
                tokio::task::yield_now().await;
            }
        }
        most = most.max(at_once);
    }
    assert_eq!(got, all.len());
    assert!(most <= 4 * CHUNK, "{most}");
    // It asks to be polled again by itself.
    let mut stream = content(&store).await.read(0..all.len() as u64).unwrap();
    let read = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(30), read).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_cut_is_an_error_and_never_a_shorter_object() {
    let all = bytes(4, 3 * CHUNK);
    for cut in [CHUNK, CHUNK + 1, 2 * CHUNK + 5, 3 * CHUNK - 1] {
        let (directory, store) = with(&all).await;
        let mut stream = content(&store).await.read(0..all.len() as u64).unwrap();
        let mut got = next(&mut stream).await.to_vec();
        let file = OpenOptions::new().write(true).open(only_file(directory.path())).unwrap();
        file.set_len(cut as u64).unwrap();
        let error = loop {
            match stream.next().await.unwrap() {
                Ok(chunk) => got.extend_from_slice(&chunk),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
        assert!(got.len() <= cut && got == all[..got.len()] && stream.remaining() > 0, "{cut}");
        assert!(stream.next().await.is_none(), "nothing comes after an error");
    }
}

#[tokio::test]
async fn a_file_that_grows_gives_no_more_than_the_object() {
    let all = bytes(5, CHUNK + 5);
    let (directory, store) = with(&all).await;
    let mut stream = content(&store).await.read(0..all.len() as u64).unwrap();
    let mut got = next(&mut stream).await.to_vec();
    let file = OpenOptions::new().write(true).open(only_file(directory.path())).unwrap();
    file.set_len(4 * CHUNK as u64).unwrap();
    while let Some(chunk) = stream.next().await {
        got.extend_from_slice(&chunk.unwrap());
    }
    assert!(got == all);
}

#[tokio::test]
async fn who_stops_reading_holds_nothing() {
    let all = bytes(6, 3 * CHUNK);
    let (directory, store) = with(&all).await;
    forget(&only_file(directory.path()));
    let mut stream = content(&store).await.read(0..all.len() as u64).unwrap();
    // In the middle of a read, if there was anything to wait for.
    let _ = stream.next().now_or_never();
    store.delete(&bucket("home"), Deletion::of(key(NAME))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(files(directory.path()), 1, "it is being read");
    drop((stream, store));
    assert_eq!(files(directory.path()), 0);
}
