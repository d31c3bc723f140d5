//! Staged rows, and what is known of a page's rows: a statement a page.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row};
use strum::VariantArray;

use super::{Facts, Key, Tables, list, tables};
use crate::case::{Entity, FactType, Value, normalized_serial};

/// What is known of a row.
#[derive(Debug, Clone, Default)]
pub struct KnownRow {
    /// The row's id.
    pub id: Option<i64>,
    /// Its facts in the database.
    pub stored: Option<Facts>,
    /// Its facts as this batch left them.
    pub staged: Option<Facts>,
}

/// A row to stage.
#[derive(Debug, Clone, Copy)]
pub struct StagedRow<'a> {
    /// What is known of it.
    pub known: &'a KnownRow,
    /// The facts that it shall have.
    pub facts: &'a Facts,
}

/// A unit as the checks of replacements see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitLink {
    /// The shop's name for it.
    pub unit_ref: String,
    /// Hardware or software.
    pub kind: String,
    /// The name of the unit that it replaces.
    pub replaces: Option<String>,
}

/// Makes the staging tables, empty.
pub async fn staging_open(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    staging_close(conn).await?;
    // KiB of memory for pages; what is beyond goes to a temporary file.
    sqlx::query("PRAGMA temp.cache_size = -16384")
        .execute(&mut *conn)
        .await?;
    for entity in Entity::VARIANTS {
        let (staged, unique) = (tables(*entity).staged, staged_unique(*entity));
        let columns = list(*entity, |_, name| format!("\"{name}\""));
        let sql = format!(
            "CREATE TEMP TABLE {staged} (
                {columns}, serial_key TEXT,
                row_id BIGINT, -- NULL: a row that nobody knew
                changes TEXT, -- of a known row: [field, old, new], …
                UNIQUE ({unique}))"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Removes the staging tables.
pub async fn staging_close(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    for entity in Entity::VARIANTS {
        let sql = format!("DROP TABLE IF EXISTS temp.{}", tables(*entity).staged);
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *conn).await?;
    }
    Ok(())
}

fn staged_unique(entity: Entity) -> &'static str {
    match entity {
        Entity::Waits => "claim_ref, \"from\"",
        _ => tables(entity).unique,
    }
}

/// What is known of rows, in the order of `keys`.
pub async fn rows_known(
    conn: &mut SqliteConnection,
    entity: Entity,
    keys: &[Key],
) -> sqlx::Result<Vec<KnownRow>> {
    let mut known = vec![KnownRow::default(); keys.len()];
    let json = match entity {
        Entity::Waits => json(keys),
        _ => json(&keys.iter().map(|(name, _)| name).collect::<Vec<_>>()),
    };
    let stored = sqlx::query(AssertSqlSafe(stored_sql(entity)));
    for row in stored.bind(&json).fetch_all(&mut *conn).await? {
        if let Some(known) = known.get_mut(place(&row)?) {
            known.id = row.try_get(1)?;
            known.stored = Some(facts(entity, &row)?);
        }
    }
    let staged = sqlx::query(AssertSqlSafe(staged_sql(entity)));
    for row in staged.bind(&json).fetch_all(&mut *conn).await? {
        if let Some(known) = known.get_mut(place(&row)?) {
            known.staged = Some(facts(entity, &row)?);
        }
    }
    Ok(known)
}

/// The current rows of a page. `CROSS JOIN` keeps the order of the tables: a
/// look into the index for each key.
fn stored_sql(entity: Entity) -> String {
    let Tables { main, parent, .. } = tables(entity);
    let columns = list(entity, |_, name| match (parent, name) {
        (Some((_, _, of)), name) if name == of => format!("p.\"{name}\""),
        (_, "replaces_unit_ref") => "r.unit_ref".into(),
        (_, name) => format!("t.\"{name}\""),
    });
    let joins = match (entity, parent) {
        (Entity::Waits, _) => "CROSS JOIN claims p ON p.claim_ref = k.value->>0
             CROSS JOIN waits t ON t.claim_id = p.id AND t.\"from\" = k.value->>1"
            .into(),
        (_, None) => format!("CROSS JOIN {main} t ON t.order_ref = k.value"),
        (_, Some((table, column, _))) => {
            let name = tables(entity).unique;
            let replaced = match entity {
                Entity::Units => "LEFT JOIN units r ON r.id = t.replaces_unit_id",
                _ => "",
            };
            format!(
                "CROSS JOIN {main} t ON t.{name} = k.value
                 CROSS JOIN {table} p ON p.id = t.{column} {replaced}"
            )
        }
    };
    format!("SELECT k.key, t.id, {columns} FROM json_each($1) k {joins}")
}

