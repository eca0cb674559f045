//! The shared home of a directory: a PostgreSQL database, for several nodes.
//!
//! A change is one transaction that first claims the next revision, so two nodes cannot both make it; it ends
//! with a notification, upon which the other nodes read what is new. A node that missed a notification reads
//! at its next look anyway. While the database is away, the last state serves reads, and changes are refused.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::{StreamExt, future, stream};
use tokio::sync::Notify;
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, Config, GenericClient};

use super::entry::Write;
use super::last_use::LastUse;
use super::postgres_tls::Tls;
use super::stored::{
    Account, AccountSettings, Committed, KEPT, Opened, Rows, SCHEMA, Seen, StoredError, body, row,
    written_use,
};

/// How long a node waits for the database before a change is refused.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it waits before it listens again.
const PAUSE: Duration = Duration::from_millis(500);

/// The name of the notifications, and of the lock under which tables are made.
const CHANNEL: &str = "wigeon_directory";
const LOCK: i64 = 0x0077_6967_656f_6e01;

/// A directory's PostgreSQL database.
#[derive(Debug, Clone)]
pub(super) struct Postgres {
    pool: Pool,
    config: Config,
    tls: Tls,
}

impl Postgres {
    /// Connects, and makes the tables where they are not there. `certificates` (PEM) stand in for the system's
    /// certificate authorities.
    pub(super) async fn open(
        address: &str,
        password: Option<&str>,
        certificates: Option<&[u8]>,
        configured: &AccountSettings,
    ) -> Result<(Self, Opened), StoredError> {
        let home = Self::at(address, password, certificates)?;
        let opened = home.prepare(configured).await?;
        Ok((home, opened))
    }

    /// Looks at the tables, and changes nothing.
    pub(super) async fn look(
        address: &str,
        password: Option<&str>,
        certificates: Option<&[u8]>,
        configured: &AccountSettings,
    ) -> Result<Seen, StoredError> {
        let home = Self::at(address, password, certificates)?;
        limited(async {
            let mut client = home.pool.get().await.map_err(failed)?;
            let transaction = client.build_transaction().read_only(true).start().await.map_err(failed)?;
            let there = "SELECT to_regclass('wigeon_schema') IS NOT NULL";
            if !transaction.query_one(there, &[]).await.map_err(failed)?.get::<_, bool>(0) {
                return Ok(Seen::Missing);
            }
            let found =
                transaction.query_opt("SELECT version FROM wigeon_schema", &[]).await.map_err(failed)?;
            match found.map_or(0, |row| row.get::<_, i64>(0)) {
                0 => return Ok(Seen::Missing),
                SCHEMA => {}
                older @ ..SCHEMA => return Ok(Seen::Older(older)),
                found => return Err(StoredError::Newer { found }),
            }
            let stored = account(&*transaction).await.map_err(failed)?;
            let rows = read(&*transaction, None).await?;
            Ok(Seen::Opened(Opened { account: configured.found(stored)?, rows }))
        })
        .await
    }

