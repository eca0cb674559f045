//! Transfers under faults: whole and right, or an error and nothing changed.

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::LocalBoxStream;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::*;
use crate::s3::test_store::{Conditional, Fault, TestStore};
use crate::s3::{PutOptions, Verified};

const TUNING: Tuning =
    Tuning { threshold: 64, part_size: 32, memory: 1 << 20, ranges: 3, files: 3, copy_threshold: 5 << 30 };

fn transfers() -> Transfers {
    Transfers::new(TUNING, Arc::new(Silent), CancellationToken::new())
}

fn address(key: &str) -> Address {
    Address { bucket: BucketName::parse("bucket").unwrap(), key: ObjectKey::parse(key).unwrap() }
}

fn prefix(text: &str) -> Prefix {
    Prefix { bucket: BucketName::parse("bucket").unwrap(), prefix: text.to_owned() }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

async fn with_object(bytes: &[u8]) -> TestStore {
    let store = TestStore::start().await;
    store.contents().objects.insert("/bucket/k".to_owned(), bytes.to_vec());
    store
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_from_there() {
    for length in [40, 1000] {
        let bytes = pattern(length);
        let store = with_object(&bytes).await;
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("file");
        for at in [0, 7, 31] {
            store.fail("GET", Fault::Cut(at));
        }
        let done = transfers().download_file(&store.client(), &address("k"), None, &to).await.unwrap();
        assert_eq!((done.bytes, done.verified), (length as u64, Verified::Checksum));
        assert_eq!(std::fs::read(&to).unwrap(), bytes);
        assert_eq!(files(folder.path()), ["file"]);
    }
}

#[tokio::test]
async fn a_corrupt_download_leaves_the_old_file() {
    for (length, checksums) in [(40, true), (1000, true), (40, false), (1000, false)] {
        let store = with_object(&pattern(length)).await;
        store.contents().checksums = checksums;
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("file");
        std::fs::write(&to, "old").unwrap();
        store.fail("GET", Fault::Corrupt);
        let refused = transfers().download_file(&store.client(), &address("k"), None, &to).await.unwrap_err();
        assert!(matches!(refused, TransferError::Corrupt { .. }), "{refused}");
        assert_eq!(std::fs::read(&to).unwrap(), b"old");
        assert_eq!(files(folder.path()), ["file"]);
    }
}

#[tokio::test]
async fn ranges_grow_on_a_fast_link() {
    const MIB: usize = 1 << 20;
    let bytes = pattern(24 * MIB);
    let store = with_object(&bytes).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    let tuning = Tuning { part_size: MIB as u64, ..Tuning::default() };
    let transfers = Transfers::new(tuning, Arc::new(Silent), CancellationToken::new());
    let done = transfers.download_file(&store.client(), &address("k"), None, &to).await.unwrap();
    assert_eq!(done.verified, Verified::Checksum);
    assert_eq!(std::fs::read(&to).unwrap(), bytes);
    let ranges = store.contents().seen.iter().filter(|seen| seen.headers.contains_key("range")).count();
    assert!((4..24).contains(&ranges), "{ranges}");
}

#[tokio::test]
async fn an_object_that_changes_is_noticed() {
    let store = with_object(&pattern(1000)).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    // Between the head and the ranges.
    store.fail("GET", Fault::Refuse(412, "PreconditionFailed", &[]));
    let refused = transfers().download_file(&store.client(), &address("k"), None, &to).await.unwrap_err();
    assert!(matches!(refused, TransferError::Changed(_)), "{refused}");
    assert!(files(folder.path()).is_empty());
    assert!(store.contents().seen.iter().skip(1).all(|seen| seen.headers.contains_key("if-match")));
}

#[tokio::test]
async fn an_upload_that_fails_is_given_up() {
    let store = TestStore::start().await;
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("file");
    std::fs::write(&from, pattern(1000)).unwrap();
    store.fail("partNumber=7", Fault::Refuse(403, "AccessDenied", &[]));
    let refused =
        transfers().upload_file(&store.client(), &from, &address("k"), &PutOptions::default()).await;
    assert!(matches!(refused, Err(TransferError::Store(_))), "{refused:?}");
    assert!(store.contents().uploads.is_empty() && store.contents().objects.is_empty());
}

#[tokio::test]
async fn an_upload_in_parts_survives_what_passes() {
    let store = TestStore::start().await;
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("file.json");
    std::fs::write(&from, pattern(1000)).unwrap();
    store.fail("uploads=", Fault::Refuse(503, "SlowDown", &[]));
    store.fail("partNumber=3", Fault::DoneButRefuse(500, "InternalError"));
    store.fail("partNumber=5", Fault::Refuse(400, "ExpiredToken", &[]));
    store.fail("POST /bucket/k?uploadId", Fault::LateError("InternalError"));
    let done =
        transfers().upload_file(&store.client(), &from, &address("k"), &PutOptions::default()).await.unwrap();
    assert_eq!((done.bytes, done.verified), (1000, Verified::Checksum));
    assert_eq!(store.contents().objects["/bucket/k"], pattern(1000));
    assert_eq!(store.contents().seen[0].headers["content-type"], "application/json");
}

#[tokio::test]
async fn only_regular_files_go_up() {
    let store = TestStore::start().await;
    let folder = tempfile::tempdir().unwrap();
    let options = PutOptions::default();
    let refused = transfers().upload_file(&store.client(), folder.path(), &address("k"), &options).await;
    assert!(matches!(refused, Err(TransferError::NotAFile { .. })));
    let missing = folder.path().join("missing");
    let refused = transfers().upload_file(&store.client(), &missing, &address("k"), &options).await;
    assert!(matches!(refused, Err(TransferError::File { .. })));
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_written_outside_the_folder() {
    let store = TestStore::start().await;
    for key in
        ["good", "../evil", "a/../../evil", "/etc/evil", "sub//evil", "link/evil", "link/deep/evil", "dir/"]
    {
        let bytes = if key == "dir/" { Vec::new() } else { key.as_bytes().to_vec() };
        store.contents().objects.insert(format!("/bucket/{key}"), bytes);
    }
    let folder = tempfile::tempdir().unwrap();
    let (outside, target) = (folder.path().join("outside"), folder.path().join("target"));
    std::fs::create_dir(&outside).unwrap();
    std::fs::create_dir(&target).unwrap();
    std::os::unix::fs::symlink(&outside, target.join("link")).unwrap();
    let plan = plan_download(&store.client(), &prefix(""), &target, Links::Skip.into());
    let report = transfers().carry_out(plan).await.unwrap();
    assert_eq!((report.done, report.failed), (5, 2));
    assert!(files(&outside).is_empty());
    assert_eq!(files(folder.path()), ["outside", "target"]);
    assert_eq!(files(&target), ["a", "dir", "good", "link", "sub", "‛-", "‛.."]);
    assert_eq!(std::fs::read(target.join("‛-/etc/evil")).unwrap(), b"/etc/evil");
}

/// Trees of names that are hard to hold: all of Unicode, dots, dashes, line breaks, empty segments, an object beside
/// its folder, and the longest key.
#[tokio::test]
async fn every_name_goes_down_and_up_again() {
    let store = TestStore::start().await;
    let long = "k".repeat(1024 - "from/".len());
    let keys = [
        "a",
        "a/b",
        "a/b/c",
        "a-b",
        "-rf",
        "--",
        ".hidden",
        "..",
        ".",
        "x/../y",
        "//two",
        "end/",
        "sp ace",
        " ",
        "new\nline",
        "ü/\u{1f986}",
        "\u{202e}abc",
        "‛",
        "‛-",
        "per%2fcent",
        "plus+",
        "back\\slash",
        "qu?e#ry",
        "\u{7f}\u{1}",
        &long,
    ];
    for key in keys {
        store
            .contents()
            .objects
            .insert(format!("/bucket/from/{key}"), format!("content of {key}").into_bytes());
    }
    let folder = tempfile::tempdir().unwrap();
    let down = plan_download(&store.client(), &prefix("from/"), folder.path(), Links::Skip.into());
    let report = transfers().carry_out(down).await.unwrap();
    assert_eq!((report.done, report.failed), (keys.len() as u64, 0));
    let options = PutOptions::default();
    let up = plan_upload(folder.path(), &store.client(), &prefix("to/"), &options, Links::Skip.into())
        .await
        .unwrap();
    let report = transfers().carry_out(up).await.unwrap();
    assert_eq!((report.done, report.failed), (keys.len() as u64, 0));
    let contents = store.contents();
    for key in keys {
        assert_eq!(
            contents.objects[&format!("/bucket/to/{key}")],
            contents.objects[&format!("/bucket/from/{key}")]
        );
    }
}

#[tokio::test]
async fn a_tree_goes_on_past_a_file_that_fails() {
    let store = TestStore::start().await;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..10 {
        std::fs::write(folder.path().join(format!("f{number}")), pattern(number)).unwrap();
    }
    store.fail("/f4", Fault::Refuse(403, "AccessDenied", &[]));
    let options = PutOptions::default();
    let plan = plan_upload(folder.path(), &store.client(), &prefix("p/"), &options, Links::Skip.into())
        .await
        .unwrap();
    let moved = plan.map(|planned| {
        planned.map(|planned| match planned {
            Planned::Item(item) => Planned::item(item.moving()),
            other => other,
        })
    });
    let report = transfers().carry_out(moved).await.unwrap();
    assert_eq!((report.done, report.failed, report.bytes), (9, 1, 41));
    assert!(!store.contents().objects.contains_key("/bucket/p/f4"));
    // Only what has arrived was removed.
    assert_eq!(files(folder.path()), ["f4"]);
}

#[tokio::test]
async fn objects_are_removed_together() {
    let store = TestStore::start().await;
    for number in 0..2500 {
        store.contents().objects.insert(format!("/bucket/p/{number}"), Vec::new());
    }
    store.contents().objects.insert("/bucket/q".to_owned(), Vec::new());
    let report =
        transfers().carry_out(plan_removal(&store.client(), &prefix("p/"), &Arc::default())).await.unwrap();
    assert_eq!((report.removed, report.failed), (2500, 0));
    assert_eq!(store.contents().objects.len(), 1);
    assert_eq!(store.count("delete="), 3);
}

/// What is moved out of a store arrives before its sources go, and those go together.
#[tokio::test]
async fn sources_of_a_move_are_removed_together() {
    let store = TestStore::start().await;
    for number in 0..9 {
        store.contents().objects.insert(format!("/bucket/p/f{number}"), pattern(number));
    }
    let folder = tempfile::tempdir().unwrap();
    let client = store.client();
    let plan = || {
        let plan = plan_download(&client, &prefix("p/"), folder.path(), Links::Skip.into());
        plan.map(|planned| {
            planned.map(|planned| match planned {
                Planned::Item(item) => Planned::item(item.moving()),
                other => other,
            })
        })
    };
    // What cannot be removed is not moved, and its copy is there all the same.
    store.fail("delete=", Fault::Refuse(403, "AccessDenied", &[]));
    let report = transfers().carry_out(plan()).await.unwrap();
    assert_eq!((report.done, report.failed), (0, 9));
    assert_eq!((files(folder.path()).len(), store.contents().objects.len()), (9, 9));
    store.fail("GET /bucket/p/f4", Fault::Refuse(403, "AccessDenied", &[]));
    let report = transfers().carry_out(plan()).await.unwrap();
    assert_eq!((report.done, report.failed, report.removed), (8, 1, 0));
    assert_eq!(store.contents().objects.keys().collect::<Vec<_>>(), ["/bucket/p/f4"]);
    assert_eq!((store.count("delete="), store.count("DELETE ")), (2, 0));
    // One alone needs no list.
    let report = transfers().carry_out(plan()).await.unwrap();
    assert_eq!((report.done, store.count("DELETE ")), (1, 1));
    assert!(store.contents().objects.is_empty());
}

/// What is written anew after it was moved stays, and is told; what is gone by then is moved all the same.
#[tokio::test]
async fn a_source_that_is_written_anew_stays() {
    let other = TestStore::start().await;
    let folder = tempfile::tempdir().unwrap();
    for conditional in [Conditional::Known, Conditional::Ignored, Conditional::Refused] {
        for (count, way) in
            [(1, "down"), (1, "inside"), (1, "across"), (3, "down"), (3, "inside"), (3, "across")]
        {
            let store = TestStore::start().await;
            store.contents().conditional = conditional;
            let paths: Vec<_> = (0..count).map(|number| format!("/bucket/p/f{number}")).collect();
            for path in &paths {
                store.contents().objects.insert(path.clone(), pattern(100));
            }
            store.contents().written_before_removal = vec![(paths[0].clone(), pattern(200))];
            let (client, far) = (store.client(), other.client());
            let (from, to, options) = (prefix("p/"), prefix("q/"), PutOptions::default());
            let copy =
                |target| plan_copy(&client, &from, target, &to, &Arc::default(), &options).boxed_local();
            let plan: LocalBoxStream<'_, _> = match way {
                "down" => plan_download(&client, &from, folder.path(), Links::Skip.into()).boxed_local(),
                "inside" => copy(&client),
                _ => copy(&far),
            };
            let moves = plan.map(|planned| match planned {
                Ok(Planned::Item(item)) => Ok(Planned::item(item.moving())),
                other => other,
            });
            let report = transfers().carry_out(moves).await.unwrap();
            let kept = u64::from(conditional == Conditional::Known);
            assert_eq!((report.done, report.failed), (count - kept, kept), "{conditional:?} {count} {way}");
            let contents = store.contents();
            let left: Vec<_> = paths.iter().filter_map(|path| contents.objects.get(path)).collect();
            assert!(if kept == 1 { left == [&pattern(200)] } else { left.is_empty() }, "{count} {way}");
        }
    }
}

#[tokio::test]
async fn a_source_that_somebody_else_removed_is_moved() {
    for count in [1, 3] {
        let store = TestStore::start().await;
        for number in 0..count {
            store.contents().objects.insert(format!("/bucket/p/f{number}"), pattern(100));
        }
        let client = store.client();
        // The answer to the first attempt is lost: at the second one nothing is there any more.
        let lost = Fault::DoneButRefuse(500, "InternalError");
        store.fail(if count == 1 { "DELETE " } else { "delete=" }, lost);
        let (to, options) = (prefix("q/"), PutOptions::default());
        let plan = plan_copy(&client, &prefix("p/"), &client, &to, &Arc::default(), &options);
        let moves = StreamExt::map(plan, |planned| match planned {
            Ok(Planned::Item(item)) => Ok(Planned::item(item.moving())),
            other => other,
        });
        let report = transfers().carry_out(moves).await.unwrap();
        assert_eq!((report.done, report.failed), (count, 0));
        assert_eq!(store.contents().objects.len() as u64, count);
    }
}

/// Two requests for each object, where its bucket keeps no lists, and two for all.
#[tokio::test]
async fn a_move_inside_a_store_asks_for_little() {
    for without_lists in [true, false] {
        let store = TestStore::start().await;
        store.contents().without_lists = without_lists;
        for number in 0..20 {
            store.contents().objects.insert(format!("/bucket/p/f{number}"), pattern(number));
        }
        let client = store.client();
        let plan = plan_copy(
            &client,
            &prefix("p/"),
            &client,
            &prefix("q/"),
            &Arc::default(),
            &PutOptions::default(),
        );
        let plan = plan.map(|planned| {
            planned.map(|planned| match planned {
                Planned::Item(item) => Planned::item(item.moving()),
                other => other,
            })
        });
        let report = transfers().carry_out(plan).await.unwrap();
        assert_eq!((report.done, report.failed), (20, 0));
        let count = |what| store.count(what);
        assert_eq!(
            [count("HEAD "), count("PUT "), count("delete="), count("ownershipControls")],
            [20, 20, 1, 1]
        );
        assert_eq!(count("acl="), if without_lists { 0 } else { 20 });
        let contents = store.contents();
        assert_eq!(contents.objects.len(), 20);
        assert!((0..20).all(|number| contents.objects[&format!("/bucket/q/f{number}")] == pattern(number)));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_as_asked() {
    let store = TestStore::start().await;
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    std::fs::create_dir_all(from.join("d")).unwrap();
    std::fs::write(from.join("file"), "content").unwrap();
    std::os::unix::fs::symlink("../file", from.join("d/link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", from.join("d/out")).unwrap();
    let (client, options) = (store.client(), PutOptions::default());
    for (links, done, skipped) in [(Links::Skip, 1, 2), (Links::Follow, 3, 0), (Links::Store, 3, 0)] {
        let to = prefix(&format!("{links:?}/"));
        let plan = plan_upload(&from, &client, &to, &options, links.into()).await.unwrap();
        let report = transfers().carry_out(plan).await.unwrap();
        assert_eq!((report.done, report.skipped, report.failed), (done, skipped, 0), "{links:?}");
    }
    assert_eq!(store.contents().objects["/bucket/Follow/d/link"], b"content");
    assert_eq!(store.contents().objects["/bucket/Store/d/link.rclonelink"], b"../file");
    let to = folder.path().join("to");
    let report = transfers()
        .carry_out(plan_download(&client, &prefix("Store/"), &to, Links::Store.into()))
        .await
        .unwrap();
    assert_eq!((report.done, report.failed), (2, 1));
    assert_eq!(std::fs::read_link(to.join("d/link")).unwrap(), Path::new("../file"));
    assert!(!to.join("d/out").exists());
}

#[tokio::test]
async fn a_stop_ends_a_tree() {
    let store = TestStore::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "x").unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let transfers = Transfers::new(TUNING, Arc::new(Silent), stop);
    let options = PutOptions::default();
    let plan =
        plan_upload(folder.path(), &store.client(), &prefix(""), &options, Links::Skip.into()).await.unwrap();
    let stopped = transfers.carry_out(plan).await;
    assert!(matches!(stopped, Err(TransferError::Interrupted)));
    assert!(store.contents().objects.is_empty());
}

fn fault() -> impl Strategy<Value = (&'static str, Fault)> {
    let on = prop::sample::select(vec!["GET", "HEAD", "PUT", "POST", "partNumber=2", "uploads="]);
    // An error under status 200 is what only these operations answer.
    let late = ("POST", Fault::LateError("InternalError"));
    let fault = prop_oneof![
        (0usize..40).prop_map(Fault::Cut),
        Just(Fault::Refuse(503, "SlowDown", &[])),
        Just(Fault::Refuse(400, "ExpiredToken", &[])),
        Just(Fault::Refuse(403, "AccessDenied", &[])),
        Just(Fault::DoneButRefuse(500, "InternalError")),
        Just(Fault::Corrupt),
    ];
    prop_oneof![9 => (on, fault), 1 => Just(late)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens on the way: success means equal bytes, failure leaves the old target, and once the
    /// faults are over the same again succeeds.
    #[test]
    fn success_is_equality(
        length in prop_oneof![0usize..70, 200usize..400],
        faults in prop::collection::vec(fault(), 0..5),
        checksums in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let bytes = pattern(length);
            let store = with_object(b"old").await;
            store.contents().checksums = checksums;
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            std::fs::write(&from, &bytes).unwrap();
            std::fs::write(&to, "old").unwrap();
            store.contents().faults = faults.into();
            let (client, transfers, options) = (store.client(), transfers(), PutOptions::default());

            let up = transfers.upload_file(&client, &from, &address("k"), &options).await;
            let stored = store.contents().objects["/bucket/k"].clone();
            // An answer that is lost may hide a success; what is there is one or the other, and whole.
            assert!(stored == bytes || (up.is_err() && stored == b"old"), "{up:?}");
            let down = transfers.download_file(&client, &address("k"), None, &to).await;
            let got = std::fs::read(&to).unwrap();
            assert!(if down.is_ok() { got == stored } else { got == b"old" }, "{down:?}");

            store.contents().faults.clear();
            transfers.upload_file(&client, &from, &address("k"), &options).await.unwrap();
            transfers.download_file(&client, &address("k"), None, &to).await.unwrap();
            assert_eq!(store.contents().objects["/bucket/k"], bytes);
            assert_eq!(std::fs::read(&to).unwrap(), bytes);
            assert_eq!(files(folder.path()), ["from", "to"]);
        });
    }
}