fn staged_sql(entity: Entity) -> String {
    let columns = list(entity, |_, name| format!("s.\"{name}\""));
    let staged = tables(entity).staged;
    let on = match entity {
        Entity::Waits => "s.claim_ref = k.value->>0 AND s.\"from\" = k.value->>1".into(),
        _ => format!("s.{} = k.value", tables(entity).unique),
    };
    format!("SELECT k.key, s.row_id, {columns} FROM json_each($1) k CROSS JOIN {staged} s ON {on}")
}

fn place(row: &SqliteRow) -> sqlx::Result<usize> {
    let key: i64 = row.try_get(0)?;
    Ok(usize::try_from(key).unwrap_or(usize::MAX))
}

fn facts(entity: Entity, row: &SqliteRow) -> sqlx::Result<Facts> {
    let fields = entity.fields().iter().enumerate();
    fields
        .map(|(place, field)| value(field.fact_type, row, place + 2))
        .collect()
}

fn value(fact_type: FactType, row: &SqliteRow, at: usize) -> sqlx::Result<Option<Value>> {
    // Staged columns have no declared type, so what is there decides.
    Ok(match fact_type {
        FactType::Flag => row
            .try_get_unchecked::<Option<bool>, _>(at)?
            .map(Value::Flag),
        FactType::Time | FactType::Money => row
            .try_get_unchecked::<Option<i64>, _>(at)?
            .map(Value::Number),
        _ => row
            .try_get_unchecked::<Option<String>, _>(at)?
            .map(Value::Text),
    })
}

/// One fact of each row that is known or staged, by the row's name.
pub async fn parent_facts(
    conn: &mut SqliteConnection,
    entity: Entity,
    fact: &'static str,
    names: &[&str],
) -> sqlx::Result<HashMap<String, Value>> {
    let Tables {
        main,
        staged,
        unique,
        ..
    } = tables(entity);
    let fact_type = entity.field(fact).and_then(|at| entity.fields().get(at));
    let fact_type = fact_type.map_or(FactType::Text, |field| field.fact_type);
    let sql = format!(
        "SELECT k.value, coalesce(s.{fact}, t.{fact}) FROM json_each($1) k
         LEFT JOIN {staged} s ON s.{unique} = k.value
         LEFT JOIN {main} t ON t.{unique} = k.value
         WHERE s.{fact} IS NOT NULL OR t.{fact} IS NOT NULL"
    );
    let mut facts = HashMap::with_capacity(names.len());
    let query = sqlx::query(AssertSqlSafe(sql)).bind(json(names));
    for row in query.fetch_all(conn).await? {
        if let Some(value) = value(fact_type, &row, 1)? {
            facts.insert(row.try_get_unchecked(0)?, value);
        }
    }
    Ok(facts)
}

