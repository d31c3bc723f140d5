//! Backups: a file of SQLite with all tables as one transaction saw them, from
//! either engine, and a table `_backup` that says what it is.
//!
//! It is made in a directory of its own beside its place, checked there, and
//! takes its name only when it is whole and on disk.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::{TempDir, TempPath};

use super::copy::{Copied, TABLES, copy};
use super::link::{Tx, TxOf};
use super::{Db, Store, StoreError, migrations, sqlite};
use crate::policy::Instant;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the program that wrote it.
    pub program: String,
    /// When it was taken.
    pub taken_at: Instant,
    /// Its tables, with their numbers of rows.
    pub tables: Vec<Copied>,
}

/// A backup that was read through and found whole.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Whether its schema is older than this program's.
    is_older: bool,
}

/// The tables of a backup to read from, migrated if need be.
#[derive(Debug)]
pub struct Source {
    /// What sees them.
    pub tx: Tx<'static>,
    _migrated: Option<TempDir>,
}

impl Store {
    /// Writes a backup, while others read and write, to a place where no file
    /// is. `progress` is told of the rows that are copied.
    pub async fn backup(
        &self,
        to: &Path,
        program: &str,
        now: Instant,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Manifest, StoreError> {
        let failed = |error| file_error(to, &error);
        let beside = private_dir(to).map_err(failed)?;
        let file = beside.path().join("backup.db");
        let manifest = self.written(&file, program, now, progress).await;
        let manifest = manifest.map_err(|error| match error {
            StoreError::Full => file_error(to, &"its disk is full: make room, or name another"),
            error => error,
        })?;
        fs::set_permissions(&file, Permissions::from_mode(0o600)).map_err(failed)?;
        let synced = File::open(&file).and_then(|file| file.sync_all());
        synced.map_err(failed)?;
        let named = TempPath::try_from_path(file).map_err(failed)?;
        let named = named.persist_noclobber(to);
        named.map_err(|error| failed(error.error))?;
        let synced = File::open(directory(to)).and_then(|dir| dir.sync_all());
        synced.map_err(failed)?;
        Ok(manifest)
    }

    async fn written(
        &self,
        file: &Path,
        program: &str,
        now: Instant,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Manifest, StoreError> {
        match &self.db {
            Db::Sqlite(pools) => {
                let Some(name) = file.to_str() else {
                    return Err(file_error(file, &"expected a name in UTF-8"));
                };
                let into = sqlx::query("VACUUM INTO $1").bind(name);
                into.execute(&pools.readers).await?;
            }
            Db::Postgres(_) => {
                let target = Self::sqlite(file).await?;
                let mut from = self.read().await?;
                let mut into = target.write().await?;
                copy(&mut from, &mut into, progress).await?;
                into.commit().await?;
                target.close().await;
            }
        }
        seal(file, program, now).await
    }
}

/// Counts what a backup holds, writes that into it, and reads all of it back.
async fn seal(file: &Path, program: &str, taken_at: Instant) -> Result<Manifest, StoreError> {
    let options = SqliteConnectOptions::new().filename(file);
    let options = options.journal_mode(SqliteJournalMode::Delete);
    let options = options.synchronous(SqliteSynchronous::Full);
    let mut conn = options.disable_statement_logging().connect().await?;
    let manifest = Manifest {
        program: program.to_owned(),
        taken_at,
        tables: counted(&mut conn).await?,
    };
    let text = serde_json::to_string(&manifest);
    let text = text.map_err(|error| file_error(file, &error))?;
    let made = "CREATE TABLE _backup (manifest TEXT NOT NULL)";
    sqlx::query(made).execute(&mut conn).await?;
    let written = sqlx::query("INSERT INTO _backup VALUES ($1)").bind(text);
    written.execute(&mut conn).await?;
    let problem = problem(&mut conn).await?;
    conn.close().await?;
    match problem {
        None => Ok(manifest),
        Some(found) => Err(file_error(
            file,
            &format!("what was written is damaged: {found}"),
        )),
    }
}

/// The tables of the program with their numbers of rows.
async fn counted(conn: &mut SqliteConnection) -> Result<Vec<Copied>, StoreError> {
    let names = AssertSqlSafe(format!("SELECT name {TABLES}"));
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut *conn).await?;
    let mut tables = Vec::with_capacity(names.len());
    for table in names {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM \"{table}\""));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut *conn).await?;
        tables.push(Copied {
            table,
            rows: rows.try_into().unwrap_or(0),
        });
    }
    Ok(tables)
}

