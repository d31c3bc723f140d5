//! Holds and opt-outs: who is told nothing, or no reminders, and since when. A
//! row is ended, and never removed.

use std::collections::{BTreeMap, HashMap};

use super::StoreError;
use super::engine::{Kind, Page, Row, Statement, Tx, select, write};
use crate::case::{Hold, HoldKind};
use crate::policy::Instant;

const NAMED: &str = "FROM (SELECT 'order' AS kind, id AS order_id FROM orders WHERE order_ref = $1 \
     UNION ALL SELECT 'unit', order_id FROM units WHERE unit_ref = $1 \
     UNION ALL SELECT 'claim', u.order_id FROM claims AS c JOIN units AS u ON u.id = c.unit_id \
                WHERE c.claim_ref = $1 \
     UNION ALL SELECT 'customer', id FROM orders WHERE customer_ref = $1) AS named \
     ORDER BY kind, order_id";

/// All that has a name, and the orders that it touches.
pub async fn named(
    tx: &mut Tx<'_>,
    name: &str,
) -> Result<BTreeMap<HoldKind, Vec<i64>>, StoreError> {
    let query = select("named", ["kind", "order_id"], NAMED).bind(name);
    let mut named: BTreeMap<HoldKind, Vec<i64>> = BTreeMap::new();
    for mut row in query.rows(tx).await? {
        let kind = row.parse("kind", "a claim, customer, order or unit")?;
        named.entry(kind).or_default().push(row.get("order_id")?);
    }
    Ok(named)
}

/// A hold as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHold {
    /// Its number.
    pub id: i64,
    /// What was recorded.
    pub hold: Hold,
}

const HOLD: [&str; 6] = [
    "h.id",
    "h.kind",
    "h.ref",
    "h.reason",
    "h.until",
    "c.recorded_at AS held_at",
];

fn hold(row: &mut Row) -> Result<Hold, StoreError> {
    Ok(Hold {
        kind: row.parse("kind", "a claim, customer, order or unit")?,
        name: row.get("ref")?,
        reason: row.get("reason")?,
        until: row.time_if_known("until")?,
        held_at: row.time("held_at")?,
    })
}

/// The holds of a name that nobody has lifted.
pub async fn holds_of(tx: &mut Tx<'_>, name: &str) -> Result<Vec<StoredHold>, StoreError> {
    let rest = "FROM holds AS h JOIN change_sets AS c ON c.id = h.began_in \
         WHERE h.ref = $1 AND h.ended_in IS NULL ORDER BY h.kind";
    let stored = |mut row: Row| {
        let id = row.get("id")?;
        let hold = hold(&mut row)?;
        Ok(StoredHold { id, hold })
    };
    let rows = select("holds", HOLD, rest).bind(name).rows(tx).await?;
    rows.into_iter().map(stored).collect()
}

/// Records a hold, on all orders of a customer or on a part of one order.
pub async fn hold_begin(
    tx: &mut Tx<'_>,
    hold: &Hold,
    order_id: Option<i64>,
    change_set: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO holds (kind, ref, order_id, reason, until, began_in) \
         VALUES ($1, $2, $3, $4, $5, $6)";
    let adding = write(sql).bind(hold.kind.to_string()).bind(&hold.name);
    let adding = adding.bind(order_id).bind(&hold.reason).bind(hold.until);
    adding.bind(change_set).execute(tx).await?;
    Ok(())
}

/// Lifts a hold.
pub async fn hold_end(tx: &mut Tx<'_>, id: i64, change_set: i64) -> Result<(), StoreError> {
    let sql = "UPDATE holds SET ended_in = $2 WHERE id = $1";
    write(sql).bind(id).bind(change_set).execute(tx).await?;
    Ok(())
}

