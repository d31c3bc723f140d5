//! A page of rows: what is known of each, and what became of it.

use std::collections::{HashMap, HashSet};

use super::links::Links;
use crate::case::{Entity, Value};
use crate::intake::{Facts, Header, Key, RawRow, Rules, check, key_of, parent_of};
use crate::store::import::{KnownRow, StagedRow};

/// So many rows are checked before the database is looked after.
const BREATH: usize = 250;

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
pub(super) struct Done {
    pub outcomes: Vec<RowOutcome>,
    pub refused: Vec<RefusedRow>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Page {
    file: usize,
    /// Rows to check, each with the place of its key.
    rows: Vec<(RawRow, usize)>,
    places: HashMap<Key, usize>,
    /// Of each key.
    pub known: Vec<KnownRow>,
    differs: Vec<bool>,
    /// The facts of parents that the rows are held against, by name.
    pub parents: HashMap<String, Value>,
    done: Done,
}

impl Page {
    /// Takes rows of the file at a place of the batch; refuses those that
    /// cannot be read, or have no name.
    pub fn new(file: usize, header: &Header, rows: Vec<RawRow>, rules: Rules<'_>) -> Self {
        let mut page = Self {
            file,
            places: HashMap::with_capacity(rows.len()),
            ..Self::default()
        };
        for mut row in rows {
            let key = match row.problem.take() {
                Some(problem) => Err(problem),
                None => key_of(header, &row, rules),
            };
            match key {
                Err(error) => page.refuse(row, error),
                Ok(key) => {
                    let next = page.places.len();
                    let place = *page.places.entry(key).or_insert(next);
                    page.rows.push((row, place));
                }
            }
        }
        page.known = vec![KnownRow::default(); page.places.len()];
        page
    }

    /// What the rows are known by, each once, in the order of `known`.
    pub fn keys(&self) -> Vec<&Key> {
        let mut keys: Vec<(&Key, &usize)> = self.places.iter().collect();
        keys.sort_unstable_by_key(|(_, place)| **place);
        keys.into_iter().map(|(key, _)| key).collect()
    }

    /// The names of the rows' parents, each once.
    pub fn parent_names<'a>(&'a self, header: &'a Header) -> HashSet<&'a str> {
        let rows = self.rows.iter();
        rows.filter_map(|(row, place)| {
            parent_of(header, row, self.known.get(*place).and_then(prior))
        })
        .collect()
    }

    /// Holds the rows against the rules and what is known of them. `before` is
    /// the page before, which may not have been staged when this one was
    /// looked up.
    pub async fn check(
        &mut self,
        header: &Header,
        before: &Page,
        rules: Rules<'_>,
        links: &mut Links,
    ) -> Done {
        self.differs = vec![false; self.known.len()];
        for (key, place) in &self.places {
            if let Some(facts) = before.staged_facts(key)
                && let Some(known) = self.known.get_mut(*place)
            {
                known.staged = Some(facts.clone());
            }
        }
        for (at, (row, place)) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            self.check_row(header, row, place, rules, links);
            if at % BREATH == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut done = std::mem::take(&mut self.done);
        done.refused.sort_by_key(|refused| refused.row.line);
        done
    }

    fn check_row(
        &mut self,
        header: &Header,
        row: RawRow,
        place: usize,
        rules: Rules<'_>,
        links: &mut Links,
    ) {
        let known = self.known.get_mut(place);
        let (Some(known), Some(differs)) = (known, self.differs.get_mut(place)) else {
            return;
        };
        let prior = prior(known);
        let parent = parent_of(header, &row, prior).and_then(|name| self.parents.get(name));
        let facts = match check(header, &row, prior, parent, rules) {
            Ok(facts) => facts,
            Err(error) => return self.refuse(row, error),
        };
        let outcome = match prior {
            None => RowOutcome::New,
            Some(prior) if *prior == facts => RowOutcome::Unchanged,
            Some(_) => RowOutcome::Changed,
        };
        self.done.outcomes.push(outcome);
        if header.entity == Entity::Units {
            links.watch(known, &facts, (self.file, row, outcome));
        }
        if outcome != RowOutcome::Unchanged {
            *differs = true;
            known.staged = Some(facts);
        }
    }

    /// The rows to stage.
    pub fn staged(&self) -> Vec<StagedRow<'_>> {
        let rows = std::iter::zip(&self.known, &self.differs);
        rows.filter(|(_, differs)| **differs)
            .filter_map(|(known, _)| staged_row(known))
            .collect()
    }

    /// What this page stages of a row.
    fn staged_facts(&self, key: &Key) -> Option<&Facts> {
        self.known.get(*self.places.get(key)?)?.staged.as_ref()
    }

    fn refuse(&mut self, row: RawRow, error: String) {
        self.done.refused.push(RefusedRow {
            file: self.file,
            row,
            error,
            was: None,
        });
    }
}

/// The facts of a row as the batch has them so far.
pub(super) fn prior(known: &KnownRow) -> Option<&Facts> {
    known.staged.as_ref().or(known.stored.as_ref())
}

/// A row as it is staged, if it is.
pub(super) fn staged_row(known: &KnownRow) -> Option<StagedRow<'_>> {
    let facts = known.staged.as_ref()?;
    Some(StagedRow { known, facts })
}
