//! Kills the local store at random moments and checks what is left.
//!
//! ```text
//! cargo run --release -p wigeon-server --example store_crash -- KILLS [DIRECTORY]
//! ```
//!
//! A child process works on a store and tells over a pipe, before each operation, what the key shall hold,
//! and after it that it was acknowledged. The parent kills it (SIGKILL) at a random moment, opens the store
//! and checks: each key holds what was last acknowledged, or what was under way, whole; no other key exists;
//! the store verifies, digests included; no file is there that nothing refers to. Then it goes on with the
//! same store. `versions` has what it does with versions and with objects that expire. What a power failure adds (a disk that loses what was not synced) is not simulated.
#![expect(clippy::print_stdout, reason = "it reports to a person, and to its parent")]

mod versions;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::{Clock, Timestamp};
use wigeon_server::backend::local::attributes::NewObject;
use wigeon_server::backend::local::checksum::Checksums;
use wigeon_server::backend::local::conditions::{PutCondition, ReadConditions};
use wigeon_server::backend::local::request::{
    CompletedPart, Completion, CopyRequest, Deletion, ListQuery, NewUpload, Source, UploadQuery,
};
use wigeon_server::backend::local::staging::Staged;
use wigeon_server::backend::local::verify::Depth;
use wigeon_server::backend::local::version::VersionId;
use wigeon_server::backend::local::{Options, Store, StoreError};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const WORKERS: u64 = 8;
const KEYS: u64 = 6;

struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// What a key holds: nothing, or pieces made from a seed and a size.
type Recipe = Option<Vec<(u64, usize)>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["child", directory, seed] => runtime.block_on(work(Path::new(directory), seed.parse()?)),
        [kills, directory] => runtime.block_on(torment(kills.parse()?, Path::new(directory))),
        [kills] => {
            let directory = tempfile::tempdir()?;
            runtime.block_on(torment(kills.parse()?, directory.path()))
        }
        _ => Err("store_crash KILLS [DIRECTORY]".into()),
    }
}

fn open(directory: &Path) -> Result<Store, StoreError> {
    Store::open(directory, Options { min_part_size: 1, ..Options::new(Arc::new(System)) })
}

fn home() -> Outcome<BucketName> {
    Ok(BucketName::parse("home")?)
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit
    }
}

fn content(recipe: &[(u64, usize)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (seed, size) in recipe {
        let mut random = Random::new(*seed);
        let end = content.len() + size;
        while content.len() < end {
            content.extend(random.next().to_be_bytes());
        }
        content.truncate(end);
    }
    content
}

// The child.

async fn work(directory: &Path, seed: u64) -> Outcome<()> {
    let store = open(directory)?;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        workers.spawn(Worker::new(store.clone(), worker, seed)?.run());
        let random = Random::new(!(seed * WORKERS + worker));
        workers.spawn(versions::Worker { store: store.clone(), worker, random }.run());
    }
    workers.spawn(versions::write_expiring(store.clone(), Random::new(seed ^ 0x5555)));
    workers.spawn(versions::expire(store));
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(())
}

struct Worker {
    store: Store,
    home: BucketName,
    worker: u64,
    random: Random,
    held: BTreeMap<ObjectKey, Recipe>,
}

impl Worker {
    fn new(store: Store, worker: u64, seed: u64) -> Outcome<Self> {
        let random = Random::new(seed * WORKERS + worker + 1);
        Ok(Self { store, home: home()?, worker, random, held: BTreeMap::new() })
    }

    /// Works until it is killed.
    async fn run(mut self) -> Outcome<()> {
        loop {
            let key = ObjectKey::parse(format!("{}/../{}", self.worker, self.random.below(KEYS)))?;
            match self.random.below(10) {
                0..6 => {
                    let piece = piece(&mut self.random);
                    self.tell("begin", &key, &Some(vec![piece]))?;
                    self.put(&key, piece).await?;
                    self.acknowledge(key, Some(vec![piece]))?;
                }
                6 => {
                    self.tell("begin", &key, &None)?;
                    self.store.delete(&self.home, Deletion::of(key.clone())).await?;
                    self.acknowledge(key, None)?;
                }
                7 | 8 => {
                    let pieces: Vec<_> =
                        (0..=self.random.below(3)).map(|_| piece(&mut self.random)).collect();
                    self.tell("begin", &key, &Some(pieces.clone()))?;
                    self.upload(&key, &pieces).await?;
                    self.acknowledge(key, Some(pieces))?;
                }
                _ => self.copy(key).await?,
            }
        }
    }

    async fn put(&self, key: &ObjectKey, piece: (u64, usize)) -> Outcome<()> {
        let staged = stage(&self.store, piece).await?;
        self.store.put(&self.home, key, staged, NewObject::default(), PutCondition::Always).await?;
        Ok(())
    }

