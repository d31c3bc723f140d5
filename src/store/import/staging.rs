//! Staged rows, and what is known of a page's rows: a statement a page.

use std::collections::HashMap;

use strum::VariantArray;

use super::{Facts, Key, Tables, list, tables};
use crate::case::{Entity, FactType, Value, normalized_serial};
use crate::store::StoreError;
use crate::store::engine::{Cell, Kind, Page, Row, Session, select, write};

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
pub async fn staging_open(on: &mut Session) -> Result<(), StoreError> {
    staging_close(on).await?;
    on.stages_much().await?;
    for entity in Entity::VARIANTS {
        let (staged, unique) = (tables(*entity).staged, staged_unique(*entity));
        let columns = entity.fields().iter().map(|field| {
            let kind = match kind(field.fact_type) {
                Kind::Int => "BIGINT",
                Kind::Text | Kind::LongText => "TEXT",
                Kind::Flag => "BOOLEAN",
            };
            format!("\"{}\" {kind}", field.name)
        });
        let columns: Vec<String> = columns.collect();
        let columns = columns.join(", ");
        // row_id: NULL of a row that nobody knew; changes: of a known one,
        // [[field, old, new], …].
        let sql = format!(
            "CREATE TEMP TABLE {staged} (
                {columns}, serial_key TEXT, row_id BIGINT, changes TEXT, UNIQUE ({unique}))"
        );
        write(sql).execute(on).await?;
    }
    Ok(())
}

/// Removes the staging tables.
pub async fn staging_close(on: &mut Session) -> Result<(), StoreError> {
    for entity in Entity::VARIANTS {
        let sql = format!("DROP TABLE IF EXISTS {}", tables(*entity).staged);
        write(sql).execute(on).await?;
    }
    Ok(())
}

fn kind(fact_type: FactType) -> Kind {
    match fact_type {
        FactType::Flag => Kind::Flag,
        FactType::Time | FactType::Money => Kind::Int,
        _ => Kind::Text,
    }
}

fn staged_unique(entity: Entity) -> &'static str {
    match entity {
        Entity::Waits => "claim_ref, \"from\"",
        _ => tables(entity).unique,
    }
}

/// Whether there is any row of a kind.
pub async fn has_stored(on: &mut Session, entity: Entity) -> Result<bool, StoreError> {
    let main = tables(entity).main;
    let found = select(main, ["1 AS found"], format!("FROM {main} LIMIT 1"));
    Ok(!found.rows(on).await?.is_empty())
}

/// What the database holds of rows, in the order of `keys`.
pub async fn rows_stored(
    on: &mut Session,
    entity: Entity,
    keys: &[&Key],
) -> Result<Vec<KnownRow>, StoreError> {
    let mut known = vec![KnownRow::default(); keys.len()];
    let (columns, joins) = stored_sql(entity);
    let rest = format!("FROM {{page}} AS k {joins}");
    let query = select(tables(entity).main, columns, rest).page(key_page(entity, keys));
    for mut row in query.rows(on).await? {
        if let Some(known) = known.get_mut(place(&mut row)?) {
            known.id = row.get("row_id")?;
            known.stored = Some(facts(entity, &mut row)?);
        }
    }
    Ok(known)
}

/// What this batch staged of rows, each with its place in `keys`.
pub async fn rows_staged(
    on: &mut Session,
    entity: Entity,
    keys: &[&Key],
) -> Result<Vec<(usize, Facts)>, StoreError> {
    let (columns, joins) = staged_sql(entity);
    let rest = format!("FROM {{page}} AS k {joins}");
    let query = select(tables(entity).staged, columns, rest).page(key_page(entity, keys));
    let found = query.rows(on).await?.into_iter();
    found
        .map(|mut row| Ok((place(&mut row)?, facts(entity, &mut row)?)))
        .collect()
}

fn key_page(entity: Entity, keys: &[&Key]) -> Page {
    if entity != Entity::Waits {
        return Page::of_texts("name", keys.iter().map(|(name, _)| name.as_str()));
    }
    let mut page = Page::new(&[("name", Kind::Text), ("since", Kind::Int)]);
    for (name, since) in keys {
        page.push([name.into(), (*since).into()]);
    }
    page
}

