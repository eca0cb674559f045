//! The homes that take changes.

use std::sync::Arc;

use tempfile::TempDir;
use wigeon_server::directory::{AccountSettings, Directory, StoredError};

use crate::fixture::ACCOUNT;
use crate::postgres::Server;

/// A home that can be opened several times, as by several nodes.
pub(crate) enum Home {
    Sqlite(TempDir),
    Postgres { address: String, _server: Arc<Server> },
}

impl Home {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// A fresh database of the one server.
    pub(crate) fn postgres() -> Option<Self> {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let server = Server::shared()?;
        let name = format!("d{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        server.sql("postgres", &format!("CREATE DATABASE {name}"));
        Some(Self::Postgres { address: server.address(&name), _server: server })
    }

    pub(crate) async fn open(&self) -> Arc<Directory> {
        self.open_as(&AccountSettings { number: Some(ACCOUNT.into()), ceph: None }).await.unwrap()
    }

    pub(crate) async fn open_as(&self, account: &AccountSettings) -> Result<Arc<Directory>, StoredError> {
        let opened = match self {
            Self::Sqlite(folder) => {
                Directory::from_sqlite(&folder.path().join("d/directory.sqlite"), account)
            }
            Self::Postgres { address, .. } => Directory::from_postgres(address, None, None, account).await,
        };
        opened.map(Arc::new)
    }

    /// The tables as the first servers made them.
    pub(crate) fn as_of_schema_1(&self) {
        match self {
            Self::Sqlite(folder) => {
                let file = folder.path().join("d/directory.sqlite");
                let connection = rusqlite::Connection::open(file).unwrap();
                connection.execute_batch("ALTER TABLE directory DROP COLUMN ceph; DROP TABLE last_use; PRAGMA user_version = 1").unwrap();
            }
            Self::Postgres { address, _server: server } => {
                let database = address.rsplit('/').next().unwrap();
                server.sql(database, "ALTER TABLE wigeon_directory DROP COLUMN ceph; DROP TABLE wigeon_last_use; UPDATE wigeon_schema SET version = 1");
            }
        }
    }
}
