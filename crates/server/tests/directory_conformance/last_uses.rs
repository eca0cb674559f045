//! When access keys and roles were last used.

use wigeon_core::time::Timestamp;
use wigeon_server::directory::{Change, Directory, Used};

use crate::fixture::{arn, at, role, user};
use crate::home::Home;

every_home! {
    last_uses_of_keys_are_shared
    last_uses_of_roles_are_shared_and_end_with_them
    older_tables_are_brought_forward
}

fn key_of(id: &str) -> Used<'_> {
    Used::Key { id }
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(at().as_second() + seconds).unwrap()
}

async fn last_uses_of_keys_are_shared(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    one.change(&user("robot"), at()).await.unwrap();
    let key =
        |id: &str| Change::CreateAccessKey { user: "robot".into(), id: id.into(), sealed_secret: "s".into() };
    one.change(&key("AKIA1"), at()).await.unwrap();
    assert_eq!(one.last_use(key_of("AKIA1")).await, None);
    one.used(key_of("AKIA1"), "s3", "us-east-1", later(0));
    assert_eq!(one.last_use(key_of("AKIA1")).await.unwrap().at, later(0), "known at once where it happened");
    assert_eq!(two.last_use(key_of("AKIA1")).await, None);
    let before = one.snapshot().revision();
    one.write_last_uses().await;
    assert_eq!(two.last_use(key_of("AKIA1")).await.unwrap().service, "s3");
    // An older use on another node takes nothing back.
    two.used(key_of("AKIA1"), "iam", "us-east-1", later(-600));
    two.write_last_uses().await;
    assert_eq!(home.open().await.last_use(key_of("AKIA1")).await.unwrap().at, later(0));
    two.used(key_of("AKIA1"), "sts", "eu-west-1", later(600));
    two.write_last_uses().await;
    let last = one.last_use(key_of("AKIA1")).await.unwrap();
    assert_eq!((last.at, &*last.service, &*last.region), (later(600), "sts", "eu-west-1"));
    assert_eq!(home.open().await.snapshot().revision(), before, "a use is no change of the directory");
    // What is gone leaves nothing behind.
    one.change(&Change::DeleteAccessKey { user: "robot".into(), id: "AKIA1".into() }, at()).await.unwrap();
    one.used(key_of("AKIA2"), "s3", "us-east-1", later(1200));
    one.write_last_uses().await;
    let fresh = home.open().await;
    assert_eq!((fresh.last_use(key_of("AKIA1")).await, fresh.last_use(key_of("AKIA2")).await), (None, None));
}

async fn last_uses_of_roles_are_shared_and_end_with_them(home: Home) {
    let (one, two) = (home.open().await, home.open().await);
    one.change(&role("Reader"), at()).await.unwrap();
    let id =
        |directory: &Directory| directory.snapshot().role(&arn("role", "team/Reader")).unwrap().id.clone();
    let first = id(&one);
    let used = Used::Role { id: &first, name: "Reader" };
    assert_eq!(one.last_use(used).await, None);
    one.used(used, "s3", "us-east-1", later(0));
    one.write_last_uses().await;
    let last = two.last_use(used).await.unwrap();
    assert_eq!((last.at, &*last.service, &*last.region), (later(0), "s3", "us-east-1"));

    // One of the same name that comes later was not used.
    one.change(&Change::DeleteRole { name: "reader".into() }, at()).await.unwrap();
    one.change(&role("Reader"), at()).await.unwrap();
    let second = id(&one);
    assert_ne!(first, second);
    assert_eq!(one.last_use(Used::Role { id: &second, name: "Reader" }).await, None);

    // With the name goes the row; those of others stay.
    one.change(&role("writer"), at()).await.unwrap();
    one.change(&Change::DeleteRole { name: "reader".into() }, at()).await.unwrap();
    let writer = Used::Role { id: "AROAWRITER", name: "writer" };
    one.used(writer, "iam", "us-east-1", later(60));
    one.write_last_uses().await;
    let fresh = home.open().await;
    assert_eq!(fresh.last_use(used).await, None);
    assert_eq!(fresh.last_use(writer).await.unwrap().at, later(60));
}

async fn older_tables_are_brought_forward(home: Home) {
    home.open().await.change(&role("reader"), at()).await.unwrap();
    home.as_of_schema_1();
    let directory = home.open().await;
    assert!(directory.snapshot().role(&arn("role", "team/reader")).is_some());
    directory.change(&user("robot"), at()).await.unwrap();
    let key = Change::CreateAccessKey { user: "robot".into(), id: "AKIA1".into(), sealed_secret: "s".into() };
    directory.change(&key, at()).await.unwrap();
    directory.used(key_of("AKIA1"), "s3", "us-east-1", at());
    directory.write_last_uses().await;
    assert!(home.open().await.last_use(key_of("AKIA1")).await.is_some());
}
