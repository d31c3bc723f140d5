//! The only room with SQL.
//!
//! May touch: `case`, `policy`. Values go in, values come out; nothing here
//! decides.
//!
//! Invariant: what belongs together is written in one transaction. A page of
//! `enforce` is one, which is why no row carries a version: nobody else changes
//! a case between its reading and its writing ([`Ahead`]).

mod agenda;
mod cases;
mod delivery;
mod engine;
pub mod import;
mod messages;
mod notices;
mod recorded;
mod report;
mod rules;
mod runs;

pub use agenda::*;
pub use cases::*;
pub use delivery::*;
pub use engine::{Ahead, Copied, Lock, Session, Store, StoreError, Tx, copy};
pub use messages::*;
pub use notices::*;
pub use recorded::{plan_write, recorded_load, recorded_notices};
pub use report::*;
pub use rules::*;
pub use runs::*;
