//! Loading cases: a handful of statements a page, whatever its size.

use std::collections::HashMap;

use sqlx::sqlite::SqliteConnection;

use super::StoreError;
use super::rows::{Reader, micros, set};
use crate::case::{Case, Claim, Order, Unit, WarrantyRoot};
use crate::policy::{Instant, STANDARD_NAME, Wait};

/// A customer as their latest order says.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Customer {
    /// The name, if one was entered.
    pub name: Option<String>,
    /// The address.
    pub email: String,
}

/// The rows of orders in the order of the page.
const ORDERS: &str = "SELECT o.* FROM json_each($1) AS page JOIN orders AS o ON o.id = page.value \
     ORDER BY page.key";

const UNITS: &str = "SELECT * FROM units \
     WHERE order_id IN (SELECT value FROM json_each($1)) AND withdrawn IS NOT TRUE \
     ORDER BY unit_ref";

/// Each step down the chain of replacements; the deepest is the root. What
/// was withdrawn counts as never having been.
const ROOTS: &str = "WITH RECURSIVE chain (id, at, depth) AS ( \
       SELECT u.id, p.id, 1 FROM units AS u \
         JOIN units AS p ON p.id = u.replaces_unit_id \
         JOIN orders AS o ON o.id = p.order_id \
        WHERE u.order_id IN (SELECT value FROM json_each($1)) \
          AND p.withdrawn IS NOT TRUE AND o.withdrawn IS NOT TRUE \
       UNION ALL \
       SELECT c.id, p.id, c.depth + 1 FROM chain AS c \
         JOIN units AS m ON m.id = c.at \
         JOIN units AS p ON p.id = m.replaces_unit_id \
         JOIN orders AS o ON o.id = p.order_id \
        WHERE p.withdrawn IS NOT TRUE AND o.withdrawn IS NOT TRUE AND c.depth < 1000) \
     SELECT c.id, p.unit_ref, o.placed_at, o.delivered_at, p.received_at, \
            p.company_confirmed_at, p.customer_confirmed_at, p.policy \
       FROM chain AS c JOIN units AS p ON p.id = c.at JOIN orders AS o ON o.id = p.order_id \
      ORDER BY c.id, c.depth";

const CLAIMS: &str = "SELECT c.* FROM units AS u JOIN claims AS c ON c.unit_id = u.id \
     WHERE u.order_id IN (SELECT value FROM json_each($1)) \
       AND u.withdrawn IS NOT TRUE AND c.withdrawn IS NOT TRUE \
     ORDER BY c.claim_ref";

const WAITS: &str = "SELECT w.* FROM units AS u JOIN claims AS c ON c.unit_id = u.id \
       JOIN waits AS w ON w.claim_id = c.id \
     WHERE u.order_id IN (SELECT value FROM json_each($1)) \
       AND u.withdrawn IS NOT TRUE AND c.withdrawn IS NOT TRUE AND w.withdrawn IS NOT TRUE \
     ORDER BY w.claim_id, w.\"from\"";

