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

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wigeon_core::jwt::Algorithm;
use wigeon_core::jwt::signing::SigningKey;
use wigeon_core::time::Timestamp;
use wigeon_server::directory::{
    Change, ChangeError, Connections, Directory, Keys, Owner, ProviderSettings, StoredError, Tagged,
};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::000000000000:oidc-provider/idp.example"},"Action":"sts:AssumeRoleWithWebIdentity"}]}"#;
const READ: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
const WRITE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}"#;
const ACCOUNT: &str = "000000000000";

fn at() -> Timestamp {
    "2026-11-23T20:07:00.5Z".parse().unwrap()
}

// ---- homes --------------------------------------------------------------------------------------------------

/// A home that can be opened several times, as by several nodes.
enum Home {
    Sqlite(TempDir),
    Postgres { address: String, _server: Arc<Server> },
}

impl Home {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// A fresh database of the one server.
    fn postgres() -> Option<Self> {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let server = Server::shared()?;
        let name = format!("d{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        server.sql("postgres", &format!("CREATE DATABASE {name}"));
        Some(Self::Postgres { address: server.address(&name), _server: server })
    }

    async fn open(&self) -> Arc<Directory> {
        self.open_as(Some(ACCOUNT)).await.unwrap()
    }

    async fn open_as(&self, account: Option<&str>) -> Result<Arc<Directory>, StoredError> {
        let opened = match self {
            Self::Sqlite(folder) => {
                Directory::from_sqlite(&folder.path().join("d/directory.sqlite"), account)
            }
            Self::Postgres { address, .. } => Directory::from_postgres(address, None, None, account).await,
        };
        opened.map(Arc::new)
    }

    /// The tables as the first servers made them.
    fn as_of_schema_1(&self) {
        match self {
            Self::Sqlite(folder) => {
                let file = folder.path().join("d/directory.sqlite");
                let connection = rusqlite::Connection::open(file).unwrap();
                connection.execute_batch("DROP TABLE last_use; PRAGMA user_version = 1").unwrap();
            }
            Self::Postgres { address, _server: server } => {
                let database = address.rsplit('/').next().unwrap();
                server.sql(database, "DROP TABLE wigeon_last_use; UPDATE wigeon_schema SET version = 1");
            }
        }
    }
}

/// A PostgreSQL server in a folder of its own, stopped with the last test that uses it.
struct Server {
    folder: TempDir,
    port: u16,
    binaries: PathBuf,
    process: Mutex<Child>,
}

impl Server {
    fn shared() -> Option<Arc<Self>> {
        static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        let running = server.upgrade();
        let running = running.or_else(|| Some(Arc::new(Self::start(Self::binaries()?))))?;
        *server = Arc::downgrade(&running);
        Some(running)
    }

    fn binaries() -> Option<PathBuf> {
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
        folders.sort();
        folders.reverse();
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let programs = ["initdb", "postgres", "psql", "pg_isready"];
        let found = folders.into_iter().find(|folder| programs.iter().all(|name| folder.join(name).exists()));
        if found.is_none() {
            assert!(std::env::var_os("CI").is_none(), "PostgreSQL is missing: apt-get install postgresql");
            eprintln!("skipped: PostgreSQL is missing (apt-get install postgresql)");
        }
        found
    }

    fn start(binaries: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if is_root() {
            Self::done(Command::new("chown").args(["postgres", &folder.path().display().to_string()]));
        }
        let data = folder.path().join("data");
        Self::done(
            Self::as_owner(&binaries.join("initdb"))
                .args(["--auth=trust", "--username=wigeon", "--no-sync", "-D"])
                .arg(&data),
        );
        let process = Self::spawn(&binaries, folder.path(), port);
        let server = Self { folder, port, binaries, process: Mutex::new(process) };
        server.wait();
        server
    }

