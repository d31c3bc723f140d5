//! Why the database did not do what it was asked.

use std::io::ErrorKind;
use std::path::PathBuf;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use super::{postgres, sqlite};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("{database}: cannot open the database: {cause}")]
    Open {
        /// The file or the address, without a password.
        database: String,
        /// What the system said.
        cause: String,
    },
    /// Written by a later version of the program.
    #[error(
        "{database}: the database is from a newer version of warrantyd (schema {found}, this \
         program knows {known}): install that version, or restore a backup"
    )]
    Newer {
        /// The file or the address.
        database: String,
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
    /// The server took the transaction back in favour of another.
    #[error("the database took a step back in favour of another: run it again ({0})")]
    Again(String),
    /// The server went away, or cannot be reached. Whether a commit that was
    /// under way was made nobody knows.
    #[error(
        "the database cannot be reached: {0}; run it again when the server is back, nothing is \
         lost or done twice"
    )]
    Gone(String),
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
    /// What cannot be copied into another database.
    #[error("{0}")]
    Copy(String),
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
        let known = match &error {
            sqlx::Error::Database(said) => {
                let of_postgres = said.try_downcast_ref::<PgDatabaseError>();
                let of_sqlite = said.try_downcast_ref::<SqliteError>();
                of_postgres
                    .and_then(postgres::known)
                    .or_else(|| of_sqlite.and_then(sqlite::known))
            }
            sqlx::Error::Io(cause) => Some(Self::Gone(match cause.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                    "the server closed the connection".to_owned()
                }
                _ => cause.to_string(),
            })),
            // A proxy that has no server hangs up on the first word.
            sqlx::Error::Protocol(cause) if cause.contains("SSLRequest") => {
                Some(Self::Gone(cause.clone()))
            }
            sqlx::Error::PoolTimedOut => Some(Self::Gone("no connection in time".to_owned())),
            _ => None,
        };
        known.unwrap_or(Self::Sql(error))
    }
}