/// The holds that nobody has lifted, or had in the set of changes `known_in`,
/// of orders, each named with its customer.
pub(super) async fn holds_load<'o>(
    tx: &mut Tx<'_>,
    orders: impl Iterator<Item = (i64, &'o str)>,
    known_in: Option<i64>,
) -> Result<HashMap<i64, Vec<Hold>>, StoreError> {
    let mut holds: HashMap<i64, Vec<Hold>> = HashMap::new();
    for mut row in match known_in {
        None => in_force(orders),
        Some(known_in) => in_force_in(orders, known_in),
    }
    .rows(tx)
    .await?
    {
        let order_id = row.get("order_id")?;
        holds.entry(order_id).or_default().push(hold(&mut row)?);
    }
    Ok(holds)
}

fn of_orders<'o>(orders: impl Iterator<Item = (i64, &'o str)>) -> Page {
    let mut page = Page::new(&[("order_id", Kind::Int), ("customer_ref", Kind::Text)]);
    for (order_id, customer_ref) in orders {
        page.push([order_id.into(), customer_ref.into()]);
    }
    page
}

/// Holds as they were known: those that were lifted later count. They are few.
fn in_force_in<'o>(orders: impl Iterator<Item = (i64, &'o str)>, known_in: i64) -> Statement {
    let rest = "FROM holds AS h JOIN change_sets AS c ON c.id = h.began_in \
         JOIN {page} AS page ON page.order_id = h.order_id \
                             OR (h.kind = 'customer' AND h.ref = page.customer_ref) \
         WHERE h.began_in <= $1 AND (h.ended_in IS NULL OR h.ended_in > $1) \
         ORDER BY page.order_id, h.id";
    let columns = HOLD.into_iter().chain(["page.order_id"]);
    let query = select("holds", columns, rest).bind(known_in);
    query.page(of_orders(orders))
}

fn in_force<'o>(orders: impl Iterator<Item = (i64, &'o str)>) -> Statement {
    let rest = "FROM (SELECT page.order_id, h.id AS hold_id \
             FROM {page} AS page {then} holds AS h ON h.order_id = page.order_id \
            WHERE h.ended_in IS NULL \
           UNION ALL SELECT page.order_id, h.id \
             FROM {page} AS page {then} holds AS h ON h.ref = page.customer_ref \
            WHERE h.kind = 'customer' AND h.ended_in IS NULL) AS found \
         {then} holds AS h ON h.id = found.hold_id \
         {then} change_sets AS c ON c.id = h.began_in ORDER BY found.order_id, h.id";
    let columns = HOLD.into_iter().chain(["found.order_id"]);
    select("holds", columns, rest).page(of_orders(orders))
}

/// A hold with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastHold {
    /// What was recorded.
    pub hold: Hold,
    /// The set of changes in which it was.
    pub began_in: i64,
    /// That somebody lifted or replaced it.
    pub lifted: Option<Lifted>,
}

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifted {
    /// When it was recorded.
    pub at: Instant,
    /// By which command.
    pub by: String,
    /// The set of changes in which it was.
    pub ended_in: i64,
}

impl PastHold {
    /// When it ended, by itself or by somebody; `None`: it has not.
    pub fn ended_at(&self) -> Option<Instant> {
        let lifted_at = self.lifted.as_ref().map(|lifted| lifted.at);
        match (self.hold.until, lifted_at) {
            (Some(until), Some(lifted_at)) => Some(until.min(lifted_at)),
            (until, lifted_at) => until.or(lifted_at),
        }
    }
}

/// All holds that an order, a part of it or its customer was ever under.
pub async fn holds_past(
    tx: &mut Tx<'_>,
    order_id: i64,
    customer_ref: &str,
) -> Result<Vec<PastHold>, StoreError> {
    let rest = "FROM holds AS h JOIN change_sets AS c ON c.id = h.began_in \
          LEFT JOIN change_sets AS e ON e.id = h.ended_in \
         WHERE h.order_id = $1 OR h.kind = 'customer' AND h.ref = $2 ORDER BY h.id";
    let columns = HOLD
        .into_iter()
        .chain(["h.began_in", "h.ended_in"])
        .chain(["e.recorded_at AS lifted_at", "e.source"]);
    let query = select("holds", columns, rest).bind(order_id);
    let past = |mut row: Row| {
        let hold = hold(&mut row)?;
        let lifted = match row.time_if_known("lifted_at")? {
            Some(at) => Some(Lifted {
                at,
                by: row.get("source")?,
                ended_in: row.get("ended_in")?,
            }),
            None => None,
        };
        Ok(PastHold {
            hold,
            began_in: row.get("began_in")?,
            lifted,
        })
    };
    let rows = query.bind(customer_ref).rows(tx).await?;
    rows.into_iter().map(past).collect()
}

