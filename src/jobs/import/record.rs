//! One fact, or a few of one row, from the command line.

use chrono::SecondsFormat;

use super::ImportError;
use super::ahead::Ahead;
use super::batch::Batch;
use super::page::Done;
use crate::case::{Entity, FactType};
use crate::intake::{Header, RawRow, Rules};
use crate::policy::Instant;
use crate::store::Session;
use crate::store::import::Merged;

/// What `warrantyd record` was told.
#[derive(Debug, Clone, Copy)]
pub struct Recording<'a> {
    /// What the row is.
    pub entity: Entity,
    /// The row's own name; of a wait, its claim's.
    pub name: &'a str,
    /// `NAME=VALUE`, or `NAME` alone: a time is then `at`, a flag `true`, and
    /// `repaired` is short for `repaired_at`.
    pub facts: &'a [String],
    /// When it happened.
    pub at: Instant,
    /// Who says so, if that is known.
    pub person: Option<&'a str>,
}

/// Records facts of one row, under the checks of an import. The row is known,
/// or all that is required of it is given.
pub async fn record(
    conn: &mut Session,
    recording: Recording<'_>,
    rules: Rules<'_>,
    now: Instant,
) -> Result<Merged, ImportError> {
    let entity = recording.entity;
    let own_name = entity.fields().first().map_or("", |field| field.name);
    let mut names = vec![own_name.to_owned()];
    let mut cells = vec![recording.name.to_owned()];
    for fact in recording.facts {
        let (name, cell) = cell(entity, fact, recording.at).map_err(ImportError::Refused)?;
        names.push(name.to_owned());
        cells.push(cell);
    }
    let mut source = format!(
        "record {} {} {}",
        entity.one(),
        recording.name,
        names.get(1..).unwrap_or_default().join(" ")
    );
    if let Some(person) = recording.person {
        source += &format!(" by {person}");
    }
    let header = Header::of(entity, names).map_err(ImportError::Refused)?;
    let row = RawRow {
        line: 1,
        cells: cells.iter().collect(),
        problem: None,
    };
    let mut batch = Batch::open(conn, rules).await?;
    let mut refused = Vec::new();
    let done = |page: Done| {
        refused = page.refused;
        Ok(())
    };
    batch.stage(0, &header, Ahead::of(vec![row]), done).await?;
    refused.extend(batch.refuse_broken_links().await?);
    if let Some(refused) = refused.into_iter().next() {
        return Err(ImportError::Refused(refused.error));
    }
    Ok(batch.merge(&source, now).await?)
}

/// The column and the cell that a fact stands for.
fn cell(entity: Entity, fact: &str, at: Instant) -> Result<(&'static str, String), String> {
    let (name, value) = match fact.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (fact, None),
    };
    let fields = entity.fields();
    let named = |name: &str| fields.iter().find(|field| field.name == name);
    let Some(field) = named(name).or_else(|| named(&format!("{name}_at"))) else {
        let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
        return Err(format!(
            "`{name}` is not a fact of {}s: expected one of {}",
            entity.one(),
            known.join(", ")
        ));
    };
    let cell = match (value, field.fact_type) {
        (Some(value), _) if !value.trim().is_empty() => value.to_owned(),
        (None, FactType::Time) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        (None, FactType::Flag) => "true".to_owned(),
        _ => {
            return Err(format!(
                "{0}: found no value, expected `{0}=VALUE`, or `{0}=null` to erase it",
                field.name
            ));
        }
    };
    Ok((field.name, cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_named_in_full_or_in_short() {
        let at: Instant = "2026-03-01T09:00:00.5Z".parse().unwrap();
        for (entity, fact, expected) in [
            (
                Entity::Claims,
                "repaired",
                Ok(("repaired_at", "2026-03-01T09:00:00.500Z")),
            ),
            (
                Entity::Claims,
                "repaired_at=null",
                Ok(("repaired_at", "null")),
            ),
            (
                Entity::Claims,
                "assignee_email=a@example.com",
                Ok(("assignee_email", "a@example.com")),
            ),
            (Entity::Claims, "withdrawn", Ok(("withdrawn", "true"))),
            (
                Entity::Waits,
                "until",
                Ok(("until", "2026-03-01T09:00:00.500Z")),
            ),
            (
                Entity::Waits,
                "mended",
                Err(
                    "`mended` is not a fact of waits: expected one of claim_ref, from, until, withdrawn",
                ),
            ),
            (
                Entity::Claims,
                "type",
                Err("type: found no value, expected `type=VALUE`, or `type=null` to erase it"),
            ),
            (
                Entity::Claims,
                "repaired=",
                Err(
                    "repaired_at: found no value, expected `repaired_at=VALUE`, or `repaired_at=null` to erase it",
                ),
            ),
        ] {
            let expected = expected
                .map(|(name, cell)| (name, cell.to_owned()))
                .map_err(str::to_owned);
            assert_eq!(cell(entity, fact, at), expected, "{fact}");
        }
    }
}
