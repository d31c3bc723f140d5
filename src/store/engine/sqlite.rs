//! SQLite's ways.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeSeed;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteError, SqliteJournalMode,
    SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _, Row as _, Sqlite, TypeInfo, ValueRef};

use super::cell::{Cell, Kind, Page, Scalar};
use super::row::{Row, Rows, Value};
use super::statement::{Statement, expanded};
use super::{StoreError, backup, json, migrations};

/// How long a statement waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The rows of a statement that wait to be taken from the connection's thread:
/// all that one writes and gives back, or each row more is a switch of threads.
const ROW_BUFFER: usize = 1_000;

/// One writer, and no connection that is closed behind its back; readers see
/// what was committed last.
#[derive(Debug, Clone)]
pub struct Pools {
    pub writer: SqlitePool,
    pub readers: SqlitePool,
    pub path: PathBuf,
}

/// Opens the file, creates it if it is missing, and migrates it.
pub async fn open(path: &Path) -> Result<Pools, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .row_buffer_size(ROW_BUFFER)
        .disable_statement_logging();
    file_made(path);
    let writable = options
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "16000")
        .pragma("cache_size", "-32000");
    let opened = |error| match StoreError::from(error) {
        StoreError::Sql(error) => StoreError::Open {
            database: path.display().to_string(),
            cause: error.to_string(),
        },
        other => other,
    };
    // A full disk or one with errors ends a transaction by itself, which sqlx
    // does not see: on that connection it would begin none any more, or read
    // for ever what was there then.
    let pool = SqlitePoolOptions::new()
        .before_acquire(|conn, _| Box::pin(async { Ok(!conn.is_in_transaction()) }));
    let readers = pool.clone();
    let pool = pool
        .max_connections(1)
        // Whoever has it may wait for another process.
        .acquire_timeout(2 * BUSY_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None);
    let writer = pool.connect_with(writable).await.map_err(opened)?;
    backup::refuse(path, &writer).await?;
    let lock = lock_file(path, "migrate")?;
    lock.lock().map_err(|cause| lock_error(path, cause))?;
    let migrator = migrations::migrator(&migrations::Words {
        id: "INTEGER PRIMARY KEY",
        // The row's own place: no index beside the table.
        key: "INTEGER PRIMARY KEY",
        text: "TEXT",
        postgres: "",
    });
    let migrated = migrator.run(&writer).await;
    migrations::checked(migrated, &path.display().to_string())?;
    drop(lock);
    // Work that reads beside its reading, and whoever looks at it meanwhile.
    let readers = readers
        .max_connections(3)
        .connect_lazy_with(options.read_only(true).pragma("cache_size", "-32000"));
    Ok(Pools {
        writer,
        readers,
        path: path.to_owned(),
    })
}

/// A lock between processes, held until it is dropped.
pub fn lock(path: &Path, what: &str) -> Result<File, StoreError> {
    let file = lock_file(path, what)?;
    file.lock().map_err(|cause| lock_error(path, cause))?;
    Ok(file)
}

/// The same, if nobody holds it.
pub fn try_lock(path: &Path, what: &str) -> Result<Option<File>, StoreError> {
    let file = lock_file(path, what)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(lock_error(path, cause)),
    }
}

/// The file beside the database that an operating system's lock is held on: it
/// goes with the process that holds it.
fn lock_file(database: &Path, what: &str) -> Result<File, StoreError> {
    let mut path = database.as_os_str().to_owned();
    path.push(format!(".{what}.lock"));
    let path = PathBuf::from(path);
    let file = match File::options().create_new(true).write(true).open(&path) {
        Ok(file) => {
            given_to_owner_of(database, &file);
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            File::options().write(true).open(&path)
        }
        Err(error) => Err(error),
    };
    file.map_err(|cause| lock_error(&path, cause))
}

/// Makes the file where it is missing, for whoever owns the directory. What
/// keeps it from being made is said where the database is opened.
fn file_made(path: &Path) {
    // Whoever opens and closes a file that others have open loses their locks.
    if path.exists() {
        return;
    }
    // Not only a new one: the path may be a link to where the file is to be.
    if let Ok(file) = File::options().create(true).append(true).open(path) {
        let dir = path.parent().filter(|dir| *dir != Path::new(""));
        given_to_owner_of(dir.unwrap_or(Path::new(".")), &file);
    }
}

/// As SQLite does it with its own files: what root makes is for whoever owns
/// what it belongs to. Others may not, and need not.
fn given_to_owner_of(belongs_to: &Path, file: &File) {
    if let Ok(of) = belongs_to.metadata() {
        let _ = fchown(file, Some(of.uid()), Some(of.gid()));
    }
}

fn lock_error(path: &Path, cause: std::io::Error) -> StoreError {
    StoreError::Lock {
        path: path.to_owned(),
        cause,
    }
}

