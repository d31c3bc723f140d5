//! What changes are recorded in: when, and by what.
//!
//! Sets of changes are numbered in the order in which others see them, so that
//! whoever sees one has seen all with a lower number: a set is begun under a
//! lock that its transaction keeps. When it was recorded is the time of its
//! command, which may have begun before one with a lower number.

use super::StoreError;
use super::engine::{Page, Row, Statement, Tx, select, write};
use super::known::Cut;
use crate::case::Entity;
use crate::policy::Instant;

/// Keeps other sets of changes from being begun until the transaction ends. It
/// comes before anything else is locked that another set of changes may wait
/// for.
pub async fn change_sets_lock(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.alone("change_sets").await
}

/// Begins a set of changes; `source` says by what (an import with its files, a
/// command). Gives its number. Locks as [`change_sets_lock`] does.
pub async fn change_set_begin(
    tx: &mut Tx<'_>,
    source: &str,
    now: Instant,
) -> Result<i64, StoreError> {
    change_sets_lock(tx).await?;
    let sql = "INSERT INTO change_sets (recorded_at, source) VALUES ($1, $2)";
    let added = write(sql).bind(now).bind(source);
    let mut row = added.returning("change_sets", &["id"]).one(tx).await?;
    row.get("id")
}

/// The number of the last set of changes, and when it was recorded; `None`:
/// there is none.
pub async fn change_set_latest(tx: &mut Tx<'_>) -> Result<Option<(i64, Instant)>, StoreError> {
    let rest = "FROM change_sets ORDER BY id DESC LIMIT 1";
    let query = select("change_sets", ["id", "recorded_at"], rest);
    let latest = |mut row: Row| Ok((row.id(), row.time("recorded_at")?));
    query.row(tx).await?.map(latest).transpose()
}

/// When a set of changes was recorded; `None`: there is none of that number.
pub async fn change_set_recorded_at(
    tx: &mut Tx<'_>,
    change_set: i64,
) -> Result<Option<Instant>, StoreError> {
    let rest = "FROM change_sets WHERE id = $1";
    let query = select("change_sets", ["recorded_at"], rest).bind(change_set);
    let row = query.row(tx).await?;
    row.map(|mut row| row.time("recorded_at")).transpose()
}

/// The number of the last set of changes that was recorded by a time; 0: there
/// is none. Those with a lower number came before it, whatever their time.
pub async fn change_set_at(tx: &mut Tx<'_>, known_at: Instant) -> Result<i64, StoreError> {
    let rest = "FROM change_sets WHERE recorded_at <= $1";
    let query = select("change_sets", ["coalesce(max(id), 0) AS id"], rest);
    Ok(query.bind(known_at).value(tx).await?.unwrap_or(0))
}

/// The rows of an order's case: its units, their claims and waits, and the
/// units that they replace, with their orders.
const CASE: &str = "WITH RECURSIVE chain (unit_id, order_id) AS ( \
       SELECT id, order_id FROM units WHERE order_id = $2 \
       UNION SELECT p.id, p.order_id FROM chain AS c JOIN units AS u ON u.id = c.unit_id \
         JOIN units AS p ON p.id = u.replaces_unit_id), \
     own (id, claim_ref, created_in) AS ( \
       SELECT c.id, c.claim_ref, c.created_in FROM units AS u \
         JOIN claims AS c ON c.unit_id = u.id WHERE u.order_id = $2), \
     facts (kind, entity, id, ref, created_in) AS ( \
       SELECT 0, 'orders', id, order_ref, created_in FROM orders \
        WHERE id = $2 OR id IN (SELECT order_id FROM chain) \
       UNION ALL SELECT 1, 'units', id, unit_ref, created_in FROM units \
        WHERE id IN (SELECT unit_id FROM chain) \
       UNION ALL SELECT 2, 'claims', id, claim_ref, created_in FROM own \
       UNION ALL SELECT 3, 'waits', w.id, own.claim_ref, w.created_in FROM own \
         JOIN waits AS w ON w.claim_id = own.id)";

/// Units and their orders.
const UNITS: &str = "WITH facts (kind, entity, id, ref, created_in) AS ( \
       SELECT 1, 'units', u.id, u.unit_ref, u.created_in \
         FROM {page} AS page {then} units AS u ON u.id = page.unit_id \
       UNION SELECT 0, 'orders', o.id, o.order_ref, o.created_in \
         FROM {page} AS page {then} units AS u ON u.id = page.unit_id \
         {then} orders AS o ON o.id = u.order_id)";

/// What was recorded of an order's case after a set of changes, in the order of
/// its recording.
pub async fn changes_after(
    tx: &mut Tx<'_>,
    order_id: i64,
    change_set: i64,
) -> Result<Vec<FactChange>, StoreError> {
    let query = changes(CASE, change_set).bind(order_id);
    query.rows(tx).await?.into_iter().map(change).collect()
}

/// What was recorded of units and their orders after a set of changes, in the
/// order of its recording.
pub async fn unit_changes_after(
    tx: &mut Tx<'_>,
    unit_ids: &[i64],
    change_set: i64,
) -> Result<Vec<FactChange>, StoreError> {
    let query = changes(UNITS, change_set).page(Page::of_ints("unit_id", unit_ids));
    query.rows(tx).await?.into_iter().map(change).collect()
}

/// The changes of `facts` after a set of changes.
fn changes(facts: &'static str, after: i64) -> Statement {
    let columns = [
        "recorded_at",
        "change_set",
        "kind",
        "row_id",
        "source",
        "entity",
        "ref",
        "field",
        "old",
        "\"new\"",
    ];
    let rest = "FROM ( \
         SELECT s.recorded_at, s.id AS change_set, CAST(4 AS BIGINT) AS kind, f.id AS row_id, \
                s.source, t.entity, t.ref, f.field, f.old, f.\"new\" \
           FROM facts AS t JOIN fact_changes AS f ON f.entity = t.entity AND f.row_id = t.id \
           JOIN change_sets AS s ON s.id = f.change_set WHERE s.id > $1 \
         UNION ALL SELECT s.recorded_at, s.id, CAST(t.kind AS BIGINT), t.id, \
                s.source, t.entity, t.ref, '', NULL, NULL \
           FROM facts AS t JOIN change_sets AS s ON s.id = t.created_in WHERE s.id > $1 \
       ) AS found ORDER BY change_set, kind, row_id";
    select("fact_changes", columns, rest)
        .with(facts)
        .bind(after)
}

fn change(mut row: Row) -> Result<FactChange, StoreError> {
    Ok(FactChange {
        place: Cut {
            change_set: row.get("change_set")?,
            kind: row.get("kind")?,
            row: row.get("row_id")?,
        },
        recorded_at: row.time("recorded_at")?,
        source: row.get("source")?,
        entity: row.parse("entity", "orders, units, claims or waits")?,
        name: row.get("ref")?,
        field: row.get("field")?,
        old: row.get("old")?,
        new: row.get("new")?,
    })
}

/// A change of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactChange {
    /// Its place in the history.
    pub place: Cut,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// By what it was recorded: an import with its files, or a command.
    pub source: String,
    /// The kind of row.
    pub entity: Entity,
    /// The row's name; of a wait, its claim's.
    pub name: String,
    /// The field; empty: the row was created.
    pub field: String,
    /// What it held, as it is stored.
    pub old: Option<String>,
    /// What it holds since, as it is stored.
    pub new: Option<String>,
}
