//! Values between Rust and either engine.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::policy::Instant;

/// A value of a row, or of a page. A flag is a number: 0 or 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cell {
    #[default]
    Null,
    Int(i64),
    Text(String),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Text,
    /// A text of thousands of letters.
    LongText,
    Flag,
}

/// A single parameter: its type is known where its value is not.
#[derive(Debug, Clone)]
pub enum Scalar {
    Int(Option<i64>),
    Text(Option<String>),
    Flag(Option<bool>),
}

macro_rules! from {
    ($target:ident: $($source:ty, $value:ident => $cell:expr;)+) => {
        $(impl From<$source> for $target {
            fn from($value: $source) -> Self { $cell }
        })+
    };
}

from! { Cell:
    i64, value => Self::Int(value);
    bool, value => Self::Int(value.into());
    String, value => Self::Text(value);
    &str, value => Self::Text(value.to_owned());
    &String, value => Self::Text(value.clone());
    Instant, value => Self::Int(value.timestamp_micros());
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, T::into)
    }
}

from! { Scalar:
    i64, value => Self::Int(Some(value));
    Option<i64>, value => Self::Int(value);
    Instant, value => Self::Int(Some(value.timestamp_micros()));
    Option<Instant>, value => Self::Int(value.map(|at| at.timestamp_micros()));
    bool, value => Self::Flag(Some(value));
    String, value => Self::Text(Some(value));
    &str, value => Self::Text(Some(value.to_owned()));
    &String, value => Self::Text(Some(value.clone()));
    Option<&str>, value => Self::Text(value.map(str::to_owned));
    Option<String>, value => Self::Text(value);
    &Option<String>, value => Self::Text(value.clone());
    Cell, value => match value {
        Cell::Null => Self::Int(None),
        Cell::Int(value) => Self::Int(Some(value)),
        Cell::Text(value) => Self::Text(Some(value)),
    };
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Int(value) => to.serialize_i64(*value),
            Self::Text(value) => to.serialize_str(value),
        }
    }
}

/// Rows as one set parameter: `{page}` in a statement is a table with these
/// columns, and with `place`, the row's place in the page, from 0 on.
#[derive(Debug, Clone)]
pub struct Page {
    pub columns: Vec<(Cow<'static, str>, Kind)>,
    /// Row after row.
    pub cells: Vec<Cell>,
}

impl Page {
    /// No rows yet.
    pub fn new(columns: &[(&'static str, Kind)]) -> Self {
        Self {
            columns: columns
                .iter()
                .map(|(name, kind)| (Cow::Borrowed(*name), *kind))
                .collect(),
            cells: Vec::new(),
        }
    }

    /// A page of one column of numbers.
    pub fn of_ints(column: &'static str, values: &[i64]) -> Self {
        Self {
            columns: vec![(Cow::Borrowed(column), Kind::Int)],
            cells: values.iter().copied().map(Cell::Int).collect(),
        }
    }

    /// A page of one column of texts.
    pub fn of_texts<'t>(column: &'static str, values: impl IntoIterator<Item = &'t str>) -> Self {
        Self {
            columns: vec![(Cow::Borrowed(column), Kind::Text)],
            cells: values.into_iter().map(Cell::from).collect(),
        }
    }

    /// Adds a row.
    pub fn push<const N: usize>(&mut self, row: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.cells.extend(row);
    }

    /// Adds a row of as many cells as there are columns.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.cells.extend(row);
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.cells.len() / self.columns.len().max(1)
    }
}
