//! What happened and what is due, as rows: CSV, JSON and the managers' page.
//!
//! May touch: `case`, `policy`, and the files that it is told to write. No
//! SQL, no clock, no config.
//!
//! Invariant: the same cases, rules and time give the same bytes. Cases come
//! one by one in the order of their `order_ref`, bytewise, each evaluated at
//! the time of the report, or its deadlines as an evaluation would find them;
//! what only the store knows comes as plain values. Memory does not grow with
//! the number of rows.

mod cell;
mod compare;
mod compliance;
mod daily;
mod file;
mod html;
mod manifest;
mod name;
mod period;
mod rows;
mod sorted;
mod summary;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod time;
mod writer;

pub use cell::unguarded;
pub use compare::{RowDifference, RowDifferences, compare, read_rows};
pub use daily::{Daily, DailySet};
pub use file::{AtomicFile, file_sha256};
pub use manifest::{
    FileEntry, History, MANIFEST_NAME, Manifest, PROGRAM_VERSION, PolicyEntry, Previous,
    TIME_ZONE_DATA,
};
pub use name::{ReportName, Source};
pub use period::{COUNTED, Kept, Period, PeriodSet, Span};
pub use rows::{NoticeRow, OrderDeadlines};
pub use summary::{DueDay, Figures, OnTime, Owed, RECENT_DAYS, RunningPromise, Summary, Trend};
pub use table::{By, Finished, Report, Scope};
pub use writer::{Dialect, Format};
