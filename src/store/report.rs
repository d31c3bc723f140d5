//! What reports read: orders page by page, and what was recorded of them.

use std::collections::HashMap;

use super::StoreError;
use super::engine::{Page, Row, Statement, Tx, select};
use super::recorded::recorded_deadline;
use crate::case::RecordedDeadline;
use crate::policy::Instant;

/// An order on the way through all of them, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOrder {
    /// The order.
    pub order_id: i64,
    /// Its name.
    pub order_ref: String,
    /// Who bought it.
    pub customer_ref: String,
    /// When it was placed.
    pub placed_at: Instant,
    /// How many units it has; `None` where what was recorded holds, and they
    /// need not be read.
    pub units: Option<i64>,
}

/// A deadline as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportDeadline {
    /// The deadline.
    pub recorded: RecordedDeadline,
    /// The technician who has its claim.
    pub assignee: Option<String>,
}

/// That what was recorded of an order holds: it was evaluated under the rules
/// `$2`, no fact of it changed since, and nothing was to happen by `$3`.
const HOLDS: &str = "coalesce(a.rules_id = $2 AND a.failures = 0 \
     AND (a.next_at IS NULL OR a.next_at > $3), FALSE)";

/// How many units it has.
const UNITS: &str = "(SELECT count(*) FROM units WHERE units.order_id = o.id)";

/// The next orders after a name. What was recorded of an order holds at `at`,
/// if it was evaluated under the rules `rules_id`, no fact of it changed since
/// and nothing was to happen by then; nothing was recorded later than `at`.
/// Without rules nothing holds.
pub async fn report_orders(
    tx: &mut Tx<'_>,
    after: &str,
    rules_id: Option<i64>,
    at: Instant,
    at_most: i64,
) -> Result<Vec<ReportOrder>, StoreError> {
    let units = format!("CASE WHEN {HOLDS} THEN NULL ELSE {UNITS} END AS units");
    orders_after(units, "TRUE", after, rules_id, at, at_most)
        .rows(tx)
        .await?
        .into_iter()
        .map(order)
        .collect()
}

/// The next orders after a name that may have something left to be done: all
/// but those whose record holds, as for [`report_orders`], and says that nothing
/// is. None of them goes by its record.
pub async fn report_orders_open(
    tx: &mut Tx<'_>,
    after: &str,
    rules_id: Option<i64>,
    at: Instant,
    at_most: i64,
) -> Result<Vec<ReportOrder>, StoreError> {
    let is_open = format!("(a.is_open OR NOT {HOLDS})");
    orders_after(
        format!("{UNITS} AS units"),
        &is_open,
        after,
        rules_id,
        at,
        at_most,
    )
    .rows(tx)
    .await?
    .into_iter()
    .map(order)
    .collect()
}

fn orders_after(
    units: String,
    condition: &str,
    after: &str,
    rules_id: Option<i64>,
    at: Instant,
    at_most: i64,
) -> Statement {
    let columns = [
        "o.id",
        "o.order_ref",
        "o.customer_ref",
        "o.placed_at",
        &units,
    ];
    let columns = columns.map(str::to_owned);
    let rest = format!(
        "FROM orders AS o LEFT JOIN agenda AS a ON a.order_id = o.id \
         WHERE o.order_ref > $1 AND {condition} ORDER BY o.order_ref LIMIT $4"
    );
    select("orders", columns, rest)
        .bind(after)
        .bind(rules_id)
        .bind(at)
        .bind(at_most)
}

fn order(mut row: Row) -> Result<ReportOrder, StoreError> {
    Ok(ReportOrder {
        order_id: row.get("id")?,
        order_ref: row.get("order_ref")?,
        customer_ref: row.get("customer_ref")?,
        placed_at: row.time("placed_at")?,
        units: row.get("units")?,
    })
}

/// What is read of a deadline.
const DEADLINE: [&str; 12] = [
    "d.order_id AS id",
    "d.subject",
    "d.ref",
    "d.\"window\"",
    "d.started_at",
    "d.due_at",
    "d.last_day",
    "d.ended_at",
    "d.is_met",
    "d.paused_days",
    "d.policy",
    "c.assignee_email",
];

/// Deadlines that were read, before they are made out row by row.
#[derive(Debug, Default)]
pub struct ReportDeadlines(Vec<Row>);

/// The recorded deadlines of orders, in no order, so many at most.
pub async fn report_deadlines(
    tx: &mut Tx<'_>,
    order_ids: &[i64],
    at_most: i64,
) -> Result<ReportDeadlines, StoreError> {
    // Only what hangs on a claim looks for one.
    let rest = "FROM {page} AS page {then} deadlines AS d ON d.order_id = page.order_id \
          LEFT JOIN claims AS c \
                 ON c.claim_ref = CASE WHEN d.subject = 'claim' THEN d.ref END \
         LIMIT $1";
    let query = select("deadlines", DEADLINE, rest).bind(at_most);
    let found = query.page(Page::of_ints("order_id", order_ids));
    Ok(ReportDeadlines(found.rows(tx).await?))
}

impl ReportDeadlines {
    /// Whether there are more than so many.
    pub fn exceed(&self, at_most: usize) -> bool {
        self.0.len() > at_most
    }

    /// Each order's.
    pub fn by_order(self) -> Result<HashMap<i64, Vec<ReportDeadline>>, StoreError> {
        let mut by_order: HashMap<i64, Vec<ReportDeadline>> = HashMap::new();
        for mut row in self.0 {
            let of_order = by_order.entry(row.get("id")?).or_default();
            of_order.push(ReportDeadline {
                recorded: recorded_deadline(&mut row)?,
                assignee: row.get("assignee_email")?,
            });
        }
        Ok(by_order)
    }
}
