//! The store as a whole: against a model, under concurrency, after crashes, at size.

mod concurrency;
mod lifecycle;
mod listing;
mod locks;
mod model;
mod multipart;
mod operations;
mod reading;
mod recovery;
mod settings;
mod usage;
mod versions;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::{Clock, Timestamp};

use super::attributes::{NewObject, StorageClass};
use super::conditions::{PutCondition, ReadConditions};
use super::error::StoreError;
use super::object::ObjectInfo;
use super::object_lock::Lock;
use super::request::{CopyRequest, Deletion, Source};
use super::staging::Staged;
use super::store::{Options, Store};
use super::verify::{Depth, Report};

/// A clock that moves on by a second at each look.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.fetch_add(1, Ordering::Relaxed)).unwrap()
    }
}

/// Small limits, so that small contents take every path: up to 16 bytes inline, parts of at least 8.
fn options() -> Options {
    let clock = Arc::new(Ticking(AtomicI64::new(1_800_000_000)));
    Options { inline_limit: 16, min_part_size: 8, ..Options::new(clock) }
}

fn open(directory: &Path) -> Store {
    Store::open(directory, options()).unwrap()
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

/// Bytes that differ from place to place.
fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..size).map(|_| next()).collect()
}

async fn stage(store: &Store, content: &[u8]) -> Staged {
    let mut writer = store.writer(&[]);
    for piece in content.chunks(100_000) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn put(store: &Store, at: &BucketName, name: &str, content: &[u8]) -> Result<ObjectInfo, StoreError> {
    put_if(store, at, name, content, PutCondition::Always).await
}

async fn put_if(
    store: &Store,
    at: &BucketName,
    name: &str,
    content: &[u8],
    condition: PutCondition,
) -> Result<ObjectInfo, StoreError> {
    let staged = stage(store, content).await;
    store.put(at, &key(name), staged, NewObject::default(), condition).await
}

/// A copy as it is, with nothing asked of it.
fn copying(source: Source, target: (BucketName, ObjectKey)) -> CopyRequest {
    CopyRequest {
        source,
        source_conditions: ReadConditions::default(),
        target,
        condition: PutCondition::Always,
        attributes: None,
        tags: None,
        storage_class: StorageClass::Standard,
        checksum: None,
        lock: Lock::default(),
    }
}

async fn read(store: &Store, at: &BucketName, name: &str) -> Result<Vec<u8>, StoreError> {
    let (info, content) = store.get(at, &key(name), None).await?;
    collect(content.read(0..info.size)?).await
}

async fn collect(mut stream: super::content::ContentStream) -> Result<Vec<u8>, StoreError> {
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        all.extend_from_slice(&chunk?);
    }
    assert_eq!(stream.remaining(), 0);
    Ok(all)
}

async fn check(store: &Store) -> Report {
    let report = store.verify(Depth::Digests).await.unwrap();
    assert_eq!((&report.damage, &report.orphans), (&vec![], &vec![]));
    report
}

/// How many content files there are, wherever they lie.
fn files(directory: &Path) -> usize {
    // A file that is being settled may be seen in both places: it counts by its name.
    let names =
        |path: std::path::PathBuf| std::fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name());
    let mut found: std::collections::HashSet<_> = names(directory.join("incoming")).collect();
    for shelf in std::fs::read_dir(directory.join("content")).unwrap() {
        found.extend(names(shelf.unwrap().path()));
    }
    found.len()
}
