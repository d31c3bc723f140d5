//! Where checked rows meet what is known of them: a page at a time.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::case::{Entity, Value};
use crate::intake::{
    Facts, Header, Key, Link, RawRow, Rules, broken_links, check, key_of, parent_fact, parent_of,
};
use crate::policy::Instant;
use crate::store::import::{
    KnownRow, Merged, StagedRow, parent_facts, rows_known, rows_stage, rows_unstage, staging_close,
    staging_merge, staging_open, unit_links,
};
use crate::store::{Session, StoreError};

/// What a row did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowOutcome {
    New,
    Changed,
    Unchanged,
}

/// A row that was refused.
pub(super) struct RefusedRow {
    /// The place of its file in the batch.
    pub file: usize,
    pub row: RawRow,
    pub error: String,
    /// What it was counted as before.
    pub was: Option<RowOutcome>,
}

/// What became of a page's rows.
#[derive(Default)]
pub(super) struct Page {
    pub outcomes: Vec<RowOutcome>,
    pub refused: Vec<RefusedRow>,
}

/// Rows of several files, staged on one connection.
pub(super) struct Batch<'a> {
    conn: &'a mut Session,
    rules: Rules<'a>,
    relinked: BTreeMap<String, Relinked>,
}

/// A unit that a row gave another kind or another unit to replace. Whether it
/// may be is known when all units are; until then its rows are kept.
struct Relinked {
    before: KnownRow,
    rows: Vec<(usize, RawRow, RowOutcome)>,
}

/// A row that is known by something, and the place of that in the page's keys.
struct KeyedRow {
    row: RawRow,
    key: usize,
}

impl<'a> Batch<'a> {
    pub async fn open(conn: &'a mut Session, rules: Rules<'a>) -> Result<Self, StoreError> {
        staging_open(conn).await?;
        Ok(Self {
            conn,
            rules,
            relinked: BTreeMap::new(),
        })
    }

    /// Checks and stages rows of the file at a place of the batch.
    pub async fn stage(
        &mut self,
        file: usize,
        header: &Header,
        rows: Vec<RawRow>,
    ) -> Result<Page, StoreError> {
        let entity = header.entity;
        let mut page = Page::default();
        let (keys, rows) = self.keyed(file, header, rows, &mut page);
        let mut known = rows_known(self.conn, entity, &keys).await?;
        let parents = self.parents(header, &rows, &known).await?;
        let mut differs = vec![false; known.len()];
        for KeyedRow { row, key } in rows {
            let (Some(known), Some(differs)) = (known.get_mut(key), differs.get_mut(key)) else {
                continue;
            };
            let prior = prior(known);
            let parent = parent_of(header, &row, prior).and_then(|name| parents.get(name));
            let facts = match check(header, &row, prior, parent, self.rules) {
                Ok(facts) => facts,
                Err(error) => {
                    page.refuse(file, row, error);
                    continue;
                }
            };
            let outcome = match prior {
                None => RowOutcome::New,
                Some(prior) if *prior == facts => RowOutcome::Unchanged,
                Some(_) => RowOutcome::Changed,
            };
            page.outcomes.push(outcome);
            if entity == Entity::Units {
                self.watch(known, &facts, (file, row, outcome));
            }
            *differs |= outcome != RowOutcome::Unchanged;
            known.staged = Some(facts);
        }
        let staged: Vec<StagedRow<'_>> = std::iter::zip(&known, differs)
            .filter(|(_, differs)| *differs)
            .filter_map(|(known, _)| staged_row(known))
            .collect();
        if !staged.is_empty() {
            rows_stage(self.conn, entity, &staged).await?;
        }
        page.refused.sort_by_key(|refused| refused.row.line);
        Ok(page)
    }

    /// The rows that can be read, and what they are known by, each once.
    fn keyed(
        &self,
        file: usize,
        header: &Header,
        rows: Vec<RawRow>,
        page: &mut Page,
    ) -> (Vec<Key>, Vec<KeyedRow>) {
        let mut places: HashMap<Key, usize> = HashMap::with_capacity(rows.len());
        let mut keys = Vec::with_capacity(rows.len());
        let mut keyed = Vec::with_capacity(rows.len());
        for mut row in rows {
            let key = match row.problem.take() {
                Some(problem) => Err(problem),
                None => key_of(header, &row, self.rules),
            };
            match key {
                Err(error) => page.refuse(file, row, error),
                Ok(key) => {
                    let place = *places.entry(key).or_insert_with_key(|key| {
                        keys.push(key.clone());
                        keys.len() - 1
                    });
                    keyed.push(KeyedRow { row, key: place });
                }
            }
        }
        (keys, keyed)
    }

    /// The facts of parents that the rows are held against.
    async fn parents(
        &mut self,
        header: &Header,
        rows: &[KeyedRow],
        known: &[KnownRow],
    ) -> Result<HashMap<String, Value>, StoreError> {
        let Some((parent, fact)) = parent_fact(header.entity) else {
            return Ok(HashMap::new());
        };
        let mut names = HashSet::with_capacity(rows.len());
        for KeyedRow { row, key } in rows {
            names.extend(parent_of(header, row, known.get(*key).and_then(prior)));
        }
        let names: Vec<&str> = names.into_iter().collect();
        parent_facts(self.conn, parent, fact, &names).await
    }

    fn watch(&mut self, known: &KnownRow, facts: &Facts, row: (usize, RawRow, RowOutcome)) {
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

    /// Takes back the units whose replacements cannot be; call it when all
    /// units are staged.
    pub async fn refuse_broken_links(&mut self) -> Result<Vec<RefusedRow>, StoreError> {
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
        let links = unit_links(self.conn, &names).await?;
        let links = links.into_iter().map(|unit| {
            let link = Link {
                kind: unit.kind,
                replaces: unit.replaces,
            };
            (unit.unit_ref, link)
        });
        let broken = broken_links(links.collect(), changed);
        self.take_back(broken).await
    }

    async fn take_back(
        &mut self,
        broken: Vec<(String, String)>,
    ) -> Result<Vec<RefusedRow>, StoreError> {
        let names: Vec<&str> = broken.iter().map(|(name, _)| name.as_str()).collect();
        rows_unstage(self.conn, &names).await?;
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
        rows_stage(self.conn, Entity::Units, &staged).await?;
        Ok(refused)
    }

    /// Applies what is staged.
    pub async fn merge(self, source: &str, now: Instant) -> Result<Merged, StoreError> {
        let merged = staging_merge(self.conn, source, now).await?;
        staging_close(self.conn).await?;
        Ok(merged)
    }
}

impl Page {
    fn refuse(&mut self, file: usize, row: RawRow, error: String) {
        self.refused.push(RefusedRow {
            file,
            row,
            error,
            was: None,
        });
    }
}

/// The facts of a row as the batch has them so far.
fn prior(known: &KnownRow) -> Option<&Facts> {
    known.staged.as_ref().or(known.stored.as_ref())
}

fn staged_row(known: &KnownRow) -> Option<StagedRow<'_>> {
    let facts = known.staged.as_ref()?;
    Some(StagedRow { known, facts })
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