/// Loads the cases of orders, in the order in which they are named.
pub async fn case_load(
    tx: &mut SqliteConnection,
    order_ids: &[i64],
) -> Result<Vec<(i64, Case)>, StoreError> {
    let page = set(order_ids);
    let mut waits: HashMap<i64, Vec<(Wait, Instant)>> = HashMap::new();
    for row in sqlx::query(WAITS).bind(&page).fetch_all(&mut *tx).await? {
        let row = Reader::new("waits", &row)?;
        let wait = Wait {
            from: row.time("from")?,
            until: row.time_if_known("until")?,
        };
        waits
            .entry(row.get("claim_id")?)
            .or_default()
            .push((wait, row.time("changed_at")?));
    }
    let mut claims: HashMap<i64, Vec<Claim>> = HashMap::new();
    for row in sqlx::query(CLAIMS).bind(&page).fetch_all(&mut *tx).await? {
        let row = Reader::new("claims", &row)?;
        let waits = waits.remove(&row.row).unwrap_or_default();
        claims
            .entry(row.get("unit_id")?)
            .or_default()
            .push(claim(&row, waits)?);
    }
    let mut roots = HashMap::new();
    for row in sqlx::query(ROOTS).bind(&page).fetch_all(&mut *tx).await? {
        let row = Reader::new("units", &row)?;
        roots.insert(row.row, root(&row)?);
    }
    let mut units: HashMap<i64, Vec<Unit>> = HashMap::new();
    for row in sqlx::query(UNITS).bind(&page).fetch_all(&mut *tx).await? {
        let row = Reader::new("units", &row)?;
        let claims = claims.remove(&row.row).unwrap_or_default();
        let unit = unit(&row, roots.remove(&row.row), claims)?;
        units.entry(row.get("order_id")?).or_default().push(unit);
    }
    let mut cases = Vec::with_capacity(order_ids.len());
    for row in sqlx::query(ORDERS).bind(&page).fetch_all(&mut *tx).await? {
        let row = Reader::new("orders", &row)?;
        let units = units.remove(&row.row).unwrap_or_default();
        cases.push((
            row.row,
            Case {
                order: order(&row)?,
                units,
            },
        ));
    }
    Ok(cases)
}

fn order(row: &Reader<'_>) -> Result<Order, StoreError> {
    Ok(Order {
        order_ref: row.get("order_ref")?,
        customer_ref: row.get("customer_ref")?,
        placed_at: row.time("placed_at")?,
        paid_at: row.time_if_known("paid_at")?,
        shipped_at: row.time_if_known("shipped_at")?,
        delivered_at: row.time_if_known("delivered_at")?,
        cancelled_at: row.time_if_known("cancelled_at")?,
        cancel_refunded_at: row.time_if_known("cancel_refunded_at")?,
        currency: row.parse("currency", "an ISO 4217 code")?,
        total: row.get("total")?,
        shipping_out: row.get("shipping_out")?,
        shipping_back: row.get("shipping_back")?,
        withdrawn: row.flag("withdrawn")?,
        changed_at: row.time("changed_at")?,
    })
}

fn unit(
    row: &Reader<'_>,
    root: Option<WarrantyRoot>,
    claims: Vec<Claim>,
) -> Result<Unit, StoreError> {
    Ok(Unit {
        unit_ref: row.get("unit_ref")?,
        product_name: row.get("product_name")?,
        kind: row.parse("kind", "hardware or software")?,
        serial: row.get("serial")?,
        price: row.get("price")?,
        received_at: row.time_if_known("received_at")?,
        company_confirmed_at: row.time_if_known("company_confirmed_at")?,
        customer_confirmed_at: row.time_if_known("customer_confirmed_at")?,
        policy: policy_name(row)?,
        root,
        claims,
        changed_at: row.time("changed_at")?,
    })
}

fn policy_name(row: &Reader<'_>) -> Result<String, StoreError> {
    let named: Option<String> = row.get("policy")?;
    Ok(named.unwrap_or_else(|| STANDARD_NAME.to_owned()))
}

fn root(row: &Reader<'_>) -> Result<WarrantyRoot, StoreError> {
    Ok(WarrantyRoot {
        unit_ref: row.get("unit_ref")?,
        placed_at: row.time("placed_at")?,
        delivered_at: row.time_if_known("delivered_at")?,
        received_at: row.time_if_known("received_at")?,
        company_confirmed_at: row.time_if_known("company_confirmed_at")?,
        customer_confirmed_at: row.time_if_known("customer_confirmed_at")?,
        policy: policy_name(row)?,
    })
}