    fn at(address: &str, password: Option<&str>, certificates: Option<&[u8]>) -> Result<Self, StoredError> {
        let mut config: Config = address.parse().map_err(failed)?;
        if let Some(password) = password {
            config.password(password);
        }
        config.connect_timeout(PATIENCE).application_name("wigeon");
        // Over a network, TLS is not something to fall back from.
        if !is_local(&config) && config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Require);
        }
        let tls = Tls::new(certificates).map_err(StoredError::Postgres)?;
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), tls.clone(), manager_config);
        let pool = Pool::builder(manager)
            .max_size(4)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .recycle_timeout(Some(PATIENCE))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(failed)?;
        Ok(Self { pool, config, tls })
    }

    async fn prepare(&self, configured: &AccountSettings) -> Result<Opened, StoredError> {
        let mut client = self.pool.get().await.map_err(failed)?;
        let transaction = client.transaction().await.map_err(failed)?;
        // Nodes that start together make the tables once.
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(failed)?;
        transaction
            .batch_execute("CREATE TABLE IF NOT EXISTS wigeon_schema (version BIGINT NOT NULL)")
            .await
            .map_err(failed)?;
        let found = transaction.query_opt("SELECT version FROM wigeon_schema", &[]).await.map_err(failed)?;
        let found: i64 = found.map_or(0, |row| row.get(0));
        if found > SCHEMA {
            return Err(StoredError::Newer { found });
        }
        migrate(&*transaction, found, &configured.founded()).await.map_err(failed)?;
        let stored = account(&*transaction).await.map_err(failed)?;
        let rows = read(&*transaction, None).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Opened { account: configured.found(stored)?, rows })
    }

    /// What changed after a revision; `None` if nothing did.
    pub(super) async fn since(&self, revision: i64) -> Result<Option<Rows>, StoredError> {
        limited(async {
            let mut client = self.pool.get().await.map_err(failed)?;
            // One snapshot for the revision and the rows.
            let transaction = client
                .build_transaction()
                .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()
                .await
                .map_err(failed)?;
            let current =
                transaction.query_one("SELECT revision FROM wigeon_directory", &[]).await.map_err(failed)?;
            if current.get::<_, i64>(0) == revision {
                return Ok(None);
            }
            read(&*transaction, Some(revision)).await.map(Some)
        })
        .await
    }

    /// Writes rows in one transaction, if the revision is still this one.
    pub(super) async fn commit(&self, revision: i64, writes: Arc<[Write]>) -> Result<Committed, StoredError> {
        limited(async {
            let mut client = self.pool.get().await.map_err(failed)?;
            let transaction = client.transaction().await.map_err(failed)?;
            let next = revision + 1;
            let claim = "UPDATE wigeon_directory SET revision = $2 WHERE revision = $1";
            if transaction.execute(claim, &[&revision, &next]).await.map_err(failed)? == 0 {
                return Ok(Committed::Stale);
            }
            let put = transaction
                .prepare(
                    "INSERT INTO wigeon_entry (kind, key, revision, body) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (kind, key) DO UPDATE SET revision = $3, body = $4",
                )
                .await
                .map_err(failed)?;
            for write in writes.iter() {
                let text = body(write)?;
                let (kind, key) = (write.kind.as_str(), write.key.as_str());
                transaction.execute(&put, &[&kind, &key, &next, &text]).await.map_err(failed)?;
            }
            if next % 1_000 == 0 {
                purge(&*transaction, next - KEPT).await.map_err(failed)?;
            }
            let notify = "SELECT pg_notify($1, $2)";
            transaction.execute(notify, &[&CHANNEL, &next.to_string()]).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            Ok(Committed::At(next))
        })
        .await
    }

    /// The last use in a row, as far as the nodes have written it.
    pub(super) async fn last_use(&self, key: &str) -> Result<Option<LastUse>, StoredError> {
        limited(async {
            let client = self.pool.get().await.map_err(failed)?;
            let select = "SELECT at, service, region FROM wigeon_last_use WHERE key = $1";
            let found = client.query_opt(select, &[&key]).await.map_err(failed)?;
            Ok(found.and_then(|row| written_use(row.get(0), row.get(1), row.get(2))))
        })
        .await
    }

    /// Writes uses, where no later one is written, and forgets those of keys and roles that are gone.
    pub(super) async fn write_last_uses(&self, uses: &[(String, LastUse)]) -> Result<(), StoredError> {
        limited(async {
            // In one order on every node: two that write the same keys wait for each other, and never both.
            let mut uses: Vec<&(String, LastUse)> = uses.iter().collect();
            uses.sort_by(|(one, _), (other, _)| one.cmp(other));
            let mut client = self.pool.get().await.map_err(failed)?;
            let transaction = client.transaction().await.map_err(failed)?;
            let put = transaction
                .prepare(
                    "INSERT INTO wigeon_last_use AS known (key, at, service, region) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (key) DO UPDATE SET at = $2, service = $3, region = $4 WHERE $2 > known.at",
                )
                .await
                .map_err(failed)?;
            for (key, last) in uses {
                let LastUse { at, service, region } = last;
                let at = at.as_second();
                transaction.execute(&put, &[key, &at, service, region]).await.map_err(failed)?;
            }
            let forget = "DELETE FROM wigeon_last_use WHERE substr(key, position('/' in key) + 1) NOT IN
                          (SELECT key FROM wigeon_entry WHERE kind IN ('access-key', 'role') AND body IS NOT NULL)";
            transaction.execute(forget, &[]).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)
        })
        .await
    }

    /// Listens for other nodes' changes for ever, and wakes who waits for them. After each new connection it
    /// wakes, too: something may have been missed.
    pub(super) async fn listen(&self, changed: &Notify) {
        loop {
            if let Err(error) = self.listen_once(changed).await {
                tracing::debug!(%error, "the directory's notifications are interrupted");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn listen_once(&self, changed: &Notify) -> Result<(), StoredError> {
        let mut config = self.config.clone();
        // A dead peer is found out even where nothing is said for long.
        config.keepalives_idle(Duration::from_secs(15));
        let (client, mut connection): (Client, _) = config.connect(self.tls.clone()).await.map_err(failed)?;
        let messages = stream::poll_fn(move |context| connection.poll_message(context));
        let heard = messages.for_each(|message| {
            match message {
                Ok(AsyncMessage::Notification(_)) => changed.notify_one(),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the directory's notifications end"),
            }
            future::ready(())
        });
        let statement = format!("LISTEN {CHANNEL}");
        let listening = async {
            client.batch_execute(&statement).await.map_err(failed)?;
            changed.notify_one();
            // The client stays: its end would end the connection.
            future::pending::<Result<(), StoredError>>().await
        };
        tokio::select! {
            () = heard => Ok(()),
            ended = listening => ended,
        }
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> StoredError {
    StoredError::Postgres(Box::new(error))
}

async fn limited<T>(work: impl Future<Output = Result<T, StoredError>>) -> Result<T, StoredError> {
    tokio::time::timeout(2 * PATIENCE, work).await.unwrap_or_else(|late| Err(failed(late)))
}

/// Whether all hosts are this machine.
fn is_local(config: &Config) -> bool {
    use tokio_postgres::config::Host;
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

/// Brings the tables up to the version of this server, step by step.
async fn migrate(
    client: &impl GenericClient,
    found: i64,
    account: &Account,
) -> Result<(), tokio_postgres::Error> {
    if found < 1 {
        client
            .batch_execute(
                "CREATE TABLE wigeon_directory (
                     account TEXT NOT NULL, revision BIGINT NOT NULL, purged BIGINT NOT NULL
                 );
                 CREATE TABLE wigeon_entry (
                     kind TEXT NOT NULL, key TEXT NOT NULL, revision BIGINT NOT NULL, body TEXT,
                     PRIMARY KEY (kind, key)
                 );
                 CREATE INDEX wigeon_entry_by_revision ON wigeon_entry (revision);
                 INSERT INTO wigeon_schema (version) VALUES (0);",
            )
            .await?;
        let insert = "INSERT INTO wigeon_directory (account, revision, purged) VALUES ($1, 0, 0)";
        client.execute(insert, &[&account.number]).await?;
    }
    if found < 2 {
        client
            .batch_execute(
                "CREATE TABLE wigeon_last_use (
                     key TEXT NOT NULL PRIMARY KEY, at BIGINT NOT NULL, service TEXT NOT NULL, region TEXT NOT NULL
                 );",
            )
            .await?;
    }
    if found < 3 {
        let alter = "ALTER TABLE wigeon_directory ADD COLUMN ceph BOOLEAN NOT NULL DEFAULT FALSE";
        client.batch_execute(alter).await?;
    }
    if found < 1 {
        client.execute("UPDATE wigeon_directory SET ceph = $1", &[&account.ceph]).await?;
    }
    client.execute("UPDATE wigeon_schema SET version = $1", &[&SCHEMA]).await?;
    Ok(())
}

/// The account that stands in the tables.
async fn account(client: &impl GenericClient) -> Result<Account, tokio_postgres::Error> {
    let row = client.query_one("SELECT account, ceph FROM wigeon_directory", &[]).await?;
    Ok(Account { number: row.get(0), ceph: row.get(1) })
}

async fn read(client: &impl GenericClient, after: Option<i64>) -> Result<Rows, StoredError> {
    let state =
        client.query_one("SELECT revision, purged FROM wigeon_directory", &[]).await.map_err(failed)?;
    let (revision, purged): (i64, i64) = (state.get(0), state.get(1));
    // A revision from the future means that the database was replaced by an older one.
    let after = after.filter(|after| (purged..=revision).contains(after));
    let select = "SELECT kind, key, body FROM wigeon_entry WHERE revision > $1";
    let found = client.query(select, &[&after.unwrap_or(-1)]).await.map_err(failed)?;
    let rows = found.iter().map(|found| {
        let (kind, key, text): (&str, String, Option<&str>) = (found.get(0), found.get(1), found.get(2));
        row(kind, key, text)
    });
    Ok(Rows { revision, whole: after.is_none(), rows: rows.collect::<Result<_, _>>()? })
}

async fn purge(client: &impl GenericClient, until: i64) -> Result<(), tokio_postgres::Error> {
    let newest = "SELECT max(revision) FROM wigeon_entry WHERE body IS NULL AND revision <= $1";
    let newest: Option<i64> = client.query_one(newest, &[&until]).await?.get(0);
    if let Some(newest) = newest {
        let delete = "DELETE FROM wigeon_entry WHERE body IS NULL AND revision <= $1";
        client.execute(delete, &[&newest]).await?;
        client.execute("UPDATE wigeon_directory SET purged = $1", &[&newest]).await?;
    }
    Ok(())
}