    fn spawn(binaries: &Path, folder: &Path, port: u16) -> Child {
        let mut command = Self::as_owner(&binaries.join("postgres"));
        command.arg("-D").arg(folder.join("data")).current_dir("/");
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", "", "-c", "fsync=off"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// PostgreSQL does not run as root.
    fn as_owner(program: &Path) -> Command {
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
        command
    }

    fn done(command: &mut Command) {
        let output = command.current_dir("/").stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn wait(&self) {
        for _ in 0..200 {
            let mut ready = Command::new(self.binaries.join("pg_isready"));
            ready.args([
                "-q",
                "-h",
                "127.0.0.1",
                "-U",
                "wigeon",
                "-d",
                "postgres",
                "-p",
                &self.port.to_string(),
            ]);
            if ready.status().is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL did not start in {}", self.folder.path().display());
    }

    fn address(&self, database: &str) -> String {
        format!("postgres://wigeon@127.0.0.1:{}/{database}", self.port)
    }

    fn sql(&self, database: &str, statement: &str) {
        let mut psql = Command::new(self.binaries.join("psql"));
        Self::done(psql.args([
            "-q",
            "-X",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
            &self.address(database),
        ]));
    }

    /// Ends the server; connections are cut off.
    fn stop(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = Command::new("kill").args(["-INT", &process.id().to_string()]).status();
        let _ = process.wait();
    }

    fn again(&self) {
        *self.process.lock().unwrap() = Self::spawn(&self.binaries, self.folder.path(), self.port);
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.get_mut().is_ok_and(|process| matches!(process.try_wait(), Ok(None))) {
            self.stop();
        }
    }
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t"))
}

// ---- the suite ----------------------------------------------------------------------------------------------

macro_rules! every_home {
    ($($name:ident)*) => { $(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::suites::$name(super::Home::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(home) = super::Home::postgres() {
                    super::suites::$name(home).await;
                }
            }
        }
    )* };
}

every_home! {
    everything_is_there_again
    refusals_change_nothing
    nodes_see_each_others_changes
    writers_do_not_lose_each_others_changes
    the_account_is_kept
    last_uses_of_keys_are_shared
    older_tables_are_brought_forward
    providers_are_reached_as_configured
    built_in_providers_stand_beside
}

fn role(name: &str) -> Change {
    Change::CreateRole {
        name: name.into(),
        path: "/team/".into(),
        trust: TRUST.into(),
        description: Some("d".into()),
        max_session_duration: 7200,
        boundary: None,
        tags: vec![("a".into(), "b".into())],
    }
}

fn policy(name: &str) -> Change {
    let path = "/".into();
    Change::CreatePolicy { name: name.into(), path, document: READ.into(), description: None, tags: vec![] }
}

fn user(name: &str) -> Change {
    Change::CreateUser { name: name.into(), path: "/".into(), boundary: None, tags: vec![] }
}

fn provider() -> Change {
    Change::CreateProvider {
        url: "https://idp.example".into(),
        client_ids: vec!["app".into()],
        thumbprints: vec!["a".repeat(40)],
        tags: vec![],
    }
}

fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:{kind}/{name}")
}

/// One change of every kind.
fn every_change() -> Vec<Change> {
    let reader = || Owner::Role("reader".into());
    let managed = arn("policy", "managed");
    let idp = arn("oidc-provider", "idp.example");
    vec![
        provider(),
        Change::SetThumbprints { arn: idp.clone(), thumbprints: vec!["b".repeat(40)] },
        Change::AddClientId { arn: idp.clone(), client_id: "web".into() },
        Change::RemoveClientId { arn: idp.clone(), client_id: "app".into() },
        policy("managed"),
        Change::CreatePolicyVersion { arn: managed.clone(), document: WRITE.into(), set_as_default: false },
        Change::SetDefaultPolicyVersion { arn: managed.clone(), version: "v2".into() },
        Change::DeletePolicyVersion { arn: managed.clone(), version: "v1".into() },
        role("reader"),
        Change::UpdateRole { name: "reader".into(), description: None, max_session_duration: Some(3600) },
        Change::UpdateTrust {
            name: "reader".into(),
            document: TRUST.replace("idp.example", "other.example"),
        },
        Change::PutPolicy { owner: reader(), name: "inline".into(), document: READ.into() },
        Change::Attach { owner: reader(), arn: managed.clone() },
        Change::SetBoundary {
            owner: reader(),
            arn: Some("arn:aws:iam::aws:policy/AmazonS3FullAccess".into()),
        },
        Change::Tag { what: Tagged::Role("reader".into()), tags: vec![("A".into(), "c".into())] },
        Change::Untag { what: Tagged::Policy(managed), keys: vec!["none".into()] },
        Change::CreateGroup { name: "all".into(), path: "/".into() },
        Change::PutPolicy { owner: Owner::Group("all".into()), name: "g".into(), document: WRITE.into() },
        Change::CreateUser { name: "robot".into(), path: "/".into(), boundary: None, tags: vec![] },
        Change::AddToGroup { group: "all".into(), user: "robot".into() },
        Change::CreateAccessKey { user: "robot".into(), id: "AKIA1".into(), sealed_secret: "s".into() },
        Change::UpdateAccessKey { user: "robot".into(), id: "AKIA1".into(), active: true },
        Change::ResealAccessKeys { sealed: vec![("AKIA1".into(), "t".into())] },
        Change::UpdateUser { name: "robot".into(), new_name: Some("machine".into()), new_path: None },
        Change::UpdateGroup { name: "all".into(), new_name: Some("everyone".into()), new_path: None },
        Change::RevokeSession { access_key_id: "ASIA1".into(), until: at() },
        Change::RevokeRole { name: "reader".into(), before: at() },
        Change::RevokeProvider { arn: idp, before: at() },
    ]
}

mod suites {
    use super::*;

