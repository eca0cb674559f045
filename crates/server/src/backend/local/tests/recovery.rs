//! The states that a crash leaves between any two steps, made by hand, and what opening makes of them.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use super::*;
use crate::backend::local::inspect::inspect;
use crate::backend::local::repair::Repaired;
use crate::backend::local::verify::{Affected, Damage};

struct Closed {
    directory: tempfile::TempDir,
    content: Vec<u8>,
}

/// A closed store with one object in a file: content 1.
async fn closed() -> Closed {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    let content = bytes(3, 5000);
    put(&store, &home, "k", &content).await.unwrap();
    Closed { directory, content }
}

impl Closed {
    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn index(&self) -> Connection {
        Connection::open(self.path().join("index.sqlite")).unwrap()
    }

    fn settled(&self, id: i64) -> PathBuf {
        self.path().join(format!("content/{:02x}/{id:016x}", id & 0xff))
    }

    fn incoming(&self, id: i64) -> PathBuf {
        self.path().join(format!("incoming/{id:016x}"))
    }

    fn content_id(&self) -> i64 {
        self.index().query_row("SELECT id FROM content", [], |row| row.get(0)).unwrap()
    }

    async fn object(&self) -> Result<Vec<u8>, StoreError> {
        read(&open(self.path()), &bucket("home"), "k").await
    }
}

#[tokio::test]
async fn a_clean_end_leaves_nothing_to_do() {
    let closed = closed().await;
    assert!(closed.settled(closed.content_id()).exists());
    assert_eq!(closed.index().query_row("SELECT count(*) FROM garbage", [], |row| row.get(0)), Ok(0));
    assert_eq!(closed.object().await.unwrap(), closed.content);
}

#[tokio::test]
async fn before_the_commit_the_file_is_discarded() {
    let closed = closed().await;
    let id = closed.content_id() + 7;
    fs::write(closed.incoming(id), b"half of someth").unwrap();
    fs::write(closed.path().join("incoming/not-ours"), b"").unwrap();
    let store = open(closed.path());
    assert!(!closed.incoming(id).exists());
    assert!(closed.path().join("incoming/not-ours").exists());
    check(&store).await;
    assert_eq!(read(&store, &bucket("home"), "k").await.unwrap(), closed.content);
}

#[tokio::test]
async fn after_the_commit_the_file_is_settled() {
    let closed = closed().await;
    let id = closed.content_id();
    fs::rename(closed.settled(id), closed.incoming(id)).unwrap();
    assert_eq!(closed.object().await.unwrap(), closed.content);
    assert!(closed.settled(id).exists() && !closed.incoming(id).exists());
}

#[tokio::test]
async fn files_are_readable_before_they_are_settled() {
    let closed = closed().await;
    let id = closed.content_id();
    let store = open(closed.path());
    fs::rename(closed.settled(id), closed.incoming(id)).unwrap();
    assert_eq!(read(&store, &bucket("home"), "k").await.unwrap(), closed.content);
}

#[tokio::test]
async fn what_was_given_up_is_unlinked() {
    for settled in [true, false] {
        let closed = closed().await;
        let id = closed.content_id();
        closed
            .index()
            .execute_batch(&format!(
                "BEGIN; DELETE FROM object; DELETE FROM content; UPDATE bucket SET bytes = 0, objects = 0; \
                 INSERT INTO garbage VALUES ({id}); COMMIT"
            ))
            .unwrap();
        if !settled {
            fs::rename(closed.settled(id), closed.incoming(id)).unwrap();
        }
        let store = open(closed.path());
        assert_eq!(files(closed.path()), 0);
        assert_eq!(closed.index().query_row("SELECT count(*) FROM garbage", [], |row| row.get(0)), Ok(0));
        check(&store).await;
        // Numbers are not given out again while anything may remember them.
        put(&store, &bucket("home"), "new", &bytes(1, 100)).await.unwrap();
        assert!(closed.content_id() > id);
    }
}

#[tokio::test]
async fn garbage_that_is_unlinked_already_is_forgotten() {
    let closed = closed().await;
    closed.index().execute("INSERT INTO garbage VALUES (99)", []).unwrap();
    check(&open(closed.path())).await;
    assert_eq!(closed.index().query_row("SELECT count(*) FROM garbage", [], |row| row.get(0)), Ok(0));
}

