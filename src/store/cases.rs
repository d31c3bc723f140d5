//! Loading cases: a handful of statements a page, whatever its size.

use std::collections::HashMap;

use super::StoreError;
use super::engine::{Page, Row, Statement, Tx, select};
use super::holds::{holds_load, opt_outs_load};
use super::known::{Cut, roots_known, rows_known};
use crate::case::{Case, Claim, Entity, Order, Unit, WarrantyRoot};
use crate::policy::{Instant, STANDARD_NAME, Wait};

/// A customer as their latest order says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The name, if one was entered.
    pub name: Option<String>,
    /// The address.
    pub email: String,
    /// The language, if one was entered.
    pub locale: Option<String>,
}

/// What is read of an order; its changes count into its case's.
pub(super) const ORDER: [&str; 15] = [
    "o.id",
    "o.order_ref",
    "o.customer_ref",
    "o.placed_at",
    "o.paid_at",
    "o.shipped_at",
    "o.delivered_at",
    "o.cancelled_at",
    "o.cancel_refunded_at",
    "o.currency",
    "o.total",
    "o.shipping_out",
    "o.shipping_back",
    "o.withdrawn",
    "o.changed_at",
];

pub(super) const ORDERS: &str = "FROM {page} AS page {then} orders AS o ON o.id = page.order_id";

pub(super) const UNIT: [&str; 14] = [
    "u.id",
    "u.order_id",
    "u.replaces_unit_id",
    "u.unit_ref",
    "u.product_name",
    "u.kind",
    "u.serial",
    "u.price",
    "u.received_at",
    "u.company_confirmed_at",
    "u.customer_confirmed_at",
    "u.policy",
    "u.withdrawn",
    "u.changed_at",
];

const UNITS: &str = "FROM {page} AS page {then} units AS u ON u.order_id = page.order_id \
     WHERE (u.withdrawn IS NOT TRUE OR $1)";

const ROOT: [&str; 8] = [
    "c.id",
    "p.unit_ref",
    "o.placed_at",
    "o.delivered_at",
    "p.received_at",
    "p.company_confirmed_at",
    "p.customer_confirmed_at",
    "p.policy",
];

/// Each step down the chain of replacements; the deepest is the root. What
/// was withdrawn counts as never having been.
const CHAIN: &str = "WITH RECURSIVE chain (id, at, depth) AS ( \
       SELECT u.id, p.id, 1 FROM {page} AS page {then} units AS u ON u.id = page.unit_id \
         {then} units AS p ON p.id = u.replaces_unit_id \
         {then} orders AS o ON o.id = p.order_id \
        WHERE p.withdrawn IS NOT TRUE AND o.withdrawn IS NOT TRUE \
       UNION ALL \
       SELECT c.id, p.id, c.depth + 1 FROM chain AS c \
         {then} units AS m ON m.id = c.at \
         {then} units AS p ON p.id = m.replaces_unit_id \
         {then} orders AS o ON o.id = p.order_id \
        WHERE p.withdrawn IS NOT TRUE AND o.withdrawn IS NOT TRUE AND c.depth < 1000)";

const ROOTS: &str = "FROM chain AS c JOIN units AS p ON p.id = c.at \
       JOIN orders AS o ON o.id = p.order_id ORDER BY c.id, c.depth";

const CLAIM: [&str; 21] = [
    "c.id",
    "c.unit_id",
    "c.claim_ref",
    "c.type",
    "c.opened_at",
    "c.assignee_email",
    "c.reported_serial",
    "c.confirmed_at",
    "c.received_at",
    "c.inspected_at",
    "c.findings",
    "c.accessories_missing",
    "c.repaired_at",
    "c.unrepairable_at",
    "c.returned_at",
    "c.refunded_at",
    "c.exchanged_at",
    "c.closed_at",
    "c.rejected_at",
    "c.withdrawn",
    "c.changed_at",
];

const CLAIMS: &str = "FROM {page} AS page {then} claims AS c ON c.unit_id = page.unit_id \
     WHERE (c.withdrawn IS NOT TRUE OR $1)";

const WAIT: [&str; 6] = [
    "w.id",
    "w.claim_id",
    "w.\"from\"",
    "w.until",
    "w.withdrawn",
    "w.changed_at",
];

const WAITS: &str = "FROM {page} AS page {then} waits AS w ON w.claim_id = page.claim_id \
     WHERE (w.withdrawn IS NOT TRUE OR $1)";

