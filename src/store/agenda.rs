//! When each case must be looked at again: a scan costs what is due, not
//! what is stored.

use super::StoreError;
use super::engine::{Cell, Kind, Page, Row, Statement, Tx, select, write};
use crate::policy::Instant;

/// A case that is to be looked at, in the order of the agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueCase {
    /// The order.
    pub order_id: i64,
    /// Its place among those that are looked at: its time in microseconds (0
    /// after a change of facts), or the rules that it was evaluated under.
    pub place: i64,
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

/// What is read of a case on the agenda.
const UNITS: &str = "(SELECT count(*) FROM units WHERE units.order_id = agenda.order_id) AS units";

fn due_case(mut row: Row) -> Result<DueCase, StoreError> {
    Ok(DueCase {
        order_id: row.get("order_id")?,
        place: row.get("place")?,
        failures: row.get("failures")?,
        units: row.get("units")?,
    })
}

/// Whether no case's time has come by `now`, and no open one was evaluated
/// under older rules.
pub async fn agenda_is_done(
    tx: &mut Tx<'_>,
    now: Instant,
    rules_id: i64,
) -> Result<bool, StoreError> {
    let found = due_or_stale(now, rules_id).row(tx).await?;
    let is_due = found.map(|mut row| row.flag("is_due")).transpose()?;
    Ok(is_due == Some(false))
}

fn due_or_stale(now: Instant, rules_id: i64) -> Statement {
    let is_due = "EXISTS (SELECT 1 FROM agenda WHERE next_at <= $1) \
         OR EXISTS (SELECT 1 FROM agenda WHERE is_open AND rules_id < $2) AS is_due";
    select("agenda", [is_due], "").bind(now).bind(rules_id)
}

/// The next cases whose time has come by `now`, after a place on the agenda;
/// those that another transaction works on are left to it.
pub async fn agenda_due(
    tx: &mut Tx<'_>,
    now: Instant,
    after: (i64, i64),
    at_most: i64,
) -> Result<Vec<DueCase>, StoreError> {
    let rows = due(now, after, at_most).rows(tx).await?;
    rows.into_iter().map(due_case).collect()
}

/// How many cases there are whose time has come by `now`.
pub async fn agenda_due_count(tx: &mut Tx<'_>, now: Instant) -> Result<u64, StoreError> {
    let query = select(
        "agenda",
        ["count(*) AS n"],
        "FROM agenda WHERE next_at <= $1",
    );
    let found: Option<i64> = query.bind(now).value(tx).await?;
    Ok(found.unwrap_or(0).try_into().unwrap_or(0))
}

fn due(now: Instant, after: (i64, i64), at_most: i64) -> Statement {
    let columns = ["order_id", "next_at AS place", "failures", UNITS];
    let rest = "FROM agenda WHERE next_at <= $1 AND (next_at, order_id) > ($2, $3) \
         ORDER BY next_at, order_id LIMIT $4 {lock free}";
    select("agenda", columns, rest)
        .bind(now)
        .bind(after.0)
        .bind(after.1)
        .bind(at_most)
}

/// The next open cases that were evaluated under older rules and are not due
/// by `now` all the same, after a place: rules and order.
pub async fn agenda_stale(
    tx: &mut Tx<'_>,
    now: Instant,
    rules_id: i64,
    after: (i64, i64),
    at_most: i64,
) -> Result<Vec<DueCase>, StoreError> {
    let rows = stale(now, rules_id, after, at_most).rows(tx).await?;
    rows.into_iter().map(due_case).collect()
}

fn stale(now: Instant, rules_id: i64, after: (i64, i64), at_most: i64) -> Statement {
    let columns = ["order_id", "rules_id AS place", "failures", UNITS];
    let rest = "FROM agenda WHERE is_open AND rules_id < $1 \
           AND (rules_id, order_id) > ($2, $3) AND (next_at IS NULL OR next_at > $5) \
         ORDER BY rules_id, order_id LIMIT $4 {lock free}";
    select("agenda", columns, rest)
        .bind(rules_id)
        .bind(after.0)
        .bind(after.1)
        .bind(at_most)
        .bind(now)
}

/// Keeps others from evaluating the cases of orders until the transaction
/// ends, and waits until nobody does.
pub async fn agenda_lock(tx: &mut Tx<'_>, order_ids: &[i64]) -> Result<(), StoreError> {
    let rest = "FROM agenda WHERE order_id IN (SELECT order_id FROM {page} AS page) \
                ORDER BY order_id {lock}";
    let page = Page::of_ints("order_id", order_ids);
    select("agenda", ["order_id"], rest)
        .page(page)
        .rows(tx)
        .await?;
    Ok(())
}

