//! The two engines behind one store: all that differs is in this folder.
//!
//! A statement is one text ([`statement`]) with one set parameter
//! ([`cell::Page`]); its rows are the same values from either engine
//! ([`row::Row`]). What a transaction is, how rows and jobs are locked, which
//! errors mean what: [`sqlite`] and [`postgres`].

mod ahead;
mod backup;
mod cell;
mod copy;
mod error;
mod json;
mod link;
mod look;
mod migrations;
mod postgres;
mod row;
mod sqlite;
mod statement;

use std::fs::File;
use std::path::Path;

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgPool};

pub use ahead::{Ahead, ReadAhead, Reader};
pub use backup::{Backup, Manifest};
pub(super) use cell::{Cell, Kind, Page};
pub use copy::{Copied, copy};
pub use error::StoreError;
pub use link::{Session, Tx};
pub use look::{About, Schema};
pub(super) use row::{Row, Rows};
pub(super) use statement::{Statement, select, write};

use link::TxOf;

/// An address without its password and its parameters.
fn without_secrets(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(url, _)| url);
    match url
        .rsplit_once('@')
        .map(|(login, host)| (login, host, login.find("://")))
    {
        Some((login, host, Some(scheme))) => {
            let (scheme, user) = login.split_at(scheme + 3);
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}{user}@{host}")
        }
        _ => url.to_owned(),
    }
}

/// The database of one business.
#[derive(Debug, Clone)]
pub struct Store {
    name: String,
    db: Db,
}

#[derive(Debug, Clone)]
enum Db {
    Sqlite(sqlite::Pools),
    Postgres(PgPool),
}

/// A lock between processes, held until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock {
    _held: Held,
}

#[derive(Debug)]
#[expect(dead_code, reason = "what is held is only dropped")]
enum Held {
    Nothing,
    File(File),
    Connection(Box<PgConnection>),
}

impl Lock {
    fn open() -> Self {
        Self {
            _held: Held::Nothing,
        }
    }

    fn file(file: File) -> Self {
        Self {
            _held: Held::File(file),
        }
    }

    fn connection(conn: PgConnection) -> Self {
        Self {
            _held: Held::Connection(Box::new(conn)),
        }
    }
}