    pub(super) async fn everything_is_there_again(home: Home) {
        let directory = home.open().await;
        for change in every_change() {
            directory.change(&change, at()).await.unwrap_or_else(|error| panic!("{change:?}: {error}"));
        }
        let before = directory.snapshot();
        let role = before.role(&arn("role", "team/reader")).unwrap();
        assert_eq!((role.policies.len(), role.max_session_duration), (2, 3600));
        assert!(role.boundary.is_some() && role.revoked_before == Some(at()));
        assert_eq!(role.tags, [("A".to_owned(), "c".to_owned())]);
        assert_eq!(before.policy(&arn("policy", "managed")).unwrap().document.text(), WRITE);
        let (key, user) = before.access_key("AKIA1").unwrap();
        assert_eq!(
            (user.name.as_str(), user.policies.len(), key.sealed_secret.as_str()),
            ("machine", 1, "t")
        );
        assert!(before.is_revoked("ASIA1") && !before.is_revoked("ASIA2"));
        let provider = before.provider("https://idp.example").unwrap();
        assert_eq!(
            (provider.client_ids.as_slice(), provider.revoked_before),
            (&["web".to_owned()][..], Some(at()))
        );

        // Another process reads the same, byte for byte, and compiles it to the same.
        let after = home.open().await.snapshot();
        assert_eq!(format!("{:?}", after.entries()), format!("{:?}", before.entries()));
        assert_eq!(after.revision(), before.revision());
        assert_eq!(after.role(&arn("role", "team/reader")).unwrap().policies.len(), 2);
        assert_eq!(after.access_key("AKIA1").unwrap().1.policies.len(), 1);

        // And everything goes again.
        let everyone = || Owner::Group("everyone".into());
        for change in [
            Change::DeleteAccessKey { user: "machine".into(), id: "AKIA1".into() },
            Change::RemoveFromGroup { group: "everyone".into(), user: "machine".into() },
            Change::DeleteUser { name: "machine".into() },
            Change::RemovePolicy { owner: everyone(), name: "g".into() },
            Change::DeleteGroup { name: "everyone".into() },
            Change::RemovePolicy { owner: Owner::Role("reader".into()), name: "inline".into() },
            Change::Detach { owner: Owner::Role("reader".into()), arn: arn("policy", "managed") },
            Change::DeleteRole { name: "reader".into() },
            Change::DeletePolicy { arn: arn("policy", "managed") },
            Change::DeleteProvider { arn: arn("oidc-provider", "idp.example") },
            // The revocation has served its time.
            Change::RevokeSession { access_key_id: "ASIA2".into(), until: at() },
        ] {
            let later = at() + wigeon_core::time::SignedDuration::from_hours(1);
            directory.change(&change, later).await.unwrap_or_else(|error| panic!("{change:?}: {error}"));
        }
        for snapshot in [directory.snapshot(), home.open().await.snapshot()] {
            let entries = snapshot.entries();
            assert!(entries.roles.is_empty() && entries.users.is_empty() && entries.groups.is_empty());
            assert!(entries.providers.is_empty() && entries.access_keys.is_empty());
            assert!(entries.policies.values().all(|policy| policy.built_in));
            assert!(snapshot.role(&arn("role", "team/reader")).is_none());
            assert!(snapshot.provider("https://idp.example").is_none());
            assert_eq!(entries.revoked.keys().collect::<Vec<_>>(), ["ASIA2"]);
        }
    }

