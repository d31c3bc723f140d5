//! A PostgreSQL server of the tests' own, and databases on it.
//!
//! The server runs as a user who may run one, in a directory of its own, on a
//! free port of the loopback. It ends with the test process, however that ends.

use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use warrantyd::store::Store;

const MISSING: &str = "there is no PostgreSQL server of version 15 or later: `bash tests/run.sh` \
                       installs it";

/// A migrated database without a row, which others are copied from.
const EMPTY: &str = "empty";

/// See the module.
pub struct Server {
    child: Child,
    pub port: u16,
    /// Where clients reach it.
    address: u16,
    told: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Server {
    /// The server that the tests share.
    pub fn shared() -> Arc<Self> {
        static SHARED: LazyLock<Arc<Server>> = LazyLock::new(|| Arc::new(Server::started()));
        Arc::clone(&SHARED)
    }

    /// A server that runs.
    pub fn started() -> Self {
        let server = Self::spawned(None);
        server.admin(format!("CREATE DATABASE {EMPTY}"));
        let url = server.url(EMPTY);
        apart(async move { Store::postgres(&url).await.unwrap().close().await });
        server
    }

    /// A standby of this server, which from now on answers a commit when the
    /// standby has applied it.
    pub fn followed(&self) -> Self {
        for setting in [
            "wal_level = replica",
            "max_wal_senders = 4",
            "synchronous_standby_names = '*'",
            "synchronous_commit = remote_apply",
        ] {
            self.admin(format!("ALTER SYSTEM SET {setting}"));
        }
        self.stop();
        self.start();
        Self::spawned(Some(self.port))
    }

    fn spawned(primary: Option<u16>) -> Self {
        let (bin, port) = (binaries(), free_port());
        // PostgreSQL refuses to run as root.
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = Command::new(if is_root { "setpriv" } else { "sh" });
        if is_root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh"]);
        }
        let mut child = command
            .args(["-c", include_str!("../postgres.sh"), "postgres.sh"])
            .arg(bin)
            .arg(port.to_string())
            .arg(primary.map(|port| port.to_string()).unwrap_or_default())
            .current_dir("/")
            // What interrupts the tests does not reach it: it has to tidy up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let server = Self {
            told: Mutex::new(child.stdin.take().map(|told| (told, answers))),
            child,
            port,
            address: port,
        };
        server.start();
        server
    }

    /// The same, behind another port.
    pub fn reached_at(mut self, address: u16) -> Self {
        self.address = address;
        self
    }

    /// Starts it, if it does not run.
    pub fn start(&self) {
        self.tell("start");
    }

    /// Stops it as a crash would: connections are cut, nothing is finished.
    pub fn stop(&self) {
        self.tell("stop");
    }

    /// Makes a standby a server that is written to.
    pub fn promote(&self) {
        self.tell("promote");
    }

    fn tell(&self, verb: &str) {
        let mut told = self.told.lock().unwrap();
        let (told, answers) = told.as_mut().unwrap();
        writeln!(told, "{verb}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, format!("{verb}: done\n"));
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://warrantyd@127.0.0.1:{}/{database}", self.address)
    }

    /// Runs a statement of the server's, not of a database's.
    pub fn admin(&self, sql: String) {
        let url = self.url("postgres");
        apart(async move {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
            done.await.unwrap();
            connection.close().await.unwrap();
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.told.get_mut().unwrap().take();
        self.child.wait().unwrap();
    }
}

/// The newest server's binaries.
fn binaries() -> PathBuf {
    let installed = Path::new("/usr/lib/postgresql").read_dir();
    let installed = installed.into_iter().flatten().map(|entry| entry.unwrap());
    let version = |name: &str| name.parse::<u32>().unwrap_or(0);
    let newest = installed.max_by_key(|entry| version(&entry.file_name().to_string_lossy()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newest = newest.map(|entry| entry.path().join("bin")).into_iter();
    let mut places = newest.chain(std::env::split_paths(&path));
    places
        .find(|bin| bin.join("initdb").exists())
        .expect(MISSING)
}

/// A port below those that the system gives to clients, which would keep a
/// server from coming back to it.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 10_000) as u16;
    let mut ports = (0..10_000).map(|_| 20_000 + (first + NEXT.fetch_add(1, Relaxed)) % 10_000);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).expect("no port is free")
}

/// A database, dropped with this.
pub struct Database {
    server: Arc<Server>,
    name: String,
}

impl Database {
    /// A migrated database without a row.
    pub fn empty(server: Arc<Server>) -> Self {
        Self::copy_of(server, EMPTY)
    }

    /// Another with the same rows; nobody may have this one open.
    pub fn copy(&self) -> Self {
        Self::copy_of(Arc::clone(&self.server), &self.name)
    }

    fn copy_of(server: Arc<Server>, name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let copy = format!("shop_{}", COUNT.fetch_add(1, Relaxed));
        // Three times as fast as through the log.
        let how = "STRATEGY file_copy";
        server.admin(format!("CREATE DATABASE {copy} TEMPLATE {name} {how}"));
        Self { server, name: copy }
    }

    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test that failed may have left the server stopped.
        if !std::thread::panicking() {
            let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
            self.server.admin(sql);
        }
    }
}

/// Runs a future whatever runtime the test is in, or none.
fn apart(future: impl Future<Output = ()> + Send + 'static) {
    let run = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(future);
    };
    std::thread::spawn(run).join().unwrap();
}