impl Store {
    /// Opens a file of SQLite, creates it if it is missing, and migrates it.
    pub async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            name: path.display().to_string(),
            db: Db::Sqlite(sqlite::open(path).await?),
        })
    }

    /// Opens a database of PostgreSQL, `postgres://…`, and migrates it.
    pub async fn postgres(url: &str) -> Result<Self, StoreError> {
        let name = without_secrets(url);
        Ok(Self {
            db: Db::Postgres(postgres::open(url, &name).await?),
            name,
        })
    }

    /// Begins a transaction that writes: on SQLite it holds the write lock
    /// from the start, on PostgreSQL it locks the rows that it takes.
    pub async fn write(&self) -> Result<Tx<'static>, StoreError> {
        let of = match &self.db {
            Db::Sqlite(pools) => TxOf::Sqlite(pools.writer.begin_with("BEGIN IMMEDIATE").await?),
            Db::Postgres(pool) => TxOf::Postgres(pool.begin_with(postgres::WRITE).await?),
        };
        Ok(Tx {
            of,
            reads_only: false,
        })
    }

    /// The same, which leaves nothing of what it deletes in the file. On
    /// PostgreSQL that goes with the next vacuum.
    pub async fn write_erasing(&self) -> Result<Tx<'static>, StoreError> {
        if let Db::Sqlite(pools) = &self.db {
            let secure = sqlx::query("PRAGMA secure_delete = ON");
            secure.execute(&pools.writer).await?;
        }
        self.write().await
    }

    /// Begins a transaction that sees one state of the database and writes
    /// nothing.
    pub async fn read(&self) -> Result<Tx<'static>, StoreError> {
        let of = match &self.db {
            Db::Sqlite(pools) => TxOf::Sqlite(pools.readers.begin().await?),
            Db::Postgres(pool) => TxOf::Postgres(pool.begin_with(postgres::READ).await?),
        };
        Ok(Tx {
            of,
            reads_only: true,
        })
    }

    /// The same for whoever does not wait long: on PostgreSQL a statement of
    /// more than 2 seconds fails.
    pub async fn look(&self) -> Result<Tx<'static>, StoreError> {
        match &self.db {
            Db::Sqlite(_) => self.read().await,
            Db::Postgres(pool) => Ok(Tx {
                of: TxOf::Postgres(pool.begin_with(postgres::LOOK).await?),
                reads_only: true,
            }),
        }
    }

    /// Another transaction that sees what one of [`Store::read`] does, to read
    /// beside it. `None`: there is none, as on SQLite.
    pub async fn read_beside(&self, tx: &mut Tx<'_>) -> Result<Option<Tx<'static>>, StoreError> {
        let (Db::Postgres(pool), TxOf::Postgres(tx)) = (&self.db, &mut tx.of) else {
            return Ok(None);
        };
        let beside = postgres::read_beside(pool, tx).await?;
        Ok(beside.map(|beside| Tx {
            of: TxOf::Postgres(beside),
            reads_only: true,
        }))
    }

    /// The connection of whoever changes facts, for work that stages first and
    /// locks late. It waits until nobody else has one, and keeps others waiting
    /// until it is dropped.
    pub async fn session(&self) -> Result<Session, StoreError> {
        Ok(match &self.db {
            Db::Sqlite(pools) => {
                let lock = sqlite::lock(&pools.path, "import")?;
                Session::Sqlite(pools.writer.acquire().await?, lock)
            }
            Db::Postgres(pool) => Session::Postgres(postgres::session(pool, "import").await?),
        })
    }

    /// The same for whoever does not wait; `None`: somebody else has one.
    pub async fn session_if_free(&self) -> Result<Option<Session>, StoreError> {
        Ok(match &self.db {
            Db::Sqlite(pools) => match sqlite::try_lock(&pools.path, "import")? {
                Some(lock) => Some(Session::Sqlite(pools.writer.acquire().await?, lock)),
                None => None,
            },
            Db::Postgres(pool) => {
                let session = postgres::session_if_free(pool, "import").await?;
                session.map(Session::Postgres)
            }
        })
    }

    /// Keeps other runs of a job away; `None`: one is at work.
    pub async fn job_lock(&self, job: &str) -> Result<Option<Lock>, StoreError> {
        Ok(match &self.db {
            Db::Sqlite(pools) => sqlite::try_lock(&pools.path, job)?.map(Lock::file),
            Db::Postgres(pool) => postgres::try_lock(pool, job).await?.map(Lock::connection),
        })
    }

    /// Keeps other runs of a job away where only one can work: from a file of
    /// SQLite; `None`: one is at work. On PostgreSQL any number share the work.
    pub async fn file_lock(&self, job: &str) -> Result<Option<Lock>, StoreError> {
        match &self.db {
            Db::Sqlite(_) => self.job_lock(job).await,
            Db::Postgres(_) => Ok(Some(Lock::open())),
        }
    }

    /// Refreshes the statistics that plans are made from; SQLite gives the
    /// log's room back, too.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        match &self.db {
            Db::Sqlite(pools) => {
                for text in ["PRAGMA optimize", "PRAGMA wal_checkpoint(TRUNCATE)"] {
                    sqlx::query(text).execute(&pools.writer).await?;
                }
            }
            Db::Postgres(pool) => {
                // Without names the server warns of each table of its own.
                let mine = "SELECT quote_ident(tablename) FROM pg_tables \
                            WHERE schemaname = current_schema() AND tableowner = current_user";
                let tables: Vec<String> = sqlx::query_scalar(mine).fetch_all(pool).await?;
                if !tables.is_empty() {
                    let text = AssertSqlSafe(format!("ANALYZE {}", tables.join(", ")));
                    sqlx::query(text).execute(pool).await?;
                }
            }
        }
        Ok(())
    }

    /// Where the database is: the file, or the address without its password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Closes the connections.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite(pools) => {
                pools.readers.close().await;
                pools.writer.close().await;
            }
            Db::Postgres(pool) => pool.close().await,
        }
    }
}
