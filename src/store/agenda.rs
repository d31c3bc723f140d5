//! When each case must be looked at again: a scan costs what is due, not
//! what is stored.

use sqlx::sqlite::SqliteConnection;

use super::StoreError;
use super::rows::micros;
use crate::policy::Instant;

/// A case that is to be looked at, in the order of the agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct DueCase {
    /// The order.
    pub order_id: i64,
    /// Its place on the agenda: microseconds, or 0 after a change of facts.
    pub next_at: i64,
    /// How many times in a row its evaluation failed.
    pub failures: i64,
    /// How many units it has: pages are bounded by rows, not by cases.
    pub units: i64,
}

/// What an evaluation leaves on the agenda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgendaRow {
    /// The order.
    pub order_id: i64,
    /// When to look again; `None`: time alone changes nothing.
    pub next_at: Option<Instant>,
    /// Whether anything is left to happen or to be done.
    pub is_open: bool,
    /// How many times in a row the evaluation failed.
    pub failures: i64,
    /// Why it failed.
    pub error: Option<String>,
}

/// The next cases whose time has come by `now`, after a place on the agenda.
pub async fn agenda_due(
    tx: &mut SqliteConnection,
    now: Instant,
    after: (i64, i64),
    at_most: i64,
) -> Result<Vec<DueCase>, StoreError> {
    let sql = "SELECT order_id, next_at, failures, \
               (SELECT count(*) FROM units WHERE units.order_id = agenda.order_id) AS units \
          FROM agenda WHERE next_at <= $1 AND (next_at, order_id) > ($2, $3) \
         ORDER BY next_at, order_id LIMIT $4";
    let query = sqlx::query_as(sql)
        .bind(micros(now))
        .bind(after.0)
        .bind(after.1)
        .bind(at_most);
    Ok(query.fetch_all(tx).await?)
}

/// The next open cases that were evaluated under older rules and are not due
/// by `now` all the same, after an order.
pub async fn agenda_stale(
    tx: &mut SqliteConnection,
    now: Instant,
    rules_id: i64,
    after: i64,
    at_most: i64,
) -> Result<Vec<DueCase>, StoreError> {
    let sql = "SELECT order_id, 0 AS next_at, failures, \
               (SELECT count(*) FROM units WHERE units.order_id = agenda.order_id) AS units \
          FROM agenda WHERE is_open AND rules_id < $1 AND order_id > $2 \
           AND (next_at IS NULL OR next_at > $4) \
         ORDER BY order_id LIMIT $3";
    Ok(sqlx::query_as(sql)
        .bind(rules_id)
        .bind(after)
        .bind(at_most)
        .bind(micros(now))
        .fetch_all(tx)
        .await?)
}

/// Writes what evaluations under the rules left on the agenda.
pub async fn agenda_move(
    tx: &mut SqliteConnection,
    rules_id: i64,
    rows: &[AgendaRow],
) -> Result<(), StoreError> {
    let page: Vec<_> = rows
        .iter()
        .map(|row| {
            let next_at = row.next_at.map(micros);
            (row.order_id, next_at, row.is_open, row.failures, &row.error)
        })
        .collect();
    let sql = "UPDATE agenda SET next_at = page.value ->> 1, rules_id = $2, \
               is_open = page.value ->> 2, failures = page.value ->> 3, error = page.value ->> 4 \
          FROM json_each($1) AS page WHERE agenda.order_id = page.value ->> 0";
    let page = serde_json::json!(page).to_string();
    let changed = sqlx::query(sql)
        .bind(page)
        .bind(rules_id)
        .execute(tx)
        .await?
        .rows_affected();
    let expected = rows.len() as u64;
    match changed == expected {
        true => Ok(()),
        false => Err(StoreError::Changed {
            what: "agenda_move",
            changed,
            expected,
        }),
    }
}

/// The agenda as a whole.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AgendaSummary {
    /// Orders that were evaluated or wait to be.
    pub orders: i64,
    /// Those with something left to happen or to be done.
    pub open: i64,
    /// Those whose time has come.
    pub due: i64,
    /// Open ones that were evaluated under older rules.
    pub stale: i64,
    /// Those whose evaluation failed.
    pub failing: i64,
}

/// Counts the agenda.
pub async fn agenda_summary(
    tx: &mut SqliteConnection,
    now: Instant,
    rules_id: i64,
) -> Result<AgendaSummary, StoreError> {
    let sql = "SELECT count(*) AS orders, count(*) FILTER (WHERE is_open) AS open, \
               count(*) FILTER (WHERE next_at <= $1) AS due, \
               count(*) FILTER (WHERE is_open AND rules_id < $2) AS stale, \
               count(*) FILTER (WHERE failures > 0) AS failing FROM agenda";
    Ok(sqlx::query_as(sql)
        .bind(micros(now))
        .bind(rules_id)
        .fetch_one(tx)
        .await?)
}
