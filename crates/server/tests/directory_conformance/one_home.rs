//! What only one home has.

use std::time::Instant;

use wigeon_server::directory::{AccountSettings, ChangeError, Directory, StoredError, Used};

use crate::fixture::{ACCOUNT, READ, TRUST, at, every_change, role};
use crate::home::Home;

#[tokio::test]
async fn a_file_refuses_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    std::fs::write(
        &path,
        format!("account = '{ACCOUNT}'\n[[role]]\nname = 'reader'\ntrust = '''{TRUST}'''\n"),
    )
    .unwrap();
    let directory = Directory::from_file(&path).unwrap();
    assert!(directory.snapshot().entries().role("reader").is_some());
    for change in every_change() {
        let error = directory.change(&change, at()).await.unwrap_err();
        assert!(matches!(error, ChangeError::ReadOnly), "{change:?}: {error:?}");
    }
    assert_eq!(directory.snapshot().entries().roles.len(), 1);
    // What keys and sessions do is remembered as long as the process lives.
    for used in [Used::Key { id: "AKIA1" }, Used::Role { id: "AROA1", name: "reader" }] {
        directory.used(used, "s3", "us-east-1", at());
        directory.write_last_uses().await;
        assert_eq!(directory.last_use(used).await.unwrap().at, at());
    }
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    drop(Directory::from_sqlite(&path, &AccountSettings::default()).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let opened = Directory::from_sqlite(&path, &AccountSettings::default());
    assert!(matches!(opened, Err(StoredError::Newer { found: 99 })));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// Ten thousand roles: loaded whole, and one change among them.
#[tokio::test]
async fn many_roles_are_loaded() {
    let home = Home::sqlite();
    drop(home.open().await);
    let Home::Sqlite(folder) = &home else { unreachable!() };
    let mut connection = rusqlite::Connection::open(folder.path().join("d/directory.sqlite")).unwrap();
    let transaction = connection.transaction().unwrap();
    for index in 0..10_000 {
        let body = serde_json::json!({
            "name": format!("role-{index}"), "path": "/", "id": format!("AROA{index:017}"),
            "created_at": "2026-11-23T20:07:00Z", "max_session_duration": 3600, "trust": TRUST,
            "policies": {"inline": {"read": READ}},
        });
        let values = (format!("role-{index}"), body.to_string());
        transaction
            .execute("INSERT INTO entry (kind, key, revision, body) VALUES ('role', ?1, 1, ?2)", values)
            .unwrap();
    }
    transaction.execute("UPDATE directory SET revision = 1", []).unwrap();
    transaction.commit().unwrap();
    let since = Instant::now();
    let directory = home.open().await;
    let loaded = since.elapsed();
    assert_eq!(directory.snapshot().roles().count(), 10_000);
    let since = Instant::now();
    directory.change(&role("one-more"), at()).await.unwrap();
    eprintln!("10,000 roles loaded in {loaded:?}, one more in {:?}", since.elapsed());
    assert_eq!(directory.snapshot().roles().count(), 10_001);
}
