//! What a page of a listing costs, as the number of keys in the bucket grows.
//!
//! ```text
//! cargo run --release -p wigeon-server --example store_listing -- [KEYS [DIRECTORY]]
//! ```
//!
//! Fills a store with that many objects (a million unless said otherwise), each put durably, in 2,000 directories, and
//! stops at 10,000 and at 100,000 to measure: the first page of 1,000, one from the middle, one with a delimiter at the
//! top, one directory, and a page of versions. A cost that grew with the bucket would grow a hundredfold from the first row
//! to the last.
#![expect(clippy::print_stdout, reason = "it reports to a person")]

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::{Clock, Timestamp};
use wigeon_server::backend::local::attributes::NewObject;
use wigeon_server::backend::local::conditions::PutCondition;
use wigeon_server::backend::local::request::{ListQuery, VersionQuery};
use wigeon_server::backend::local::{Options, Store};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const DIRECTORIES: u64 = 2000;

/// Puts that are under way at once: they share commits.
const WRITERS: u64 = 512;

/// Each page is read so often; the median counts.
const ROUNDS: usize = 101;

struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

fn main() -> Outcome<()> {
    let temporary = tempfile::tempdir()?;
    let keys = env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let directory = env::args().nth(2).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    tokio::runtime::Runtime::new()?.block_on(measure(keys, &directory))
}

async fn measure(keys: u64, directory: &Path) -> Outcome<()> {
    let store = Store::open(directory, Options::new(Arc::new(System)))?;
    let home = BucketName::parse("bench")?;
    store.create_bucket(&home).await?;
    println!(
        "| keys | first 1,000 | 1,000 from the middle | 1,000 prefixes at the top | one directory | 1,000 versions | puts/s |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut filled = 0;
    for goal in [10_000, 100_000, keys].into_iter().filter(|goal| *goal <= keys) {
        if goal == filled {
            continue;
        }
        let began = Instant::now();
        fill(&store, &home, filled, goal).await?;
        let rate = (goal - filled) as f64 / began.elapsed().as_secs_f64();
        filled = goal;
        let list = |prefix: &str, delimiter: &str, after: &str| ListQuery {
            prefix: prefix.to_owned(),
            delimiter: delimiter.to_owned(),
            after: after.to_owned(),
            max_keys: 1000,
        };
        let first = page(&store, &home, list("", "", ""), 1000).await?;
        let middle = page(&store, &home, list("", "", "dir01000/"), 1000).await?;
        let top = page(&store, &home, list("", "/", ""), 1000).await?;
        let one = page(&store, &home, list("dir00500/", "/", ""), 0).await?;
        let versions = versions(&store, &home).await?;
        println!(
            "| {goal} | {first:.2?} | {middle:.2?} | {top:.2?} | {one:.2?} | {versions:.2?} | {rate:.0} |"
        );
    }
    Ok(())
}

/// The key with this number: neighbors go to different directories, so that every directory grows.
fn key(number: u64) -> Outcome<ObjectKey> {
    Ok(ObjectKey::parse(format!("dir{:05}/file{:07}", number % DIRECTORIES, number / DIRECTORIES))?)
}

async fn fill(store: &Store, home: &BucketName, from: u64, to: u64) -> Outcome<()> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, home) = (store.clone(), home.clone());
        writers.spawn(async move {
            for number in (from + writer..to).step_by(usize::try_from(WRITERS)?) {
                let mut writer = store.writer(&[]);
                writer.write(Bytes::from_static(b"x")).await?;
                let staged = writer.finish().await?;
                store.put(&home, &key(number)?, staged, NewObject::default(), PutCondition::Always).await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}

async fn page(store: &Store, home: &BucketName, query: ListQuery, entries: usize) -> Outcome<Duration> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let page = store.list(home, query.clone()).await?;
        times.push(began.elapsed());
        let found = page.objects.len() + page.common_prefixes.len();
        if found < entries.max(1) {
            return Err(format!("a page of {found}").into());
        }
    }
    Ok(median(times))
}

async fn versions(store: &Store, home: &BucketName) -> Outcome<Duration> {
    let mut times = Vec::new();
    let query = VersionQuery { after_key: "dir01000/".to_owned(), max_keys: 1000, ..VersionQuery::default() };
    for _ in 0..ROUNDS {
        let began = Instant::now();
        store.list_versions(home, query.clone()).await?;
        times.push(began.elapsed());
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
