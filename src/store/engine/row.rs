//! Reading rows; what cannot be read is named by table, column and row.

use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate};

use super::StoreError;
use super::cell::Cell;
use crate::policy::{Instant, PolicyId};

/// Rows that were read: cell after cell, and the texts of all in one, so that
/// a row costs no memory of its own.
#[derive(Debug)]
pub struct Rows {
    table: &'static str,
    columns: Vec<String>,
    cells: Vec<Held>,
    texts: String,
}

#[derive(Debug)]
enum Held {
    Null,
    Int(i64),
    /// A part of the texts.
    Text(Range<usize>),
}

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub enum Value<'r> {
    Null,
    Int(i64),
    Text(&'r str),
}

impl Rows {
    /// No rows yet.
    pub(super) fn new(table: &'static str, columns: Vec<String>) -> Self {
        Self {
            table,
            columns,
            cells: Vec::new(),
            texts: String::new(),
        }
    }

    /// How many columns a row has.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Adds a cell to the last row, or to a new one if that is full.
    pub(super) fn push(&mut self, value: Value<'_>) {
        self.cells.push(match value {
            Value::Null => Held::Null,
            Value::Int(value) => Held::Int(value),
            Value::Text(text) => {
                let from = self.texts.len();
                self.texts.push_str(text);
                Held::Text(from..self.texts.len())
            }
        });
    }

    /// One by one.
    pub(super) fn into_rows(self) -> Vec<Row> {
        let width = self.columns.len().max(1);
        let has_id = self.columns.first().is_some_and(|name| name == "id");
        let rows = Arc::new(self);
        let row = |place: usize| {
            let first = place * width;
            let id = match rows.cells.get(first) {
                Some(Held::Int(id)) if has_id => *id,
                _ => place as i64 + 1,
            };
            let rows = Arc::clone(&rows);
            Row {
                rows,
                first,
                id,
                next: 0,
            }
        };
        (0..rows.cells.len() / width).map(row).collect()
    }

    fn value(&self, at: usize) -> Value<'_> {
        match self.cells.get(at) {
            None | Some(Held::Null) => Value::Null,
            Some(Held::Int(value)) => Value::Int(*value),
            Some(Held::Text(part)) => Value::Text(&self.texts[part.clone()]),
        }
    }
}

/// A row that was read.
#[derive(Debug)]
pub struct Row {
    rows: Arc<Rows>,
    /// Its first cell's place.
    first: usize,
    /// The row's number, for messages.
    id: i64,
    /// The column after the one that was read last: most are read in order.
    next: usize,
}

