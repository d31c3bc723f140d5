//! Rows of several files, staged on one connection and applied together.

use std::collections::BTreeSet;

use super::ImportError;
use super::ahead::Ahead;
use super::links::Links;
use super::page::{Done, Page, RefusedRow};
use crate::case::Entity;
use crate::intake::{Header, RawRow, Rules, parent_fact};
use crate::policy::Instant;
use crate::store::import::{
    Merged, has_stored, parent_facts, rows_stage, rows_staged, rows_stored, staging_close,
    staging_merge, staging_open,
};
use crate::store::{Session, StoreError};

/// See the module.
pub(super) struct Batch<'a> {
    staging: Staging<'a>,
    links: Links,
}

/// The database's part of a batch.
struct Staging<'a> {
    conn: &'a mut Session,
    rules: Rules<'a>,
    /// The kinds of which there are rows, from before and from this batch:
    /// where there are none, none is looked up.
    stored: BTreeSet<Entity>,
    staged: BTreeSet<Entity>,
}

impl<'a> Batch<'a> {
    pub async fn open(conn: &'a mut Session, rules: Rules<'a>) -> Result<Self, StoreError> {
        staging_open(conn).await?;
        let mut stored = BTreeSet::new();
        for entity in <Entity as strum::VariantArray>::VARIANTS {
            if has_stored(conn, *entity).await? {
                stored.insert(*entity);
            }
        }
        let staging = Staging {
            conn,
            rules,
            stored,
            staged: BTreeSet::new(),
        };
        Ok(Self {
            staging,
            links: Links::default(),
        })
    }

    /// Checks and stages rows of the file at a place of the batch: while a
    /// page is checked the database stages the one before and looks up the
    /// next. `done` is told what became of each page.
    pub async fn stage(
        &mut self,
        file: usize,
        header: &Header,
        mut rows: Ahead,
        mut done: impl FnMut(Done) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let Self { staging, links } = self;
        let rules = staging.rules;
        let mut before = Page::default();
        let mut next = staging.next(file, header, &mut rows).await?;
        while let Some(mut page) = next {
            let database = async {
                staging.stage(header.entity, &before).await?;
                staging.next(file, header, &mut rows).await
            };
            let checked = page.check(header, &before, rules, links);
            let (became, found) = tokio::join!(checked, database);
            next = found?;
            done(became)?;
            before = page;
        }
        Ok(staging.stage(header.entity, &before).await?)
    }

    /// Takes back the units whose replacements cannot be; call it when all
    /// units are staged.
    pub async fn refuse_broken_links(&mut self) -> Result<Vec<RefusedRow>, StoreError> {
        self.links.refuse_broken(self.staging.conn).await
    }

    /// Forgets what is staged.
    pub async fn leave(self) -> Result<(), StoreError> {
        staging_close(self.staging.conn).await
    }

    /// Applies what is staged.
    pub async fn merge(self, source: &str, now: Instant) -> Result<Merged, StoreError> {
        let merged = staging_merge(self.staging.conn, source, now).await?;
        staging_close(self.staging.conn).await?;
        Ok(merged)
    }
}

impl Staging<'_> {
    /// The next page with what is known of it; `None` at the end of the file.
    async fn next(
        &mut self,
        file: usize,
        header: &Header,
        rows: &mut Ahead,
    ) -> Result<Option<Page>, ImportError> {
        let rows = rows.page().await?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.look_up(file, header, rows).await?))
    }

    async fn look_up(
        &mut self,
        file: usize,
        header: &Header,
        rows: Vec<RawRow>,
    ) -> Result<Page, StoreError> {
        let entity = header.entity;
        let mut page = Page::new(file, header, rows, self.rules);
        if self.stored.contains(&entity) {
            page.known = rows_stored(self.conn, entity, &page.keys()).await?;
        }
        if self.staged.contains(&entity) {
            let staged = rows_staged(self.conn, entity, &page.keys()).await?;
            for (place, facts) in staged {
                if let Some(known) = page.known.get_mut(place) {
                    known.staged = Some(facts);
                }
            }
        }
        if let Some((parent, fact)) = parent_fact(entity) {
            let names: Vec<&str> = page.parent_names(header).into_iter().collect();
            page.parents = parent_facts(self.conn, parent, fact, &names).await?;
        }
        Ok(page)
    }

    async fn stage(&mut self, entity: Entity, page: &Page) -> Result<(), StoreError> {
        let rows = page.staged();
        if rows.is_empty() {
            return Ok(());
        }
        self.staged.insert(entity);
        rows_stage(self.conn, entity, &rows).await
    }
}
