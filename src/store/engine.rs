//! Opening the database: the one place that knows SQLite's ways.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite, Transaction};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a statement waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// One transaction.
pub type Tx = Transaction<'static, Sqlite>;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("{path}: cannot open the database: {cause}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Written by a later version of the program.
    #[error(
        "{path}: the database is from a newer version of warrantyd (schema {found}, this \
         program knows {known}): install that version, or restore a backup"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema's version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// Another process holds the lock.
    #[error("the database is locked by another process: try again when it is done")]
    Locked,
    /// The file or its directory is read-only.
    #[error("the database is read-only: give this user write access to the file and its directory")]
    ReadOnly,
    /// No room.
    #[error(
        "the database or its disk is full: nothing of this step was written; make room and run it again"
    )]
    Full,
    /// A row that this program cannot have written.
    #[error("{table}.{column} of row {row}: found `{found}`, expected {expected}")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's number.
        row: i64,
        /// What was found.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A write that changed another number of rows than it must.
    #[error("{what}: {changed} rows changed, expected {expected}")]
    Changed {
        /// The statement.
        what: &'static str,
        /// How many rows it changed.
        changed: u64,
        /// How many it must.
        expected: u64,
    },
    /// A migration failed.
    #[error("migrating the database: {0}")]
    Migrate(MigrateError),
    /// A lock file that cannot be used.
    #[error("{path}: cannot lock the database: {cause}")]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Anything else.
    #[error("database: {0}")]
    Sql(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) => database.code().and_then(|code| code.parse().ok()),
            _ => None,
        };
        // The low byte is SQLite's primary result code.
        match code.map(|code: i32| code & 0xff) {
            Some(5 | 6) => Self::Locked,
            Some(8) => Self::ReadOnly,
            Some(13) => Self::Full,
            _ => Self::Sql(error),
        }
    }
}

/// The database of one business.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
    path: PathBuf,
}

/// A lock between processes, held until it is dropped.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl Store {
    /// Opens the database, creates it if it is missing, and migrates it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .disable_statement_logging();
        let writable = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", "16000")
            .pragma("cache_size", "-32000");
        let opened = |error| match StoreError::from(error) {
            StoreError::Sql(error) => StoreError::Open {
                path: path.to_owned(),
                cause: error.to_string(),
            },
            other => other,
        };
        // One writer, and no connection that is closed behind its back.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None);
        let writer = pool.connect_with(writable).await.map_err(opened)?;
        let lock = lock_file(path, "migrate")?;
        lock.lock().map_err(|cause| StoreError::Lock {
            path: path.to_owned(),
            cause,
        })?;
        migrate(&writer, path).await?;
        drop(lock);
        let readers = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(options.read_only(true).pragma("cache_size", "-32000"));
        Ok(Self {
            writer,
            readers,
            path: path.to_owned(),
        })
    }

    /// Begins a transaction that holds the write lock from the start.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Begins a transaction that sees one state of the database and writes
    /// nothing.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        Ok(self.readers.begin().await?)
    }

    /// The writing connection, for work that stages first and locks late.
    pub async fn connection(&self) -> Result<sqlx::pool::PoolConnection<Sqlite>, StoreError> {
        Ok(self.writer.acquire().await?)
    }

    /// Waits until no other process changes facts, and keeps others waiting.
    pub fn import_lock(&self) -> Result<FileLock, StoreError> {
        let file = lock_file(&self.path, "import")?;
        file.lock().map_err(|cause| StoreError::Lock {
            path: self.path.clone(),
            cause,
        })?;
        Ok(FileLock { _file: file })
    }

    /// Keeps other runs of a job away; `None`: one is at work.
    pub fn job_lock(&self, job: &str) -> Result<Option<FileLock>, StoreError> {
        let file = lock_file(&self.path, job)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(StoreError::Lock {
                path: self.path.clone(),
                cause,
            }),
        }
    }

    /// Refreshes the statistics that plans are made from, and gives the log's
    /// room back.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        sqlx::query("PRAGMA optimize")
            .execute(&mut *connection)
            .await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let known = MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    MIGRATIONS.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) => StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Migrate(other),
    })
}

/// The file beside the database that an operating system's lock is held on: it
/// goes with the process that holds it.
fn lock_file(database: &Path, what: &str) -> Result<File, StoreError> {
    let mut path = database.as_os_str().to_owned();
    path.push(format!(".{what}.lock"));
    let path = PathBuf::from(path);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    file.map_err(|cause| StoreError::Lock { path, cause })
}
