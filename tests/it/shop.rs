//! A shop in a directory of its own: its config, its database, the program.
//!
//! Its database is on the engine that `WARRANTYD_TEST_ENGINE` names, `sqlite`
//! or `postgres`, but where a test is about a file of SQLite.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Result;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;
use warrantyd::clock::Stopwatch;
use warrantyd::config::Config;
use warrantyd::jobs::import::{Imported, files, import_files};
use warrantyd::jobs::{self, Enforced, Outcome, When};
use warrantyd::policy::Instant;

use crate::connection::Connection;
use crate::postgres::{Database, Server};

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// The one that this run of the tests is about.
    pub fn of_this_run() -> Self {
        let named = std::env::var("WARRANTYD_TEST_ENGINE");
        match named.as_deref().unwrap_or("sqlite") {
            "sqlite" => Self::Sqlite,
            "postgres" => Self::Postgres,
            other => panic!("WARRANTYD_TEST_ENGINE: found {other}, expected sqlite or postgres"),
        }
    }
}

/// The head of every config. A shop on PostgreSQL names its database in the
/// environment.
pub const CONFIG: &str = r#"
[database]
url = "sqlite://shop.db"
[business]
name = "Corner shop"
timezone = "UTC"
[contacts]
lead = ["lead@example.com"]
finance = ["finance@example.com"]
manager = ["manager@example.com"]
director = ["director@example.com"]
ops = ["ops@example.com"]
"#;

/// How long anything that is waited for may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Before it is looked for again: others need the processor.
pub const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Mail into the directory `outbox`.
pub const FILE_MAIL: &str = r#"
[mail]
transport = "file"
dir = "outbox"
from = "shop@example.com"
"#;

pub const ORDERS: &str =
    "order_ref,customer_ref,customer_name,customer_email,placed_at,delivered_at,currency,total\n";
pub const UNITS: &str = "unit_ref,order_ref,product_name,kind,received_at,replaces_unit_ref\n";
pub const CLAIMS: &str = "claim_ref,unit_ref,type,opened_at,assignee_email,confirmed_at,received_at,\
     inspected_at,findings,repaired_at,closed_at\n";

/// An instant.
pub fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

/// A run whose time was named.
pub fn named(text: &str) -> When {
    When::new(Some(at(text)), at("2026-01-01T00:00:00Z"))
}

/// A run at the clock's time.
pub fn by_clock(text: &str) -> When {
    When::new(None, at(text))
}

