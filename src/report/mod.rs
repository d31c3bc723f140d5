//! What happened and what is due, as rows: CSV, JSON and the managers' page.
//!
//! May touch: `case`, `policy`, and the files that it is told to write. No
//! SQL, no clock, no config.
//!
//! Invariant: the same cases, rules and time give the same bytes. Cases come
//! one by one in the order of their `order_ref`, bytewise, each evaluated at
//! the time of the report; what only the store knows comes as plain values.

mod cell;
mod compliance;
mod daily;
mod file;
mod manifest;
mod name;
mod rows;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub use daily::{Daily, DailySet};
pub use file::AtomicFile;
pub use manifest::{FileEntry, MANIFEST_NAME, Manifest, PolicyEntry};
pub use name::ReportName;
pub use rows::NoticeRow;
pub use summary::{Figures, Owed};
pub use table::{Finished, Report, Scope};
pub use writer::Format;
