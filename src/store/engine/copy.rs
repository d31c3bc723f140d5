//! From one database into another: every row of every table, read back and
//! compared.
//!
//! Tables and columns are read from the one of SQLite, in the order in which
//! they were created: what a table refers to was created before it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::cell::{Cell, Kind, Page};
use super::link::{Tx, TxOf};
use super::statement::{select, write};

/// Rows copied at once; of the bytes of messages, fewer.
const ROWS_A_PAGE: i64 = 2_000;
const BODIES_A_PAGE: i64 = 50;

/// The table of the bytes of messages.
const BODIES: &str = "message_bodies";

/// The tables of a database of SQLite, less those of tools.
pub(super) const TABLES: &str = "FROM sqlite_master WHERE type = 'table' \
     AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT LIKE '!_%' ESCAPE '!' ORDER BY rowid";

/// How many rows of a table were copied and found equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: u64,
}

struct Table {
    name: String,
    columns: Vec<(Cow<'static, str>, Kind)>,
    /// The columns that a row is known by.
    key: Vec<String>,
}

/// Copies all that one transaction sees into an empty database, whose
/// transaction is left to be committed; one of the two is of SQLite. Each page
/// is read back and compared cell by cell; `progress` is told of its rows.
/// Refused is a target that holds anything.
pub async fn copy(
    source: &mut Tx<'_>,
    target: &mut Tx<'_>,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Vec<Copied>, StoreError> {
    let tables = match source.of {
        TxOf::Sqlite(_) => tables(source).await?,
        TxOf::Postgres(_) => tables(target).await?,
    };
    refuse_filled(&tables, target).await?;
    // The row that the schema begins with: the source has its own.
    write("DELETE FROM enforcement").execute(target).await?;
    let mut copied = Vec::with_capacity(tables.len());
    for table in tables {
        let rows = copy_table(&table, source, target, progress).await?;
        copied.push(Copied {
            table: table.name,
            rows,
        });
    }
    Ok(copied)
}

async fn tables(of: &mut Tx<'_>) -> Result<Vec<Table>, StoreError> {
    let names: Vec<String> = select("sqlite_master", ["name"], TABLES).values(of).await?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let rest = format!("FROM pragma_table_info('{name}') ORDER BY cid");
        let (mut columns, mut key) = (Vec::new(), Vec::new());
        for mut row in select("columns", ["name", "type", "pk"], rest)
            .rows(of)
            .await?
        {
            let column: String = row.get("name")?;
            let kind = match row.get::<String>("type")?.as_str() {
                "TEXT" if name == BODIES => Kind::LongText,
                "TEXT" => Kind::Text,
                "BOOLEAN" => Kind::Flag,
                _ => Kind::Int,
            };
            if row.get::<i64>("pk")? > 0 {
                key.push(column.clone());
            }
            columns.push((Cow::Owned(column), kind));
        }
        if key.is_empty() {
            let why = format!("table {name} has no primary key: its rows cannot be told apart");
            return Err(StoreError::Copy(why));
        }
        tables.push(Table { name, columns, key });
    }
    Ok(tables)
}

/// Nothing is mixed with what is there.
async fn refuse_filled(tables: &[Table], target: &mut Tx<'_>) -> Result<(), StoreError> {
    for table in tables.iter().filter(|table| table.name != "enforcement") {
        let rest = format!("FROM {} LIMIT 1", table.name);
        if select("target", ["1 AS found"], rest)
            .row(target)
            .await?
            .is_some()
        {
            return Err(StoreError::Copy(format!(
                "table {} of the target holds rows: expected an empty database",
                table.name
            )));
        }
    }
    Ok(())
}

async fn copy_table(
    table: &Table,
    source: &mut Tx<'_>,
    target: &mut Tx<'_>,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, StoreError> {
    let Table { name, columns, key } = table;
    let at_most = match name.as_str() {
        BODIES => BODIES_A_PAGE,
        _ => ROWS_A_PAGE,
    };
    let listed: Vec<String> = columns
        .iter()
        .map(|(column, _)| format!("\"{column}\""))
        .collect();
    let names = listed.join(", ");
    let insert =
        format!("INSERT INTO {name} ({names}) SELECT {names} FROM {{page}} AS page ORDER BY place");
    let key_names: Vec<String> = key.iter().map(|column| format!("\"{column}\"")).collect();
    let key_names = key_names.join(", ");
    let places: Vec<String> = (2..key.len() + 2).map(|at| format!("${at}")).collect();
    let places = places.join(", ");
    let is_key = |column: &str| key.iter().any(|name| name == column);
    let (mut rows, mut after) = (0, Vec::new());
    loop {
        let behind = match after.is_empty() {
            true => String::new(),
            false => format!("WHERE ({key_names}) > ({places})"),
        };
        let rest = format!("FROM {name} {behind} ORDER BY {key_names} LIMIT $1");
        let query = select("source", listed.iter().cloned(), rest).bind(at_most);
        let query = after.drain(..).fold(query, |query, cell| query.bind(cell));
        let mut page = Page {
            columns: columns.clone(),
            cells: Vec::new(),
        };
        for row in query.rows(source).await? {
            page.push_row(row.into_cells());
        }
        if page.is_empty() {
            break;
        }
        let last = &page.cells[page.cells.len() - columns.len()..];
        let last = columns.iter().zip(last);
        let last = last.filter(|((column, _), _)| is_key(column));
        after = last.map(|(_, cell)| cell.clone()).collect();
        write(insert.clone())
            .page(page.clone())
            .execute(target)
            .await?;
        let copied = page.len() as u64;
        compare(table, page, target).await?;
        rows += copied;
        progress(copied);
    }
    let rest = format!("FROM {name}");
    let found = select("target", ["count(*) AS n"], rest)
        .value(target)
        .await?;
    if found != Some(i64::try_from(rows).unwrap_or(i64::MAX)) {
        return Err(differs(name));
    }
    let has_numbers = columns.iter().any(|(column, _)| column == "id");
    if has_numbers && matches!(target.of, TxOf::Postgres(_)) {
        number_on(name, target).await?;
    }
    Ok(rows)
}

/// Reads rows back by their keys.
async fn compare(table: &Table, page: Page, target: &mut Tx<'_>) -> Result<(), StoreError> {
    let Table { name, columns, key } = table;
    let same: Vec<String> = key
        .iter()
        .map(|column| format!("t.\"{column}\" = page.\"{column}\""))
        .collect();
    let rest = format!(
        "FROM {{page}} AS page JOIN {name} AS t ON {} ORDER BY page.place",
        same.join(" AND ")
    );
    let read: Vec<String> = columns
        .iter()
        .map(|(column, _)| format!("t.\"{column}\""))
        .collect();
    let found = select("target", read, rest)
        .page(page.clone())
        .rows(target)
        .await?;
    let found: Vec<Cell> = found.into_iter().flat_map(|row| row.into_cells()).collect();
    match found == page.cells {
        true => Ok(()),
        false => Err(differs(name)),
    }
}

fn differs(table: &str) -> StoreError {
    StoreError::Copy(format!(
        "table {table}: what was written is not what was read; nothing was copied"
    ))
}

/// The next number that PostgreSQL gives is after those that were copied.
async fn number_on(table: &str, target: &mut Tx<'_>) -> Result<(), StoreError> {
    let next = format!("setval(pg_get_serial_sequence('{table}', 'id'), max(id)) AS next");
    let rest = format!("FROM {table}");
    select("target", [next], rest).rows(target).await?;
    Ok(())
}