/// What a cell can be read as.
pub trait FromCell: Sized {
    /// What is expected, for messages.
    const EXPECTED: &'static str;
    /// The value, if it is one.
    fn from_cell(cell: Value<'_>) -> Option<Self>;
}

macro_rules! from_cell {
    ($($target:ty, $expected:literal: $cell:pat => $value:expr;)+) => {
        $(impl FromCell for $target {
            const EXPECTED: &'static str = $expected;
            fn from_cell(cell: Value<'_>) -> Option<Self> {
                match cell {
                    $cell => Some($value),
                    _ => None,
                }
            }
        })+
    };
}

from_cell! {
    i64, "a number": Value::Int(value) => value;
    bool, "a flag": Value::Int(value) => value != 0;
    String, "a text": Value::Text(value) => value.to_owned();
}

impl<T: FromCell> FromCell for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_cell(cell: Value<'_>) -> Option<Self> {
        match cell {
            Value::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

impl Row {
    /// The row's number: its column `id`, if it has one.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The value of a column.
    pub fn get<T: FromCell>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let place = self.place(column)?;
        let value = self.rows.value(place);
        T::from_cell(value).ok_or_else(|| self.bad(column, shown(value), T::EXPECTED))
    }

    fn place(&mut self, column: &'static str) -> Result<usize, StoreError> {
        let columns = &self.rows.columns;
        let at = match columns.get(self.next).is_some_and(|name| name == column) {
            true => Some(self.next),
            false => columns.iter().position(|name| name == column),
        };
        let Some(at) = at else {
            let found = "no such column".to_owned();
            return Err(self.bad(column, found, "one that was asked for"));
        };
        self.next = at + 1;
        Ok(self.first + at)
    }

    /// The text of a column; `None`: none, or an empty one.
    fn text(&mut self, column: &'static str) -> Result<Option<&str>, StoreError> {
        let place = self.place(column)?;
        match self.rows.value(place) {
            Value::Null | Value::Text("") => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            value => Err(self.bad(column, shown(value), "a text")),
        }
    }

    /// A time.
    pub fn time(&mut self, column: &'static str) -> Result<Instant, StoreError> {
        let micros = self.get(column)?;
        self.instant(column, micros)
    }

    /// A time that may not be known.
    pub fn time_if_known(&mut self, column: &'static str) -> Result<Option<Instant>, StoreError> {
        let micros: Option<i64> = self.get(column)?;
        micros
            .map(|micros| self.instant(column, micros))
            .transpose()
    }

    fn instant(&self, column: &'static str, micros: i64) -> Result<Instant, StoreError> {
        let at = DateTime::from_timestamp_micros(micros);
        at.ok_or_else(|| self.bad(column, micros.to_string(), "microseconds"))
    }

    /// A flag; not known is `false`.
    pub fn flag(&mut self, column: &'static str) -> Result<bool, StoreError> {
        Ok(self.get::<Option<bool>>(column)?.unwrap_or(false))
    }

    /// A value with a text of its own.
    pub fn parse<T: FromStr>(
        &mut self,
        column: &'static str,
        expected: &'static str,
    ) -> Result<T, StoreError> {
        let value = self.parse_if_given(column, expected)?;
        value.ok_or_else(|| self.bad(column, "nothing".to_owned(), expected))
    }

    /// As [`Row::parse`], where an empty text or none is no value.
    pub fn parse_if_given<T: FromStr>(
        &mut self,
        column: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let Some(text) = self.text(column)? else {
            return Ok(None);
        };
        let value = text.parse().map_err(|_| text.to_owned());
        value
            .map(Some)
            .map_err(|text| self.bad(column, text, expected))
    }

    /// A date that may be missing.
    pub fn date_if_known(&mut self, column: &'static str) -> Result<Option<NaiveDate>, StoreError> {
        let Some(text) = self.text(column)? else {
            return Ok(None);
        };
        match date(text) {
            Some(date) => Ok(Some(date)),
            None => {
                let text = text.to_owned();
                Err(self.bad(column, text, "a date"))
            }
        }
    }

    /// A policy's version, `NAME@DATE`.
    pub fn policy(&mut self, column: &'static str) -> Result<PolicyId, StoreError> {
        let text = self.text(column)?.unwrap_or("");
        let id = text.rsplit_once('@').and_then(|(name, date)| {
            Some(PolicyId {
                name: name.to_owned(),
                effective_from: self::date(date)?,
            })
        });
        let text = match id {
            Some(id) => return Ok(id),
            None => text.to_owned(),
        };
        Err(self.bad(column, text, "name@date"))
    }

    /// The error of a column that holds what it cannot hold.
    pub fn bad(&self, column: &'static str, found: String, expected: &'static str) -> StoreError {
        StoreError::Row {
            table: self.rows.table,
            column,
            row: self.id,
            found,
            expected,
        }
    }
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Text(text) => text.to_owned(),
    }
}

impl Row {
    /// All columns.
    pub(super) fn into_cells(self) -> Vec<Cell> {
        let places = self.first..self.first + self.rows.columns.len();
        let cell = |place| match self.rows.value(place) {
            Value::Null => Cell::Null,
            Value::Int(value) => Cell::Int(value),
            Value::Text(text) => Cell::from(text),
        };
        places.map(cell).collect()
    }

    /// The only column.
    pub(super) fn only<T: FromCell>(self) -> Result<T, StoreError> {
        let value = self.rows.value(self.first);
        T::from_cell(value).ok_or_else(|| self.bad("value", shown(value), T::EXPECTED))
    }
}

impl Rows {
    /// Rows of one statement again, with other values in some of their cells:
    /// those for which `replaced` gives one, by the row's number and the column.
    pub fn rewritten(
        rows: Vec<Row>,
        mut replaced: impl FnMut(i64, &str) -> Option<Cell>,
    ) -> Vec<Row> {
        let Some(first) = rows.first() else {
            return rows;
        };
        let mut all = Self::new(first.rows.table, first.rows.columns.clone());
        for row in &rows {
            for (at, column) in row.rows.columns.iter().enumerate() {
                match replaced(row.id, column) {
                    None => all.push(row.rows.value(row.first + at)),
                    Some(Cell::Null) => all.push(Value::Null),
                    Some(Cell::Int(value)) => all.push(Value::Int(value)),
                    Some(Cell::Text(text)) => all.push(Value::Text(&text)),
                }
            }
        }
        all.into_rows()
    }
}

/// A date, year first. Reports read two a row, and chrono takes five times as
/// long.
fn date(text: &str) -> Option<NaiveDate> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}
