//! A database as it is, for whoever only looks: nothing is created, migrated
//! or written.

use std::path::Path;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection};

use super::{Db, Store, StoreError, backup, migrations, postgres, sqlite, without_secrets};
use crate::policy::Instant;

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The engine and its version.
    pub engine: String,
    /// How large it is, in bytes.
    pub bytes: u64,
    /// What its clock says.
    pub clock: Instant,
    /// Whether it is a standby, which is only read.
    pub is_standby: bool,
}

/// How the schema stands to this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// There is none yet.
    None,
    /// It is this program's, of a version.
    Current(i64),
    /// It is older: the next start migrates it.
    Older(i64),
    /// A newer program has migrated it.
    Newer(i64),
}

impl Store {
    /// A file of SQLite as it is; `None`: there is no such file.
    pub async fn look_sqlite(path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .disable_statement_logging();
        let name = path.display().to_string();
        let refused = |error: sqlx::Error| StoreError::Open {
            database: name.clone(),
            cause: error.to_string(),
        };
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await.map_err(refused)?;
        let pools = sqlite::Pools {
            writer: pool.clone(),
            readers: pool,
            path: path.to_owned(),
        };
        Ok(Some(Self {
            name,
            db: Db::Sqlite(pools),
        }))
    }

    /// A database of PostgreSQL as it is.
    pub async fn look_postgres(url: &str) -> Result<Self, StoreError> {
        let name = without_secrets(url);
        let refused = |error| postgres::refused(&name, &error);
        let options = PgConnectOptions::from_str(url).map_err(refused)?;
        let options = options.disable_statement_logging();
        // The pool waits for a server that is down, and does not say why.
        let first = options.connect().await.map_err(refused)?;
        first.close().await?;
        let pool = PgPoolOptions::new().max_connections(2);
        Ok(Self {
            db: Db::Postgres(pool.connect_lazy_with(options)),
            name,
        })
    }

    /// What the database says of itself.
    pub async fn about(&self) -> Result<About, StoreError> {
        let (engine, bytes, clock, is_standby): (String, i64, i64, bool) = match &self.db {
            Db::Sqlite(pools) => {
                let sql = "SELECT 'SQLite ' || sqlite_version(), \
                           (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size), \
                           CAST(unixepoch('subsec') * 1000000 AS INTEGER), FALSE";
                sqlx::query_as(sql).fetch_one(&pools.readers).await?
            }
            Db::Postgres(pool) => {
                let sql = "SELECT 'PostgreSQL ' || current_setting('server_version'), \
                           pg_database_size(current_database()), \
                           (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT, \
                           pg_is_in_recovery()";
                sqlx::query_as(sql).fetch_one(pool).await?
            }
        };
        Ok(About {
            engine,
            bytes: bytes.try_into().unwrap_or(0),
            clock: Instant::from_timestamp_micros(clock).unwrap_or_default(),
            is_standby,
        })
    }

    /// How the schema stands to this program.
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        let newest = "SELECT max(version) FROM _sqlx_migrations";
        let newest: Option<i64> = match &self.db {
            Db::Sqlite(pools) => {
                let sql = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
                let tables: i64 = sqlx::query_scalar(sql).fetch_one(&pools.readers).await?;
                match tables {
                    0 => None,
                    _ => sqlx::query_scalar(newest).fetch_one(&pools.readers).await?,
                }
            }
            Db::Postgres(pool) => {
                let sql = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
                match sqlx::query_scalar(sql).fetch_one(pool).await? {
                    false => None,
                    true => sqlx::query_scalar(newest).fetch_one(pool).await?,
                }
            }
        };
        let known = migrations::known();
        Ok(match newest {
            None => Schema::None,
            Some(found) if found < known => Schema::Older(found),
            Some(found) if found > known => Schema::Newer(found),
            Some(found) => Schema::Current(found),
        })
    }

    /// Looks through a file of SQLite; says what is broken. PostgreSQL looks
    /// after itself.
    pub async fn quick_check(&self) -> Result<Option<String>, StoreError> {
        let Db::Sqlite(pools) = &self.db else {
            return Ok(None);
        };
        backup::problem(&mut *pools.readers.acquire().await?).await
    }
}