/// One order of one hardware unit, received when delivered.
pub fn one_unit(delivered_at: &str) -> [(&'static str, String); 2] {
    let order = format!("O-1,K-1,Ada,ada@example.com,2025-01-01,{delivered_at},EUR,100.00\n");
    [
        ("orders.csv", format!("{ORDERS}{order}")),
        ("units.csv", format!("{UNITS}U-1,O-1,Lamp,hardware,,\n")),
    ]
}

/// So many orders of one unit each, of a customer each.
pub fn many_units(count: usize) -> [(&'static str, String); 2] {
    let (mut orders, mut units) = (ORDERS.to_owned(), UNITS.to_owned());
    for n in 0..count {
        let cells = format!("K-{n},Ada,ada{n}@example.com,2025-01-01,2025-01-05T10:00:00Z");
        orders += &format!("O-{n},{cells},EUR,100.00\n");
        units += &format!("U-{n},O-{n},Lamp,hardware,,\n");
    }
    [("orders.csv", orders), ("units.csv", units)]
}

/// See the module.
pub struct Shop {
    folder: TempDir,
    /// `None`: the file `shop.db`.
    database: Option<Database>,
}

impl Shop {
    /// A shop with more settings than [`CONFIG`], and no rows yet.
    pub fn new(more: &str) -> Self {
        Self::on(Engine::of_this_run(), more)
    }

    /// The same on one of the engines.
    pub fn on(engine: Engine, more: &str) -> Self {
        Self::with(
            match engine {
                Engine::Sqlite => None,
                Engine::Postgres => Some(Database::empty(Server::shared())),
            },
            more,
        )
    }

    /// The same with a database on a server, or with a file of SQLite.
    pub fn with(database: Option<Database>, more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let shop = Self { folder, database };
        shop.write("warrantyd.toml", format!("{CONFIG}{more}"));
        shop
    }

    /// Another shop with the same config and the same rows, which nobody has
    /// open.
    pub fn copy(&self) -> Self {
        let folder = TempDir::new().unwrap();
        let copy = |name| fs::copy(self.path(name), folder.path().join(name)).unwrap();
        copy("warrantyd.toml");
        if self.engine() == Engine::Sqlite {
            let log = self.path("shop.db-wal");
            assert!(!log.exists(), "the database is open, or was not closed");
            if self.path("shop.db").exists() {
                copy("shop.db");
            }
        }
        Self {
            folder,
            database: self.database.as_ref().map(Database::copy),
        }
    }

    pub fn engine(&self) -> Engine {
        match self.database {
            None => Engine::Sqlite,
            Some(_) => Engine::Postgres,
        }
    }

    /// The database as the program calls it.
    pub fn database(&self) -> String {
        match &self.database {
            None => "shop.db".to_owned(),
            Some(database) => database.url(),
        }
    }

    /// What names the database to the program.
    fn env(&self) -> Option<(String, String)> {
        let database = self.database.as_ref()?;
        Some(("WARRANTYD_DATABASE__URL".to_owned(), database.url()))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The program, in the shop's directory, with its config.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warrantyd"));
        command.args(args).current_dir(self.dir()).envs(self.env());
        // The history names nobody whom the machine knows.
        for name in ["SUDO_USER", "LOGNAME", "USER"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The program, run by another that is given its path and its arguments.
    pub fn command_by(&self, by: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new(by[0]);
        command
            .args(&by[1..])
            .arg(env!("CARGO_BIN_EXE_warrantyd"))
            .args(args)
            .current_dir(self.dir())
            .envs(self.env());
        command
    }

    /// The program, killed when one of its files outgrows so many KiB.
    pub fn limited(&self, kib: u64, args: &[&str]) -> Command {
        let limited = r#"ulimit -c 0 -f "$0"; exec "$@""#;
        self.command_by(&["bash", "-c", limited, &kib.to_string()], args)
    }

    /// Runs the program, which must end with a status.
    pub fn run_to(&self, status: i32, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {output:?}");
        output
    }

    /// The shop as the jobs see it.
    pub async fn open(&self) -> jobs::Shop {
        let config = Config::load(Some(&self.path("warrantyd.toml")), self.env().into_iter());
        jobs::Shop::open(config.unwrap()).await.unwrap()
    }

    /// Takes files in; they stay in the directory.
    pub async fn import<T: AsRef<[u8]>>(&self, texts: &[(&str, T)]) -> Imported {
        self.import_at("2025-01-01T00:00:00Z", texts).await
    }

    /// The same, recorded at a time.
    pub async fn import_at<T: AsRef<[u8]>>(&self, now: &str, texts: &[(&str, T)]) -> Imported {
        let names = texts.iter().map(|(name, text)| {
            self.write(name, text);
            self.path(name)
        });
        let names: Vec<PathBuf> = names.collect();
        let open = self.open().await;
        let files = files(&open.config.dialects, &names, None, None).unwrap();
        let imported = import_files(&open, &files, at(now), &mut |_| {}).await;
        open.store.close().await;
        imported.unwrap()
    }

    pub async fn enforce(&self, when: When) -> Result<Enforced> {
        let open = self.open().await;
        let enforced = jobs::enforce(&open, when, false).await;
        open.store.close().await;
        enforced
    }

    pub async fn dry_run(&self, when: When) -> Enforced {
        let open = self.open().await;
        let enforced = jobs::enforce(&open, when, true).await.unwrap();
        open.store.close().await;
        enforced
    }

    pub async fn deliver(&self, when: When) -> Result<Outcome> {
        let open = self.open().await;
        let outcome = jobs::deliver(&open, when).await;
        open.store.close().await;
        outcome
    }

    /// Changes the database behind the program's back.
    pub async fn execute(&self, sql: &str) {
        self.rows(sql).await;
    }

    /// A query's rows, cells with `|` between.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connection().await;
        let rows = connection.rows(sql).await;
        connection.close().await;
        rows
    }

    /// Waits until nobody else is connected: a server goes on for a moment
    /// with what a killed process has asked for.
    pub async fn alone(&self) {
        if self.engine() == Engine::Postgres {
            let others = "SELECT count(*) FROM pg_stat_activity \
                           WHERE datname = current_database() AND pid <> pg_backend_pid()";
            self.until(others, &["0"]).await;
        }
    }

    /// Waits until a query has an answer.
    pub async fn until(&self, sql: &str, answer: &[&str]) {
        let mut connection = self.connection().await;
        let deadline = Stopwatch::start();
        loop {
            let found = connection.rows(sql).await;
            if found == answer {
                break;
            }
            assert!(deadline.elapsed() < PATIENCE, "{sql}: {found:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        connection.close().await;
    }

    /// Lets a kind of write (`INSERT`, `UPDATE`) to a table fail with `died
    /// here` where a condition holds of the row `NEW` once it is written.
    pub async fn breaks(&self, write: &str, table: &str, condition: &str) {
        let sql = match self.engine() {
            Engine::Sqlite => format!(
                "CREATE TRIGGER dies AFTER {write} ON {table} WHEN {condition} \
                 BEGIN SELECT RAISE(FAIL, 'died here'); END"
            ),
            Engine::Postgres => format!(
                "CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                     IF {condition} THEN RAISE EXCEPTION 'died here'; END IF; \
                     RETURN NULL; \
                 END $$; \
                 CREATE TRIGGER dies AFTER {write} ON {table} \
                 FOR EACH ROW EXECUTE FUNCTION dies()"
            ),
        };
        self.execute(&sql).await;
    }

    /// Takes back what [`Shop::breaks`] did.
    pub async fn mends(&self) {
        self.execute(match self.engine() {
            Engine::Sqlite => "DROP TRIGGER dies",
            Engine::Postgres => "DROP FUNCTION dies CASCADE",
        })
        .await;
    }

    /// A statement that begins a transaction which nobody can write beside.
    pub fn take_all(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => {
                "BEGIN; LOCK TABLE change_sets, orders, units, claims, waits, fact_changes, \
                 agenda, deadlines, notices, messages IN EXCLUSIVE MODE"
            }
        }
    }

    /// Every row of every table that the program keeps, less columns that two
    /// runs may differ in, in an order that does not depend on them.
    pub async fn dump(&self, without: &[&str]) -> Vec<String> {
        let mut connection = self.connection().await;
        let mut dump = Vec::new();
        for table in connection.tables().await {
            let is_kept = |column: &String| {
                let named = format!("{table}.{column}");
                !without.contains(&named.as_str()) && !without.contains(&table.as_str())
            };
            let columns = connection.columns(&table).await.into_iter();
            let columns: Vec<String> = columns
                .filter(is_kept)
                .map(|column| format!("\"{column}\""))
                .collect();
            if columns.is_empty() {
                continue;
            }
            let sql = format!("SELECT {} FROM {table}", columns.join(", "));
            let mut found = connection.rows(&sql).await;
            found.sort();
            dump.extend(found.into_iter().map(|row| format!("{table}: {row}")));
        }
        connection.close().await;
        dump
    }

    /// A connection that is not the program's.
    pub async fn connection(&self) -> Connection {
        match &self.database {
            None => {
                let file = format!("sqlite://{}?mode=rwc", self.path("shop.db").display());
                Connection::Sqlite(SqliteConnection::connect(&file).await.unwrap())
            }
            Some(database) => {
                let connection = PgConnection::connect(&database.url());
                Connection::Postgres(connection.await.unwrap())
            }
        }
    }
}

/// Two dumps are the same; else the first rows that differ are shown.
pub fn assert_same(found: &[String], expected: &[String], what: &str) {
    if found != expected {
        let shown = |row: &String| row.chars().take(300).collect::<String>();
        let lacks = expected.iter().filter(|row| !found.contains(row)).take(5);
        let adds = found.iter().filter(|row| !expected.contains(row)).take(5);
        let lacks: Vec<_> = lacks.map(shown).collect();
        let adds: Vec<_> = adds.map(shown).collect();
        panic!(
            "{what}: {} rows, expected {}\nlacks {lacks:#?}\nadds {adds:#?}",
            found.len(),
            expected.len()
        );
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A page's words, without what keeps a word in one piece.
pub fn in_pieces(html: &str) -> String {
    html.replace("<span class=\"whole\">", "")
        .replace("</span>", "")
        .replace("<wbr>", "")
}