/// The current rows of a page: a look into the index for each key.
fn stored_sql(entity: Entity) -> (Vec<String>, String) {
    let Tables { main, parent, .. } = tables(entity);
    let mut columns = vec!["k.place".to_owned(), "t.id AS row_id".to_owned()];
    columns.extend(
        entity
            .fields()
            .iter()
            .map(|field| match (parent, field.name) {
                (Some((_, _, of)), name) if name == of => format!("p.\"{name}\""),
                (_, "replaces_unit_ref") => "r.unit_ref AS replaces_unit_ref".into(),
                (_, name) => format!("t.\"{name}\""),
            }),
    );
    let joins = match (entity, parent) {
        (Entity::Waits, _) => "{then} claims AS p ON p.claim_ref = k.name
             {then} waits AS t ON t.claim_id = p.id AND t.\"from\" = k.since"
            .into(),
        (_, None) => format!("{{then}} {main} AS t ON t.order_ref = k.name"),
        (_, Some((table, column, _))) => {
            let name = tables(entity).unique;
            let replaced = match entity {
                Entity::Units => "LEFT JOIN units AS r ON r.id = t.replaces_unit_id",
                _ => "",
            };
            format!(
                "{{then}} {main} AS t ON t.{name} = k.name
                 {{then}} {table} AS p ON p.id = t.{column} {replaced}"
            )
        }
    };
    (columns, joins)
}

fn staged_sql(entity: Entity) -> (Vec<String>, String) {
    let mut columns = vec!["k.place".to_owned()];
    let fields = entity.fields().iter();
    columns.extend(fields.map(|field| format!("s.\"{}\"", field.name)));
    let staged = tables(entity).staged;
    let on = match entity {
        Entity::Waits => "s.claim_ref = k.name AND s.\"from\" = k.since".into(),
        _ => format!("s.{} = k.name", tables(entity).unique),
    };
    (columns, format!("{{then}} {staged} AS s ON {on}"))
}

fn place(row: &mut Row) -> Result<usize, StoreError> {
    let place: i64 = row.get("place")?;
    Ok(usize::try_from(place).unwrap_or(usize::MAX))
}

fn facts(entity: Entity, row: &mut Row) -> Result<Facts, StoreError> {
    let fields = entity.fields().iter();
    fields
        .map(|field| value(field.fact_type, row, field.name))
        .collect()
}

fn value(
    fact_type: FactType,
    row: &mut Row,
    column: &'static str,
) -> Result<Option<Value>, StoreError> {
    Ok(match kind(fact_type) {
        Kind::Flag => row.get::<Option<bool>>(column)?.map(Value::Flag),
        Kind::Int => row.get::<Option<i64>>(column)?.map(Value::Number),
        Kind::Text | Kind::LongText => row.get::<Option<String>>(column)?.map(Value::Text),
    })
}

/// One fact of each row that is known or staged, by the row's name.
pub async fn parent_facts(
    on: &mut Session,
    entity: Entity,
    fact: &'static str,
    names: &[&str],
) -> Result<HashMap<String, Value>, StoreError> {
    let Tables {
        main,
        staged,
        unique,
        ..
    } = tables(entity);
    let fact_type = entity.field(fact).and_then(|at| entity.fields().get(at));
    let fact_type = fact_type.map_or(FactType::Text, |field| field.fact_type);
    let columns = [
        "k.name".to_owned(),
        format!("coalesce(s.{fact}, t.{fact}) AS {fact}"),
    ];
    let rest = format!(
        "FROM {{page}} AS k
         LEFT JOIN {staged} AS s ON s.{unique} = k.name
         LEFT JOIN {main} AS t ON t.{unique} = k.name
         WHERE s.{fact} IS NOT NULL OR t.{fact} IS NOT NULL"
    );
    let page = Page::of_texts("name", names.iter().copied());
    let mut facts = HashMap::with_capacity(names.len());
    for mut row in select(main, columns, rest).page(page).rows(on).await? {
        let name = row.get("name")?;
        if let Some(value) = value(fact_type, &mut row, fact)? {
            facts.insert(name, value);
        }
    }
    Ok(facts)
}