    pub(super) async fn refusals_change_nothing(home: Home) {
        let directory = home.open().await;
        for change in [provider(), policy("managed"), role("reader")] {
            directory.change(&change, at()).await.unwrap();
        }
        let attach = Change::Attach { owner: Owner::Role("reader".into()), arn: arn("policy", "managed") };
        directory.change(&attach, at()).await.unwrap();
        let before = directory.snapshot().revision();
        type Expected = fn(&ChangeError) -> bool;
        let refused: Vec<(Change, Expected)> = vec![
            (role("READER"), |error| matches!(error, ChangeError::EntityAlreadyExists(_))),
            (policy("Managed"), |error| matches!(error, ChangeError::EntityAlreadyExists(_))),
            (provider(), |error| matches!(error, ChangeError::EntityAlreadyExists(_))),
            (role("a b"), |error| matches!(error, ChangeError::InvalidInput(_))),
            (Change::DeleteRole { name: "reader".into() }, |error| {
                matches!(error, ChangeError::DeleteConflict(_))
            }),
            (Change::DeletePolicy { arn: arn("policy", "managed") }, |error| {
                matches!(error, ChangeError::DeleteConflict(_))
            }),
            (Change::DeleteRole { name: "none".into() }, |error| {
                matches!(error, ChangeError::NoSuchEntity(_))
            }),
            (Change::UpdateTrust { name: "reader".into(), document: READ.into() }, |error| {
                matches!(error, ChangeError::MalformedPolicyDocument(_))
            }),
            (
                Change::PutPolicy {
                    owner: Owner::Role("reader".into()),
                    name: "long".into(),
                    document: READ.replace("\"*\"", &format!("\"arn:aws:s3:::{}\"", "x".repeat(10_240))),
                },
                |error| matches!(error, ChangeError::LimitExceeded(_)),
            ),
            (
                Change::SetDefaultPolicyVersion {
                    arn: "arn:aws:iam::aws:policy/AdministratorAccess".into(),
                    version: "v1".into(),
                },
                |error| matches!(error, ChangeError::Unmodifiable(_)),
            ),
        ];
        for (change, expected) in refused {
            let error = directory.change(&change, at()).await.unwrap_err();
            assert!(expected(&error), "{change:?}: {error:?}");
        }
        assert_eq!(directory.snapshot().revision(), before);
        assert_eq!(home.open().await.snapshot().revision(), before);
        // What is so already is no change.
        directory.change(&attach, at()).await.unwrap();
        assert_eq!(directory.snapshot().revision(), before);
    }

