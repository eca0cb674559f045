use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use wigeon_core::time::Timestamp;

use super::*;
use crate::config::{DirectoryConfig, DirectoryHome, Listen};
use crate::directory::{AccountSettings, Directory};

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

async fn found(config: &Config) -> Vec<Finding> {
    let clock: Arc<dyn Clock> = Arc::new(Now);
    check(config, &clock).await
}

fn config(folder: &Path) -> Config {
    let home = DirectoryHome::Sqlite(folder.join("directory.sqlite"));
    let directory = DirectoryConfig { home, account: AccountSettings::default(), connections: None };
    Config {
        listen: vec![Listen::at(([127, 0, 0, 1], 0).into())],
        ..Config::new(folder.join("data"), directory)
    }
}

fn of<'f>(findings: &'f [Finding], subject: &str) -> &'f Finding {
    findings.iter().find(|finding| finding.subject.starts_with(subject)).unwrap()
}

#[tokio::test]
async fn a_server_that_was_never_started_is_in_order_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let findings = found(&config(folder.path())).await;
    assert!(findings.iter().all(|finding| finding.state < State::Failed), "{findings:#?}");
    assert!(of(&findings, "session keys").text.contains("will be made"));
    assert!(of(&findings, "directory").text.contains("will be made"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_stands_in_the_way_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let keys = folder.path().join("keys.json");
    fs::write(&keys, "{}").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(folder.path().join("data"), "a file").unwrap();
    fs::write(folder.path().join("directory.sqlite"), "no database, and long enough to be seen as none")
        .unwrap();
    let config = Config {
        listen: vec![Listen::at(taken.local_addr().unwrap()), Listen::at(([192, 0, 2, 1], 1).into())],
        session_keys: keys,
        ..config(folder.path())
    };
    let findings = found(&config).await;
    assert_eq!(of(&findings, "listener 127.0.0.1").state, State::Warning);
    for subject in ["listener 192.0.2.1", "data", "session keys", "directory"] {
        assert_eq!(of(&findings, subject).state, State::Failed, "{subject}: {findings:#?}");
    }
}

#[tokio::test]
async fn a_directory_that_is_there_is_read_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    let account = AccountSettings { number: Some("123456789012".into()), ceph: None };
    drop(Directory::from_sqlite(&path, &account).unwrap());
    let mut config = config(folder.path());
    let before = fs::read(&path).unwrap();
    assert!(of(&found(&config).await, "directory").text.contains("0 providers, 0 roles"));
    config.directory.account.number = Some("999999999999".to_owned());
    let other = found(&config).await;
    assert_eq!(of(&other, "directory").state, State::Failed);
    assert!(of(&other, "directory").text.contains("123456789012"));
    assert_eq!(fs::read(&path).unwrap(), before);
}