/// What changes with every write: by other connections, and by this one.
pub type Mark = (i64, i64);

/// The mark as of a transaction that writes, where nobody else can.
pub async fn mark(conn: &mut SqliteConnection) -> Result<Mark, StoreError> {
    let sql = "SELECT data_version, total_changes() FROM pragma_data_version";
    Ok(sqlx::query_as(sql).fetch_one(conn).await?)
}

/// What an error of SQLite means; the low byte is its primary result code.
pub fn known(error: &SqliteError) -> Option<StoreError> {
    use sqlx::error::DatabaseError;
    let code: i32 = error.code()?.parse().ok()?;
    match code & 0xff {
        5 | 6 => Some(StoreError::Locked),
        8 => Some(StoreError::ReadOnly),
        13 => Some(StoreError::Full),
        _ => None,
    }
}

pub async fn execute(statement: Statement, conn: &mut SqliteConnection) -> Result<u64, StoreError> {
    let text = statement.text(|_, column| column.to_owned());
    let query = bound(&text, statement);
    Ok(query.execute(conn).await?.rows_affected())
}

pub async fn rows(
    statement: Statement,
    conn: &mut SqliteConnection,
) -> Result<Vec<Row>, StoreError> {
    let rows = Rows::new(statement.table, statement.names());
    let rows = match statement.is_select() {
        true => selected(statement, rows, conn).await?,
        false => returned(statement, rows, conn).await?,
    };
    Ok(rows.into_rows())
}

/// All rows as one JSON list of their cells.
async fn selected(
    statement: Statement,
    mut rows: Rows,
    conn: &mut SqliteConnection,
) -> Result<Rows, StoreError> {
    let inner = statement.text(|at, column| format!("{} AS c{at}", unnamed(column)));
    let columns: Vec<String> = (0..rows.width()).map(|at| format!("c{at}")).collect();
    let columns = columns.join(", ");
    let text = format!("SELECT json_group_array(json_array({columns})) FROM ({inner})");
    let row = bound(&text, statement).fetch_one(conn).await?;
    let json: &str = row.try_get(0)?;
    let mut json = serde_json::Deserializer::from_str(json);
    let read = json::Lists(&mut rows).deserialize(&mut json);
    read.map_err(|error| StoreError::Sql(sqlx::Error::Decode(error.into())))?;
    Ok(rows)
}

/// The rows of a statement that writes: few, and not to be selected from.
async fn returned(
    statement: Statement,
    mut rows: Rows,
    conn: &mut SqliteConnection,
) -> Result<Rows, StoreError> {
    let text = statement.text(|_, column| column.to_owned());
    for row in &bound(&text, statement).fetch_all(conn).await? {
        for at in 0..row.len() {
            rows.push(value(row, at)?);
        }
    }
    Ok(rows)
}

fn value(row: &SqliteRow, at: usize) -> Result<Value<'_>, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    Ok(match (raw.is_null(), raw.type_info().name()) {
        (true, _) => Value::Null,
        (_, "TEXT") => Value::Text(row.try_get_unchecked(at)?),
        _ => Value::Int(row.try_get_unchecked(at)?),
    })
}

/// How SQLite would run a query, line by line.
#[cfg(test)]
pub async fn plan(
    statement: Statement,
    conn: &mut SqliteConnection,
) -> Result<Vec<String>, StoreError> {
    let text = statement.text(|_, column| column.to_owned());
    let rows = bound(&format!("EXPLAIN QUERY PLAN {text}"), statement);
    let rows = rows.fetch_all(conn).await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get("detail"))
        .collect::<Result<_, _>>()?)
}

/// A column without the name that it gives itself.
fn unnamed(column: &str) -> &str {
    column.rsplit_once(" AS ").map_or(column, |(text, _)| text)
}

fn bound(text: &str, statement: Statement) -> Query<'static, Sqlite, SqliteArguments> {
    let place = statement.scalars.len() + 1;
    let page = statement.page.as_ref();
    let text = expanded(text, |token| match token {
        "page" => page.map_or_else(String::new, |page| page_table(page, place)),
        "then" => "CROSS JOIN".to_owned(),
        "clock" => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)".to_owned(),
        // One daemon holds the file: whatever is found at work has died.
        "lease" => "0".to_owned(),
        token => match token.strip_prefix("elements ") {
            Some(list) => format!("json_each({list})"),
            // Whoever writes holds the whole database.
            None => String::new(),
        },
    });
    let mut query = sqlx::query(text);
    for scalar in statement.scalars {
        query = match scalar {
            Scalar::Int(value) => query.bind(value),
            Scalar::Text(value) => query.bind(value),
            Scalar::Flag(value) => query.bind(value),
        };
    }
    match statement.page {
        Some(mut page) => {
            let texts = long_texts(&mut page);
            let query = query.bind(json(&page));
            match texts {
                Some(texts) => query.bind(texts),
                None => query,
            }
        }
        None => query,
    }
}