/// The first thing that is wrong with a file, if one is.
pub async fn problem(conn: &mut SqliteConnection) -> Result<Option<String>, StoreError> {
    let check = sqlx::query_scalar("PRAGMA quick_check(1)");
    let found: String = check.fetch_one(conn).await?;
    Ok((found != "ok").then_some(found))
}

impl Backup {
    /// Reads a backup through. Refused is what is none, what is damaged, and
    /// what a newer version of the program wrote; the file stays as it is.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        File::open(path).map_err(|error| file_error(path, &error))?;
        let known = migrations::known();
        let (manifest, found) = look(path).await?;
        if found > known {
            return Err(StoreError::Newer {
                database: path.display().to_string(),
                found,
                known,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            manifest,
            is_older: found < known,
        })
    }

    /// Opens its tables. One of an older schema is migrated as a copy, in a
    /// directory beside it.
    pub async fn source(&self) -> Result<Source, StoreError> {
        let (readers, migrated) = match self.is_older {
            false => (SqlitePool::connect_lazy_with(frozen(&self.path)), None),
            true => {
                let failed = |error| file_error(&self.path, &error);
                let beside = private_dir(&self.path).map_err(failed)?;
                let file = beside.path().join("migrated.db");
                fs::copy(&self.path, &file).map_err(failed)?;
                let mut conn = SqliteConnectOptions::new()
                    .filename(&file)
                    .connect()
                    .await?;
                sqlx::query("DROP TABLE _backup").execute(&mut conn).await?;
                conn.close().await?;
                (sqlite::open(&file).await?.readers, Some(beside))
            }
        };
        let tx = Tx {
            of: TxOf::Sqlite(readers.begin().await?),
            reads_only: true,
        };
        Ok(Source {
            tx,
            _migrated: migrated,
        })
    }
}

/// A file that nobody changes: SQLite writes nothing beside it.
fn frozen(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new().filename(path);
    let options = options.read_only(true).immutable(true);
    options.disable_statement_logging()
}

/// What a backup says of itself, and the version of its schema.
async fn look(path: &Path) -> Result<(Manifest, i64), StoreError> {
    // What SQLite says of a file that it did not write names no file.
    let none = |cause: &dyn std::fmt::Display| {
        file_error(
            path,
            &format!("expected a backup that `warrantyd backup` wrote: {cause}"),
        )
    };
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool
        .connect_with(frozen(path))
        .await
        .map_err(|error| none(&error))?;
    let mut conn = pool.acquire().await.map_err(|error| none(&error))?;
    let text = sqlx::query_scalar("SELECT manifest FROM _backup");
    let text: Result<String, _> = text.fetch_one(&mut *conn).await;
    let text = text.map_err(|error| none(&error))?;
    let manifest = serde_json::from_str(&text);
    let manifest: Manifest = manifest.map_err(|error| none(&error))?;
    let version = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations");
    let version: i64 = version
        .fetch_one(&mut *conn)
        .await
        .map_err(|error| none(&error))?;
    let damaged = |what: &dyn std::fmt::Display| {
        let what = format!("the backup is damaged: {what}; take an older one");
        file_error(path, &what)
    };
    let problem = problem(&mut conn).await.map_err(|error| damaged(&error))?;
    if let Some(found) = problem {
        return Err(damaged(&found));
    }
    let found = counted(&mut conn).await.map_err(|error| damaged(&error))?;
    let lacks = manifest.tables.iter().find(|table| !found.contains(table));
    match lacks {
        None => Ok((manifest, version)),
        Some(Copied { table, rows }) => Err(damaged(&format!("expected {rows} rows of {table}"))),
    }
}

/// A backup is not worked on: what was sent after it was taken would be sent
/// again.
pub async fn refuse(path: &Path, opened: &SqlitePool) -> Result<(), StoreError> {
    let is_one = "SELECT count(*) FROM sqlite_master WHERE name = '_backup'";
    let found: i64 = sqlx::query_scalar(is_one).fetch_one(opened).await?;
    match found {
        0 => Ok(()),
        _ => Err(file_error(
            path,
            &"this is a backup: name another file in database.url, and give this one to \
              `warrantyd restore`, so that nothing is sent to customers twice",
        )),
    }
}

fn private_dir(beside: &Path) -> io::Result<TempDir> {
    let mut dir = tempfile::Builder::new();
    dir.prefix(".warrantyd-backup-");
    dir.tempdir_in(directory(beside))
}

fn directory(path: &Path) -> &Path {
    let parent = path.parent();
    let parent = parent.filter(|parent| *parent != Path::new(""));
    parent.unwrap_or(Path::new("."))
}

fn file_error(path: &Path, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::Copy(format!("{}: {cause}", path.display()))
}