    pub(super) async fn nodes_see_each_others_changes(home: Home) {
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

    pub(super) async fn writers_do_not_lose_each_others_changes(home: Home) {
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

    pub(super) async fn the_account_is_kept(home: Home) {
        let directory = home.open_as(Some("123456789012")).await.unwrap();
        assert_eq!(directory.snapshot().account(), "123456789012");
        assert_eq!(home.open_as(None).await.unwrap().snapshot().account(), "123456789012");
        let refused = home.open_as(Some("999999999999")).await.unwrap_err();
        assert!(matches!(refused, StoredError::Account { .. }), "{refused:?}");
    }

    pub(super) async fn last_uses_of_keys_are_shared(home: Home) {
        let (one, two) = (home.open().await, home.open().await);
        one.change(&user("robot"), at()).await.unwrap();
        let key = |id: &str| Change::CreateAccessKey {
            user: "robot".into(),
            id: id.into(),
            sealed_secret: "s".into(),
        };
        one.change(&key("AKIA1"), at()).await.unwrap();
        assert_eq!(one.last_use("AKIA1").await, None);
        let later = |seconds: i64| Timestamp::from_second(at().as_second() + seconds).unwrap();
        one.used("AKIA1", "s3", "us-east-1", later(0));
        assert_eq!(one.last_use("AKIA1").await.unwrap().at, later(0), "known at once where it happened");
        assert_eq!(two.last_use("AKIA1").await, None);
        let before = one.snapshot().revision();
        one.write_last_uses().await;
        assert_eq!(two.last_use("AKIA1").await.unwrap().service, "s3");
        // An older use on another node takes nothing back.
        two.used("AKIA1", "iam", "us-east-1", later(-600));
        two.write_last_uses().await;
        assert_eq!(home.open().await.last_use("AKIA1").await.unwrap().at, later(0));
        two.used("AKIA1", "sts", "eu-west-1", later(600));
        two.write_last_uses().await;
        let last = one.last_use("AKIA1").await.unwrap();
        assert_eq!((last.at, &*last.service, &*last.region), (later(600), "sts", "eu-west-1"));
        assert_eq!(home.open().await.snapshot().revision(), before, "a use is no change of the directory");
        // What is gone leaves nothing behind.
        one.change(&Change::DeleteAccessKey { user: "robot".into(), id: "AKIA1".into() }, at())
            .await
            .unwrap();
        one.used("AKIA2", "s3", "us-east-1", later(1200));
        one.write_last_uses().await;
        let fresh = home.open().await;
        assert_eq!((fresh.last_use("AKIA1").await, fresh.last_use("AKIA2").await), (None, None));
    }

    pub(super) async fn older_tables_are_brought_forward(home: Home) {
        home.open().await.change(&role("reader"), at()).await.unwrap();
        home.as_of_schema_1();
        let directory = home.open().await;
        assert!(directory.snapshot().role(&arn("role", "team/reader")).is_some());
        directory.change(&user("robot"), at()).await.unwrap();
        let key =
            Change::CreateAccessKey { user: "robot".into(), id: "AKIA1".into(), sealed_secret: "s".into() };
        directory.change(&key, at()).await.unwrap();
        directory.used("AKIA1", "s3", "us-east-1", at());
        directory.write_last_uses().await;
        assert!(home.open().await.last_use("AKIA1").await.is_some());
    }

    /// Google, which nobody registers, beside what the database has; policies know it by its name.
    pub(super) async fn built_in_providers_stand_beside(home: Home) {
        let folder = tempfile::tempdir().unwrap();
        let connections = |names: &[&str]| {
            let settings = names.iter().map(|name| toml::from_str(&format!("name = '{name}'")).unwrap());
            Connections::new(&folder.path().join("serve.toml"), Vec::new(), settings.collect())
        };
        let open = async || Arc::into_inner(home.open().await).unwrap();
        let google = "https://accounts.google.com";
        let plain = open().await;
        assert!(plain.snapshot().provider(google).is_none());
        let directory = open().await.reached(connections(&["accounts.google.com"])).unwrap();
        let there = || {
            directory
                .snapshot()
                .provider(google)
                .is_some_and(|known| known.principal() == "accounts.google.com" && known.any_audience)
        };
        assert!(there());
        directory.change(&provider(), at()).await.unwrap();
        plain.refresh().await.unwrap();
        plain.change(&role("reader"), at()).await.unwrap();
        directory.refresh().await.unwrap();
        assert!(there() && directory.snapshot().provider("https://idp.example").is_some());
        assert!(directory.snapshot().entries().providers.len() == 1, "it is in no database");
        for (names, reason) in [
            (&["accounts.gogle.com"][..], "no such provider"),
            (&["www.amazon.com", "www.amazon.com"], "twice"),
        ] {
            let error = open().await.reached(connections(names)).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    /// The keys of a provider that the API made, from a file that the configuration names and that changes.
    pub(super) async fn providers_are_reached_as_configured(home: Home) {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let jwks = |keys: &[&SigningKey]| {
            let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
            std::fs::write(folder.path().join("keys.json"), serde_json::json!({"keys": keys}).to_string())
        };
        jwks(&[]).unwrap();
        let connections = |text: &str| {
            let settings: ProviderSettings = toml::from_str(text).unwrap();
            Connections::new(&folder.path().join("serve.toml"), vec![settings], Vec::new())
        };
        let open = async || Arc::into_inner(home.open().await).unwrap();
        let fixed = "url = 'https://idp.example'\njwks_file = 'keys.json'\nalgorithms = ['ES256']";
        let directory = open().await.reached(connections(fixed)).unwrap();
        let known = |directory: &Directory| {
            let snapshot = directory.snapshot();
            let provider = snapshot.provider("https://idp.example").cloned();
            provider.map(|provider| match &provider.keys {
                Keys::Fixed(keys) => keys.len(),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(known(&directory), None, "it is not there until the API makes it");
        directory.change(&provider(), at()).await.unwrap();
        assert_eq!(known(&directory), Some(0));
        let algorithms = |directory: &Directory, algorithm| {
            directory.snapshot().provider("https://idp.example").unwrap().algorithms.contains(algorithm)
        };
        assert!(algorithms(&directory, Algorithm::ES256) && !algorithms(&directory, Algorithm::RS256));
        // The file is looked at like a directory file; a faulty one changes nothing.
        std::fs::write(folder.path().join("keys.json"), "not a key set").unwrap();
        assert!(directory.reconnect_if_changed().await.is_err());
        assert!(!directory.reconnect_if_changed().await.unwrap(), "complained about once");
        assert_eq!(known(&directory), Some(0));
        jwks(&[&key]).unwrap();
        assert!(directory.reconnect_if_changed().await.unwrap());
        assert_eq!(known(&directory), Some(1));
        // Other changes leave it so, whoever makes them.
        directory.change(&role("reader"), at()).await.unwrap();
        home.open().await.change(&role("writer"), at()).await.unwrap();
        directory.refresh().await.unwrap();
        assert_eq!(known(&directory), Some(1));
        // It is this server's business: the database knows nothing of it.
        let elsewhere = home.open().await;
        let plain = elsewhere.snapshot().provider("https://idp.example").cloned().unwrap();
        assert!(matches!(plain.keys, Keys::Discovery) && plain.algorithms.contains(Algorithm::RS256));

        let by_url = "url = 'https://idp.example'\njwks_url = 'https://keys.example/jwks'";
        let directory = open().await.reached(connections(by_url)).unwrap();
        let provider = directory.snapshot().provider("https://idp.example").cloned().unwrap();
        assert!(matches!(&provider.keys, Keys::Url(url) if url == "https://keys.example/jwks"));
        for (text, reason) in [
            ("jwks_url = 'http://keys.example/jwks'", "unprotected"),
            ("jwks_url = 'https://keys.example/jwks'\njwks_file = 'keys.json'", "exclude each other"),
            ("jwks_file = 'none.json'", "none.json"),
            ("ca_file = 'keys.json'", "no PEM certificate"),
            ("algorithms = ['none']", "none"),
        ] {
            let text = format!("url = 'https://idp.example'\n{text}");
            let error = open().await.reached(connections(&text)).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }
}

/// What one node did is seen by another within a second.
async fn seen(condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(1), "not seen within a second");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

// ---- what only one home has -----------------------------------------------------------------------------------

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
    // What keys do is remembered as long as the process lives.
    directory.used("AKIA1", "s3", "us-east-1", at());
    directory.write_last_uses().await;
    assert_eq!(directory.last_use("AKIA1").await.unwrap().at, at());
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    drop(Directory::from_sqlite(&path, None).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Directory::from_sqlite(&path, None), Err(StoredError::Newer { found: 99 })));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// While the database is away, reads work from the last state and changes are refused; when it is back, all is
/// as before, the notifications included.
#[tokio::test]
async fn a_database_that_goes_away_and_comes_back() {
    let Some(binaries) = Server::binaries() else { return };
    let server = Server::start(binaries);
    let address = server.address("postgres");
    let open = || async { Arc::new(Directory::from_postgres(&address, None, None, None).await.unwrap()) };
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
