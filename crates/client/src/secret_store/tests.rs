//! What every store must do, run by each of them.

use wigeon_core::secret::Secret;

use super::boundary::digest_of;
use super::*;

fn account(profile: &str, subject: &str) -> Account {
    Account {
        profile: profile.to_owned(),
        issuer: "https://i".to_owned(),
        client_id: "c".to_owned(),
        subject: subject.to_owned(),
    }
}

fn conforms(store: &dyn SecretStore) {
    assert_eq!(store.load("lab").unwrap(), None);
    assert!(!store.remove("lab").unwrap());
    let large = Secret::new("x".repeat(100_000));
    store.save(&account("lab", "ada"), &Secret::new("1")).unwrap();
    store.save(&account("lab", "ada"), &large).unwrap();
    store.save(&account("other", "ada"), &Secret::new("o")).unwrap();
    assert_eq!(store.load("lab").unwrap(), Some(large));
    store.save(&account("lab", "bob"), &Secret::new("2")).unwrap();
    assert_eq!(store.load("lab").unwrap(), Some(Secret::new("2")), "the one saved last is the current one");
    assert_eq!(store.profiles().unwrap(), ["lab", "other"]);

    let lock = store.try_lock("lab").unwrap();
    assert!(lock.is_some());
    assert!(store.try_lock("lab").unwrap().is_none(), "held");
    assert!(store.try_lock("other").unwrap().is_some(), "another profile's lock is another one");
    drop(lock);
    assert!(store.try_lock("lab").unwrap().is_some(), "free again");

    assert!(store.remove("lab").unwrap());
    assert_eq!(store.load("lab").unwrap(), None);
    assert_eq!(store.load("other").unwrap(), Some(Secret::new("o")));
}

#[test]
fn memory() {
    conforms(&MemoryStore::default());
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&FileStore::new(dir.path().join("sessions")));
}

#[cfg(unix)]
#[test]
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("sessions");
    let store = FileStore::new(&root);
    store.save(&account("lab", "ada"), &Secret::new("1")).unwrap();
    let _lock = store.try_lock("lab").unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(root.join("p-lab")).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        seen += 1;
    }
    assert_eq!(seen, 3);
    assert_eq!(std::fs::metadata(root.join("p-lab")).unwrap().permissions().mode() & 0o777, 0o700);

    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(store.load("lab"), Err(StoreError::Open { mode: 0o755, .. })));
    assert!(matches!(store.save(&account("lab", "ada"), &Secret::new("2")), Err(StoreError::Open { .. })));
}

#[test]
fn a_profile_cannot_leave_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::new(dir.path().join("sessions"));
    store.save(&account("../../evil", "ada"), &Secret::new("1")).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn accounts_do_not_run_together() {
    let mut one = account("a", "b");
    let mut two = account("a", "b");
    (one.client_id, one.subject) = ("xy".to_owned(), "z".to_owned());
    (two.client_id, two.subject) = ("x".to_owned(), "yz".to_owned());
    assert_ne!(digest_of(&one), digest_of(&two));
}
