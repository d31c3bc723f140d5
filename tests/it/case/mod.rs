//! The policy's clauses as tables: facts, a time, and what must come out of
//! them.

mod amounts;
mod build;
mod calendar;
mod catch_up;
mod changes;
mod decline;
mod entitlements;
mod exceptions;
pub mod generate;
mod handling;
mod holds;
mod ledger;
mod life;
mod obligations;
mod outcomes;
mod properties;
mod stages;
mod steps;
mod wakes;
