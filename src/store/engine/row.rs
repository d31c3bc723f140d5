//! Reading rows; what cannot be read is named by table, column and row.

use std::str::FromStr;
use std::sync::Arc;

use chrono::DateTime;

use super::StoreError;
use super::cell::Cell;
use crate::policy::{Instant, PolicyId};

/// A row that was read. Columns are taken out of it, at best in their order.
#[derive(Debug)]
pub struct Row {
    pub(super) table: &'static str,
    pub(super) columns: Arc<[String]>,
    pub(super) cells: Vec<Cell>,
    /// The row's number, for messages.
    pub(super) id: i64,
    pub(super) next: usize,
}

/// What a cell can be read as.
pub trait FromCell: Sized {
    /// What is expected, for messages.
    const EXPECTED: &'static str;
    /// The value; the cell itself if it is another.
    fn from_cell(cell: Cell) -> Result<Self, Cell>;
}

macro_rules! from_cell {
    ($($target:ty, $expected:literal: $cell:pat => $value:expr;)+) => {
        $(impl FromCell for $target {
            const EXPECTED: &'static str = $expected;
            fn from_cell(cell: Cell) -> Result<Self, Cell> {
                match cell {
                    $cell => Ok($value),
                    other => Err(other),
                }
            }
        })+
    };
}

from_cell! {
    i64, "a number": Cell::Int(value) => value;
    bool, "a flag": Cell::Int(value) => value != 0;
    String, "a text": Cell::Text(value) => value;
}

impl<T: FromCell> FromCell for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_cell(cell: Cell) -> Result<Self, Cell> {
        match cell {
            Cell::Null => Ok(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

impl Row {
    /// The row's number: its column `id`, if it has one.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The value of a column, taken out of the row.
    pub fn get<T: FromCell>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let cell = std::mem::take(self.cell(column)?);
        T::from_cell(cell).map_err(|cell| self.bad(column, shown(&cell), T::EXPECTED))
    }

    fn cell(&mut self, column: &'static str) -> Result<&mut Cell, StoreError> {
        let from_next = self.columns[self.next..].iter();
        let place = match from_next.clone().next().is_some_and(|name| name == column) {
            true => Some(self.next),
            false => self.columns.iter().position(|name| name == column),
        };
        let Some(place) = place.filter(|place| *place < self.cells.len()) else {
            return Err(self.bad(
                column,
                "no such column".to_owned(),
                "one that was asked for",
            ));
        };
        self.next = place + 1;
        Ok(&mut self.cells[place])
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
        let text: String = self.get(column)?;
        text.parse().map_err(|_| self.bad(column, text, expected))
    }

    /// As [`Row::parse`], where an empty text or none is no value.
    pub fn parse_if_given<T: FromStr>(
        &mut self,
        column: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.get(column)?;
        let given = text.filter(|text| !text.is_empty());
        given
            .map(|text| text.parse().map_err(|_| self.bad(column, text, expected)))
            .transpose()
    }

    /// A policy's version, `NAME@DATE`.
    pub fn policy(&mut self, column: &'static str) -> Result<PolicyId, StoreError> {
        let text: String = self.get(column)?;
        let parts = text.rsplit_once('@');
        let id = parts.and_then(|(name, date)| {
            Some(PolicyId {
                name: name.to_owned(),
                effective_from: date.parse().ok()?,
            })
        });
        id.ok_or_else(|| self.bad(column, text, "name@date"))
    }

    /// The error of a column that holds what it cannot hold.
    pub fn bad(&self, column: &'static str, found: String, expected: &'static str) -> StoreError {
        StoreError::Row {
            table: self.table,
            column,
            row: self.id,
            found,
            expected,
        }
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Null => "nothing".to_owned(),
        Cell::Int(value) => value.to_string(),
        Cell::Text(value) => value.clone(),
    }
}

impl Row {
    /// All columns.
    pub(super) fn into_cells(self) -> Vec<Cell> {
        self.cells
    }

    /// The only column.
    pub(super) fn only<T: FromCell>(mut self) -> Result<T, StoreError> {
        let cell = self.cells.pop().unwrap_or_default();
        T::from_cell(cell).map_err(|cell| self.bad("value", shown(&cell), T::EXPECTED))
    }
}
