//! Quick throughput figures of the local store, durable writes included.
//!
//! ```text
//! cargo run --release -p wigeon-server --example store_speed -- [DIRECTORY [NAME]]
//! cargo run --release -p wigeon-server --example store_speed -- fill DIRECTORY BUCKET COUNT   # empty objects
//! ```
#![expect(clippy::print_stdout, reason = "it reports to a person")]

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::{Clock, Timestamp};
use wigeon_server::backend::local::attributes::NewObject;
use wigeon_server::backend::local::checksum::ChecksumAlgorithm;
use wigeon_server::backend::local::conditions::PutCondition;
use wigeon_server::backend::local::request::ListQuery;
use wigeon_server::backend::local::{Options, Store};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const MIB: usize = 1 << 20;

struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [word, directory, bucket, count] = arguments.as_slice()
        && word == "fill"
    {
        return tokio::runtime::Runtime::new()?.block_on(fill(Path::new(directory), bucket, count.parse()?));
    }
    let temporary = tempfile::tempdir()?;
    let directory = env::args().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let only = env::args().nth(2).unwrap_or_default();
    tokio::runtime::Runtime::new()?.block_on(measure(&directory, &only))
}

async fn measure(directory: &Path, only: &str) -> Outcome<()> {
    let bench = Bench {
        store: Store::open(directory, Options::new(Arc::new(System)))?,
        home: BucketName::parse("bench")?,
        next: AtomicU64::new(0),
    };
    bench.store.create_bucket(&bench.home).await?;
    let bench = Arc::new(bench);
    let crc = [ChecksumAlgorithm::Crc64Nvme];
    for (name, size, workers, checksums) in [
        ("PUT 4 KiB", 4 << 10, 1, &[] as &[_]),
        ("PUT 4 KiB", 4 << 10, 16, &[]),
        ("PUT 4 KiB", 4 << 10, 64, &[]),
        ("PUT 16 KiB", 16 << 10, 16, &[]),
        ("PUT 16 KiB + 1 (a file)", (16 << 10) + 1, 16, &[]),
        ("PUT 128 KiB", 128 << 10, 16, &[]),
        ("PUT 64 MiB", 64 * MIB, 1, &[]),
        ("PUT 64 MiB, CRC64NVME", 64 * MIB, 1, &crc),
        ("PUT 64 MiB", 64 * MIB, 4, &[]),
    ] {
        if !name.contains(only) {
            continue;
        }
        let body = Bytes::from(vec![0x5a; size]);
        let first = bench.next.load(Ordering::Relaxed);
        run(
            name,
            size,
            workers,
            |bench: Arc<Bench>| {
                let body = body.clone();
                async move { bench.put(body, checksums).await }
            },
            &bench,
        )
        .await?;
        let last = bench.next.load(Ordering::Relaxed) - 1;
        if workers == 16 || size == 64 * MIB {
            run(
                &name.replace("PUT", "GET"),
                size,
                workers,
                |bench: Arc<Bench>| async move {
                    let at = bench.next.fetch_add(1, Ordering::Relaxed);
                    bench.read(first + at % (last - first + 1)).await
                },
                &bench,
            )
            .await?;
            bench.next.store(last + 1, Ordering::Relaxed);
        }
    }
    if !"list 1000".contains(only) {
        return Ok(());
    }
    run(
        "list 1000",
        0,
        1,
        |bench: Arc<Bench>| async move {
            let query = ListQuery { max_keys: 1000, ..ListQuery::default() };
            let page = bench.store.list(&bench.home, query).await?;
            assert_eq!(page.objects.len(), 1000);
            Ok(())
        },
        &bench,
    )
    .await
}

/// Puts so many empty objects into a new bucket.
async fn fill(directory: &Path, bucket: &str, count: u64) -> Outcome<()> {
    let store = Store::open(directory, Options::new(Arc::new(System)))?;
    let bench = Arc::new(Bench { store, home: BucketName::parse(bucket)?, next: AtomicU64::new(0) });
    bench.store.create_bucket(&bench.home).await?;
    let work = |_| {
        let bench = Arc::clone(&bench);
        async move {
            while bench.next.load(Ordering::Relaxed) < count {
                bench.put(Bytes::new(), &[]).await?;
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        }
    };
    futures_util::future::try_join_all((0..256).map(work)).await?;
    Ok(())
}

struct Bench {
    store: Store,
    home: BucketName,
    next: AtomicU64,
}

impl Bench {
    async fn put(&self, body: Bytes, checksums: &[ChecksumAlgorithm]) -> Outcome<()> {
        let key = ObjectKey::parse(format!("{:010}", self.next.fetch_add(1, Ordering::Relaxed)))?;
        let mut writer = self.store.writer(checksums);
        for start in (0..body.len()).step_by(64 << 10) {
            writer.write(body.slice(start..body.len().min(start + (64 << 10)))).await?;
        }
        let staged = writer.finish().await?;
        self.store.put(&self.home, &key, staged, NewObject::default(), PutCondition::Always).await?;
        Ok(())
    }

    async fn read(&self, number: u64) -> Outcome<()> {
        let (info, content) =
            self.store.get(&self.home, &ObjectKey::parse(format!("{number:010}"))?, None).await?;
        let mut stream = content.read(0..info.size)?;
        while let Some(chunk) = stream.next().await {
            chunk?;
        }
        Ok(())
    }
}

/// Runs operations for three seconds (at least one per worker).
async fn run<F, O>(name: &str, size: usize, workers: usize, operation: F, bench: &Arc<Bench>) -> Outcome<()>
where
    F: Fn(Arc<Bench>) -> O,
    O: Future<Output = Outcome<()>> + Send,
{
    let (start, limit) = (Instant::now(), Duration::from_secs(3));
    let work = |_| async {
        let mut done = 0_u64;
        while start.elapsed() < limit {
            operation(Arc::clone(bench)).await?;
            done += 1;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(done)
    };
    let done: u64 = futures_util::future::try_join_all((0..workers).map(work)).await?.iter().sum();
    let seconds = start.elapsed().as_secs_f64();
    let (rate, bytes) = (done as f64 / seconds, (done * size as u64) as f64 / seconds / MIB as f64);
    println!("{name:26} x{workers:<3} {rate:10.0}/s {bytes:10.1} MiB/s");
    Ok(())
}
