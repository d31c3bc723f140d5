//! The list of jobs, and the only room where the others meet.
//!
//! May touch: `store`, `intake`, `mail`, `report`, `case`, `policy`, `config`.
//! It hands plain values from one room to the next.
//!
//! Invariant: a job takes no input but the time; it finds its work in the
//! database. Start, rerun and catch-up are one path.

mod book;
mod compose;
mod deliver;
mod enforce;
mod explain;
mod housekeeping;
mod page;
mod postbox;
mod report;
mod run;

pub use book::{book, rules};
pub use deliver::deliver;
pub use enforce::{Enforced, Moved, enforce};
pub use explain::{Explained, explain};
pub use report::{ReportRequest, daily_report, one_report};
pub use run::{JOBS, Job, Outcome, Shop, When, run};
