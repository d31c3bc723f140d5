//! Facts as they were known at a place in the history: what was recorded later
//! is taken back. What came later is told by the numbers of the sets of changes,
//! and not by their times: an import is recorded as of when it began, and a
//! clock may have been wrong.

use std::collections::HashMap;

use super::StoreError;
use super::cases::{ORDER, ORDERS, UNIT, order, unit};
use super::engine::{Cell, Page, Row, Rows, Statement, Tx, select};
use crate::case::{Entity, FactType, Order, Unit, WarrantyRoot};

/// How far down a chain of replacements is looked.
const DEEPEST: usize = 1_000;

/// A place in the history: what was recorded up to it is known. Of what one set
/// of changes recorded, rows were entered before fields were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// The number of its set of changes.
    pub change_set: i64,
    /// What was recorded: an order (0), a unit, a claim, a wait (3) was
    /// entered, or a field was changed (4).
    pub kind: i64,
    /// The number of the row, or of the change.
    pub row: i64,
}

impl Cut {
    /// After all of a set of changes.
    pub fn after(change_set: i64) -> Self {
        Self {
            change_set,
            kind: i64::MAX,
            row: i64::MAX,
        }
    }

    /// Before all facts of a set of changes.
    pub fn before(change_set: i64) -> Self {
        Self {
            change_set,
            kind: i64::MIN,
            row: i64::MIN,
        }
    }

    /// A statement with the place as its first three values.
    pub(super) fn bound(self, query: Statement) -> Statement {
        let query = query.bind(self.change_set);
        query.bind(self.kind).bind(self.row)
    }
}

/// The kind of a cut at which a row of an entity was entered.
pub(super) fn entered(entity: Entity) -> i64 {
    match entity {
        Entity::Orders => 0,
        Entity::Units => 1,
        Entity::Claims => 2,
        Entity::Waits => 3,
    }
}

/// Rows of an entity as they were known at a place: without those that were
/// recorded later, each field with what it held then, `changed_at` too. What
/// was withdrawn then is left out, but for orders.
pub(super) async fn rows_known(
    tx: &mut Tx<'_>,
    entity: Entity,
    mut rows: Vec<Row>,
    known: Cut,
) -> Result<Vec<Row>, StoreError> {
    let ids: Vec<i64> = rows.iter().map(Row::id).collect();
    if ids.is_empty() {
        return Ok(rows);
    }
    let page = Page::of_ints("row_id", &ids);
    let changed = changed_by(tx, entity, page.clone(), known).await?;
    let older = taken_back(tx, entity, page, known).await?;
    rows.retain(|row| changed.contains_key(&row.id()));
    let rows = Rows::rewritten(rows, |id, column| match column {
        "changed_at" => changed.get(&id).map(|at| Cell::Int(*at)),
        _ => older.get(&(id, column.to_owned())).cloned(),
    });
    if entity == Entity::Orders {
        return Ok(rows);
    }
    let mut counting = Vec::with_capacity(rows.len());
    for mut row in rows {
        if !row.flag("withdrawn")? {
            counting.push(row);
        }
    }
    Ok(counting)
}

/// When each row was last changed up to a place; those are missing that were
/// recorded later.
async fn changed_by(
    tx: &mut Tx<'_>,
    entity: Entity,
    page: Page,
    known: Cut,
) -> Result<HashMap<i64, i64>, StoreError> {
    let columns = [
        "t.id",
        "coalesce((SELECT s.recorded_at FROM fact_changes AS f \
            JOIN change_sets AS s ON s.id = f.change_set \
           WHERE f.entity = $4 AND f.row_id = t.id \
             AND (f.change_set, 4, f.id) <= ($1, $2, $3) \
           ORDER BY f.id DESC LIMIT 1), c.recorded_at) AS changed_at",
    ];
    let rest = format!(
        "FROM {{page}} AS page {{then}} {entity} AS t ON t.id = page.row_id \
         {{then}} change_sets AS c ON c.id = t.created_in \
         WHERE (c.id, {}, t.id) <= ($1, $2, $3)",
        entered(entity)
    );
    let query = known.bound(select("change_sets", columns, rest));
    let rows = query.bind(entity.to_string()).page(page).rows(tx).await?;
    let changed = |mut row: Row| Ok((row.id(), row.get("changed_at")?));
    rows.into_iter().map(changed).collect()
}