fn claim(row: &Reader<'_>, waits: Vec<(Wait, Instant)>) -> Result<Claim, StoreError> {
    let findings: Option<String> = row.get("findings")?;
    let codes = findings
        .as_deref()
        .unwrap_or("")
        .split(';')
        .filter(|code| !code.is_empty());
    let findings = codes
        .map(|code| {
            code.parse()
                .map_err(|_| row.bad("findings", code.to_owned(), "a finding's code"))
        })
        .collect::<Result<_, _>>()?;
    let own_change = row.time("changed_at")?;
    let changed_at = waits
        .iter()
        .map(|(_, changed)| *changed)
        .fold(own_change, Ord::max);
    Ok(Claim {
        claim_ref: row.get("claim_ref")?,
        claim_type: row.parse("type", "a claim's type")?,
        opened_at: row.time("opened_at")?,
        assignee_email: row.get("assignee_email")?,
        reported_serial: row.get("reported_serial")?,
        confirmed_at: row.time_if_known("confirmed_at")?,
        received_at: row.time_if_known("received_at")?,
        inspected_at: row.time_if_known("inspected_at")?,
        findings,
        accessories_missing: row.flag("accessories_missing")?,
        repaired_at: row.time_if_known("repaired_at")?,
        unrepairable_at: row.time_if_known("unrepairable_at")?,
        returned_at: row.time_if_known("returned_at")?,
        refunded_at: row.time_if_known("refunded_at")?,
        exchanged_at: row.time_if_known("exchanged_at")?,
        closed_at: row.time_if_known("closed_at")?,
        rejected_at: row.time_if_known("rejected_at")?,
        waits: waits.into_iter().map(|(wait, _)| wait).collect(),
        changed_at,
    })
}

/// An order in the order of names, for reading all of them page by page.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct NamedOrder {
    /// Its number.
    pub order_id: i64,
    /// The shop's name for it.
    pub order_ref: String,
    /// How many units it has: pages are bounded by rows, not by orders.
    pub units: i64,
}

/// The next orders by their name, after one of them.
pub async fn orders_after(
    tx: &mut SqliteConnection,
    after: &str,
    at_most: i64,
) -> Result<Vec<NamedOrder>, StoreError> {
    let sql = "SELECT id AS order_id, order_ref, \
               (SELECT count(*) FROM units WHERE order_id = orders.id) AS units \
          FROM orders WHERE order_ref > $1 ORDER BY order_ref LIMIT $2";
    Ok(sqlx::query_as(sql)
        .bind(after)
        .bind(at_most)
        .fetch_all(tx)
        .await?)
}

/// The order that an order, a unit or a claim belongs to.
pub async fn order_of(tx: &mut SqliteConnection, name: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM orders WHERE order_ref = $1 \
         UNION ALL SELECT order_id FROM units WHERE unit_ref = $1 \
         UNION ALL SELECT u.order_id FROM claims AS c JOIN units AS u ON u.id = c.unit_id \
                    WHERE c.claim_ref = $1 \
         LIMIT 1";
    Ok(sqlx::query_scalar(sql)
        .bind(name)
        .fetch_optional(tx)
        .await?)
}

/// A customer's name and address: those of their latest order.
pub async fn customer_load(
    tx: &mut SqliteConnection,
    customer_ref: &str,
) -> Result<Option<Customer>, StoreError> {
    let sql = "SELECT customer_name AS name, customer_email AS email \
          FROM orders WHERE customer_ref = $1 AND withdrawn IS NOT TRUE \
         ORDER BY placed_at DESC, id DESC LIMIT 1";
    Ok(sqlx::query_as(sql)
        .bind(customer_ref)
        .fetch_optional(tx)
        .await?)
}

/// Units with the serial of another: `(unit, the first with that serial)`,
/// of the orders placed by a time.
pub async fn duplicate_serials(
    tx: &mut SqliteConnection,
    placed_by: Instant,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT unit_ref, first FROM ( \
           SELECT u.unit_ref, first_value(u.unit_ref) OVER same AS first, \
                  row_number() OVER same AS place \
             FROM units AS u JOIN orders AS o ON o.id = u.order_id \
            WHERE u.serial_key IS NOT NULL AND o.placed_at <= $1 \
              AND u.withdrawn IS NOT TRUE AND o.withdrawn IS NOT TRUE \
           WINDOW same AS (PARTITION BY u.serial_key ORDER BY o.placed_at, u.unit_ref) \
         ) AS numbered WHERE place > 1 ORDER BY unit_ref";
    Ok(sqlx::query_as(sql)
        .bind(micros(placed_by))
        .fetch_all(tx)
        .await?)
}
