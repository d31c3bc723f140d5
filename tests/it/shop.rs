//! A shop in a directory of its own: its config, its database, the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Result;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tempfile::TempDir;
use warrantyd::config::Config;
use warrantyd::jobs::import::{Imported, files, import_files};
use warrantyd::jobs::{self, Enforced, Outcome, When};
use warrantyd::policy::Instant;

/// The head of every config.
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
}

impl Shop {
    /// A shop with more settings than [`CONFIG`], and no database yet.
    pub fn new(more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let shop = Self { folder };
        shop.write("warrantyd.toml", format!("{CONFIG}{more}"));
        shop
    }

    /// Another shop with the same config and the same database, which nobody
    /// has open.
    pub fn copy(&self) -> Self {
        let log = self.path("shop.db-wal");
        assert!(!log.exists(), "the database is open, or was not closed");
        let folder = TempDir::new().unwrap();
        for name in ["warrantyd.toml", "shop.db"] {
            fs::copy(self.path(name), folder.path().join(name)).unwrap();
        }
        Self { folder }
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
        command.args(args).current_dir(self.dir());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The program, killed when one of its files outgrows so many KiB.
    pub fn limited(&self, kib: u64, args: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-c", r#"ulimit -c 0 -f "$0"; exec "$@""#, &kib.to_string()])
            .arg(env!("CARGO_BIN_EXE_warrantyd"))
            .args(args)
            .current_dir(self.dir());
        command
    }

    /// Runs the program, which must end with a status.
    pub fn run_to(&self, status: i32, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {output:?}");
        output
    }

    /// The shop as the jobs see it.
    pub async fn open(&self) -> jobs::Shop {
        let config = Config::load(Some(&self.path("warrantyd.toml")), std::iter::empty());
        jobs::Shop::open(config.unwrap()).await.unwrap()
    }

    /// Takes files in; they stay in the directory.
    pub async fn import<T: AsRef<[u8]>>(&self, texts: &[(&str, T)]) -> Imported {
        let names = texts.iter().map(|(name, text)| {
            self.write(name, text);
            self.path(name)
        });
        let names: Vec<PathBuf> = names.collect();
        let open = self.open().await;
        let files = files(&names, None, None).unwrap();
        let now = at("2025-01-01T00:00:00Z");
        let imported = import_files(&open, &files, now, &mut |_| {}).await;
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

    pub async fn connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path("shop.db"));
        options.connect().await.unwrap()
    }

    /// Changes the database behind the program's back.
    pub async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        let mut connection = self.connection().await;
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A query's rows, cells with `|` between.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connection().await;
        let found = rows(&mut connection, sql).await;
        connection.close().await.unwrap();
        found
    }

    /// Every row of every table that the program keeps, less columns that two
    /// runs may differ in, in an order that does not depend on them.
    pub async fn dump(&self, without: &[&str]) -> Vec<String> {
        let mut connection = self.connection().await;
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' \
                      ESCAPE '\\' AND name NOT LIKE 'sqlite%' ORDER BY name";
        let mut dump = Vec::new();
        for table in rows(&mut connection, tables).await {
            let is_kept = |column: &String| {
                let named = format!("{table}.{column}");
                !without.contains(&named.as_str()) && !without.contains(&table.as_str())
            };
            let columns = format!("SELECT name FROM pragma_table_info('{table}')");
            let columns = rows(&mut connection, &columns).await.into_iter();
            let columns: Vec<String> = columns
                .filter(is_kept)
                .map(|column| format!("\"{column}\""))
                .collect();
            if columns.is_empty() {
                continue;
            }
            let sql = format!("SELECT {} FROM {table}", columns.join(", "));
            let mut found = rows(&mut connection, &sql).await;
            found.sort();
            dump.extend(found.into_iter().map(|row| format!("{table}: {row}")));
        }
        connection.close().await.unwrap();
        dump
    }
}

async fn rows(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
    let cell = |row: &SqliteRow, at| {
        let text = row.try_get_unchecked::<Option<String>, _>(at).unwrap();
        text.unwrap_or_else(|| "-".to_owned())
    };
    let line = |row: &SqliteRow| {
        let cells: Vec<String> = (0..row.len()).map(|at| cell(row, at)).collect();
        cells.join("|")
    };
    rows.iter().map(line).collect()
}

/// Two dumps are the same; else the first rows that differ are shown.
pub fn assert_same(found: &[String], expected: &[String], what: &str) {
    if found != expected {
        let lacks = expected.iter().filter(|row| !found.contains(row)).take(5);
        let adds = found.iter().filter(|row| !expected.contains(row)).take(5);
        let (lacks, adds): (Vec<_>, Vec<_>) = (lacks.collect(), adds.collect());
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