/// Since when customers want no reminders, of those who do not, or did not in
/// the set of changes `known_in`.
pub(super) async fn opt_outs_load<'r>(
    tx: &mut Tx<'_>,
    customer_refs: impl IntoIterator<Item = &'r str>,
    known_in: Option<i64>,
) -> Result<HashMap<String, Instant>, StoreError> {
    let rest = "FROM {page} AS page {then} opt_outs AS o ON o.customer_ref = page.customer_ref \
         {then} change_sets AS c ON c.id = o.began_in WHERE o.ended_in IS NULL";
    let rest_known = "FROM {page} AS page JOIN opt_outs AS o ON o.customer_ref = page.customer_ref \
         JOIN change_sets AS c ON c.id = o.began_in \
         WHERE o.began_in <= $1 AND (o.ended_in IS NULL OR o.ended_in > $1)";
    let columns = ["o.customer_ref", "c.recorded_at"];
    let query = match known_in {
        None => select("opt_outs", columns, rest),
        Some(known_in) => select("opt_outs", columns, rest_known).bind(known_in),
    };
    let since = |mut row: Row| Ok((row.get("customer_ref")?, row.time("recorded_at")?));
    let page = Page::of_texts("customer_ref", customer_refs);
    let rows = query.page(page).rows(tx).await?;
    rows.into_iter().map(since).collect()
}

/// Records that a customer wants no reminders; `false`: it was known.
pub async fn opt_out_begin(
    tx: &mut Tx<'_>,
    customer_ref: &str,
    change_set: i64,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO opt_outs (customer_ref, began_in) SELECT $1, $2 \
         WHERE NOT EXISTS (SELECT 1 FROM opt_outs WHERE customer_ref = $1 AND ended_in IS NULL)";
    let adding = write(sql).bind(customer_ref).bind(change_set);
    Ok(adding.execute(tx).await? > 0)
}

/// Records that a customer wants reminders again; `false`: they did.
pub async fn opt_out_end(
    tx: &mut Tx<'_>,
    customer_ref: &str,
    change_set: i64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE opt_outs SET ended_in = $2 WHERE customer_ref = $1 AND ended_in IS NULL";
    let ending = write(sql).bind(customer_ref).bind(change_set);
    Ok(ending.execute(tx).await? > 0)
}

/// The customer that a message was written to, by the part of its Message-ID
/// before the `@`. `None`: there is none, or it is not to a customer.
pub async fn customer_of_message(
    tx: &mut Tx<'_>,
    name: &str,
) -> Result<Option<String>, StoreError> {
    // `A` comes after `@`: whatever stands behind it.
    let rest = "FROM messages AS m JOIN message_notices AS c ON c.message_id = m.id \
           JOIN notices AS n ON n.id = c.notice_id JOIN orders AS o ON o.id = n.order_id \
         WHERE m.message_id >= $1 AND m.message_id < $2 AND m.audience = 'customer' LIMIT 1";
    let query = select("messages", ["o.customer_ref"], rest);
    let query = query.bind(format!("<{name}@")).bind(format!("<{name}A"));
    query.value(tx).await
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    #[tokio::test]
    async fn a_page_of_cases_probes_for_its_holds() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&dir.path().join("shop.db")).await.unwrap();
        let mut tx = store.read().await.unwrap();
        let plan = in_force([(1, "K-1")].into_iter()).plan(&mut tx).await;
        let plan = plan.unwrap();
        for index in ["holds_order (order_id", "holds_ref (ref"] {
            let is_probed = |line: &String| line.starts_with("SEARCH") && line.contains(index);
            assert!(plan.iter().any(is_probed), "{plan:?}");
        }
        let is_whole = |line: &String| line.starts_with("SCAN h");
        assert!(!plan.iter().any(is_whole), "{plan:?}");
    }
}