/// Lets the cases of orders be looked at again.
pub async fn agenda_wake(tx: &mut Tx<'_>, order_ids: &[i64]) -> Result<(), StoreError> {
    agenda_lock(tx, order_ids).await?;
    let sql = "UPDATE agenda SET next_at = 0, failures = 0, error = NULL \
         WHERE order_id IN (SELECT order_id FROM {page} AS page)";
    let page = Page::of_ints("order_id", order_ids);
    write(sql).page(page).execute(tx).await?;
    Ok(())
}

/// Writes what evaluations under the rules left on the agenda.
pub async fn agenda_move(
    tx: &mut Tx<'_>,
    rules_id: i64,
    rows: &[AgendaRow],
) -> Result<(), StoreError> {
    let mut page = Page::new(&[
        ("order_id", Kind::Int),
        ("next_at", Kind::Int),
        ("is_open", Kind::Flag),
        ("failures", Kind::Int),
        ("error", Kind::Text),
    ]);
    for row in rows {
        page.push([
            row.order_id.into(),
            row.next_at.into(),
            row.is_open.into(),
            row.failures.into(),
            row.error.as_ref().map_or(Cell::Null, Cell::from),
        ]);
    }
    let sql = "UPDATE agenda SET next_at = page.next_at, rules_id = $1, is_open = page.is_open, \
               failures = page.failures, error = page.error \
          FROM {page} AS page WHERE agenda.order_id = page.order_id";
    let changed = write(sql).bind(rules_id).page(page).execute(tx).await?;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgendaSummary {
    /// Orders that were evaluated or wait to be.
    pub orders: i64,
    /// Those with something left to happen or to be done.
    pub open: i64,
    /// Those whose time has come.
    pub due: i64,
    /// Those whose time had come by when was enforced.
    pub overdue: i64,
    /// Open ones that were evaluated under older rules.
    pub stale: i64,
    /// Those whose evaluation failed.
    pub failing: i64,
}

/// Counts the agenda; `enforced_up_to` is what the last run of `enforce` was
/// at.
pub async fn agenda_summary(
    tx: &mut Tx<'_>,
    now: Instant,
    rules_id: i64,
    enforced_up_to: Option<Instant>,
) -> Result<AgendaSummary, StoreError> {
    let columns = [
        "count(*) AS orders",
        "count(*) FILTER (WHERE is_open) AS open",
        "count(*) FILTER (WHERE next_at <= $1) AS due",
        // 0: woken by a fact, nobody knows since when.
        "count(*) FILTER (WHERE next_at > 0 AND next_at <= $3) AS overdue",
        "count(*) FILTER (WHERE is_open AND rules_id < $2) AS stale",
        "count(*) FILTER (WHERE failures > 0) AS failing",
    ];
    let query = select("agenda", columns, "FROM agenda")
        .bind(now)
        .bind(rules_id)
        .bind(enforced_up_to.unwrap_or(Instant::UNIX_EPOCH));
    let mut row = query.one(tx).await?;
    Ok(AgendaSummary {
        orders: row.get("orders")?,
        open: row.get("open")?,
        due: row.get("due")?,
        overdue: row.get("overdue")?,
        stale: row.get("stale")?,
        failing: row.get("failing")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    #[tokio::test]
    async fn what_is_due_or_stale_is_probed_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&dir.path().join("shop.db")).await.unwrap();
        let mut tx = store.read().await.unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let first = (i64::MIN, i64::MIN);
        let (next, rules) = ("agenda_next (next_at", "agenda_rules (rules_id");
        for (query, indexes) in [
            (due(now, first, 10), vec![next]),
            (stale(now, 1, first, 10), vec![rules]),
            (due_or_stale(now, 1), vec![next, rules]),
        ] {
            let plan = query.plan(&mut tx).await.unwrap();
            for index in indexes {
                let is_probed = |line: &String| line.starts_with("SEARCH") && line.contains(index);
                assert!(plan.iter().any(is_probed), "{plan:?}");
            }
            // Nothing is looked through or sorted.
            let is_whole = |line: &String| line.starts_with("SCAN agenda") || line.contains("TEMP");
            assert!(!plan.iter().any(is_whole), "{plan:?}");
        }
    }
}