/// Rows as they are, or as they were known at a place in the history.
async fn facts_read(
    tx: &mut Tx<'_>,
    entity: Entity,
    found: Statement,
    known: Option<Cut>,
) -> Result<Vec<Row>, StoreError> {
    let rows = found.rows(tx).await?;
    match known {
        None => Ok(rows),
        Some(known) => rows_known(tx, entity, rows, known).await,
    }
}

/// Loads the cases of orders, in the order in which they are named: of all
/// that was recorded, or up to `known`, when some orders may not have been
/// known.
pub async fn case_load(
    tx: &mut Tx<'_>,
    order_ids: &[i64],
    known: Option<Cut>,
) -> Result<Vec<(i64, Case)>, StoreError> {
    let page = Page::of_ints("order_id", order_ids);
    let mut units = units_load(tx, page.clone(), known).await?;
    let mut orders = Vec::with_capacity(order_ids.len());
    let found = select("orders", ORDER, ORDERS).page(page);
    for mut row in facts_read(tx, Entity::Orders, found, known).await? {
        orders.push((row.id(), order(&mut row)?));
    }
    let known_in = known.map(|known| known.change_set);
    let customers = orders
        .iter()
        .map(|(id, order)| (*id, order.customer_ref.as_str()));
    let mut holds = holds_load(tx, customers.clone(), known_in).await?;
    let opted_out = opt_outs_load(tx, customers.map(|(_, name)| name), known_in).await?;
    let case = |(id, order): (i64, Order)| {
        let mut units = units.remove(&id).unwrap_or_default();
        units.sort_by(|a, b| a.unit_ref.cmp(&b.unit_ref));
        let case = Case {
            units,
            holds: holds.remove(&id).unwrap_or_default(),
            opted_out_at: opted_out.get(&order.customer_ref).copied(),
            order,
        };
        (id, case)
    };
    let mut cases: HashMap<i64, Case> = orders.into_iter().map(case).collect();
    let in_order = order_ids.iter();
    Ok(in_order.filter_map(|id| cases.remove_entry(id)).collect())
}

/// The units of orders, by their order.
async fn units_load(
    tx: &mut Tx<'_>,
    page: Page,
    known: Option<Cut>,
) -> Result<HashMap<i64, Vec<Unit>>, StoreError> {
    let mut found = Vec::new();
    let mut replacing = Vec::new();
    let units = select("units", UNIT, UNITS).bind(known.is_some());
    for mut row in facts_read(tx, Entity::Units, units.page(page), known).await? {
        let order_id: i64 = row.get("order_id")?;
        if let Some(replaced) = row.get::<Option<i64>>("replaces_unit_id")? {
            replacing.push((row.id(), replaced));
        }
        found.push((row.id(), order_id, unit(&mut row)?));
    }
    let ids: Vec<i64> = found.iter().map(|(id, ..)| *id).collect();
    let mut claims = claims_load(tx, &ids, known).await?;
    let mut roots = match known {
        None => roots_load(tx, &replacing).await?,
        Some(known) => roots_known(tx, &replacing, known).await?,
    };
    let mut units: HashMap<i64, Vec<Unit>> = HashMap::new();
    for (id, order_id, mut unit) in found {
        unit.claims = claims.remove(&id).unwrap_or_default();
        unit.claims.sort_by(|a, b| a.claim_ref.cmp(&b.claim_ref));
        unit.root = roots.remove(&id);
        units.entry(order_id).or_default().push(unit);
    }
    Ok(units)
}

async fn roots_load(
    tx: &mut Tx<'_>,
    replacing: &[(i64, i64)],
) -> Result<HashMap<i64, WarrantyRoot>, StoreError> {
    let mut roots = HashMap::new();
    if replacing.is_empty() {
        return Ok(roots);
    }
    let unit_ids: Vec<i64> = replacing.iter().map(|(unit, _)| *unit).collect();
    let page = Page::of_ints("unit_id", &unit_ids);
    let found = select("units", ROOT, ROOTS).with(CHAIN).page(page);
    for mut row in found.rows(tx).await? {
        roots.insert(row.id(), root(&mut row)?);
    }
    Ok(roots)
}