/// Stages rows of different keys, over what was staged of them before.
pub async fn rows_stage(
    conn: &mut SqliteConnection,
    entity: Entity,
    rows: &[StagedRow<'_>],
) -> sqlx::Result<()> {
    let rows: Vec<_> = rows.iter().map(|row| row_json(entity, row)).collect();
    let columns = list(entity, |_, name| format!("\"{name}\""));
    let values = list(entity, |place, _| format!("value->>'$[0][{place}]'"));
    let updates = list(entity, |_, name| {
        format!("\"{name}\" = excluded.\"{name}\"")
    });
    let (staged, unique) = (tables(entity).staged, staged_unique(entity));
    let sql = format!(
        "INSERT INTO {staged} ({columns}, serial_key, row_id, changes)
         SELECT {values}, value->>1, value->>2, value->>3 FROM jsonb_each($1) WHERE true
         ON CONFLICT ({unique}) DO UPDATE SET {updates},
             serial_key = excluded.serial_key, changes = excluded.changes"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(json(&rows));
    query.execute(conn).await.map(drop)
}

/// The facts, the serial as it is compared, the id, and the changes.
type RowJson<'a> = (&'a Facts, Option<String>, Option<i64>, Option<String>);

fn row_json<'a>(entity: Entity, row: &StagedRow<'a>) -> RowJson<'a> {
    let serial = entity.field("serial").and_then(|at| row.facts.get(at));
    let serial = serial.and_then(as_text);
    let serial = serial.map(|serial| normalized_serial(&serial));
    let changes = row.known.stored.as_ref().map(|stored| {
        let fields = std::iter::zip(entity.fields(), std::iter::zip(stored, row.facts));
        let changed = fields.filter(|(_, (old, new))| old != new);
        let changes: Vec<_> = changed
            .map(|(field, (old, new))| (field.name, as_text(old), as_text(new)))
            .collect();
        json(&changes)
    });
    let serial = serial.filter(|serial| !serial.is_empty());
    (row.facts, serial, row.known.id, changes)
}

/// A fact as `fact_changes` keeps it: the stored value as text.
fn as_text(fact: &Option<Value>) -> Option<String> {
    fact.as_ref().map(|value| match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
    })
}

/// Takes units out of the staging.
pub async fn rows_unstage(conn: &mut SqliteConnection, units: &[&str]) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM staged_units WHERE unit_ref IN (SELECT value FROM json_each($1))")
        .bind(json(units))
        .execute(conn)
        .await
        .map(drop)
}

/// Units, those that replace them, and those that they and these replace,
/// directly and through others: as staged, else as stored.
pub async fn unit_links(
    conn: &mut SqliteConnection,
    units: &[&str],
) -> sqlx::Result<Vec<UnitLink>> {
    let rows = sqlx::query(
        "WITH RECURSIVE chain (unit_ref) AS (
             SELECT value FROM json_each($1)
             UNION SELECT unit_ref FROM staged_units
                 WHERE replaces_unit_ref IN (SELECT value FROM json_each($1))
             UNION SELECT u.unit_ref FROM json_each($1) k
                 CROSS JOIN units p ON p.unit_ref = k.value
                 CROSS JOIN units u ON u.replaces_unit_id = p.id
             UNION SELECT s.replaces_unit_ref FROM chain c
                 CROSS JOIN staged_units s ON s.unit_ref = c.unit_ref
                 WHERE s.replaces_unit_ref IS NOT NULL
             UNION SELECT p.unit_ref FROM chain c
                 CROSS JOIN units u ON u.unit_ref = c.unit_ref
                 CROSS JOIN units p ON p.id = u.replaces_unit_id)
         SELECT c.unit_ref, coalesce(s.kind, u.kind),
             CASE WHEN s.unit_ref IS NULL THEN p.unit_ref ELSE s.replaces_unit_ref END
         FROM chain c
         LEFT JOIN staged_units s ON s.unit_ref = c.unit_ref
         LEFT JOIN units u ON u.unit_ref = c.unit_ref
         LEFT JOIN units p ON p.id = u.replaces_unit_id
         WHERE coalesce(s.kind, u.kind) IS NOT NULL",
    )
    .bind(json(units))
    .fetch_all(conn)
    .await?;
    let link = |row: &SqliteRow| {
        Ok(UnitLink {
            unit_ref: row.try_get_unchecked(0)?,
            kind: row.try_get_unchecked(1)?,
            replaces: row.try_get_unchecked(2)?,
        })
    };
    rows.iter().map(link).collect()
}

/// A set parameter.
fn json<T: Serialize + ?Sized>(values: &T) -> String {
    // Text, numbers and lists of them always can be written.
    serde_json::to_string(values).unwrap_or_default()
}
