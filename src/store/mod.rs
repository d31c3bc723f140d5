//! The only room with SQL.
//!
//! May touch: `case`, `policy`. Values go in, values come out; nothing here
//! decides.
//!
//! Invariant: what belongs together is written in one transaction. A page of
//! `enforce` is one, which is why no row carries a version: nobody else changes
//! a case between its reading and its writing ([`Ahead`]).
//!
//! # Growth
//!
//! A run costs what is due, not what is stored: it reads `agenda_next` and
//! looks up what belongs to a page by index. What grows with the table is how
//! far apart these rows lie. `notices` are unique by their last day first, and
//! numbered as they come, so that what falls due together lies together; facts
//! lie in the order of their import, which in a shop is that of the days.
//!
//! - **SQLite** is bound by its one writer and by the log's synchronous commit,
//!   one a page. The merge of an import is one transaction: as long as it
//!   takes, others wait for the lock, half a minute at most.
//! - **PostgreSQL** is bound by its log. A narrow `agenda` keeps the timer out
//!   of the wide row of the order; records refer to `agenda`, whose row their
//!   writer holds anyway, and not to `orders`, so no wide row is locked;
//!   statements take their page as arrays behind a subselect, so that a plan
//!   never depends on how long a page is.
//! - **Several nodes** share the pages of a run by locks on rows of `agenda`;
//!   nothing is partitioned among them, so nothing moves when one dies.
//! - **More than one server**: the order's number is the key that a case is
//!   read, locked and written by, and the one to distribute by. `claims` and
//!   `waits` reach it through the unit; a distributed database would want it in
//!   their rows.

mod agenda;
mod alarms;
mod backlog;
mod bounces;
mod cases;
mod commands;
mod delivery;
mod engine;
mod forget;
mod history;
mod holds;
pub mod import;
mod known;
mod limits;
mod messages;
mod notices;
mod pause;
mod recorded;
mod report;
mod restore;
mod rules;
mod runs;
mod serials;
mod surge;

pub use agenda::*;
pub use alarms::*;
pub use backlog::*;
pub use bounces::*;
pub use cases::*;
pub use commands::{Given, commands_on_message, commands_on_order};
pub use delivery::*;
pub use engine::{
    About, Ahead, Backup, Copied, Lock, Manifest, ReadAhead, Reader, Schema, Session, Store,
    StoreError, Tx, copy,
};
pub use forget::*;
pub use history::*;
pub use holds::*;
pub use known::Cut;
pub use limits::*;
pub use messages::*;
pub use notices::*;
pub use pause::*;
pub use recorded::{notices_recorded_by, plan_write, recorded_load, recorded_notices};
pub use report::*;
pub use restore::*;
pub use rules::*;
pub use runs::*;
pub use serials::*;
pub use surge::*;
