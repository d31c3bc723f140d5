//! One text for both engines, and how it is run on either.
//!
//! A statement is written once, in the subset that both engines know, with
//! `$1 …` for single parameters and these tokens for what differs:
//!
//! | token | is |
//! |---|---|
//! | `{page}` | the statement's page as a table, see [`Page`] |
//! | `{then}` | a join whose left side is looked through first |
//! | `{lock}` | locks the rows that are read, where rows can be locked |
//! | `{lock free}` | the same, but leaves out those that another holds |
//! | `{lock shared}` | the same, but others may hold them so, too |
//! | `{elements X}` | the elements of a JSON list, as a table with the column `value` |
//! | `{clock}` | the database's own clock, in microseconds: for leases alone |
//! | `{lease}` | by that clock, until when a lease holds that is given now |
//!
//! Rows come back as [`Row`]s whatever the engine. SQLite gives a page of them
//! as one JSON value: a row at a time costs several times as much.
//!
//! With `RUST_LOG=warrantyd::store=trace` the log says which statements are
//! run, by their place in the source; by it a test sees that it met them all.

use std::borrow::Cow;
use std::panic::Location;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::cell::{Page, Scalar};
use super::link::{Conn, Link};
use super::row::{FromCell, Row};
use super::{StoreError, postgres, sqlite};

/// A statement with its parameters.
#[derive(Debug)]
pub struct Statement {
    /// Where it is written, for the log.
    place: &'static Location<'static>,
    pub(super) table: &'static str,
    /// Before `SELECT`.
    with: Cow<'static, str>,
    /// What is selected or returned; empty: the statement gives no rows.
    columns: Vec<Cow<'static, str>>,
    text: Cow<'static, str>,
    is_select: bool,
    pub(super) scalars: Vec<Scalar>,
    pub(super) page: Option<Page>,
}

/// A query of columns; `rest` goes on with `FROM`. `table` is named where a
/// row cannot be read.
#[track_caller]
pub fn select<C: Into<Cow<'static, str>>>(
    table: &'static str,
    columns: impl IntoIterator<Item = C>,
    rest: impl Into<Cow<'static, str>>,
) -> Statement {
    Statement {
        place: Location::caller(),
        table,
        with: Cow::Borrowed(""),
        columns: columns.into_iter().map(C::into).collect(),
        text: rest.into(),
        is_select: true,
        scalars: Vec::new(),
        page: None,
    }
}

/// A statement that writes.
#[track_caller]
pub fn write(text: impl Into<Cow<'static, str>>) -> Statement {
    Statement {
        place: Location::caller(),
        table: "",
        with: Cow::Borrowed(""),
        columns: Vec::new(),
        text: text.into(),
        is_select: false,
        scalars: Vec::new(),
        page: None,
    }
}

impl Statement {
    /// What stands before `SELECT`: common table expressions.
    pub fn with(mut self, with: impl Into<Cow<'static, str>>) -> Self {
        self.with = with.into();
        self
    }

    /// What a statement that writes gives back, written `RETURNING` these.
    pub fn returning(mut self, table: &'static str, columns: &[&'static str]) -> Self {
        self.table = table;
        self.columns = columns.iter().copied().map(Cow::Borrowed).collect();
        self
    }

    /// The next single parameter.
    pub fn bind(mut self, value: impl Into<Scalar>) -> Self {
        self.scalars.push(value.into());
        self
    }

    /// The set parameter.
    pub fn page(mut self, page: Page) -> Self {
        self.page = Some(page);
        self
    }

    /// Runs it; gives the number of rows that it changed.
    pub async fn execute(self, on: &mut impl Link) -> Result<u64, StoreError> {
        self.log();
        let reads_only = on.reads_only();
        match on.conn() {
            Conn::Sqlite(conn) => sqlite::execute(self, conn).await,
            Conn::Postgres(conn) => postgres::execute(self, reads_only, conn).await,
        }
    }

    /// Runs it; gives its rows.
    pub async fn rows(self, on: &mut impl Link) -> Result<Vec<Row>, StoreError> {
        self.log();
        let reads_only = on.reads_only();
        match on.conn() {
            Conn::Sqlite(conn) => sqlite::rows(self, conn).await,
            Conn::Postgres(conn) => postgres::rows(self, reads_only, conn).await,
        }
    }

    /// Runs it; gives its first row, if there is one.
    pub async fn row(self, on: &mut impl Link) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(on).await?.into_iter().next())
    }

    /// Runs it; gives its only row.
    pub async fn one(self, on: &mut impl Link) -> Result<Row, StoreError> {
        let row = self.row(on).await?;
        row.ok_or(StoreError::Sql(sqlx::Error::RowNotFound))
    }

    /// Runs it; gives its only column.
    pub async fn values<T: FromCell>(self, on: &mut impl Link) -> Result<Vec<T>, StoreError> {
        let rows = self.rows(on).await?;
        rows.into_iter().map(Row::only).collect()
    }

    /// Runs it; gives the only column of its first row, if there is one.
    pub async fn value<T: FromCell>(self, on: &mut impl Link) -> Result<Option<T>, StoreError> {
        self.row(on).await?.map(Row::only).transpose()
    }

    /// How SQLite would run it.
    #[cfg(test)]
    pub async fn plan(self, on: &mut impl Link) -> Result<Vec<String>, StoreError> {
        match on.conn() {
            Conn::Sqlite(conn) => sqlite::plan(self, conn).await,
            Conn::Postgres(_) => Ok(Vec::new()),
        }
    }

    fn log(&self) {
        tracing::trace!(place = %self.place, "statement");
    }

    /// Whether it can be selected from.
    pub(super) fn is_select(&self) -> bool {
        self.is_select
    }

    /// The text with the tokens still in it; `shown` gives each column's text.
    pub(super) fn text(&self, shown: impl Fn(usize, &str) -> String) -> String {
        if !self.is_select {
            let names = self.columns.join(", ");
            return match names.is_empty() {
                true => self.text.clone().into_owned(),
                false => format!("{} RETURNING {names}", self.text),
            };
        }
        let columns = self.columns.iter().enumerate();
        let columns: Vec<String> = columns.map(|(at, text)| shown(at, text)).collect();
        let (with, rest) = (&self.with, &self.text);
        format!("{with} SELECT {} {rest}", columns.join(", "))
    }

    /// The names of its columns: what stands after `AS` or the last dot.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |text: &Cow<'static, str>| {
            let name = text.rsplit(" AS ").next().unwrap_or(text);
            let name = name.rsplit('.').next().unwrap_or(name);
            name.trim_matches('"').to_owned()
        };
        self.columns.iter().map(name).collect()
    }
}

/// The text with its tokens replaced.
pub(super) fn expanded(text: &str, token: impl Fn(&str) -> String) -> SqlStr {
    let mut expanded = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        expanded += before;
        expanded += &token(name);
        rest = after;
    }
    expanded += rest;
    AssertSqlSafe(expanded).into_sql_str()
}
