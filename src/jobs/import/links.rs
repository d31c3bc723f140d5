//! Replacements of units: whether they can be is known when all units are.

use std::collections::BTreeMap;

use super::page::{RefusedRow, RowOutcome, prior, staged_row};
use crate::case::{Entity, Value};
use crate::intake::{Facts, Link, RawRow, broken_links};
use crate::store::import::{KnownRow, StagedRow, rows_stage, rows_unstage, unit_links};
use crate::store::{Session, StoreError};

/// The units that a row gave another kind or another unit to replace, by name.
#[derive(Default)]
pub(super) struct Links {
    relinked: BTreeMap<String, Relinked>,
}

/// A unit with its rows, kept until it is known whether they can be taken.
struct Relinked {
    before: KnownRow,
    rows: Vec<(usize, RawRow, RowOutcome)>,
}

impl Links {
    /// Keeps a row that may have to be refused. `known` is what was known
    /// before it, `facts` what it makes of the unit.
    pub fn watch(&mut self, known: &KnownRow, facts: &Facts, row: (usize, RawRow, RowOutcome)) {
        let (Some(now), Some(Value::Text(name))) =
            (link(facts), facts.first().and_then(Option::as_ref))
        else {
            return;
        };
        let is_relinked = match prior(known).and_then(link) {
            None => now.replaces.is_some(),
            Some(before) => before != now,
        };
        if let Some(relinked) = self.relinked.get_mut(name) {
            relinked.rows.push(row);
        } else if is_relinked {
            let relinked = Relinked {
                before: known.clone(),
                rows: vec![row],
            };
            self.relinked.insert(name.clone(), relinked);
        }
    }

    /// Takes back the units whose replacements cannot be.
    pub async fn refuse_broken(
        &mut self,
        conn: &mut Session,
    ) -> Result<Vec<RefusedRow>, StoreError> {
        let before = |relinked: &Relinked| prior(&relinked.before).and_then(link);
        let changed: BTreeMap<String, Option<Link>> = self
            .relinked
            .iter()
            .map(|(name, relinked)| (name.clone(), before(relinked)))
            .collect();
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = changed.keys().map(String::as_str).collect();
        let links = unit_links(conn, &names).await?;
        let links = links.into_iter().map(|unit| {
            let link = Link {
                kind: unit.kind,
                replaces: unit.replaces,
            };
            (unit.unit_ref, link)
        });
        let broken = broken_links(links.collect(), changed);
        self.take_back(conn, broken).await
    }

    async fn take_back(
        &mut self,
        conn: &mut Session,
        broken: Vec<(String, String)>,
    ) -> Result<Vec<RefusedRow>, StoreError> {
        let names: Vec<&str> = broken.iter().map(|(name, _)| name.as_str()).collect();
        rows_unstage(conn, &names).await?;
        let mut refused = Vec::new();
        let mut restored = Vec::new();
        for (name, error) in broken {
            let Some(relinked) = self.relinked.remove(&name) else {
                continue;
            };
            refused.extend(
                relinked
                    .rows
                    .into_iter()
                    .map(|(file, row, was)| RefusedRow {
                        file,
                        row,
                        error: error.clone(),
                        was: Some(was),
                    }),
            );
            restored.push(relinked.before);
        }
        let staged: Vec<StagedRow<'_>> = restored.iter().filter_map(staged_row).collect();
        rows_stage(conn, Entity::Units, &staged).await?;
        Ok(refused)
    }
}

fn link(facts: &Facts) -> Option<Link> {
    let text = |name: &str| match facts.get(Entity::Units.field(name)?)? {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    Some(Link {
        kind: text("kind")?,
        replaces: text("replaces_unit_ref"),
    })
}