/// Stages rows of different keys, over what was staged of them before.
pub async fn rows_stage(
    on: &mut Session,
    entity: Entity,
    rows: &[StagedRow<'_>],
) -> Result<(), StoreError> {
    let fields = entity.fields().iter();
    let mut columns: Vec<_> = fields
        .map(|field| (field.name, kind(field.fact_type)))
        .collect();
    columns.extend([
        ("serial_key", Kind::Text),
        ("row_id", Kind::Int),
        ("changes", Kind::Text),
    ]);
    let mut page = Page::new(&columns);
    for row in rows {
        page.push_row(row_cells(entity, row));
    }
    let columns = list(entity, |_, name| format!("\"{name}\""));
    let updates = list(entity, |_, name| {
        format!("\"{name}\" = excluded.\"{name}\"")
    });
    let (staged, unique) = (tables(entity).staged, staged_unique(entity));
    let sql = format!(
        "INSERT INTO {staged} ({columns}, serial_key, row_id, changes)
         SELECT {columns}, serial_key, row_id, changes FROM {{page}} AS page WHERE true
         ON CONFLICT ({unique}) DO UPDATE SET {updates},
             serial_key = excluded.serial_key, changes = excluded.changes"
    );
    write(sql).page(page).execute(on).await.map(drop)
}

/// The facts, the serial as it is compared, the id, and the changes.
fn row_cells(entity: Entity, row: &StagedRow<'_>) -> impl Iterator<Item = Cell> {
    let serial = entity.field("serial").and_then(|at| row.facts.get(at));
    let serial = serial.and_then(as_text);
    let serial = serial.map(|serial| normalized_serial(&serial));
    let serial = serial.filter(|serial| !serial.is_empty());
    let changes = row.known.stored.as_ref().map(|stored| {
        let fields = std::iter::zip(entity.fields(), std::iter::zip(stored, row.facts));
        let changed = fields.filter(|(_, (old, new))| old != new);
        let changes: Vec<_> = changed
            .map(|(field, (old, new))| (field.name, as_text(old), as_text(new)))
            .collect();
        serde_json::json!(changes).to_string()
    });
    let facts = row.facts.iter().map(|fact| match fact {
        None => Cell::Null,
        Some(Value::Flag(flag)) => (*flag).into(),
        Some(Value::Number(number)) => (*number).into(),
        Some(Value::Text(text)) => text.into(),
    });
    let more = [serial.into(), row.known.id.into(), changes.into()];
    facts.chain(more).collect::<Vec<_>>().into_iter()
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
pub async fn rows_unstage(on: &mut Session, units: &[&str]) -> Result<(), StoreError> {
    let sql = "DELETE FROM staged_units WHERE unit_ref IN (SELECT name FROM {page} AS page)";
    let page = Page::of_texts("name", units.iter().copied());
    write(sql).page(page).execute(on).await.map(drop)
}

/// The chain down from units and from those that replace them. What a unit
/// replaces is looked up as staged and as stored.
const CHAIN: &str = "WITH RECURSIVE chain (unit_ref) AS (
         SELECT name FROM {page} AS page
          UNION SELECT s.unit_ref FROM staged_units AS s
              WHERE s.replaces_unit_ref IN (SELECT name FROM {page} AS page)
          UNION SELECT u.unit_ref FROM {page} AS page
              {then} units AS p ON p.unit_ref = page.name
              {then} units AS u ON u.replaces_unit_id = p.id
         UNION SELECT link.replaces FROM chain AS c {then} (
              SELECT s.unit_ref, s.replaces_unit_ref AS replaces FROM staged_units AS s
              UNION ALL SELECT u.unit_ref, p.unit_ref FROM units AS u
                  {then} units AS p ON p.id = u.replaces_unit_id) AS link
             ON link.unit_ref = c.unit_ref WHERE link.replaces IS NOT NULL)";

/// Units, those that replace them, and those that they and these replace,
/// directly and through others: as staged, else as stored.
pub async fn unit_links(on: &mut Session, units: &[&str]) -> Result<Vec<UnitLink>, StoreError> {
    let columns = [
        "c.unit_ref",
        "coalesce(s.kind, u.kind) AS kind",
        "CASE WHEN s.unit_ref IS NULL THEN p.unit_ref ELSE s.replaces_unit_ref END AS replaces",
    ];
    let rest = "FROM chain AS c
         LEFT JOIN staged_units AS s ON s.unit_ref = c.unit_ref
         LEFT JOIN units AS u ON u.unit_ref = c.unit_ref
         LEFT JOIN units AS p ON p.id = u.replaces_unit_id
         WHERE coalesce(s.kind, u.kind) IS NOT NULL";
    let page = Page::of_texts("name", units.iter().copied());
    let query = select("units", columns, rest).with(CHAIN).page(page);
    let link = |mut row: Row| {
        Ok(UnitLink {
            unit_ref: row.get("unit_ref")?,
            kind: row.get("kind")?,
            replaces: row.get("replaces")?,
        })
    };
    query.rows(on).await?.into_iter().map(link).collect()
}
