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
mod handling;
mod ledger;
mod obligations;
mod outcomes;
mod stages;
mod steps;
