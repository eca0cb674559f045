//! Both sides against a model, in any weather: equal after success, nothing lost after failure, and a rerun completes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use wigeon_core::s3::BucketName;
use wigeon_testkit::faults::{Fault, FaultProxy, Weather};

use super::*;
use crate::s3::test_store::TestStore;
use crate::transfer::{Placer, Prefix, Progress, TransferError, Transfers, Tuning};

type Files = BTreeMap<String, Vec<u8>>;

const TUNING: Tuning =
    Tuning { threshold: 64, part_size: 32, memory: 1 << 20, ranges: 3, files: 3, copy_threshold: 5 << 30 };

fn store_side(store: &TestStore) -> Side {
    let bucket = BucketName::parse("bucket").unwrap();
    Side::Store { client: store.client(), prefix: Prefix { bucket, prefix: "p/".to_owned() } }
}

fn fill_store(store: &TestStore, files: &Files) {
    store.contents().objects =
        files.iter().map(|(name, body)| (format!("/bucket/p/{name}"), body.clone())).collect();
}

fn fill_folder(folder: &Path, files: &Files) {
    std::fs::create_dir_all(folder).unwrap();
    let mut placer = Placer::new(folder);
    for (name, body) in files {
        let path = placer.place(name).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    }
}

fn read_store(store: &TestStore) -> Files {
    let contents = store.contents();
    let named =
        contents.objects.iter().filter_map(|(key, body)| Some((key.strip_prefix("/bucket/p/")?, body)));
    named.map(|(name, body)| (name.to_owned(), body.clone())).collect()
}

async fn read_folder(folder: &Path) -> Files {
    let mut scan = scan(&Side::Folder(folder.to_owned()), Role::Target, &Reading::default());
    let mut files = Files::new();
    while let Some(batch) = scan.next().await.unwrap() {
        for found in batch.found {
            let body = std::fs::read(folder.join(found.path())).unwrap();
            files.insert(found.name, body);
        }
    }
    files
}

/// What failed, and why.
#[derive(Default)]
struct Failures(Mutex<Vec<String>>);

impl Progress for Failures {
    fn failed(&self, name: &str, error: &TransferError) {
        self.0.lock().unwrap().push(format!("{name}: {error}"));
    }
}

/// A whole run; `Ok` is what a command reports as success.
async fn run(source: &Side, target: &Side, delete: bool) -> Result<Totals, String> {
    run_about(source, target, delete, Scope::default()).await
}

async fn run_about(source: &Side, target: &Side, delete: bool, scope: Scope) -> Result<Totals, String> {
    let policy = Policy { comparison: Comparison::Checksum, delete, ..Policy::default() };
    let reading = Reading { scope, ..Reading::default() };
    let mut plan = plan(diff(source, target, &reading), source, target, policy);
    let told = Arc::new(Failures::default());
    let transfers = Transfers::new(TUNING, Arc::clone(&told) as _, CancellationToken::new());
    let (source, target) = (source.clone(), target.clone());
    let apply = Apply {
        transfers,
        source,
        target,
        backup: None,
        put: Arc::default(),
        recheck: false,
        late: Late::default(),
    };
    let changes = stream::try_unfold(&mut plan, |plan| async move {
        let told = plan.next().await?;
        Ok::<_, SyncError>(told.map(|told| (told, plan)))
    });
    let changes = changes.map_ok(|told| stream::iter(told.into_iter().map(Ok))).try_flatten().boxed();
    let applied = apply.changes(changes).await.map_err(|error| error.to_string())?;
    let totals = plan.totals();
    let guard = Guard { allow_empty_source: true, ..Guard::default() };
    let removals = plan.into_removals().map_err(|error| error.to_string())?;
    let permitted = removals.permit(guard, applied.report.failed).map_err(|error| error.to_string())?;
    let removed = apply.removals(permitted).await.map_err(|error| error.to_string())?;
    let late = apply.late().await.map_err(|error| error.to_string())?;
    match applied.report.failed + removed.report.failed + late.report.failed {
        0 => Ok(totals),
        failed => Err(format!("{failed} failed: {}", told.0.lock().unwrap().join("; "))),
    }
}

