//! The schedule, the planner, signals.
