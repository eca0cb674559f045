//! A real PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tempfile::TempDir;

/// A PostgreSQL server in a folder of its own, stopped with the last test that uses it.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    binaries: PathBuf,
    process: Mutex<Child>,
}

impl Server {
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        let running = server.upgrade();
        let running = running.or_else(|| Some(Arc::new(Self::start(Self::binaries()?))))?;
        *server = Arc::downgrade(&running);
        Some(running)
    }

    pub(crate) fn binaries() -> Option<PathBuf> {
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

    pub(crate) fn start(binaries: PathBuf) -> Self {
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

    pub(crate) fn address(&self, database: &str) -> String {
        format!("postgres://wigeon@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn sql(&self, database: &str, statement: &str) {
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
    pub(crate) fn stop(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = Command::new("kill").args(["-INT", &process.id().to_string()]).status();
        let _ = process.wait();
    }

    pub(crate) fn again(&self) {
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

pub(crate) fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t"))
}