/// What fields held at a place that were changed later, by row and column: what
/// the first of the later changes replaced.
async fn taken_back(
    tx: &mut Tx<'_>,
    entity: Entity,
    page: Page,
    known: Cut,
) -> Result<HashMap<(i64, String), Cell>, StoreError> {
    // The unit that a unit replaced is known by its number.
    let columns = [
        "f.row_id AS id",
        "f.field",
        "f.old",
        "CASE WHEN f.field = 'replaces_unit_ref' \
         THEN (SELECT u.id FROM units AS u WHERE u.unit_ref = f.old) END AS old_id",
    ];
    // The first comes last, and stays.
    let rest = "FROM {page} AS page \
         {then} fact_changes AS f ON f.row_id = page.row_id AND f.entity = $4 \
         WHERE (f.change_set, 4, f.id) > ($1, $2, $3) ORDER BY f.id DESC";
    let query = known.bound(select("fact_changes", columns, rest));
    let query = query.bind(entity.to_string()).page(page);
    let mut older = HashMap::new();
    for mut row in query.rows(tx).await? {
        let id = row.id();
        let field: String = row.get("field")?;
        if field == "replaces_unit_ref" {
            let replaced: Option<i64> = row.get("old_id")?;
            older.insert((id, "replaces_unit_id".to_owned()), replaced.into());
            continue;
        }
        let old: Option<String> = row.get("old")?;
        let cell = match old {
            None => Cell::Null,
            Some(text) => stored(entity, &field, text, &row)?,
        };
        older.insert((id, field), cell);
    }
    Ok(older)
}

/// A fact that was kept as text, as its column holds it.
fn stored(entity: Entity, field: &str, text: String, row: &Row) -> Result<Cell, StoreError> {
    let known = entity.fields().iter().find(|known| known.name == field);
    match known.map(|known| known.fact_type) {
        Some(FactType::Time | FactType::Money) => match text.parse::<i64>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Err(row.bad("old", text, "a number")),
        },
        Some(FactType::Flag) => match text.parse::<bool>() {
            Ok(flag) => Ok(flag.into()),
            Err(_) => Err(row.bad("old", text, "true or false")),
        },
        _ => Ok(text.into()),
    }
}

/// The first units of chains of replacements as they were known at a place, by
/// the unit that was asked for; `replacing` pairs units with those that they
/// replace. A step of all chains at a time.
pub(super) async fn roots_known(
    tx: &mut Tx<'_>,
    replacing: &[(i64, i64)],
    known: Cut,
) -> Result<HashMap<i64, WarrantyRoot>, StoreError> {
    let mut roots = HashMap::new();
    let mut steps = replacing.to_vec();
    for _ in 0..DEEPEST {
        if steps.is_empty() {
            break;
        }
        let ids: Vec<i64> = steps.iter().map(|(_, replaced)| *replaced).collect();
        let replaced = units_known(tx, &ids, known).await?.into_iter();
        let replaced: HashMap<i64, KnownUnit> = replaced.map(|found| (found.id, found)).collect();
        let mut next = Vec::new();
        for (asked, at) in steps {
            let Some(found) = replaced.get(&at) else {
                continue;
            };
            roots.insert(asked, root(found));
            next.extend(found.replaces.map(|further| (asked, further)));
        }
        steps = next;
    }
    Ok(roots)
}

/// A unit as it was known at a place, without its claims.
pub(super) struct KnownUnit {
    pub id: i64,
    /// The unit that it replaces.
    pub replaces: Option<i64>,
    pub unit: Unit,
    pub order: Order,
}

/// Units as they were known at a place, without those that were withdrawn then,
/// or whose order was.
pub(super) async fn units_known(
    tx: &mut Tx<'_>,
    ids: &[i64],
    known: Cut,
) -> Result<Vec<KnownUnit>, StoreError> {
    let rest = "FROM units AS u WHERE u.id IN (SELECT unit_id FROM {page} AS page)";
    let query = select("units", UNIT, rest).page(Page::of_ints("unit_id", ids));
    let rows = query.rows(tx).await?;
    let mut found = Vec::new();
    for mut row in rows_known(tx, Entity::Units, rows, known).await? {
        let order_id: i64 = row.get("order_id")?;
        let replaces: Option<i64> = row.get("replaces_unit_id")?;
        found.push((row.id(), order_id, replaces, unit(&mut row)?));
    }
    let mut order_ids: Vec<i64> = found.iter().map(|(_, order_id, ..)| *order_id).collect();
    order_ids.sort_unstable();
    order_ids.dedup();
    let page = Page::of_ints("order_id", &order_ids);
    let rows = select("orders", ORDER, ORDERS).page(page).rows(tx).await?;
    let mut orders: HashMap<i64, Order> = HashMap::new();
    for mut row in rows_known(tx, Entity::Orders, rows, known).await? {
        orders.insert(row.id(), order(&mut row)?);
    }
    let of = |(id, order_id, replaces, unit): (i64, i64, Option<i64>, Unit)| {
        let order = orders.get(&order_id).filter(|order| !order.withdrawn)?;
        Some(KnownUnit {
            id,
            replaces,
            unit,
            order: order.clone(),
        })
    };
    Ok(found.into_iter().filter_map(of).collect())
}

fn root(found: &KnownUnit) -> WarrantyRoot {
    let KnownUnit { unit, order, .. } = found;
    WarrantyRoot {
        unit_ref: unit.unit_ref.clone(),
        placed_at: order.placed_at,
        delivered_at: order.delivered_at,
        received_at: unit.received_at,
        company_confirmed_at: unit.company_confirmed_at,
        customer_confirmed_at: unit.customer_confirmed_at,
        policy: unit.policy.clone(),
    }
}
