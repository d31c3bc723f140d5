//! The schedule, the planner, signals.

pub mod schedule;
