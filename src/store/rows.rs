//! Between columns and values.

use std::str::FromStr;

use chrono::DateTime;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Row, Sqlite, Type};

use super::StoreError;
use crate::policy::{Instant, PolicyId};

/// Reads one row of a table; what cannot be read is named by table, column
/// and row.
pub(super) struct Reader<'r> {
    pub table: &'static str,
    /// The row's number, for messages.
    pub row: i64,
    columns: &'r SqliteRow,
}

impl<'r> Reader<'r> {
    /// A reader of a row whose number is in the column `id`.
    pub fn new(table: &'static str, columns: &'r SqliteRow) -> Result<Self, StoreError> {
        let row = columns.try_get("id")?;
        Ok(Self {
            table,
            row,
            columns,
        })
    }

    /// The value of a column as it is stored.
    pub fn get<'a, T>(&'a self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'a, Sqlite> + Type<Sqlite>,
        &'static str: ColumnIndex<SqliteRow>,
    {
        Ok(self.columns.try_get(column)?)
    }

    /// A time.
    pub fn time(&self, column: &'static str) -> Result<Instant, StoreError> {
        let micros = self.get(column)?;
        instant(micros).ok_or_else(|| self.bad(column, micros.to_string(), "microseconds"))
    }

    /// A time that may not be known.
    pub fn time_if_known(&self, column: &'static str) -> Result<Option<Instant>, StoreError> {
        match self.get::<Option<i64>>(column)? {
            None => Ok(None),
            Some(_) => self.time(column).map(Some),
        }
    }

    /// A flag; not known is `false`.
    pub fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        Ok(self.get::<Option<bool>>(column)?.unwrap_or(false))
    }

    /// A value with a text of its own.
    pub fn parse<T: FromStr>(
        &self,
        column: &'static str,
        expected: &'static str,
    ) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        text.parse().map_err(|_| self.bad(column, text, expected))
    }

    /// As [`Reader::parse`], where an empty text is no value.
    pub fn parse_if_given<T: FromStr>(
        &self,
        column: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, StoreError> {
        match self
            .get::<Option<String>>(column)?
            .unwrap_or_default()
            .is_empty()
        {
            true => Ok(None),
            false => self.parse(column, expected).map(Some),
        }
    }

    /// A policy's version, `NAME@DATE`.
    pub fn policy(&self, column: &'static str) -> Result<PolicyId, StoreError> {
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
            row: self.row,
            found,
            expected,
        }
    }
}

/// A stored time.
pub(super) fn instant(micros: i64) -> Option<Instant> {
    DateTime::from_timestamp_micros(micros)
}

/// A time as it is stored.
pub(super) fn micros(at: Instant) -> i64 {
    at.timestamp_micros()
}

/// A set of numbers as one parameter.
pub(super) fn set(numbers: &[i64]) -> String {
    serde_json::Value::from(numbers).to_string()
}
