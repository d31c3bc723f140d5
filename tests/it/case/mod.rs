//! The policy's clauses as tables: facts, a time, and what must come out of
//! them.

mod amounts;
mod build;
mod calendar;
mod decline;
mod entitlements;
mod handling;
mod obligations;
mod outcomes;
mod stages;
mod steps;