fn page_table(page: &Page, place: usize) -> String {
    if let [(name, _)] = page.columns.as_slice() {
        return format!("(SELECT key AS place, value AS \"{name}\" FROM json_each(${place}))");
    }
    let columns = page.columns.iter().enumerate();
    let columns: Vec<String> = columns
        .map(|(at, (name, kind))| match kind {
            Kind::LongText => format!(
                "CAST(substr(${}, (value ->> {at}) >> 32, (value ->> {at}) & 4294967295) AS TEXT) \
                 AS \"{name}\"",
                place + 1
            ),
            _ => format!("value ->> {at} AS \"{name}\""),
        })
        .collect();
    let columns = columns.join(", ");
    // The limit keeps SQLite from writing a row's text anew for each column.
    let rows = format!("(SELECT key, value FROM jsonb_each(${place}) LIMIT -1)");
    format!("(SELECT key AS place, {columns} FROM {rows})")
}

/// Takes the long texts out of a page, behind each other: to write and read
/// them as JSON costs more than to store them. In the place of each stands
/// where it begins, from 1 on, and its length, as two halves of a number.
/// `None`: no column has any.
fn long_texts(page: &mut Page) -> Option<Vec<u8>> {
    let kinds = page.columns.iter().map(|(_, kind)| *kind);
    kinds.clone().find(|kind| *kind == Kind::LongText)?;
    // Bound without a byte it would be no blob, but NULL.
    let mut texts = vec![0];
    let kinds = kinds.collect::<Vec<_>>().into_iter().cycle();
    for (cell, kind) in page.cells.iter_mut().zip(kinds) {
        if let (Cell::Text(text), Kind::LongText) = (&*cell, kind) {
            let place = (texts.len() as i64 + 1) << 32 | text.len() as i64;
            texts.extend_from_slice(text.as_bytes());
            *cell = Cell::Int(place);
        }
    }
    Some(texts)
}

/// The page as a JSON list: of values, or of rows.
fn json(page: &Page) -> String {
    let json = match page.columns.len() {
        1 => serde_json::to_string(&page.cells),
        width => serde_json::to_string(&page.cells.chunks(width).collect::<Vec<_>>()),
    };
    // Texts, numbers and lists of them always can be written.
    json.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::store::Store;
    use crate::store::engine::link::TxOf;
    use crate::store::engine::{Cell, Kind, Page, select};

    /// Runs a text of SQLite; gives the last number of its rows.
    async fn number(tx: &mut TxOf<'_>, text: &'static str) -> Option<i64> {
        let TxOf::Sqlite(tx) = tx else {
            panic!("not of SQLite")
        };
        let rows = sqlx::query_scalar(text).fetch_all(&mut **tx).await;
        rows.unwrap().pop()
    }

    #[tokio::test]
    async fn a_link_leads_to_where_the_file_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (link, file) = (dir.path().join("link.db"), dir.path().join("shop.db"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let store = Store::sqlite(&link).await.unwrap();
        store.close().await;
        assert!(file.is_file());
    }

    #[tokio::test]
    async fn whoever_reads_after_a_transaction_that_ended_by_itself_sees_what_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&dir.path().join("shop.db")).await.unwrap();
        let mut tx = store.read().await.unwrap();
        number(&mut tx.of, "ROLLBACK").await;
        drop(tx);
        for (text, expected) in [
            ("PRAGMA user_version = 1", 1),
            ("PRAGMA user_version = 2", 2),
        ] {
            let mut tx = store.write().await.unwrap();
            number(&mut tx.of, text).await;
            tx.commit().await.unwrap();
            let mut tx = store.read().await.unwrap();
            let found = number(&mut tx.of, "PRAGMA user_version").await;
            assert_eq!(found, Some(expected));
        }
    }

    #[tokio::test]
    async fn long_texts_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&dir.path().join("shop.db")).await.unwrap();
        let mut tx = store.read().await.unwrap();
        let long = "x".repeat(100_000);
        for texts in [&["", "a\r\n\"b\"", "Grüße", &long, "🎈"][..], &[""]] {
            let mut page = Page::new(&[("n", Kind::Int), ("text", Kind::LongText)]);
            for (n, text) in texts.iter().enumerate() {
                page.push([(n as i64).into(), (*text).into()]);
            }
            page.push([(texts.len() as i64).into(), Cell::Null]);
            let query = select("page", ["text"], "FROM {page} AS page ORDER BY n");
            let found: Vec<Option<String>> = query.page(page).values(&mut tx).await.unwrap();
            let expected = texts.iter().map(|text| Some((*text).to_owned()));
            assert_eq!(found, expected.chain([None]).collect::<Vec<_>>());
        }
    }
}
