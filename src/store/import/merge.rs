//! From the staging tables to the facts, in one transaction.

use strum::VariantArray;

use super::{Tables, tables};
use crate::case::Entity;
use crate::policy::Instant;
use crate::store::engine::{Session, Tx, select, write};
use crate::store::{StoreError, change_set_begin};

/// What a merge did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Merged {
    /// The set that the changes are recorded in; `None` if nothing changed.
    pub change_set: Option<i64>,
    /// Orders that must be looked at again.
    pub orders_woken: u64,
}

/// A staged row that a merge must write.
const DIFFERS: &str = "s.changes IS DISTINCT FROM '[]'";

/// Applies what is staged: rows, their changes, and the orders to look at
/// again. `source` says by what (an import with its files, a command). Where
/// nothing changed nothing is written and no lock is taken.
pub async fn staging_merge(
    on: &mut Session,
    source: &str,
    now: Instant,
) -> Result<Merged, StoreError> {
    let changed = changed_entities(on).await?;
    if changed.is_empty() {
        return Ok(Merged::default());
    }
    let mut tx = on.begin().await?;
    let mut wake = write(WAKE_SQL);
    for entity in [Entity::Orders, Entity::Units, Entity::Claims] {
        wake = wake.bind(last_id(&mut tx, entity).await?);
    }
    let change_set = change_set_begin(&mut tx, source, now).await?;
    for entity in changed {
        let upsert = write(upsert_sql(entity)).bind(change_set).bind(now);
        upsert.execute(&mut tx).await?;
        let changes = write(changes_sql(entity)).bind(change_set);
        changes.execute(&mut tx).await?;
        if entity == Entity::Units {
            write(REPLACES_SQL).execute(&mut tx).await?;
        }
    }
    let orders_woken = wake.execute(&mut tx).await?;
    tx.commit().await?;
    Ok(Merged {
        change_set: Some(change_set),
        orders_woken,
    })
}

/// The id of the last row, 0 if there is none: those that come have higher ones.
async fn last_id(tx: &mut Tx<'_>, entity: Entity) -> Result<i64, StoreError> {
    let main = tables(entity).main;
    let last = select(main, ["max(id) AS last"], format!("FROM {main}"));
    Ok(last.one(tx).await?.get::<Option<i64>>("last")?.unwrap_or(0))
}

/// The entities with rows to write, parents first.
async fn changed_entities(on: &mut Session) -> Result<Vec<Entity>, StoreError> {
    let mut changed = Vec::new();
    for entity in Entity::VARIANTS {
        let staged = tables(*entity).staged;
        let rest = format!("FROM {staged} AS s WHERE {DIFFERS} LIMIT 1");
        let found = select(staged, ["1 AS found"], rest).rows(on).await?;
        if !found.is_empty() {
            changed.push(*entity);
        }
    }
    Ok(changed)
}

/// Writes rows that differ. What a unit replaces comes after all units: it may
/// stand later in the file.
fn upsert_sql(entity: Entity) -> String {
    let Tables {
        main,
        staged,
        parent,
        unique,
    } = tables(entity);
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for field in entity.fields() {
        match parent {
            _ if field.name == "replaces_unit_ref" => {}
            Some((_, column, name)) if name == field.name => {
                columns.push(column.to_owned());
                values.push("p.id".to_owned());
            }
            _ => {
                columns.push(format!("\"{}\"", field.name));
                values.push(format!("s.\"{}\"", field.name));
            }
        }
    }
    if entity == Entity::Units {
        columns.push("serial_key".into());
        values.push("s.serial_key".into());
    }
    let join = parent.map_or(String::new(), |(table, _, name)| {
        format!("{{then}} {table} AS p ON p.{name} = s.{name}")
    });
    let updates: Vec<_> = columns
        .iter()
        .map(|c| format!("{c} = excluded.{c}"))
        .collect();
    let (columns, values, updates) = (columns.join(", "), values.join(", "), updates.join(", "));
    format!(
        "INSERT INTO {main} ({columns}, created_in, changed_at)
         SELECT {values}, $1, $2 FROM {staged} s {join} WHERE {DIFFERS}
         ON CONFLICT ({unique}) DO UPDATE SET {updates}, changed_at = excluded.changed_at"
    )
}

/// Appends what was replaced. Of a row that nobody knew, nothing was.
fn changes_sql(entity: Entity) -> String {
    let staged = tables(entity).staged;
    format!(
        "INSERT INTO fact_changes (change_set, entity, row_id, field, old, new)
         SELECT $1, '{entity}', s.row_id, c.value->>0, c.value->>1, c.value->>2
         FROM {staged} AS s CROSS JOIN {{elements s.changes}} AS c WHERE s.row_id IS NOT NULL"
    )
}

const REPLACES_SQL: &str = "
    UPDATE units SET replaces_unit_id =
        (SELECT p.id FROM units p WHERE p.unit_ref = s.replaces_unit_ref)
    FROM staged_units s
    WHERE units.unit_ref = s.unit_ref AND s.changes IS DISTINCT FROM '[]'
        AND (s.replaces_unit_ref IS NOT NULL OR s.row_id IS NOT NULL)";

/// Orders of which a fact changed, and those that hold a unit further down a
/// chain of replacements: of an order that is new, that unit is in this batch
/// itself. `$1` to `$3` are the last order, unit and claim before.
const WAKE_SQL: &str = "
    WITH RECURSIVE touched (order_id) AS (
        SELECT id FROM orders WHERE id > $1
        UNION ALL SELECT row_id FROM staged_orders WHERE changes <> '[]'
        UNION ALL SELECT order_id FROM units WHERE id > $2
        UNION ALL SELECT u.order_id FROM staged_units s {then} units AS u ON u.id = s.row_id
            WHERE s.changes <> '[]'
        UNION ALL SELECT u.order_id FROM claims c {then} units AS u ON u.id = c.unit_id
            WHERE c.id > $3
        UNION ALL SELECT u.order_id FROM staged_claims s {then} claims AS c ON c.id = s.row_id
            {then} units AS u ON u.id = c.unit_id
            WHERE s.changes <> '[]'
        UNION ALL SELECT u.order_id FROM staged_waits s
            {then} claims AS c ON c.claim_ref = s.claim_ref
            {then} units AS u ON u.id = c.unit_id
            WHERE s.changes IS DISTINCT FROM '[]'
        UNION SELECT later.order_id FROM touched t
            {then} units AS u ON u.order_id = t.order_id
            {then} units AS later ON later.replaces_unit_id = u.id
            WHERE t.order_id <= $1)
    INSERT INTO agenda (order_id, next_at) SELECT order_id, 0 FROM touched WHERE true ORDER BY order_id
    ON CONFLICT (order_id) DO UPDATE SET next_at = 0, failures = 0, error = NULL";
