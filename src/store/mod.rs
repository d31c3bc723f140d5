//! The only room with SQL.
//!
//! May touch: `case`, `policy`. Values go in, values come out; nothing here
//! decides.
//!
//! Invariant: what belongs together is written in one transaction. A page of
//! `enforce` is one `BEGIN IMMEDIATE`, which is why no row carries a version:
//! nobody else writes between its reading and its writing.

mod agenda;
mod cases;
mod delivery;
mod engine;
pub mod import;
mod messages;
mod notices;
mod recorded;
mod rules;
mod runs;

pub use agenda::*;
pub use cases::*;
pub use delivery::*;
pub use engine::{Copied, Lock, Session, Store, StoreError, Tx, copy};
pub use messages::*;
pub use notices::*;
pub use recorded::{plan_write, recorded_load};
pub use rules::*;
pub use runs::*;
