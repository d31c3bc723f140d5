//! Files to facts: reading CSV, checking rows, and the rejects.
//!
//! May touch: `case`, `policy`, and files. No SQL: what is known already is
//! handed in as plain values.
//!
//! Invariant: a row that [`check`] lets through keeps every rule of an import
//! file (spec, section 4) that one row and its parent can break; rules of
//! chains are [`broken_links`]'s. Whatever a file holds, memory is bounded by
//! a page.

mod cell;
mod chain;
mod contradiction;
mod header;
mod own;
mod reader;
mod rejects;
mod row;
mod text;

pub use cell::{Rules, parse_time};
pub use chain::{Link, broken_links};
pub use header::{FileError, Header, entity_of, kind_of};
pub use reader::{PAGE_ROWS, RawRow, RowReader};
pub use rejects::Rejects;
pub use row::{Facts, Key, check, key_of, parent_fact, parent_of};
