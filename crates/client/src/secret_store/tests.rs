//! What every store must do, run by each of them; and what sealed files must withstand.

use std::path::Path;
use std::sync::Arc;

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

/// Says one passphrase, whoever asks.
struct Says(&'static str);

impl Passphrases for Says {
    fn passphrase(&self, _new: bool) -> Option<Secret> {
        Some(Secret::new(self.0))
    }
}

fn options() -> Options {
    Options {
        keychain: false,
        machine_id: "this".to_owned(),
        passphrases: Arc::new(NoPassphrase),
        chosen: None,
        moving: false,
    }
}

fn under(said: &'static str) -> Options {
    Options { passphrases: Arc::new(Says(said)), chosen: Some(Protection::Passphrase), ..options() }
}

fn conforms(store: &dyn SecretStore) {
    assert_eq!(store.load("lab").unwrap(), None);
    assert_eq!(store.place("lab").unwrap(), None);
    assert!(!store.remove("lab").unwrap());
    let prepared = store.prepare("lab").unwrap();
    assert_eq!(store.load("lab").unwrap(), None, "to prepare leaves nothing");
    let large = Secret::new("x".repeat(1_000_000));
    store.save(&account("lab", "ada"), &Secret::new("1")).unwrap();
    store.save(&account("lab", "ada"), &large).unwrap();
    store.save(&account("other", "ada"), &Secret::new("o")).unwrap();
    assert_eq!(store.place("lab").unwrap(), Some(prepared.place));
    assert_eq!(store.load("lab").unwrap(), Some(large.clone()));
    store.save(&account("lab", "bob"), &Secret::new("2")).unwrap();
    assert_eq!(store.load("lab").unwrap(), Some(Secret::new("2")), "the one saved last is the current one");
    assert_eq!(store.profiles().unwrap(), ["lab", "other"]);
    assert_eq!(store.accounts("lab").unwrap().len(), 2, "the other one is still there");
    assert!(store.accounts("lab").unwrap().contains(&large));

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
fn sealed_by_the_machine_and_by_a_passphrase() {
    for options in [options(), under("correct horse")] {
        let dir = tempfile::tempdir().unwrap();
        conforms(&SealedStore::new(dir.path().join("sessions"), options));
    }
}

/// Everything below a directory, as bytes.
fn written(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => all.extend(written(&path)),
            path => all.extend(std::fs::read(path).unwrap()),
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn another_process_reads_what_nobody_else_can() {
    let dir = tempfile::tempdir().unwrap();
    let at = |options| SealedStore::new(dir.path().join("sessions"), options);
    let secret = Secret::new("refresh-token-of-ada");
    at(options()).save(&account("lab", "ada"), &secret).unwrap();
    assert!(!holds(&written(dir.path()), secret.expose()));
    assert_eq!(at(options()).load("lab").unwrap(), Some(secret.clone()));
    let elsewhere = at(Options { machine_id: "other".to_owned(), ..options() });
    assert!(matches!(elsewhere.load("lab"), Err(StoreError::Unopened("file"))));
    assert_eq!(elsewhere.place("lab").unwrap(), Some(Place::Sealed(Protection::File)));

    at(under("right")).save(&account("vault", "ada"), &secret).unwrap();
    assert!(!holds(&written(dir.path()), secret.expose()));
    // Read by itself, whatever is chosen now: the record says what opens it.
    let with = |said| Options { passphrases: Arc::new(Says(said)), ..options() };
    assert_eq!(at(with("right")).load("vault").unwrap(), Some(secret.clone()));
    assert!(matches!(at(with("wrong")).load("vault"), Err(StoreError::WrongPassphrase)));
    assert!(matches!(at(options()).load("vault"), Err(StoreError::NoPassphrase)));
    assert!(
        matches!(at(options()).prepare("vault"), Err(StoreError::NoPassphrase)),
        "never given up for less"
    );
    assert_eq!(at(options()).load("lab").unwrap(), Some(secret));
}

#[test]
fn one_account_is_not_passed_off_as_another() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("sessions");
    let store = SealedStore::new(&dir, options());
    store.save(&account("lab", "ada"), &Secret::new("ada's")).unwrap();
    store.save(&account("lab", "bob"), &Secret::new("bob's")).unwrap();
    let file = |subject| dir.join("p-lab").join(format!("{}.sealed", digest_of(&account("lab", subject))));
    std::fs::copy(file("ada"), file("bob")).unwrap();
    assert!(matches!(store.load("lab"), Err(StoreError::Unopened("file"))));
    std::fs::write(file("bob"), "wigeon-sealed 1 file").unwrap();
    assert!(matches!(store.load("lab"), Err(StoreError::Unopened("file"))));
}

#[test]
fn it_stays_where_it_is_until_a_person_signs_in_anew() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("sessions");
    let at = |options| SealedStore::new(&dir, options);
    let place = || at(options()).place("lab").unwrap();
    at(options()).save(&account("lab", "ada"), &Secret::new("1")).unwrap();
    at(under("right")).save(&account("lab", "ada"), &Secret::new("2")).unwrap();
    assert_eq!(place(), Some(Place::Sealed(Protection::File)), "a renewal");
    let moving = Options { moving: true, ..under("right") };
    assert_eq!(at(moving.clone()).prepare("lab").unwrap().place, Place::Sealed(Protection::Passphrase));
    at(moving).save(&account("lab", "ada"), &Secret::new("3")).unwrap();
    assert_eq!(place(), Some(Place::Sealed(Protection::Passphrase)));
    let back = Options { moving: true, chosen: Some(Protection::File), ..options() };
    at(back).save(&account("lab", "ada"), &Secret::new("4")).unwrap();
    assert_eq!(at(options()).load("lab").unwrap(), Some(Secret::new("4")));
}

#[test]
fn a_place_that_does_not_work_is_known_beforehand() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("sessions");
    let store = SealedStore::new(&dir, options());
    let prepared = store.prepare("lab").unwrap();
    assert_eq!(prepared.place, Place::Sealed(Protection::File));
    assert!(prepared.passed_over.unwrap().contains("no keychain"), "the better place is named");
    let only = SealedStore::new(&dir, Options { chosen: Some(Protection::Keychain), ..options() });
    assert!(matches!(only.prepare("new"), Err(StoreError::Keychain(KeychainError::None(_)))));
    std::fs::write(dir.join("p-blocked"), "a file where a directory is to be").unwrap();
    assert!(matches!(store.prepare("blocked"), Err(StoreError::Io { .. })));
}