/// The claims on units, by their unit.
async fn claims_load(
    tx: &mut Tx<'_>,
    unit_ids: &[i64],
    known: Option<Cut>,
) -> Result<HashMap<i64, Vec<Claim>>, StoreError> {
    let page = Page::of_ints("unit_id", unit_ids);
    let found = select("claims", CLAIM, CLAIMS).bind(known.is_some());
    let found = facts_read(tx, Entity::Claims, found.page(page), known).await?;
    let ids: Vec<i64> = found.iter().map(Row::id).collect();
    let mut waits = waits_load(tx, &ids, known).await?;
    let mut claims: HashMap<i64, Vec<Claim>> = HashMap::new();
    for mut row in found {
        let mut waits = waits.remove(&row.id()).unwrap_or_default();
        waits.sort_by_key(|(wait, _)| wait.from);
        let unit_id = row.get("unit_id")?;
        let found = claim(&mut row, waits)?;
        claims.entry(unit_id).or_default().push(found);
    }
    Ok(claims)
}

/// The waits of claims, by their claim, with when each was last changed.
async fn waits_load(
    tx: &mut Tx<'_>,
    claim_ids: &[i64],
    known: Option<Cut>,
) -> Result<HashMap<i64, Vec<(Wait, Instant)>>, StoreError> {
    let mut waits: HashMap<i64, Vec<(Wait, Instant)>> = HashMap::new();
    if claim_ids.is_empty() {
        return Ok(waits);
    }
    let page = Page::of_ints("claim_id", claim_ids);
    let found = select("waits", WAIT, WAITS).bind(known.is_some());
    for mut row in facts_read(tx, Entity::Waits, found.page(page), known).await? {
        let claim_id = row.get("claim_id")?;
        let wait = Wait {
            from: row.time("from")?,
            until: row.time_if_known("until")?,
        };
        let found = (wait, row.time("changed_at")?);
        waits.entry(claim_id).or_default().push(found);
    }
    Ok(waits)
}

pub(super) fn order(row: &mut Row) -> Result<Order, StoreError> {
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

/// A unit, without its claims and its root.
pub(super) fn unit(row: &mut Row) -> Result<Unit, StoreError> {
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
        root: None,
        claims: Vec::new(),
        changed_at: row.time("changed_at")?,
    })
}

fn policy_name(row: &mut Row) -> Result<String, StoreError> {
    let named: Option<String> = row.get("policy")?;
    Ok(named.unwrap_or_else(|| STANDARD_NAME.to_owned()))
}

fn root(row: &mut Row) -> Result<WarrantyRoot, StoreError> {
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

fn claim(row: &mut Row, waits: Vec<(Wait, Instant)>) -> Result<Claim, StoreError> {
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

/// The order that an order, a unit or a claim belongs to.
pub async fn order_of(tx: &mut Tx<'_>, name: &str) -> Result<Option<i64>, StoreError> {
    let rest = "FROM (SELECT id FROM orders WHERE order_ref = $1 \
         UNION ALL SELECT order_id FROM units WHERE unit_ref = $1 \
         UNION ALL SELECT u.order_id FROM claims AS c JOIN units AS u ON u.id = c.unit_id \
                    WHERE c.claim_ref = $1) AS found LIMIT 1";
    select("orders", ["id"], rest).bind(name).value(tx).await
}

/// Customers' names and addresses, those of their latest orders, by their
/// references.
pub async fn customers_load<'r>(
    tx: &mut Tx<'_>,
    customer_refs: impl IntoIterator<Item = &'r str>,
) -> Result<HashMap<String, Customer>, StoreError> {
    let rest = "FROM {page} AS page {then} orders AS o ON o.id = ( \
           SELECT id FROM orders WHERE customer_ref = page.customer_ref \
              AND withdrawn IS NOT TRUE ORDER BY placed_at DESC, id DESC LIMIT 1)";
    let columns = [
        "o.customer_ref",
        "o.customer_name",
        "o.customer_email",
        "o.customer_locale",
    ];
    let query = select("orders", columns, rest);
    let customer = |mut row: Row| {
        let customer_ref = row.get("customer_ref")?;
        let customer = Customer {
            name: row.get("customer_name")?,
            email: row.get("customer_email")?,
            locale: row.get("customer_locale")?,
        };
        Ok((customer_ref, customer))
    };
    let page = Page::of_texts("customer_ref", customer_refs);
    let rows = query.page(page).rows(tx).await?;
    rows.into_iter().map(customer).collect()
}
