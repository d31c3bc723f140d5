//! What changes are recorded in: when, and by what.

use super::StoreError;
use super::engine::{Row, Tx, select, write};
use crate::case::Entity;
use crate::policy::Instant;

/// Begins a set of changes; `source` says by what (an import with its files, a
/// command). Gives its number.
pub async fn change_set_begin(
    tx: &mut Tx<'_>,
    source: &str,
    now: Instant,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO change_sets (recorded_at, source) VALUES ($1, $2)";
    let added = write(sql).bind(now).bind(source);
    let mut row = added.returning("change_sets", &["id"]).one(tx).await?;
    row.get("id")
}

/// When the last set of changes was recorded; `None`: there is none.
pub async fn change_set_latest(tx: &mut Tx<'_>) -> Result<Option<Instant>, StoreError> {
    let latest = ["max(recorded_at) AS recorded_at"];
    let query = select("change_sets", latest, "FROM change_sets");
    query.one(tx).await?.time_if_known("recorded_at")
}

/// A set of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// Its number.
    pub id: i64,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// By what: an import with its files, or a command.
    pub source: String,
}

/// The sets recorded after a time (`None`: all), in the order of their
/// recording, so many at most.
pub async fn change_sets_after(
    tx: &mut Tx<'_>,
    known_at: Option<Instant>,
    at_most: i64,
) -> Result<Vec<ChangeSet>, StoreError> {
    let rest = "FROM change_sets WHERE $1 IS NULL OR recorded_at > $1 \
         ORDER BY recorded_at, id LIMIT $2";
    let query = select("change_sets", ["id", "recorded_at", "source"], rest);
    let set = |mut row: Row| {
        Ok(ChangeSet {
            id: row.id(),
            recorded_at: row.time("recorded_at")?,
            source: row.get("source")?,
        })
    };
    let rows = query.bind(known_at).bind(at_most).rows(tx).await?;
    rows.into_iter().map(set).collect()
}

/// What a set changed: `(entity, reference, field, old, new)`; of a row that
/// it created the field is empty. So many at most.
pub async fn changes_of(
    tx: &mut Tx<'_>,
    change_set: i64,
    at_most: i64,
) -> Result<Vec<FactChange>, StoreError> {
    let columns = ["entity", "ref", "field", "old", "\"new\""];
    let rest = "FROM (SELECT entity, \
             CASE entity WHEN 'orders' THEN (SELECT order_ref FROM orders WHERE id = row_id) \
                  WHEN 'units' THEN (SELECT unit_ref FROM units WHERE id = row_id) \
                  WHEN 'claims' THEN (SELECT claim_ref FROM claims WHERE id = row_id) \
                  ELSE (SELECT c.claim_ref FROM waits AS w JOIN claims AS c ON c.id = w.claim_id \
                         WHERE w.id = row_id) END AS ref, \
             field, old, \"new\" FROM fact_changes WHERE change_set = $1 \
           UNION ALL SELECT 'orders', order_ref, '', NULL, NULL FROM orders WHERE created_in = $1 \
           UNION ALL SELECT 'units', unit_ref, '', NULL, NULL FROM units WHERE created_in = $1 \
           UNION ALL SELECT 'claims', claim_ref, '', NULL, NULL FROM claims WHERE created_in = $1 \
           UNION ALL SELECT 'waits', c.claim_ref, '', NULL, NULL FROM waits AS w \
                       JOIN claims AS c ON c.id = w.claim_id WHERE w.created_in = $1 \
         ) AS found ORDER BY entity, ref, field LIMIT $2";
    let query = select("fact_changes", columns, rest);
    let change = |mut row: Row| {
        Ok(FactChange {
            entity: row.parse("entity", "orders, units, claims or waits")?,
            name: row.get("ref")?,
            field: row.get("field")?,
            old: row.get("old")?,
            new: row.get("new")?,
        })
    };
    let rows = query.bind(change_set).bind(at_most).rows(tx).await?;
    rows.into_iter().map(change).collect()
}

/// A change of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactChange {
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
