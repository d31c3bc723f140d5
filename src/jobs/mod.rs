//! The list of jobs, and the only room where the others meet.
//!
//! May touch: `store`, `intake`, `mail`, `report`, `case`, `policy`, `config`,
//! `clock`. It hands plain values from one room to the next.
//!
//! Invariant: a job takes no input but the time; it finds its work in the
//! database. Start, rerun and catch-up are one path.

mod alarms;
mod backlog;
mod backup;
mod book;
mod bounce;
mod compose;
mod copy;
mod deliver;
mod demo;
mod disk;
mod doctor;
mod enforce;
mod explain;
mod forget;
mod guard;
mod hold;
mod housekeeping;
pub mod import;
mod limit;
mod outbox;
mod page;
mod postbox;
mod preview;
mod report;
mod restore;
mod run;
mod simulate;
mod slots;
mod status;
mod tally;
mod watch;
mod words;
mod worklists;

pub use alarms::alarms;
pub use alarms::monitor::tell_alarms;
pub use backlog::{HELD_FOR, Measured, measure, reach};
pub use backup::backup;
pub use book::{book, policy_texts};
pub use bounce::{Taken, bounce, bounce_files};
pub use copy::copy_to;
pub use deliver::deliver;
pub use demo::{Count, Demo, demo};
pub use doctor::{Check, Health, doctor};
pub use enforce::{Enforced, Moved, enforce};
pub use explain::{Explained, explain};
pub use forget::{forget, not_forgotten};
pub use hold::{Holding, customer_of_message, hold, opt_in, opt_out, unhold};
pub use outbox::{
    LetGo, commands_on, discard, kept_back, message, message_retry, messages, release,
};
pub use preview::{Preview, Wanted, preview};
pub use report::{
    Broken, Difference, Explaining, FileCheck, HoldChange, ReportRequest, Trial, UPCOMING_DAYS,
    Verdict, Verified, compliance_report, daily_report, one_report, policy_try, verify,
};
pub use restore::restore;
pub use run::{Counts, JOBS, Job, Outcome, Refused, Shop, When, job, may_pass, run_recorded};
pub use simulate::{Coming, Simulated, simulate};
pub use slots::{GivenUp, Owed, give_up, help_slot, plan_slots, run_slot, slot_latest, slots_owed};
pub use status::{Status, failed, status};
pub use tally::Tally;
pub use watch::{ToldToEnd, Watch};
pub use words::number_of;
pub use worklists::{Listed, worklists, worklists_planned};