    async fn upload(&self, key: &ObjectKey, pieces: &[(u64, usize)]) -> Outcome<()> {
        let id = self.store.create_upload(&self.home, key, NewUpload::default()).await?.id;
        let mut parts = Vec::new();
        for (number, (seed, size)) in (1..).zip(pieces) {
            let staged = stage(&self.store, (*seed, size + 1)).await?;
            // One byte more than the recipe would be a torn object: the part is replaced before completion.
            self.store.put_part(&self.home, key, &id, number, staged, Checksums::default()).await?;
            let staged = stage(&self.store, (*seed, *size)).await?;
            let part =
                self.store.put_part(&self.home, key, &id, number, staged, Checksums::default()).await?;
            parts.push(CompletedPart { number, etag: part.etag, checksum: None });
        }
        let completion = Completion { parts, ..Completion::default() };
        match self.store.complete_upload(&self.home, key, &id, completion).await {
            Ok(_) => Ok(()),
            // An empty part that is not the last.
            Err(StoreError::PartTooSmall { .. }) => {
                self.store.abort_upload(&self.home, key, &id).await?;
                let whole = content(pieces);
                let mut writer = self.store.writer(&[]);
                writer.write(Bytes::from(whole)).await?;
                let staged = writer.finish().await?;
                self.store.put(&self.home, key, staged, NewObject::default(), PutCondition::Always).await?;
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }

    async fn copy(&mut self, target: ObjectKey) -> Outcome<()> {
        let written: Vec<_> = self.held.iter().filter(|(_, recipe)| recipe.is_some()).collect();
        let Some((source, recipe)) = written
            .get(usize::try_from(self.random.below(KEYS)).unwrap_or(0))
            .map(|(key, recipe)| ((*key).clone(), (*recipe).clone()))
        else {
            return Ok(());
        };
        self.tell("begin", &target, &recipe)?;
        let request = CopyRequest {
            source: Source { bucket: self.home.clone(), key: source, version: None },
            source_conditions: ReadConditions::default(),
            target: (self.home.clone(), target.clone()),
            condition: PutCondition::Always,
            attributes: None,
            tags: None,
            storage_class: Default::default(),
            checksum: None,
            lock: Default::default(),
        };
        self.store.copy(request).await?;
        self.acknowledge(target, recipe)
    }

    fn acknowledge(&mut self, key: ObjectKey, recipe: Recipe) -> Outcome<()> {
        self.tell("done", &key, &recipe)?;
        self.held.insert(key, recipe);
        Ok(())
    }

    fn tell(&self, word: &str, key: &ObjectKey, recipe: &Recipe) -> Outcome<()> {
        tell(&format!("{word}\t{key}\t{}", serde_json::to_string(recipe)?))
    }
}

/// One write of less than `PIPE_BUF` bytes: whole, or not there.
fn tell(line: &str) -> Outcome<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("{line}\n").as_bytes())?;
    Ok(output.flush()?)
}

fn piece(random: &mut Random) -> (u64, usize) {
    let limit = match random.below(20) {
        0..12 => 16 << 10,
        12..19 => 300 << 10,
        _ => 4 << 20,
    };
    (random.next() | 1, usize::try_from(random.below(limit)).unwrap_or(0))
}

async fn stage(store: &Store, piece: (u64, usize)) -> Outcome<Staged> {
    let mut writer = store.writer(&[]);
    let content = Bytes::from(content(&[piece]));
    for start in (0..content.len()).step_by(64 << 10) {
        writer.write(content.slice(start..content.len().min(start + (64 << 10)))).await?;
    }
    Ok(writer.finish().await?)
}

// The parent.

async fn torment(kills: u64, directory: &Path) -> Outcome<()> {
    let store = open(directory)?;
    if store.bucket(&home()?).await.is_err() {
        store.create_bucket(&home()?).await?;
    }
    versions::prepare(&store).await?;
    drop(store);
    let mut random = Random::new(std::process::id().into());
    let mut known = Known::default();
    let mut total = Tally::default();
    for round in 0..kills {
        let seed = random.next() >> 8;
        let child = Command::new(env::current_exe()?)
            .args(["child", &directory.to_string_lossy(), &seed.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let patience = Duration::from_micros(random.below(250_000));
        let told = kill_after(child, patience)?;
        let tally = check(directory, &mut known, told)
            .await
            .map_err(|error| format!("after kill {round}: {error}"))?;
        total.add(&tally);
        if (round + 1).is_multiple_of(50) {
            println!("{} kills: {total:?}", round + 1);
        }
    }
    println!("{kills} kills survived: {total:?}");
    Ok(())
}

fn kill_after(mut child: Child, patience: Duration) -> Outcome<Vec<String>> {
    let output = child.stdout.take().ok_or("no pipe")?;
    let reader = thread::spawn(move || BufReader::new(output).lines().collect::<Result<Vec<_>, _>>());
    thread::sleep(patience);
    child.kill()?;
    let status = child.wait()?;
    if let Some(code) = status.code() {
        return Err(format!("the child ended by itself, with {code}").into());
    }
    Ok(reader.join().map_err(|_| "the reader failed")??)
}

#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    interrupted: u64,
    of_which_committed: u64,
    incoming_after_kill: u64,
    objects_read: u64,
    versions_read: u64,
}

/// What was acknowledged.
#[derive(Default)]
struct Known {
    objects: BTreeMap<String, Recipe>,
    versions: versions::Known,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.interrupted += other.interrupted;
        self.of_which_committed += other.of_which_committed;
        self.incoming_after_kill += other.incoming_after_kill;
        self.objects_read += other.objects_read;
        self.versions_read += other.versions_read;
    }
}