fn files() -> impl Strategy<Value = Files> {
    let names = prop::sample::select(vec![
        "a",
        "a/b",
        "a/b/c",
        "a-b",
        "a.txt",
        "a0",
        "ü/日本",
        " x",
        "-rf",
        ".h",
        "new\nline",
        "b//c",
        "../up",
        "z/y/x/w",
    ]);
    prop::collection::btree_map(names.prop_map(str::to_owned), prop::collection::vec(0_u8..3, 0..100), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn both_sides_are_equal_or_nothing_is_lost(
        source in files(), target in files(), up: bool, delete: bool, per_mille in 0_u32..400, seed: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let store = TestStore::start().await;
            let faults = vec![
                Fault::SlowDown, Fault::Expired, Fault::Broken, Fault::DoneButBroken, Fault::CutRequest,
                Fault::CutAnswer(0), Fault::CutAnswer(500), Fault::CutAnswer(999),
            ];
            let address = store.url.trim_start_matches("http://").parse().unwrap();
            let proxy = FaultProxy::start(address, Weather { per_mille, faults }, seed).await.unwrap();
            let mut stormy = store.clone();
            stormy.url = format!("http://{}", proxy.address);
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join("folder");
            let (local, remote) = if up { (&source, &target) } else { (&target, &source) };
            fill_folder(&folder, local);
            fill_store(&store, remote);
            let here = Side::Folder(folder.clone());
            let sides = |store: &TestStore| {
                let there = store_side(store);
                if up { (here.clone(), there) } else { (there, here.clone()) }
            };

            let (from, to) = sides(&stormy);
            let outcome = run(&from, &to, delete).await;
            let now = if up { read_store(&store) } else { read_folder(&folder).await };
            let mut expected = target.clone();
            if delete {
                expected.clear();
            }
            expected.extend(source.clone());
            if outcome.is_ok() {
                assert_eq!(now, expected, "after success");
            }
            for (name, before) in &target {
                match (source.get(name), now.get(name)) {
                    (None, None) => assert!(delete && source.iter().all(|(name, body)| now.get(name) == Some(body)),
                        "`{name}` is gone, and not all was copied"),
                    (_, Some(body)) => assert!(body == before || Some(body) == source.get(name), "`{name}` is torn"),
                    (Some(_), None) => panic!("`{name}` is lost"),
                }
            }

            let (from, to) = sides(&store);
            run(&from, &to, delete).await.unwrap();
            let now = if up { read_store(&store) } else { read_folder(&folder).await };
            assert_eq!(now, expected, "after a rerun");
            let unchanged = if up { read_folder(&folder).await } else { read_store(&store) };
            assert_eq!(unchanged, source, "the source");
            let totals = run(&from, &to, delete).await.unwrap();
            assert_eq!((totals.copies, totals.same), (0, source.len() as u64), "nothing is left to do");
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// After a whole run, one about the names that changed is enough, and it touches no others.
    #[test]
    fn a_run_about_what_changed_is_enough(before in files(), after in files(), up: bool) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let store = TestStore::start().await;
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join("folder");
            let changed: Vec<String> = before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).cloned().collect();
            let stray = ("stray".to_owned(), b"of somebody else".to_vec());
            let mut expected = after.clone();
            expected.extend([stray.clone()]);
            let mut target = before.clone();
            target.extend([stray]);
            let (here, there) = (Side::Folder(folder.clone()), store_side(&store));
            let (source_side, target_side) = if up { (&here, &there) } else { (&there, &here) };
            fill_folder(&folder, if up { &after } else { &target });
            fill_store(&store, if up { &target } else { &after });
            let requests = store.contents().seen.len();
            let totals = run_about(source_side, target_side, true, Scope::of(changed.clone())).await.unwrap();
            let now = if up { read_store(&store) } else { read_folder(&folder).await };
            assert_eq!(now, expected);
            if changed.is_empty() {
                assert_eq!((totals.same, store.contents().seen.len()), (0, requests), "nothing was asked for");
            }
        });
    }
}
