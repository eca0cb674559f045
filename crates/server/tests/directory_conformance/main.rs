//! One suite for every home of the directory: a file, SQLite, and a real PostgreSQL on loopback.
//!
//! PostgreSQL is Debian's package. Without it the tests of it fail where `CI` is set, and say that they were
//! skipped elsewhere.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed; one that is skipped says so"
)]

/// Runs each of these once with every home that takes changes.
macro_rules! every_home {
    ($($name:ident)*) => { $(
        mod $name {
            use crate::home::Home;

            #[tokio::test]
            async fn sqlite() {
                super::$name(Home::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(home) = Home::postgres() {
                    super::$name(home).await;
                }
            }
        }
    )* };
}

mod postgres;

mod home;

mod fixture;

mod contents;

mod account;

mod nodes;

mod last_uses;

mod providers;

mod one_home;