async fn check(directory: &Path, known: &mut Known, told: Vec<String>) -> Outcome<Tally> {
    let mut tally = Tally::default();
    let (of_versions, told): (Vec<_>, Vec<_>) = told.into_iter().partition(|line| line.starts_with("v-"));
    let Known { objects: known, versions } = known;
    let mut under_way: BTreeMap<String, Recipe> = BTreeMap::new();
    for line in told {
        let mut fields = line.split('\t');
        let (Some(word), Some(key), Some(recipe)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(format!("unreadable line {line:?}").into());
        };
        let recipe: Recipe = serde_json::from_str(recipe)?;
        if word == "done" {
            tally.acknowledged += 1;
            under_way.remove(key);
            known.insert(key.to_owned(), recipe);
        } else {
            under_way.insert(key.to_owned(), recipe);
        }
    }
    tally.incoming_after_kill = names(&directory.join("incoming"))?.len() as u64;

    let store = open(directory)?;
    if let Some(left) = names(&directory.join("incoming"))?.first() {
        return Err(format!("{left:?} is left in incoming").into());
    }
    let home = home()?;
    let mut listed = Vec::new();
    for object in store.list(&home, ListQuery { max_keys: 1000, ..ListQuery::default() }).await?.objects {
        listed.push(object.key.to_string());
    }
    let keys: std::collections::BTreeSet<String> =
        known.keys().chain(under_way.keys()).chain(&listed).cloned().collect();
    for key in keys {
        let acknowledged = known.get(&key).cloned().unwrap_or_default();
        let found = read(&store, &home, &key, None).await?;
        tally.objects_read += u64::from(found.is_some());
        let is = |recipe: &Recipe| found == recipe.as_ref().map(|recipe| content(recipe));
        match under_way.get(&key) {
            Some(recipe) => {
                tally.interrupted += 1;
                if is(recipe) {
                    tally.of_which_committed += 1;
                    known.insert(key, recipe.clone());
                } else if !is(&acknowledged) {
                    return Err(format!("`{key}` is neither what it was nor what it was to be").into());
                }
            }
            None if !is(&acknowledged) => return Err(format!("`{key}` lost what was acknowledged").into()),
            None => {}
        }
    }

    tally.versions_read = versions.check(&store, &of_versions).await?;
    for bucket in [&home, &versions::versioned()?] {
        let query = UploadQuery { max_uploads: 1000, ..UploadQuery::default() };
        for upload in store.list_uploads(bucket, query).await?.uploads {
            store.abort_upload(bucket, &upload.key, &upload.id).await?;
        }
    }
    let report = store.verify(Depth::Digests).await?;
    if !report.damage.is_empty() || !report.orphans.is_empty() {
        return Err(format!("damage: {report:?}").into());
    }
    drop(store);
    leaks(directory)?;
    Ok(tally)
}

async fn read(
    store: &Store,
    home: &BucketName,
    key: &str,
    version: Option<VersionId>,
) -> Outcome<Option<Vec<u8>>> {
    let (info, content) = match store.get(home, &ObjectKey::parse(key)?, version).await {
        Ok(found) => found,
        Err(StoreError::NoSuchKey(_)) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let mut found = Vec::new();
    let mut stream = content.read(0..info.size)?;
    while let Some(chunk) = stream.next().await {
        found.extend_from_slice(&chunk?);
    }
    Ok(Some(found))
}

fn names(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}

/// Counts the files against the closed index, with SQLite alone.
fn leaks(directory: &Path) -> Outcome<()> {
    let index = rusqlite::Connection::open(directory.join("index.sqlite"))?;
    let expected: i64 =
        index.query_row("SELECT count(*) FROM content WHERE kind = 1", [], |row| row.get(0))?;
    let garbage: i64 = index.query_row("SELECT count(*) FROM garbage", [], |row| row.get(0))?;
    let mut found = names(&directory.join("incoming"))?.len();
    for shelf in names(&directory.join("content"))? {
        found += names(&shelf)?.len();
    }
    if garbage != 0 || i64::try_from(found)? != expected {
        return Err(format!("{found} files for {expected} contents, {garbage} garbage entries").into());
    }
    Ok(())
}
