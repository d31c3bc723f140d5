//! Where statements run.

use std::fs::File;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Postgres, Sqlite, Transaction};

use super::{StoreError, postgres};

/// Whatever statements can be run on.
pub trait Link {
    /// The connection.
    fn conn(&mut self) -> Conn<'_>;
    /// Whether nothing can be written or locked.
    fn reads_only(&self) -> bool {
        false
    }
}

/// A connection of either engine.
#[derive(Debug)]
pub enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// One transaction; dropped before it is committed, it leaves nothing.
#[derive(Debug)]
pub struct Tx<'c> {
    pub(super) of: TxOf<'c>,
    pub(super) reads_only: bool,
}

#[derive(Debug)]
pub(super) enum TxOf<'c> {
    Sqlite(Transaction<'c, Sqlite>),
    Postgres(Transaction<'c, Postgres>),
}

impl Tx<'_> {
    /// Makes what was written last.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.of {
            TxOf::Sqlite(tx) => tx.commit().await?,
            TxOf::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Keeps out other transactions that do the same work, until this one
    /// ends. On SQLite whoever writes is alone.
    pub async fn alone(&mut self, work: &str) -> Result<(), StoreError> {
        if let TxOf::Postgres(tx) = &mut self.of {
            postgres::alone(tx, work).await?;
        }
        Ok(())
    }
}

impl Link for Tx<'_> {
    fn conn(&mut self) -> Conn<'_> {
        match &mut self.of {
            TxOf::Sqlite(tx) => Conn::Sqlite(tx),
            TxOf::Postgres(tx) => Conn::Postgres(tx),
        }
    }

    fn reads_only(&self) -> bool {
        self.reads_only
    }
}

/// A connection for work that stages first, outside of any transaction, and
/// locks late; with what keeps others from it.
#[derive(Debug)]
pub enum Session {
    /// SQLite, and its lock file.
    Sqlite(PoolConnection<Sqlite>, File),
    /// PostgreSQL: the lock is the connection's.
    Postgres(Box<PgConnection>),
}

impl Session {
    /// Makes room for large temporary tables: on SQLite what is beyond 16 MiB
    /// goes to a temporary file; PostgreSQL looks after itself.
    pub async fn stages_much(&mut self) -> Result<(), StoreError> {
        if let Self::Sqlite(conn, _) = self {
            let sql = "PRAGMA temp.cache_size = -16384";
            sqlx::query(sql).execute(&mut **conn).await?;
        }
        Ok(())
    }

    /// Begins a transaction that writes.
    pub async fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        let of = match self {
            Self::Sqlite(conn, _) => TxOf::Sqlite(conn.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(conn) => TxOf::Postgres(conn.begin_with(postgres::MERGE).await?),
        };
        Ok(Tx {
            of,
            reads_only: false,
        })
    }
}

impl Link for Session {
    fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(conn, _) => Conn::Sqlite(conn),
            Self::Postgres(conn) => Conn::Postgres(conn),
        }
    }
}