#[tokio::test]
async fn a_log_without_its_commit_changes_nothing() {
    let closed = closed().await;
    let index = closed.index();
    index.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
    index.execute_batch("BEGIN; UPDATE object SET size = 1; PRAGMA cache_spill = 1").unwrap();
    // The process ends here, in the middle of its transaction.
    std::mem::forget(index);
    let log = closed.path().join("index.sqlite-wal");
    let mut torn = fs::read(&log).unwrap_or_default();
    torn.extend([0xa5; 5000]);
    fs::write(&log, torn).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_tree(closed.path(), copy.path());
    let store = open(copy.path());
    assert_eq!(read(&store, &bucket("home"), "k").await.unwrap(), closed.content);
    check(&store).await;
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_tree(&entry.path(), &target);
        } else if !entry.file_name().to_str().unwrap().ends_with("-shm") {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn damage_is_told_and_never_passed_on() {
    let closed = closed().await;
    let id = closed.content_id();
    let name = format!("{id:016x}");
    let store = open(closed.path());
    let verify = async |depth| store.verify(depth).await.unwrap();

    let mut changed = closed.content.clone();
    changed[100] ^= 1;
    fs::write(closed.settled(id), &changed).unwrap();
    assert_eq!(verify(Depth::Sizes).await.damage, []);
    assert_eq!(verify(Depth::Digests).await.damage, [Damage::Bytes(name.clone())]);

    fs::write(closed.settled(id), &changed[..10]).unwrap();
    let size = Damage::Size { content: name.clone(), expected: 5000, found: 10 };
    assert_eq!(verify(Depth::Sizes).await.damage, [size]);
    assert!(matches!(read(&store, &bucket("home"), "k").await, Err(StoreError::Corrupt(_))));

    fs::remove_file(closed.settled(id)).unwrap();
    assert_eq!(verify(Depth::Sizes).await.damage, [Damage::Missing(name.clone())]);
    assert!(matches!(read(&store, &bucket("home"), "k").await, Err(StoreError::Corrupt(_))));

    fs::write(closed.settled(id), &closed.content).unwrap();
    fs::write(closed.settled(77), b"lost").unwrap();
    let report = verify(Depth::Digests).await;
    assert_eq!((&report.damage, &report.orphans), (&vec![], &vec![format!("{:016x}", 77)]));

    closed.index().execute("UPDATE content SET refs = 2", []).unwrap();
    let counted = Damage::References { content: name, counted: 2, found: 1 };
    assert_eq!(verify(Depth::Sizes).await.damage, [counted]);
    assert_eq!(store.repair(&report).await.unwrap(), Repaired { counts: 1, files: 1, ..Repaired::default() });
    for _ in 0..100 {
        if !closed.settled(77).exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(verify(Depth::Digests).await.is_clean());
    closed.index().execute("UPDATE content SET refs = 1, size = 4999", []).unwrap();
    assert!(verify(Depth::Sizes).await.damage.contains(&Damage::Reference("k".to_owned())));
}

#[tokio::test]
async fn a_store_is_looked_at_from_outside() {
    let nowhere = tempfile::tempdir().unwrap();
    assert!(matches!(inspect(nowhere.path(), Depth::Sizes), Err(StoreError::NoStore(_))));
    assert_eq!(fs::read_dir(nowhere.path()).unwrap().count(), 0, "nothing is made");
    let closed = closed().await;
    let seen = inspect(closed.path(), Depth::Digests).unwrap();
    assert!(!seen.in_use && seen.report.is_clean());
    fs::write(closed.incoming(99), b"half").unwrap();
    assert_eq!(inspect(closed.path(), Depth::Sizes).unwrap().in_flight, 1);
    assert!(closed.incoming(99).exists());
    let store = open(closed.path());
    assert!(inspect(closed.path(), Depth::Sizes).unwrap().in_use);
    // What is lost has names.
    fs::remove_file(closed.settled(closed.content_id())).unwrap();
    let report = inspect(closed.path(), Depth::Sizes).unwrap().report;
    let which = Affected { bucket: "home".to_owned(), key: "k".to_owned(), which: "null".to_owned() };
    assert_eq!(report.affected, [which]);
    drop(store);
    closed.index().pragma_update(None, "user_version", 1).unwrap();
    assert!(matches!(inspect(closed.path(), Depth::Sizes), Err(StoreError::OlderFormat { found: 1, .. })));
}

#[tokio::test]
async fn versions_are_put_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    store.set_versioning(&home, true).await.unwrap();
    for content in [b"1", b"2", b"3"] {
        put(&store, &home, "k", content).await.unwrap();
    }
    // The current version was lost, with its content.
    let index = Connection::open(directory.path().join("index.sqlite")).unwrap();
    index
        .execute_batch("DELETE FROM content WHERE id = (SELECT content FROM object); DELETE FROM object")
        .unwrap();
    let report = store.verify(Depth::Digests).await.unwrap();
    let order = Damage::Versions { bucket: "home".to_owned(), key: "k".to_owned() };
    assert!(
        matches!(report.damage.as_slice(), [first, Damage::Usage { .. }] if *first == order),
        "{report:?}"
    );
    let repaired = store.repair(&report).await.unwrap();
    assert_eq!(repaired, Repaired { keys: 1, buckets: 1, ..Repaired::default() });
    check(&store).await;
    assert_eq!(read(&store, &home, "k").await.unwrap(), b"2");
    // Something nothing refers to any more is given up.
    index.execute("DELETE FROM object", []).unwrap();
    let report = store.verify(Depth::Digests).await.unwrap();
    let repaired = store.repair(&report).await.unwrap();
    assert_eq!((repaired.contents, repaired.keys), (1, 1));
    check(&store).await;
    assert_eq!(read(&store, &home, "k").await.unwrap(), b"1");
}
