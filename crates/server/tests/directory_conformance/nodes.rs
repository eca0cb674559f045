//! Several servers share one directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wigeon_server::directory::{AccountSettings, Change, ChangeError, Directory, Owner};

use crate::fixture::{WRITE, arn, at, policy, role, seen};
use crate::home::Home;
use crate::postgres::Server;

every_home! {
    nodes_see_each_others_changes
    writers_do_not_lose_each_others_changes
}

async fn nodes_see_each_others_changes(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    let watching = tokio::spawn(Arc::clone(&two).watch(Duration::from_millis(500)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    for change in [policy("managed"), role("reader")] {
        one.change(&change, at()).await.unwrap();
    }
    let attach = Change::Attach { owner: Owner::Role("reader".into()), arn: arn("policy", "managed") };
    one.change(&attach, at()).await.unwrap();
    let policies = |directory: &Directory| {
        directory.snapshot().role(&arn("role", "team/reader")).map(|role| role.policies.len())
    };
    seen(|| policies(&two) == Some(1)).await;
    // A managed policy's new version reaches the roles that it is attached to.
    let version = Change::CreatePolicyVersion {
        arn: arn("policy", "managed"),
        document: WRITE.into(),
        set_as_default: true,
    };
    one.change(&version, at()).await.unwrap();
    let text = |directory: &Directory| {
        let snapshot = directory.snapshot();
        snapshot.role(&arn("role", "team/reader")).map(|role| role.policies[0].document.text().to_owned())
    };
    seen(|| text(&two).as_deref() == Some(WRITE)).await;
    let detach = Change::Detach { owner: Owner::Role("reader".into()), arn: arn("policy", "managed") };
    one.change(&detach, at()).await.unwrap();
    one.change(&Change::DeleteRole { name: "reader".into() }, at()).await.unwrap();
    seen(|| policies(&two).is_none()).await;
    watching.abort();
}

async fn writers_do_not_lose_each_others_changes(home: Home) {
    let mut tasks = Vec::new();
    for node in 0..3 {
        let directory = home.open().await;
        tasks.push(tokio::spawn(async move {
            for index in 0..8 {
                let change = role(&format!("role-{node}-{index}"));
                // Eight lost races in a row are answered with `ServiceFailure`, and tried again.
                while let Err(error) = directory.change(&change, at()).await {
                    assert!(matches!(error, ChangeError::Unavailable(_)), "{error:?}");
                }
            }
            directory
        }));
    }
    let mut directories = Vec::new();
    for task in tasks {
        directories.push(task.await.unwrap());
    }
    for directory in directories {
        directory.refresh().await.unwrap();
        assert_eq!(directory.snapshot().entries().roles.len(), 24);
        assert_eq!(directory.snapshot().revision(), 24);
        assert_eq!(directory.snapshot().roles().count(), 24);
    }
}

/// While the database is away, reads work from the last state and changes are refused; when it is back, all is
/// as before, the notifications included.
#[tokio::test]
async fn a_database_that_goes_away_and_comes_back() {
    let Some(binaries) = Server::binaries() else { return };
    let server = Server::start(binaries);
    let address = server.address("postgres");
    let account = AccountSettings::default();
    let open = || async { Arc::new(Directory::from_postgres(&address, None, None, &account).await.unwrap()) };
    let (one, two) = (open().await, open().await);
    let watching = tokio::spawn(Arc::clone(&two).watch(Duration::from_secs(60)));
    one.change(&role("reader"), at()).await.unwrap();
    seen(|| two.snapshot().entries().roles.len() == 1).await;

    server.stop();
    let error = one.change(&role("writer"), at()).await.unwrap_err();
    assert!(matches!(error, ChangeError::Unavailable(_)), "{error:?}");
    assert!(one.snapshot().role(&arn("role", "team/reader")).is_some());

    server.again();
    let since = Instant::now();
    while one.change(&role("writer"), at()).await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let since = Instant::now();
    while two.snapshot().entries().roles.len() < 2 {
        assert!(since.elapsed() < Duration::from_secs(10), "the notifications did not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    watching.abort();
    server.stop();
}