fn kept_by_an_earlier_version(dir: &Path, text: &str) {
    let place = dir.join("p-lab");
    let digest = digest_of(&account("lab", "ada"));
    crate::durable::replace(&place.join(format!("{digest}.json")), text.as_bytes()).unwrap();
    crate::durable::replace(&place.join("current"), digest.as_bytes()).unwrap();
}

#[test]
fn what_an_earlier_version_kept_is_sealed_without_loss() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("sessions");
    kept_by_an_earlier_version(&dir, "plain-token");
    let store = SealedStore::new(&dir, options());
    assert_eq!(store.place("lab").unwrap(), Some(Place::Plain));
    let lock = store.try_lock("lab").unwrap();
    assert_eq!(store.load("lab").unwrap(), Some(Secret::new("plain-token")));
    assert!(
        holds(&written(&dir), "plain-token"),
        "whoever has the lock may be about to write something newer"
    );
    drop(lock);
    assert_eq!(store.load("lab").unwrap(), Some(Secret::new("plain-token")));
    assert!(!holds(&written(&dir), "plain-token"), "sealed, and the plain file has gone");
    assert_eq!(store.load("lab").unwrap(), Some(Secret::new("plain-token")));

    // Interrupted between the two steps, after which the sealed one was renewed: the old one never comes back.
    store.save(&account("lab", "ada"), &Secret::new("newer")).unwrap();
    kept_by_an_earlier_version(&dir, "plain-token");
    assert_eq!(store.load("lab").unwrap(), Some(Secret::new("newer")));
    store.save(&account("lab", "ada"), &Secret::new("newest")).unwrap();
    assert!(!holds(&written(&dir), "plain-token"));
}

#[test]
fn many_that_begin_at_once_have_the_same_key() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("sessions");
    std::thread::scope(|scope| {
        for number in 0..16 {
            let store = SealedStore::new(&dir, options());
            scope.spawn(move || {
                store.save(&account(&format!("lab{number}"), "ada"), &Secret::new("1")).unwrap();
            });
        }
    });
    for number in 0..16 {
        let store = SealedStore::new(&dir, options());
        assert_eq!(store.load(&format!("lab{number}")).unwrap(), Some(Secret::new("1")));
    }
}

#[cfg(unix)]
#[test]
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("sessions");
    let store = SealedStore::new(&root, options());
    store.save(&account("lab", "ada"), &Secret::new("1")).unwrap();
    let _lock = store.try_lock("lab").unwrap();
    for (place, expected) in [("p-lab", 3), ("keys", 2)] {
        let mut seen = 0;
        for entry in std::fs::read_dir(root.join(place)).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
            seen += 1;
        }
        assert_eq!(seen, expected, "{place}");
        assert_eq!(std::fs::metadata(root.join(place)).unwrap().permissions().mode() & 0o777, 0o700);
    }

    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(store.load("lab"), Err(StoreError::Open { mode: 0o755, .. })));
    assert!(matches!(store.save(&account("lab", "ada"), &Secret::new("2")), Err(StoreError::Open { .. })));
}

#[test]
fn a_profile_cannot_leave_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = SealedStore::new(dir.path().join("sessions"), options());
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
