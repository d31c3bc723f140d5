//! A connection to a shop's database that is not the program's.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row, TypeInfo, ValueRef};

/// A connection to a shop's database.
pub enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    /// The rows of the last of some statements, cells with `|` between. A flag
    /// is 0 or 1, nothing is `-`.
    pub async fn rows(&mut self, sql: &str) -> Vec<String> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(connection) => {
                let rows = sql.fetch_all(connection).await.unwrap();
                rows.iter().map(|row| line(row, of_sqlite)).collect()
            }
            Self::Postgres(connection) => {
                let rows = sql.fetch_all(connection).await.unwrap();
                rows.iter().map(|row| line(row, of_postgres)).collect()
            }
        }
    }

    /// The tables that the program keeps.
    pub async fn tables(&mut self) -> Vec<String> {
        let sql = match self {
            Self::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table'",
            Self::Postgres(_) => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            }
        };
        let mut tables = self.rows(sql).await;
        tables.retain(|name| !name.starts_with('_') && !name.starts_with("sqlite"));
        tables.sort();
        tables
    }

    /// The columns of one, in their order.
    pub async fn columns(&mut self, table: &str) -> Vec<String> {
        let sql = match self {
            Self::Sqlite(_) => {
                format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid")
            }
            Self::Postgres(_) => format!(
                "SELECT column_name FROM information_schema.columns \
                  WHERE table_schema = 'public' AND table_name = '{table}' \
                  ORDER BY ordinal_position"
            ),
        };
        self.rows(&sql).await
    }

    pub async fn close(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

fn line<R: Row>(row: &R, cell: impl Fn(&R, usize) -> Option<String>) -> String {
    let cells = (0..row.len()).map(|at| cell(row, at).unwrap_or_else(|| "-".to_owned()));
    cells.collect::<Vec<_>>().join("|")
}

fn of_sqlite(row: &SqliteRow, at: usize) -> Option<String> {
    row.try_get_unchecked(at).unwrap()
}

/// PostgreSQL answers a text without parameters in texts.
fn of_postgres(row: &PgRow, at: usize) -> Option<String> {
    let cell = row.try_get_raw(at).unwrap();
    if cell.is_null() {
        return None;
    }
    let text = cell.as_str().unwrap();
    Some(match (cell.type_info().name(), text) {
        ("BOOL", "t") => "1".to_owned(),
        ("BOOL", _) => "0".to_owned(),
        _ => text.to_owned(),
    })
}
